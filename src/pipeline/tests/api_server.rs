//! An API server in memory: objects by their path, as far as the steps ask for them.

use std::collections::{BTreeMap, VecDeque};
use std::future::ready;
use std::io::{Error as IoError, ErrorKind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::future::{BoxFuture, FutureExt as _};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Bytes, Frame};
use hyper::{Request, Response};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::time::Instant;
use tower_service::Service;

use crate::cluster::tests::{Answer, answer, failure};
use crate::plan::ReleaseId;
use crate::release::store;

/// The release that its records are of.
pub(super) fn release() -> ReleaseId {
    ReleaseId::new("prod", "shop")
}

/// What a helm does to the cluster.
type Effect = Box<dyn FnOnce(&mut Objects) + Send>;

/// What the cluster holds, by the path of the API.
#[derive(Default)]
pub(in crate::pipeline) struct Objects {
    all: BTreeMap<String, Value>,
    version: u64,
}

impl Objects {
    /// Puts an object where the API has it.
    pub(in crate::pipeline) fn put(&mut self, path: &str, mut object: Value) {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.all.insert(path.to_owned(), object);
    }

    /// Puts a release record there, as helm stores it.
    pub(in crate::pipeline) fn record(
        &mut self,
        revision: u32,
        status: &str,
        said: &str,
        manifest: &str,
    ) {
        let now = jiff::Timestamp::now().to_string();
        self.record_with(&json!({
            "name": "shop", "version": revision, "manifest": manifest,
            "chart": {"metadata": {"name": "shop", "version": "1.0.0"}},
            "info": {"status": status, "description": said, "last_deployed": now},
        }));
    }

    /// The same of a whole record.
    pub(in crate::pipeline) fn record_with(&mut self, record: &Value) {
        let stored = STANDARD.encode(store::encode(record).unwrap());
        let name = store::name(
            &release(),
            u32::try_from(record["version"].as_u64().unwrap()).unwrap(),
        );
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": name, "namespace": "prod",
                "labels": {"owner": "helm", "name": "shop", "status": record["info"]["status"]}},
            "data": {"release": stored},
        });
        self.put(&format!("/api/v1/namespaces/prod/secrets/{name}"), secret);
    }

    fn listed(&self, path: &str, query: &str) -> Value {
        let below = format!("{path}/");
        let wanted = query
            .split('&')
            .find_map(|part| part.strip_prefix("labelSelector="))
            .unwrap_or_default()
            .replace("%3D", "=")
            .replace("%2C", ",");
        let matches = |object: &Value| {
            wanted
                .split(',')
                .filter(|part| !part.is_empty())
                .all(|part| {
                    let (key, value) = part.split_once('=').unwrap();
                    object["metadata"]["labels"][key] == value
                })
        };
        let items: Vec<&Value> = self
            .all
            .iter()
            .filter(|(at, _)| {
                at.strip_prefix(&below)
                    .is_some_and(|name| !name.contains('/'))
            })
            .map(|(_, object)| object)
            .filter(|object| matches(object))
            .collect();
        json!({"kind": "List", "apiVersion": "v1", "items": items,
            "metadata": {"resourceVersion": self.version.to_string()}})
    }

    fn answer(
        &mut self,
        method: &str,
        path: &str,
        query: &str,
        sent: Option<Value>,
    ) -> (u16, Value) {
        let found = self.all.get(path).cloned();
        match (method, found, sent) {
            (_, _, Some(review)) if path.contains("selfsubjectaccessreviews") => {
                let mut review = review;
                review["status"] = json!({"allowed": true});
                (201, review)
            }
            ("GET", _, _) if path == "/version" => (
                200,
                json!({"major": "1", "minor": "26",
                "gitVersion": "v1.26.0", "gitCommit": "", "gitTreeState": "", "buildDate": "",
                "goVersion": "", "compiler": "", "platform": "linux/amd64"}),
            ),
            ("GET", Some(object), _) => (200, object),
            ("PUT", Some(old), Some(new)) => {
                let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
                if version(&old) != version(&new) {
                    return (409, failure(409));
                }
                self.put(path, new);
                (200, self.all[path].clone())
            }
            ("DELETE", Some(object), _) => {
                self.all.remove(path);
                (200, object)
            }
            // What lists things has a plural's name.
            ("GET", None, _) if path.ends_with('s') => (200, self.listed(path, query)),
            _ => (404, failure(404)),
        }
    }
}

#[derive(Default)]
struct State {
    objects: Objects,
    /// What the helms do that have not been called yet, and how many were.
    effects: VecDeque<Effect>,
    called: usize,
    calls: PathBuf,
    /// Until when nothing is answered.
    silent: Option<Instant>,
}

/// The server, as the client calls it.
#[derive(Clone, Default)]
pub(super) struct ApiServer(Arc<Mutex<State>>);

impl ApiServer {
    /// One that looks into the file `calls` for how many helms were called.
    pub(super) fn new(calls: PathBuf) -> Self {
        let server = Self::default();
        server.0.lock().unwrap().calls = calls;
        server
    }

    /// Changes what it holds.
    pub(super) fn fill(&self, fill: impl FnOnce(&mut Objects)) {
        fill(&mut self.0.lock().unwrap().objects);
    }

    /// What the next helm that has none yet leaves in it.
    pub(super) fn at_next_helm(&self, leaves: impl FnOnce(&mut Objects) + Send + 'static) {
        let mut state = self.0.lock().unwrap();
        state.effects.push_back(Box::new(leaves));
    }

    /// Answers nothing before.
    pub(super) fn answers_from(&self, from: Instant) {
        self.0.lock().unwrap().silent = Some(from);
    }

    fn answer(
        &self,
        method: &str,
        path: &str,
        query: &str,
        sent: Option<Value>,
    ) -> Option<(u16, Value)> {
        let mut state = self.0.lock().unwrap();
        let calls = std::fs::read_to_string(&state.calls).unwrap_or_default();
        while state.called < calls.lines().count() {
            state.called += 1;
            if let Some(effect) = state.effects.pop_front() {
                effect(&mut state.objects);
            }
        }
        if state.silent.is_some_and(|until| Instant::now() < until) {
            return None;
        }
        Some(state.objects.answer(method, path, query, sent))
    }
}

impl Service<Request<Body>> for ApiServer {
    type Response = Answer;
    type Error = IoError;
    type Future = BoxFuture<'static, Result<Answer, IoError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), IoError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let server = self.clone();
        let (head, body) = request.into_parts();
        let query = head.uri.query().unwrap_or_default().to_owned();
        if query.contains("watch=true") {
            // Nothing changes that is watched.
            let never = futures::stream::pending::<Result<Frame<Bytes>, IoError>>();
            let body = StreamBody::new(never).boxed_unsync();
            return ready(Ok(Response::new(body))).boxed();
        }
        async move {
            let sent = body.collect().await.unwrap().to_bytes();
            let sent = serde_json::from_slice(&sent).ok();
            let (method, path) = (head.method.as_str(), head.uri.path());
            let Some((code, document)) = server.answer(method, path, &query, sent) else {
                return Err(IoError::new(ErrorKind::ConnectionRefused, "refused"));
            };
            Ok(answer(code, &document))
        }
        .boxed()
    }
}
