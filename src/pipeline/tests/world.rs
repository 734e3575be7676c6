//! A cluster in memory and a helm that is a script: what the steps decide is tried on
//! them in milliseconds.
//!
//! The script and the cluster know of each other by a file: each helm writes a line into
//! it, and what it does to the cluster is there from the next request on.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use kube::Client;
use tokio::time::Instant;

use super::super::context::Run;
use super::super::observed::{Cluster, PreviousDigests, ReleaseObservation};
use super::api_server::{ApiServer, Objects, release};
use crate::chart::Chart;
use crate::cluster::discovery::NamespacePresence;
use crate::event::{Event, Events, Reporter};
use crate::helm;
use crate::plan::{Capabilities, OnFailure, Plan};
use crate::process::Cancel;
use crate::process::cancel::CancelTrigger;
use crate::release::record::{Driver, Record};
use crate::release::{judgement, store};
use crate::run::{RunId, Who};

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
        let server = ApiServer::new(folder.path().join("calls"));
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
        self.server.fill(fill);
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
        self.server.at_next_helm(leaves);
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
        self.server.answers_from(Instant::now() + time);
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
