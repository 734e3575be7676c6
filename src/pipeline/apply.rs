//! Runs `helm upgrade --install`, and waits until every workload is Ready.

use std::collections::BTreeSet;

use tokio::time::Instant;

use super::context::Run;
use super::failure::{self, Failure};
use super::observed::ReleaseObservation;
use super::prove::with_overrides;
use super::rollback::clear_leftover_fields;
use super::verify::Applied;
use super::{judge, moved_tags, running, supervise, verify, wait_strategy};
use crate::chart::Proof;
use crate::cluster::discovery::NamespacePresence;
use crate::cluster::namespace::create_owned;
use crate::error::Result;
use crate::event::Phase;
use crate::helm::Upgrade;
use crate::manifest::Object;
use crate::release::judgement;
use crate::release::record::next_is_server_side;
use crate::rollout::{is_judged, nobody_waits_for, not_waited_for};

/// Installs or upgrades the release and waits until it is Ready. `found` holds the
/// records as helm found them.
pub(super) async fn upgrade(
    run: &mut Run<'_>,
    found: &mut ReleaseObservation,
    proof: &Proof,
) -> Result<Applied, Failure> {
    run.begin(Phase::Rollout);
    let values = with_overrides(run.plan, found, "overrides.json", &proof.overrides)?;
    own_namespace(run, found, proof).await?;
    clear_leftover_fields(run, found, proof).await?;
    let images: BTreeSet<String> = run.images.values().map(ToString::to_string).collect();
    let mut watcher = supervise::watcher(
        run,
        found,
        found.serving().map_or("", |record| &record.manifest),
        proof.objects.iter().collect(),
        images.clone(),
        run.left(),
    )
    .await;
    let wait = wait_strategy::choose(run, found, &watcher, &proof.objects).await?;
    let description = judgement::not_judged(run.id);
    let upgrade = Upgrade {
        chart: &found.archive,
        values: &values,
        create_namespace: found.cluster.namespace == NamespacePresence::Absent,
        wait,
        description: &description,
        server_side: next_is_server_side(found.last()),
        timeout: run.left(),
    };
    let deadline = run.deadline;
    let helm = |stop| found.helm.upgrade(&upgrade, deadline, stop);
    let (outcome, halt) = supervise::supervise(run, found, &mut watcher, helm).await?;
    let outcome = outcome.naming(&proof.objects);
    failure::of(run, &mut watcher, outcome, halt).await?;
    let applied = verify::applied(run, found, proof).await?;
    watcher.expect(&applied.generations);
    ready(run, &mut watcher, deadline).await?;
    moved_tags::check(run, found).await?;
    running::check(run, found, proof, watcher.cache()).await?;
    let nobodys = nobody_waits_for(&proof.objects, &images);
    for object in nobodys.iter().filter(|object| !is_judged(object)) {
        run.events.warn(not_waited_for(object));
    }
    for custom in watcher.custom_not_ready().await {
        run.events.warn(custom.said);
    }
    let revision = applied.record.revision;
    let judged = judge::good(run, found, &applied.record).await;
    judged.map_err(|error| verify::unverified(revision, error))?;
    run.end();
    Ok(applied)
}

/// Waits until every workload is Ready, by the rules of `deploy` alone.
async fn ready(
    run: &mut Run<'_>,
    watcher: &mut crate::rollout::RolloutWatcher,
    deadline: Instant,
) -> Result<(), Failure> {
    let end = supervise::until_ready(run, watcher, deadline).await;
    failure::of_wait(run, watcher, end).await
}

/// Helm 3 cannot begin a release whose chart renders the release's own
/// namespace, which is not there yet. Helm 4 applies over the one it made.
async fn own_namespace(run: &Run<'_>, found: &ReleaseObservation, proof: &Proof) -> Result<()> {
    let plan = run.plan;
    let rendered = |object: &Object| {
        object.reference.is("", "Namespace")
            && object.reference.name == plan.release.namespace
            && object.hooks.is_empty()
    };
    let missing = found.cluster.namespace == NamespacePresence::Absent;
    if !missing
        || found.helm.major().applies_over_its_namespace()
        || !proof.objects.iter().any(rendered)
    {
        return Ok(());
    }
    let created = create_owned(&found.cluster.client, &plan.release);
    run.unless_cancelled(created).await
}
