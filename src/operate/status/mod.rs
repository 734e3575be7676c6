//! `deploy status`: what runs of an app, since when and by whom, and whether it is
//! still what was deployed.
//!
//! It only looks: drift is found by trying the release's record on the API server,
//! and nothing is written.

mod drift;
mod json;
mod pods;
mod screen;

use std::collections::BTreeSet;

use kube::Client;
use kube::api::Api;

pub use drift::{Drift, DriftKind, DriftedField};
pub use json::as_json;
pub use pods::RunningImage;
pub use screen::{Line, at_work, screen, table};

use crate::cluster::client::{PATIENCE, connect};
use crate::cluster::discovery;
use crate::cluster::lease::{self, LeaseView};
use crate::error::{Error, Exit, Kind, Result};
use crate::event::{Events, WorkloadProgress};
use crate::manifest::Object;
use crate::operate::goal::run_of;
use crate::plan::{Plan, ReleaseId};
use crate::release::record::{Driver, Record};
use crate::release::{judgement, store};
use crate::rollout::{Expected, RolloutContext, RolloutWatcher, WatchTarget, labels, promises};
use crate::run;
use crate::signal::App;
use crate::state::freeze::{self, Freeze};
use crate::state::journal::{self, Entry};
use crate::state::lock;

/// How a release is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Every workload of the serving revision is Ready, or need not be.
    Ready,
    /// One is not.
    NotReady,
    /// A helm is at work, or was killed there; or what it applied is not judged.
    Pending,
    /// No revision counts as good.
    NothingServes,
}

impl Health {
    /// How `deploy status` ends.
    pub const fn exit(self) -> Exit {
        match self {
            Self::Ready => Exit::Deployed,
            Self::NotReady => Exit::Failed(Kind::RolledBack),
            Self::Pending | Self::NothingServes => Exit::Failed(Kind::Broken),
        }
    }

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::NotReady => "not Ready",
            Self::Pending => "pending",
            Self::NothingServes => "nothing serves",
        }
    }
}

/// The status of an app.
#[derive(Clone, Debug)]
pub struct Status {
    /// The app.
    pub app: App,
    /// Its release.
    pub release: ReleaseId,
    /// How it is.
    pub health: Health,
    /// The record of the revision that serves.
    pub serving: Option<Record>,
    /// The newest record, where it is another.
    pub newest: Option<Record>,
    /// The run that deployed what serves, where this node's journal knows it.
    pub run: Option<Entry>,
    /// The last run of it that failed.
    pub failed: Option<Entry>,
    /// Where the workloads stand.
    pub workloads: Vec<WorkloadProgress>,
    /// The images that are asked for, and those that run.
    pub images: Vec<RunningImage>,
    /// What differs from the record.
    pub drift: Vec<Drift>,
    /// The freezes that count.
    pub freezes: Vec<Freeze>,
    /// Who holds the release's lock or Lease.
    pub holder: Option<String>,
}

/// Looks at an app. `Kind::Request` where it was never deployed, `Kind::Node` where
/// the cluster cannot be asked.
pub async fn of(plan: &Plan) -> Result<Status> {
    let app = plan.request.app.clone();
    if plan.forward.is_some() {
        let message = format!("{app} is handed to a local controller, which knows its status");
        return Err(Error::new(Kind::Request, message));
    }
    let driver = Driver::of(&plan.environment)?;
    let client = connect(plan).await?;
    let records = store::list(&client, driver, &plan.release).await?;
    if records.is_empty() {
        let message = format!(
            "{app} was never deployed: there is no release {}",
            plan.release
        );
        return Err(Error::new(Kind::Request, message).hint("send its first signal"));
    }
    let serving = judgement::last_good(&records).cloned();
    let newest = records.last().filter(|last| {
        serving
            .as_ref()
            .is_none_or(|serving| serving.revision != last.revision)
    });
    let mut status = Status {
        freezes: freeze::of(&plan.freezes, &app, run::now())?,
        holder: holder(&client, plan).await,
        run: serving
            .as_ref()
            .and_then(|record| run_of(&plan.state, &plan.release, record.revision)),
        failed: last_failed(plan),
        app,
        release: plan.release.clone(),
        health: Health::NothingServes,
        newest: newest.cloned(),
        serving,
        workloads: Vec::new(),
        images: Vec::new(),
        drift: Vec::new(),
    };
    let mut ready = false;
    if let Some(serving) = &status.serving {
        let objects = Object::parse(&serving.manifest)?;
        let own: Vec<&Object> = objects
            .iter()
            .filter(|object| object.hooks.is_empty())
            .collect();
        let (watched, images, drift) = futures::future::join3(
            workloads(&client, plan, &own),
            pods::running(&client, &plan.release, &own),
            drift::of(&client, &plan.release, serving, &own),
        )
        .await;
        (ready, status.workloads) = watched?;
        status.images = images?;
        status.drift = drift?;
    }
    status.health = health(&records, ready);
    Ok(status)
}

fn health(records: &[Record], ready: bool) -> Health {
    let pending = records.last().is_some_and(|last| last.status.is_pending());
    if pending || judgement::last_not_judged(records).is_some() {
        Health::Pending
    } else if judgement::last_good(records).is_none() {
        Health::NothingServes
    } else if ready {
        Health::Ready
    } else {
        Health::NotReady
    }
}

/// Whether the workloads are Ready, by the rules of a deploy, and where each stands.
async fn workloads(
    client: &Client,
    plan: &Plan,
    objects: &[&Object],
) -> Result<(bool, Vec<WorkloadProgress>)> {
    let targets = objects.iter().filter_map(|object| {
        let place = object.reference.clone().within(&plan.release.namespace);
        let target = WatchTarget::new(&place, false, false)?;
        Some(target.labelled(labels(&object.value)))
    });
    let targets: Vec<WatchTarget> = targets.collect();
    let values = || objects.iter().map(|object| &object.value);
    let context = RolloutContext {
        server: discovery::capabilities(client).await?.version,
        budget: plan.budget,
        requested: BTreeSet::new(),
        promised: promises(values()),
        expected: Expected::of(values()),
        // A look does not wait for what others may come to.
        ..RolloutContext::default()
    };
    let events = Events::default();
    let watcher = RolloutWatcher::start(client.clone(), &targets, context, &events).await;
    Ok((watcher.is_ready(), watcher.workloads()))
}

/// Who is at work on it: by the node's own lock, else by the Lease of all nodes.
pub(super) async fn holder(client: &Client, plan: &Plan) -> Option<String> {
    if let Some(holder) = lock::holder(&plan.state, plan.lock()) {
        return Some(holder.line());
    }
    let api: Api<lease::Object> = Api::namespaced(client.clone(), &plan.release.namespace);
    let name = lease::name(&plan.release.name);
    let asked = tokio::time::timeout(PATIENCE, api.get_opt(&name)).await;
    let view = LeaseView::of(&asked.ok()?.ok()??);
    let held = view.identity().is_some() && view.is_current(run::now());
    held.then(|| view.line())
}

pub(super) fn last_failed(plan: &Plan) -> Option<Entry> {
    let fits = |entry: &Entry| {
        entry.request.app == plan.request.app.as_str() && entry.exit != 0 && !entry.dry_run
    };
    journal::read(&plan.state, 1, fits).ok()?.into_iter().next()
}

/// The apps that this node's journal knows.
pub fn apps_of_journal(state: &std::path::Path) -> Vec<App> {
    let mut apps = BTreeSet::new();
    let read = journal::each(state, |entry| {
        if entry.release.is_some() {
            apps.extend(entry.request.app.parse::<App>());
        }
    });
    if let Err(error) = read {
        tracing::debug!(%error, "the journal's apps are not known");
    }
    apps.into_iter().collect()
}
