//! Runs `helm upgrade --install` with the rollout watched beside it.

use super::context::Run;
use super::failure::{self, Failure};
use super::observed::ReleaseObservation;
use super::prove::with_overrides;
use super::rollback::clear_leftover_fields;
use super::{supervise, wait_strategy};
use crate::chart::Proof;
use crate::cluster::discovery::NamespacePresence;
use crate::cluster::namespace::create_owned;
use crate::error::Result;
use crate::event::Phase;
use crate::helm::{HelmMajor, Upgrade, Wait};
use crate::manifest::Object;
use crate::release::record::next_is_server_side;

/// Installs or upgrades the release and waits until it is ready.
pub(super) async fn upgrade(
    run: &mut Run<'_>,
    found: &ReleaseObservation,
    proof: &Proof,
    allowed: Wait,
) -> Result<(), Failure> {
    let begun = run.begin(Phase::Rollout);
    let values = with_overrides(run.plan, found, "overrides.json", &proof.overrides)?;
    own_namespace(run, found, proof).await?;
    clear_leftover_fields(run, found, proof).await?;
    let upgrade = Upgrade {
        chart: &found.archive,
        values: &values,
        create_namespace: found.cluster.namespace == NamespacePresence::Absent,
        wait: wait_strategy::suited(run, found, allowed, &proof.objects),
        server_side: next_is_server_side(found.last()),
        timeout: run.left(),
    };
    let requested = &run.plan.request.images;
    let mut watcher = supervise::watcher(
        run,
        found,
        found.serving().map_or("", |record| &record.manifest),
        proof.objects.iter().collect(),
        requested.values().map(ToString::to_string).collect(),
        run.left(),
    )
    .await;
    let deadline = run.deadline;
    let helm = |stop| found.helm.upgrade(&upgrade, deadline, stop);
    let (outcome, halt) = supervise::supervise(run, found, &mut watcher, helm).await?;
    failure::of(run, &mut watcher, outcome, halt).await?;
    run.end(Phase::Rollout, begun);
    Ok(())
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
    if !missing || found.helm.major() != HelmMajor::Three || !proof.objects.iter().any(rendered) {
        return Ok(());
    }
    let created = create_owned(&found.cluster.client, &plan.release);
    run.unless_cancelled(created).await
}
