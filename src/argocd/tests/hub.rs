//! A hub in memory that has one Application, and Argo CD as a script beside it.

use std::future::ready;
use std::io::{Error as IoError, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _};
use futures::stream::unfold;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Bytes, Frame};
use hyper::{Request, Response};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::sleep;
use tower_service::Service;

use crate::cluster::tests::{Answer, answer, failure};

/// What Argo CD makes of an Application that was written to.
pub(super) type Does = fn(&mut Value);

struct State {
    object: Value,
    version: u64,
    /// What was written, in order.
    written: Vec<Value>,
    does: Does,
    is_silent: bool,
}

/// The hub.
#[derive(Clone)]
pub(super) struct Hub {
    state: Arc<Mutex<State>>,
    changed: watch::Sender<u64>,
}

impl Hub {
    /// With this Application; Argo CD answers each write so.
    pub(super) fn with(object: Value, does: Does) -> Self {
        let state = State {
            object,
            version: 1,
            written: Vec::new(),
            does,
            is_silent: false,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            changed: watch::Sender::new(1),
        }
    }

    /// A client of it.
    pub(super) fn client(&self) -> Client {
        Client::new(self.clone(), "argocd")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The Application as it is.
    pub(super) fn object(&self) -> Value {
        self.state().object.clone()
    }

    /// What was written to it.
    pub(super) fn written(&self) -> Vec<Value> {
        self.state().written.clone()
    }

    /// Changes it after so many seconds, as somebody else or Argo CD does.
    pub(super) fn after(&self, seconds: u64, change: impl FnOnce(&mut Value) + Send + 'static) {
        let hub = self.clone();
        tokio::spawn(async move {
            sleep(Duration::from_secs(seconds)).await;
            change(&mut hub.state().object);
            hub.stamp();
        });
    }

    /// Does not answer from now on, for so many seconds.
    pub(super) fn silent(&self, seconds: u64) {
        self.state().is_silent = true;
        self.stamp();
        let hub = self.clone();
        tokio::spawn(async move {
            sleep(Duration::from_secs(seconds)).await;
            hub.state().is_silent = false;
        });
    }

    fn stamp(&self) {
        let mut state = self.state();
        state.version += 1;
        let version = state.version;
        state.object["metadata"]["resourceVersion"] = json!(version.to_string());
        drop(state);
        self.changed.send_replace(version);
    }

    fn patch(&self, document: &Value) -> (u16, Value) {
        let mut state = self.state();
        let bound = &document["metadata"]["resourceVersion"];
        if !bound.is_null() && *bound != state.object["metadata"]["resourceVersion"] {
            return (409, failure(409));
        }
        state.written.push(document.clone());
        merge(&mut state.object, document);
        let does = state.does;
        drop(state);
        self.stamp();
        let written = self.object();
        does(&mut self.state().object);
        self.stamp();
        (200, written)
    }

    fn line(&self) -> Result<Frame<Bytes>, IoError> {
        let state = self.state();
        if state.is_silent {
            return Err(IoError::new(ErrorKind::ConnectionReset, "reset"));
        }
        let event = json!({"type": "MODIFIED", "object": state.object});
        Ok(Frame::data(Bytes::from(format!("{event}\n"))))
    }

    /// The state, and each one after it.
    fn watched(&self) -> Answer {
        let hub = self.clone();
        let mut changes = self.changed.subscribe();
        // What came between a list and the watch after it is not lost.
        changes.mark_changed();
        let lines = unfold(changes, move |mut changes| {
            let hub = hub.clone();
            async move {
                changes.changed().await.ok()?;
                Some((hub.line(), changes))
            }
        });
        Response::new(StreamBody::new(lines).boxed_unsync())
    }
}

fn version() -> Value {
    json!({"major": "1", "minor": "34", "gitVersion": "v1.34.4", "gitCommit": "",
        "gitTreeState": "", "buildDate": "", "goVersion": "", "compiler": "", "platform": ""})
}

/// A merge patch (RFC 7396).
fn merge(into: &mut Value, from: &Value) {
    let Value::Object(from) = from else {
        *into = from.clone();
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    for (key, value) in from {
        if value.is_null() {
            into.as_object_mut().unwrap().remove(key);
        } else {
            merge(&mut into[key], value);
        }
    }
}

impl Service<Request<Body>> for Hub {
    type Response = Answer;
    type Error = IoError;
    type Future = BoxFuture<'static, Result<Answer, IoError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), IoError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let hub = self.clone();
        if hub.state().is_silent {
            return ready(Err(IoError::new(ErrorKind::ConnectionRefused, "refused"))).boxed();
        }
        let (head, body) = request.into_parts();
        if head
            .uri
            .query()
            .is_some_and(|query| query.contains("watch=true"))
        {
            return ready(Ok(hub.watched())).boxed();
        }
        async move {
            let sent = body.collect().await.unwrap().to_bytes();
            let (code, document) = match head.method.as_str() {
                "PATCH" => hub.patch(&serde_json::from_slice(&sent).unwrap()),
                _ if head.uri.path().ends_with("/applications") => {
                    let version = hub.state().version.to_string();
                    let list = json!({"kind": "ApplicationList",
                        "apiVersion": "argoproj.io/v1alpha1",
                        "metadata": {"resourceVersion": version}, "items": [hub.object()]});
                    (200, list)
                }
                // It may be a target's cluster, too.
                _ if head.uri.path() == "/version" => (200, version()),
                _ => (200, hub.object()),
            };
            Ok(answer(code, &document))
        }
        .boxed()
    }
}
