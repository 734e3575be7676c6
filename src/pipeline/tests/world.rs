//! A cluster in memory and a helm that is a script: what the steps decide is tried on
//! them in milliseconds.
//!
//! The script and the cluster know of each other by a file: each helm writes a line into
//! it, and what it does to the cluster is there from the next request on.

use std::collections::{BTreeMap, VecDeque};
use std::future::ready;
use std::io::{Error as IoError, ErrorKind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::future::{BoxFuture, FutureExt as _};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Bytes, Frame};
use hyper::{Request, Response};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::time::Instant;
use tower_service::Service;

use super::super::context::Run;
use super::super::observed::{Cluster, PreviousDigests, ReleaseObservation};
use crate::chart::Chart;
use crate::cluster::discovery::NamespacePresence;
use crate::event::{Event, Events, Reporter};
use crate::helm;
use crate::plan::{Capabilities, OnFailure, Plan, ReleaseId};
use crate::process::Cancel;
use crate::process::cancel::CancelTrigger;
use crate::release::record::{Driver, Record};
use crate::release::{judgement, store};
use crate::run::{RunId, Who};

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
                    return (409, status(409));
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
            _ => (404, status(404)),
        }
    }
}

fn status(code: u16) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
        "message": format!("answered {code}"), "reason": "Unknown"})
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

/// The cluster.
#[derive(Clone, Default)]
struct ApiServer(Arc<Mutex<State>>);

impl ApiServer {
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

type Answer = Response<UnsyncBoxBody<Bytes, IoError>>;

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
            let Some((code, answer)) = server.answer(method, path, &query, sent) else {
                return Err(IoError::new(ErrorKind::ConnectionRefused, "refused"));
            };
            let answer = Full::from(serde_json::to_vec(&answer).unwrap());
            let answer = answer.map_err(|never| match never {}).boxed_unsync();
            Ok(Response::builder()
                .status(code)
                .header("content-type", "application/json")
                .body(answer)
                .unwrap())
        }
        .boxed()
    }
}

/// What was said, a line each.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<String>>>);

impl Reporter for Said {
    fn event(&mut self, event: &Event<'_>) {
        match event {
            Event::Note(text) | Event::Warning(text) | Event::Progress(text) => {
                self.0.lock().unwrap().push((*text).to_owned());
            }
            Event::Wave(news) => self.0.lock().unwrap().push(news.to_string()),
            _ => {}
        }
    }
}

fn release() -> ReleaseId {
    ReleaseId::new("prod", "shop")
}

/// All that a run needs.
pub(in crate::pipeline) struct World {
    server: ApiServer,
    folder: tempfile::TempDir,
    helms: usize,
    pub(in crate::pipeline) plan: Plan,
    pub(in crate::pipeline) id: RunId,
    who: Who,
    events: Events,
    said: Said,
    cancel: Cancel,
    pub(in crate::pipeline) trigger: CancelTrigger,
}

impl World {
    pub(in crate::pipeline) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = ApiServer::default();
        server.0.lock().unwrap().calls = folder.path().join("calls");
        let said = Said::default();
        let (cancel, trigger) = Cancel::manual();
        let mut plan = helm::tests::plan("");
        plan.on_failure = OnFailure::Rollback;
        plan.state = folder.path().join("state");
        Self {
            server,
            folder,
            helms: 0,
            plan,
            id: "20261124T175106Z-1a2b3c".parse().unwrap(),
            who: Who {
                user: "runner".to_owned(),
                uid: 1001,
                workflow: None,
                proven: None,
                unit: None,
            },
            events: Events::to(vec![Box::new(said.clone())]),
            said,
            cancel,
            trigger,
        }
    }

    /// What is there before the run.
    pub(in crate::pipeline) fn with(self, fill: impl FnOnce(&mut Objects)) -> Self {
        fill(&mut self.server.0.lock().unwrap().objects);
        self
    }

    /// What the next helm does: lines of a shell, and what it leaves in the cluster.
    pub(in crate::pipeline) fn helm(
        mut self,
        lines: &str,
        leaves: impl FnOnce(&mut Objects) + Send + 'static,
    ) -> Self {
        self.helms += 1;
        let path = self.folder.path().join(format!("does-{}", self.helms));
        std::fs::write(path, lines).unwrap();
        let mut state = self.server.0.lock().unwrap();
        state.effects.push_back(Box::new(leaves));
        drop(state);
        self
    }

    /// A run of it.
    pub(in crate::pipeline) fn run(&self) -> Run<'_> {
        Run::new(&self.plan, &self.id, &self.who, &self.events, &self.cancel)
    }

    /// The release as the preflight finds it, with a helm of this version.
    pub(in crate::pipeline) async fn found(&self, version: &str) -> ReleaseObservation {
        let folder = self.folder.path();
        let calls = folder.join("calls");
        let body = format!(
            "echo \"$*\" >> {calls}; . {folder}/does-$(wc -l < {calls})",
            calls = calls.display(),
            folder = folder.display()
        );
        let helm = helm::tests::helm_of(folder, version, &body, &self.cancel).await;
        ReleaseObservation {
            helm: helm.unwrap(),
            archive: "/c.tgz".into(),
            chart: Chart::default(),
            values: Vec::new(),
            cluster: Cluster {
                client: Client::new(self.server.clone(), "prod"),
                capabilities: Capabilities {
                    version: "v1.26.0".to_owned(),
                    apis: Vec::new(),
                },
                namespace: NamespacePresence::Present,
                driver: Driver::Secrets,
                platforms: None,
            },
            records: self.records().await,
            earlier: PreviousDigests::default(),
            origin: None,
        }
    }

    /// Nothing is answered for so long.
    pub(in crate::pipeline) fn is_silent_for(&self, time: Duration) {
        self.server.0.lock().unwrap().silent = Some(Instant::now() + time);
    }

    /// The command line of each helm.
    pub(in crate::pipeline) fn calls(&self) -> Vec<String> {
        let calls = std::fs::read_to_string(self.folder.path().join("calls"));
        let calls = calls.unwrap_or_default();
        calls.lines().map(str::to_owned).collect()
    }

    /// The release's records as they are now.
    pub(in crate::pipeline) async fn records(&self) -> Vec<Record> {
        let client = Client::new(self.server.clone(), "prod");
        store::list(&client, Driver::Secrets, &release())
            .await
            .unwrap()
    }

    /// Revision, status and what counts of the description of each record.
    pub(in crate::pipeline) async fn left(&self) -> Vec<String> {
        let told = |record: &Record| {
            let said = record
                .description
                .split(" (run ")
                .next()
                .unwrap_or_default();
            format!("{} {} {said}", record.revision, record.status.name())
        };
        self.records().await.iter().map(told).collect()
    }

    /// What was said, a line each.
    pub(in crate::pipeline) fn said(&self) -> String {
        self.said.0.lock().unwrap().join("\n")
    }

    /// The mark of a revision that nobody has judged.
    pub(in crate::pipeline) fn mark(&self) -> String {
        judgement::not_judged(&self.id)
    }
}
