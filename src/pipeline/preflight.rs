//! Looks at all that a deploy needs, before anything is touched: helm, the
//! chart, the images, the cluster, and what the release was so far.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::context::Run;
use super::observed::{Cluster, PreviousDigests, ReleaseObservation};
use super::origin::{self, OriginCheck};
use crate::chart::{Chart, values};
use crate::cluster::client::connect;
use crate::cluster::discovery;
use crate::cluster::lease::{Acquisition, Lease, LeaseHolder};
use crate::error::{Error, Kind, Result};
use crate::event::{Origin, Phase, Proven};
use crate::helm::{Helm, PulledChart};
use crate::host::file::read_regular;
use crate::plan::Plan;
use crate::registry::artifacts::ArtifactReader;
use crate::registry::index::manifest_deleted;
use crate::registry::preflight::{
    ImageStatus, Preflight, preflight as ask_for_images, wrong_platform,
};
use crate::release::record::{Driver, Record};
use crate::release::{judgement, store};
use crate::rollout::has_autoscaler;
use crate::run::LockHolder;
use crate::signal::{ImageKey, ImageRef};
use crate::state::lock::Lock;
use crate::text;

/// Chart, images and cluster are asked for at once. The first definite answer
/// ends it.
pub(super) async fn preflight(run: &mut Run<'_>) -> Result<ReleaseObservation> {
    run.begin(Phase::Preflight);
    let plan = run.plan;
    let check = run.unless_cancelled(OriginCheck::of(plan)).await?;
    let chart = chart(run, check.as_ref());
    let images = images(plan, check.as_ref());
    let (state, asked) = (plan.state.clone(), plan.request.images.clone());
    let earlier = tokio::task::spawn_blocking(move || PreviousDigests::read(&state, &asked));
    let earlier = async { Ok(earlier.await.unwrap_or_default()) };
    let work = async { tokio::try_join!(chart, images, cluster(run), earlier) };
    let ((helm, pulled, chart, origin), (images, origins), (cluster, records, waited), earlier) =
        run.unless_cancelled(work).await?;
    // The wait for others is not this deploy's own time.
    run.deadline += waited;
    are_proven(run, origin, origins);
    tell(run, &pulled, &images);
    run.unless_cancelled(runnable(run, &images, &cluster))
        .await?;
    all_manifests_are_there(run, &images, &cluster)?;
    run.facts.chart_digest = pulled.digest;
    run.facts.before = judgement::last_good(&records).map(|record| record.revision);
    if let Some(lease) = run.lease.get() {
        helm.bound(lease.heartbeat());
    }
    let found = ReleaseObservation {
        helm,
        archive: pulled.archive,
        chart,
        values: node_values(run)?,
        cluster,
        records,
        earlier,
        origin: check,
    };
    run.end();
    Ok(found)
}

/// Helm, and the plan's chart, which has to be what it says it is; and where that
/// comes from, where it has to be proven.
pub(super) async fn chart(
    run: &Run<'_>,
    check: Option<&OriginCheck>,
) -> Result<(Helm, PulledChart, Chart, Option<Origin>)> {
    let plan = run.plan;
    let lock = run.lock.as_ref().map(Lock::as_fd);
    let cancel = run.cancel.clone();
    let reader = check.map(OriginCheck::reader);
    let (helm, pulled) = Helm::with_chart(plan, reader, lock, cancel, run.deadline).await?;
    let read = read(&pulled)?;
    read.verify(&plan.request.chart, &plan.request.version)?;
    let origin = match check {
        Some(check) => Some(check.chart(plan, pulled.digest.as_ref()).await?),
        None => None,
    };
    Ok((helm, pulled, read, origin))
}

/// What the registry says of the images, and where they come from, where that has to
/// be proven.
pub(super) async fn images(
    plan: &Plan,
    check: Option<&OriginCheck>,
) -> Result<(Preflight, BTreeMap<ImageKey, Origin>)> {
    let asked = match check {
        Some(check) => ask_for_images(check.reader(), &plan.request.images).await,
        None => ask_for_images(&reader(plan).await?, &plan.request.images).await,
    };
    asked.check()?;
    let origins = match check {
        Some(check) => check.images(&asked).await?,
        None => BTreeMap::new(),
    };
    Ok((asked, origins))
}

/// What reads the plan's images.
pub(super) async fn reader(plan: &Plan) -> Result<ArtifactReader> {
    let repositories = plan.request.images.values().map(ImageRef::repository);
    ArtifactReader::new(&plan.environment, repositories).await
}

/// Notes what was proven: the images are deployed by those digests.
pub(super) fn are_proven(
    run: &mut Run<'_>,
    chart: Option<Origin>,
    images: BTreeMap<ImageKey, Origin>,
) {
    run.facts.proven = Proven { chart, images };
    run.images = origin::by_digest(&run.plan.request.images, &run.facts.proven);
}

/// The same for a rollback by hand: chart, images and registry are not asked for.
pub(super) async fn without_chart(run: &mut Run<'_>) -> Result<ReleaseObservation> {
    run.begin(Phase::Preflight);
    let plan = run.plan;
    let lock = run.lock.as_ref().map(Lock::as_fd);
    let helm = Helm::without_chart(plan, lock, run.cancel.clone());
    let work = async { tokio::try_join!(helm, cluster(run)) };
    let (helm, (cluster, records, waited)) = run.unless_cancelled(work).await?;
    run.deadline += waited;
    run.facts.before = judgement::last_good(&records).map(|record| record.revision);
    if let Some(lease) = run.lease.get() {
        helm.bound(lease.heartbeat());
    }
    let found = ReleaseObservation {
        helm,
        archive: PathBuf::new(),
        chart: Chart::default(),
        values: Vec::new(),
        cluster,
        records,
        earlier: PreviousDigests::default(),
        origin: None,
    };
    run.end();
    Ok(found)
}

async fn cluster(run: &Run<'_>) -> Result<(Cluster, Vec<Record>, Duration)> {
    let plan = run.plan;
    let driver = Driver::of(&plan.environment)?;
    // It makes a connection of its own meanwhile.
    let lease = begin_lease(run)?;
    let client = connect(plan).await?;
    let records = async {
        // Only then nobody else changes them.
        let waited = take_lease(run, lease).await?;
        let records = store::list(&client, driver, &plan.release).await?;
        Ok((records, waited))
    };
    let platforms = async { Ok(discovery::platforms(&client).await) };
    let (capabilities, namespace, (records, waited), platforms) = tokio::try_join!(
        discovery::capabilities(&client),
        discovery::namespace(&client, &plan.release.namespace),
        records,
        platforms,
    )?;
    // Of nodes that may not be known, more is not known by that.
    let platforms = platforms.map(|mut own: BTreeSet<String>| {
        let more = plan.platforms.iter();
        own.extend(more.map(|platform| platform.as_str().to_owned()));
        own
    });
    let cluster = Cluster {
        client,
        capabilities,
        namespace,
        driver,
        platforms,
    };
    Ok((cluster, records, waited))
}

/// Begins to take the release's lease. A dry run changes nothing and takes none.
pub(super) fn begin_lease<'a>(run: &'a Run<'_>) -> Result<Option<&'a Lease>> {
    if run.plan.dry_run {
        return Ok(None);
    }
    let me = LeaseHolder::this_process(LockHolder::this_process(run.id, run.who));
    let lease = Lease::begin(run.plan, me)?;
    Ok(Some(run.lease.get_or_init(|| lease)))
}

/// Waits until the lease is taken; gives how long that took.
pub(super) async fn take_lease(run: &Run<'_>, lease: Option<&Lease>) -> Result<Duration> {
    let plan = run.plan;
    let Some(lease) = lease else {
        return Ok(Duration::ZERO);
    };
    let begun = Instant::now();
    let told = |who: &str| run.events.progress(who);
    if let Acquisition::Denied(why) = lease.taken(&plan.release, run.patience, told).await? {
        run.events.note(format!(
            "no lease of the release can be had, so deploys from other nodes are not excluded: {why}"
        ));
    }
    Ok(begun.elapsed())
}

/// Whether some node can run each image. Where nodes come by themselves, one of
/// another platform may.
async fn runnable(run: &Run<'_>, images: &Preflight, cluster: &Cluster) -> Result<()> {
    let Some(platforms) = &cluster.platforms else {
        return Ok(());
    };
    let incompatible_images = images.incompatible_images(platforms);
    if incompatible_images.is_empty() {
        return Ok(());
    }
    let nodes = match has_autoscaler(&cluster.client).await {
        Some(false) => return Err(wrong_platform(&incompatible_images)),
        Some(true) => "the cluster adds nodes by itself",
        None => "whether the cluster adds nodes by itself is not known",
    };
    for stranger in incompatible_images {
        run.events.note(format!("{stranger}; {nodes}"));
    }
    Ok(())
}

/// Whether the registry still has what an index lists for the nodes.
fn all_manifests_are_there(run: &Run<'_>, images: &Preflight, cluster: &Cluster) -> Result<()> {
    let deleted = images.deleted_manifests(cluster.platforms.as_ref());
    if !deleted.for_all.is_empty() {
        return Err(manifest_deleted(&deleted.for_all));
    }
    for image in deleted.for_some {
        run.events
            .note(format!("{image}; nodes of other platforms can pull it"));
    }
    Ok(())
}

fn read(pulled: &PulledChart) -> Result<Chart> {
    let archive = File::open(&pulled.archive).map_err(|error| {
        Error::new(Kind::Internal, "the pulled chart cannot be opened").with_source(error)
    })?;
    Chart::read(archive)
}

pub(super) fn tell(run: &mut Run<'_>, pulled: &PulledChart, images: &Preflight) {
    // One file with dead credentials is told of once.
    let mut warnings: Vec<&String> = pulled.warning.iter().chain(&images.warnings).collect();
    warnings.dedup();
    for warning in warnings {
        run.events.warn(warning);
    }
    for line in origin::told(&run.facts.proven) {
        run.events.note(line);
    }
    for note in images.notes() {
        run.events.note(note);
    }
    for (key, _, verdict) in &images.verdicts {
        if let ImageStatus::Found {
            digest: Some(digest),
            ..
        } = verdict
        {
            run.facts.digests.insert(key.clone(), digest.clone());
        }
    }
}

/// The node's values files, as the chart's room wants them.
fn node_values(run: &Run<'_>) -> Result<Vec<Value>> {
    let read = |path: &PathBuf| {
        let name = path.to_string_lossy();
        let content = read_regular(path)
            .and_then(|bytes| String::from_utf8(bytes).map_err(std::io::Error::other))
            .map_err(|error| {
                let name = text::line(&name, text::LINE);
                Error::new(Kind::Node, format!("the values file {name} cannot be read"))
                    .with_source(error)
            })?;
        values::parse(&name, &content)
    };
    run.plan.values.iter().map(read).collect()
}
