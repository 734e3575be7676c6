//! Looks at all that a deploy needs, before anything is touched: helm, the
//! chart, the images, the cluster, and what the release was so far.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::time::Duration;

use kube::Client;
use serde_json::Value;
use tokio::time::Instant;

use super::moved::Earlier;
use super::{Course, good};
use crate::chart::{Chart, values};
use crate::cluster::client::connect;
use crate::cluster::discovery::{self, Presence};
use crate::cluster::lease::{Holder, Lease, Right};
use crate::error::{Error, Kind, Result};
use crate::event::Phase;
use crate::helm::{Helm, Pulled};
use crate::plan::{Capabilities, Plan};
use crate::registry::preflight::{Preflight, Verdict, preflight as ask_for_images, wrong_platform};
use crate::release::record::{Driver, Record, Status};
use crate::release::store;
use crate::rollout::has_autoscaler;
use crate::run::Holder as Process;
use crate::state::lock::Lock;
use crate::text;

/// What was found.
pub(super) struct Found {
    pub(super) helm: Helm,
    pub(super) archive: PathBuf,
    pub(super) chart: Chart,
    pub(super) values: Vec<Value>,
    pub(super) cluster: Cluster,
    pub(super) records: Vec<Record>,
    /// What the images were in earlier deploys.
    pub(super) earlier: Earlier,
}

/// What was found of the cluster.
pub(super) struct Cluster {
    pub(super) client: Client,
    pub(super) capabilities: Capabilities,
    pub(super) namespace: Presence,
    pub(super) driver: Driver,
    /// The platforms of its nodes, where they may be known.
    pub(super) platforms: Option<BTreeSet<String>>,
}

impl Cluster {
    /// The release's records as they are now.
    pub(super) async fn records(&self, plan: &Plan) -> Result<Vec<Record>> {
        store::list(&self.client, self.driver, &plan.namespace, &plan.release).await
    }

    /// The last of them.
    pub(super) async fn last(&self, plan: &Plan) -> Result<Option<Record>> {
        store::last(&self.client, self.driver, &plan.namespace, &plan.release).await
    }
}

impl Found {
    /// The last record, as it was found.
    pub(super) fn last(&self) -> Option<&Record> {
        self.records.iter().max_by_key(|record| record.revision)
    }

    /// Whether helm will upgrade, as it decides it itself: an uninstalled
    /// release is installed anew, and one that never served and was left
    /// pending is healed away before (`cmd/helm/upgrade.go`).
    pub(super) fn is_upgrade(&self) -> bool {
        self.last().is_some_and(|last| {
            last.status != Status::Uninstalled
                && (self.serving().is_some() || !last.status.is_pending())
        })
    }

    /// The record of the revision that serves.
    pub(super) fn serving(&self) -> Option<&Record> {
        good(&self.records)
    }
}

/// Chart, images and cluster are asked for at once. The first definite answer
/// ends it.
pub(super) async fn preflight(course: &mut Course<'_>) -> Result<Found> {
    let begun = course.begin(Phase::Preflight);
    let plan = course.plan;
    let chart = async {
        let lock = course.lock.as_ref().map(Lock::as_fd);
        let cancel = course.cancel.clone();
        let (helm, pulled) = Helm::with_chart(plan, lock, cancel, course.deadline).await?;
        let read = read(&pulled)?;
        read.verify(&plan.request.chart, &plan.request.version)?;
        Ok((helm, pulled, read))
    };
    let images = async {
        let asked = ask_for_images(&plan.environment, &plan.request.images).await?;
        asked.check()?;
        Ok(asked)
    };
    let (state, asked) = (plan.state.clone(), plan.request.images.clone());
    let earlier = tokio::task::spawn_blocking(move || Earlier::read(&state, &asked));
    let earlier = async { Ok(earlier.await.unwrap_or_default()) };
    let work = async { tokio::try_join!(chart, images, cluster(course), earlier) };
    let ((helm, pulled, chart), images, (cluster, records, waited), earlier) =
        course.unless_cancelled(work).await?;
    // The wait for others is not this deploy's own time.
    course.deadline += waited;
    tell(course, &pulled, &images);
    course
        .unless_cancelled(runnable(course, &images, &cluster))
        .await?;
    course.ledger.chart_digest = pulled.digest.map(|digest| digest.to_string());
    course.ledger.before = good(&records).map(|record| record.revision);
    let found = Found {
        helm,
        archive: pulled.archive,
        chart,
        values: node_values(course)?,
        cluster,
        records,
        earlier,
    };
    course.end(Phase::Preflight, begun);
    Ok(found)
}

async fn cluster(course: &Course<'_>) -> Result<(Cluster, Vec<Record>, Duration)> {
    let plan = course.plan;
    let driver = Driver::of(&plan.environment)?;
    let client = connect(plan).await?;
    let records = async {
        // Only then nobody else changes them.
        let waited = lease(course, &client).await?;
        let records = store::list(&client, driver, &plan.namespace, &plan.release).await?;
        Ok((records, waited))
    };
    let platforms = async { Ok(discovery::platforms(&client).await) };
    let (capabilities, namespace, (records, waited), platforms) = tokio::try_join!(
        discovery::capabilities(&client),
        discovery::namespace(&client, &plan.namespace),
        records,
        platforms,
    )?;
    let cluster = Cluster {
        client,
        capabilities,
        namespace,
        driver,
        platforms,
    };
    Ok((cluster, records, waited))
}

/// Takes the release's lease; gives how long that was waited for. A dry run
/// changes nothing and takes none.
async fn lease(course: &Course<'_>, client: &Client) -> Result<Duration> {
    let plan = course.plan;
    if plan.dry_run {
        return Ok(Duration::ZERO);
    }
    let begun = Instant::now();
    let (namespace, release) = (&plan.namespace, &plan.release);
    let lease = course.lease.get_or_init(|| {
        let me = Holder::this_process(Process::this_process(course.run, course.who));
        Lease::begin(client.clone(), namespace, release, me, plan.stale_after)
    });
    let name = format!("{namespace}/{release}");
    let told = |who: &str| course.events.progress(who);
    if let Right::Denied(why) = lease.taken(&name, course.patience, told).await? {
        course.events.note(format!(
            "no lease of the release can be had, so deploys from other nodes are not excluded: {why}"
        ));
    }
    Ok(begun.elapsed())
}

/// Whether some node can run each image. Where nodes come by themselves, one of
/// another platform may.
async fn runnable(course: &Course<'_>, images: &Preflight, cluster: &Cluster) -> Result<()> {
    let Some(platforms) = &cluster.platforms else {
        return Ok(());
    };
    let strangers = images.strangers(platforms);
    if strangers.is_empty() {
        return Ok(());
    }
    if !has_autoscaler(&cluster.client).await {
        return Err(wrong_platform(&strangers));
    }
    for stranger in strangers {
        course
            .events
            .note(format!("{stranger}; the cluster adds nodes by itself"));
    }
    Ok(())
}

fn read(pulled: &Pulled) -> Result<Chart> {
    let archive = File::open(&pulled.archive).map_err(|error| {
        Error::new(Kind::Internal, "the pulled chart cannot be opened").because(error)
    })?;
    Chart::read(archive)
}

fn tell(course: &mut Course<'_>, pulled: &Pulled, images: &Preflight) {
    // One file with dead credentials is told of once.
    let mut warnings: Vec<&String> = pulled.warning.iter().chain(&images.warnings).collect();
    warnings.dedup();
    for warning in warnings {
        course.events.warn(warning);
    }
    for note in images.notes() {
        course.events.note(note);
    }
    for (key, _, verdict) in &images.verdicts {
        if let Verdict::Found {
            digest: Some(digest),
            ..
        } = verdict
        {
            let digest = digest.to_string();
            course.ledger.digests.insert(key.to_string(), digest);
        }
    }
}

/// The node's values files, as the chart's room wants them.
fn node_values(course: &Course<'_>) -> Result<Vec<Value>> {
    let read = |path: &PathBuf| {
        let name = path.to_string_lossy();
        let content = std::fs::read_to_string(path).map_err(|error| {
            let name = text::line(&name, text::LINE);
            Error::new(Kind::Node, format!("the values file {name} cannot be read")).because(error)
        })?;
        values::parse(&name, &content)
    };
    course.plan.values.iter().map(read).collect()
}
