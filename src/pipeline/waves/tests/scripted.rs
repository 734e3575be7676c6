//! An engine whose clusters lie in memory, and do what a script says.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep, sleep_until};

use crate::engine::{Ended, Engine, Observed, Wanted};
use crate::error::{Error, Kind, Problem, Result};
use crate::plan::fleet::{ClusterAccess, Fleet, TargetName};

/// What a target does with a version that it is asked to serve.
#[derive(Clone, Copy, Debug)]
pub(super) enum Does {
    /// Serves it after so many seconds.
    Serves(u64),
    /// Fails for good after so many.
    Fails(u64),
    /// Never comes right.
    Hangs,
    /// Does not answer any more after so many.
    IsLost(u64),
    /// Refuses it, as an error of this kind.
    Refuses(Kind),
    /// Does not answer so many requests, then serves it after a second.
    Stutters(u32),
    /// Serves it after a second, and does not stay good: for so many seconds.
    Degrades(u64),
}

/// What a cluster holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Cluster {
    pub(super) held: Option<Wanted>,
    pub(super) good: Option<Wanted>,
    /// The operation at work.
    pub(super) at_work: Option<u32>,
    /// How often it did not answer.
    stuttered: u32,
}

/// The engine.
#[derive(Debug, Default)]
pub(super) struct Scripted {
    pub(super) clusters: RefCell<BTreeMap<String, Cluster>>,
    does: BTreeMap<(String, String), Does>,
    /// What was asked of it, in order.
    pub(super) calls: RefCell<Vec<String>>,
    begun: Cell<u32>,
    /// Whether notes are refused.
    pub(super) forgets: bool,
}

/// What was asked.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    id: u32,
    version: String,
    begun: Instant,
}

/// A version of the shop.
pub(super) fn wanted(version: &str) -> Wanted {
    Wanted {
        chart: "oci://ghcr.io/acme/charts/shop".parse().unwrap(),
        version: version.parse().unwrap(),
        digest: None,
        values: json!({"api": {"image": format!("ghcr.io/acme/shop/api:{version}")}}),
    }
}

/// A fleet of these waves.
pub(super) fn fleet(waves: &[&[&str]]) -> Fleet {
    let wave = |names: &&[&str]| names.iter().map(|name| name.parse().unwrap()).collect();
    Fleet {
        hub: ClusterAccess {
            kubeconfig: "/etc/deploy/hub".into(),
            context: None,
        },
        namespace: "argocd".to_owned(),
        waves: waves.iter().map(wave).collect(),
        clusters: BTreeMap::new(),
        bake: Duration::ZERO,
        template: None,
    }
}

impl Scripted {
    /// Every target of the fleet serves this version, judged good.
    pub(super) fn serving(fleet: &Fleet, version: &str) -> Self {
        let engine = Self::default();
        for target in fleet.targets() {
            let cluster = Cluster {
                held: Some(wanted(version)),
                good: Some(wanted(version)),
                ..Cluster::default()
            };
            engine
                .clusters
                .borrow_mut()
                .insert(target.to_string(), cluster);
        }
        engine
    }

    /// What a target does with a version; else it serves it after a second.
    pub(super) fn when(mut self, target: &str, version: &str, does: Does) -> Self {
        self.does
            .insert((target.to_owned(), version.to_owned()), does);
        self
    }

    fn does(&self, target: &TargetName, version: &str) -> Does {
        let key = (target.to_string(), version.to_owned());
        self.does.get(&key).copied().unwrap_or(Does::Serves(1))
    }

    /// Changes what a cluster holds.
    pub(super) fn with(self, target: &str, change: impl FnOnce(&mut Cluster)) -> Self {
        change(
            self.clusters
                .borrow_mut()
                .entry(target.to_owned())
                .or_default(),
        );
        self
    }

    /// `target version` of each, with a `*` where what it holds was not judged good.
    pub(super) fn left(&self) -> Vec<String> {
        let clusters = self.clusters.borrow();
        let left = clusters.iter().map(|(name, cluster)| {
            let version = |wanted: &Option<Wanted>| {
                let wanted = wanted.as_ref();
                wanted.map_or("-".to_owned(), |wanted| wanted.version.to_string())
            };
            let (held, good) = (version(&cluster.held), version(&cluster.good));
            let mark = if held == good { "" } else { "*" };
            format!("{name} {held}{mark}")
        });
        left.collect()
    }

    /// What was asked, without the notes.
    pub(super) fn asked(&self) -> Vec<String> {
        let calls = self.calls.borrow();
        let asked = calls.iter().filter(|call| !call.starts_with("note"));
        asked.cloned().collect()
    }

    /// Takes over what is asked; the operation's id.
    fn take(&self, target: &TargetName, wanted: &Wanted) -> Result<u32> {
        let version = wanted.version.to_string();
        let mut clusters = self.clusters.borrow_mut();
        let cluster = clusters.get_mut(target.as_str()).unwrap();
        match self.does(target, &version) {
            Does::Refuses(kind) => {
                self.call(format!("refuse {target} {version}"));
                return Err(Error::new(kind, "somebody else is at work on it"));
            }
            Does::Stutters(times) if cluster.stuttered < times => {
                cluster.stuttered += 1;
                return Err(Error::new(Kind::Node, "the API server does not answer"));
            }
            _ => {}
        }
        self.begun.set(self.begun.get() + 1);
        self.call(format!("apply {target} {version}"));
        cluster.held = Some(wanted.clone());
        cluster.at_work = Some(self.begun.get());
        Ok(self.begun.get())
    }

    fn call(&self, call: String) {
        self.calls.borrow_mut().push(call);
    }
}

fn crashed(after: u64) -> Problem {
    Problem::new(format!("api: container api crashed after {after} s"))
        .log(["panic: no database".to_owned()])
        .detail("exit code 1")
        .hint("look at its log")
}

impl Engine for Scripted {
    type Operation = Operation;

    async fn observe(&self, target: &TargetName) -> Result<Observed> {
        let clusters = self.clusters.borrow();
        let Some(cluster) = clusters.get(target.as_str()) else {
            return Err(Error::new(Kind::Node, "there is no such Application"));
        };
        if let Does::Refuses(kind) = self.does(target, "look") {
            return Err(Error::new(kind, "it cannot be worked on"));
        }
        Ok(Observed {
            held: cluster.held.clone(),
            good: cluster.good.clone(),
            cluster: target.as_str().trim_start_matches("shop-").to_owned(),
            warnings: Vec::new(),
        })
    }

    async fn apply(&self, target: &TargetName, wanted: &Wanted) -> Result<Operation> {
        let version = wanted.version.to_string();
        // It takes a moment, in which a run can be killed.
        sleep(Duration::from_millis(100)).await;
        let id = self.take(target, wanted)?;
        sleep(Duration::from_millis(100)).await;
        let begun = Instant::now();
        Ok(Operation { id, version, begun })
    }

    async fn watch(
        &self,
        target: &TargetName,
        operation: &Operation,
        deadline: Instant,
        tell: &dyn Fn(String),
    ) -> Ended {
        let ended = |after: u64| {
            let at = operation.begun + Duration::from_secs(after);
            (at <= deadline).then_some(at)
        };
        let does = self.does(target, &operation.version);
        let (at, end) = match does {
            Does::Serves(after) => (ended(after), Ended::Serves),
            Does::Fails(after) => (ended(after), Ended::Failed(crashed(after))),
            Does::IsLost(after) => {
                let lost = Problem::new("its cluster does not answer");
                (ended(after), Ended::Unknown(lost))
            }
            Does::Degrades(after)
                if Instant::now() >= operation.begun + Duration::from_secs(after) =>
            {
                (ended(after), Ended::Failed(crashed(after)))
            }
            Does::Stutters(_) | Does::Degrades(_) => (ended(1), Ended::Serves),
            Does::Hangs | Does::Refuses(_) => (None, Ended::Serves),
        };
        tell("Deployment api 0/1 ready".to_owned());
        sleep_until(at.unwrap_or(deadline)).await;
        let mut clusters = self.clusters.borrow_mut();
        let cluster = clusters.get_mut(target.as_str()).unwrap();
        if at.is_none() {
            return Ended::TimeUp(Problem::new("Deployment api 0/1 ready"));
        }
        if cluster.at_work == Some(operation.id) {
            cluster.at_work = None;
        }
        end
    }

    async fn stop(&self, target: &TargetName, operation: &Operation) -> Result<()> {
        self.call(format!("stop {target} {}", operation.version));
        let mut clusters = self.clusters.borrow_mut();
        let cluster = clusters.get_mut(target.as_str()).unwrap();
        if cluster.at_work == Some(operation.id) {
            cluster.at_work = None;
        }
        Ok(())
    }

    async fn note_good(&self, target: &TargetName, wanted: &Wanted) -> Result<()> {
        sleep(Duration::from_millis(50)).await;
        if self.forgets {
            return Err(Error::new(Kind::Node, "the API server does not answer"));
        }
        self.call(format!("note {target} {}", wanted.version));
        let mut clusters = self.clusters.borrow_mut();
        clusters.get_mut(target.as_str()).unwrap().good = Some(wanted.clone());
        Ok(())
    }
}
