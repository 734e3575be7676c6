//! `helm rollback`, watched and verified as a deploy is.
//!
//! Whether to go back is not decided here.

use std::collections::BTreeSet;

use tokio::time::Instant;

use super::context::Run;
use super::failure::{self, Failure};
use super::observed::ReleaseObservation;
use super::{supervise, verify, wait_strategy};
use crate::chart::{self, Proof};
use crate::error::{Error, Kind, Result};
use crate::event::Phase;
use crate::helm::{HelmMajor, HelmOutcome, Rollback, Wait};
use crate::manifest::Object;
use crate::process::StopReason;
use crate::process::cancel::cancelled;
use crate::release::record::{Record, Status, next_is_server_side};
use crate::rollout::RolloutWatcher;

/// Restores the good revision. Gives the one that serves then, a copy of it.
/// Helm runs no hook but those of a rollback itself.
pub(super) async fn restore(
    run: &mut Run<'_>,
    found: &ReleaseObservation,
    allowed: Wait,
    failed: Option<&Record>,
    good: &Record,
) -> Result<u32, Failure> {
    let begun = run.begin(Phase::Rollback);
    let budget = run.plan.rollback_budget;
    let deadline = Instant::now() + budget;
    let objects = Object::parse(&good.documents())?;
    let mut watcher = watcher(run, found, failed, &objects).await;
    let rollback = Rollback {
        revision: good.revision,
        wait: Some(wait_strategy::suited(run, found, allowed, &objects)),
        server_side: good.server_side,
        timeout: budget,
    };
    let helm = |stop| found.helm.rollback(&rollback, deadline, stop);
    let (outcome, halt) = supervise::supervise(run, found, &mut watcher, helm).await?;
    failure::of_rollback(budget, &watcher, outcome, halt).await?;
    let after = failed.map_or(0, |failed| failed.revision);
    let revision = verify::restored(run, found, good, &objects, after).await?;
    run.end(Phase::Rollback, begun);
    Ok(revision)
}

async fn watcher(
    run: &Run<'_>,
    found: &ReleaseObservation,
    failed: Option<&Record>,
    objects: &[Object],
) -> RolloutWatcher {
    let runs = |object: &&Object| {
        let of_rollback = |hook: &String| hook.ends_with("-rollback");
        object.hooks.is_empty() || object.hooks.iter().any(of_rollback)
    };
    let objects: Vec<&Object> = objects.iter().filter(runs).collect();
    let images: BTreeSet<String> = objects
        .iter()
        .flat_map(|object| &object.containers)
        .map(|container| container.image.clone())
        .collect();
    let before = failed.map_or("", |failed| failed.manifest.as_str());
    let budget = run.plan.rollback_budget;
    supervise::watcher(run, found, before, objects, images, budget).await
}

/// Goes back without waiting, where a failed revision left what the upgrade would
/// not take back; then helm compares with the good one, which is what lives.
pub(super) async fn clear_leftover_fields(
    run: &Run<'_>,
    found: &ReleaseObservation,
    proof: &Proof,
) -> Result<()> {
    let server_side = found.helm.major() == HelmMajor::Four && next_is_server_side(found.last());
    let (Some(last), Some(good)) = (found.last(), found.serving()) else {
        return Ok(());
    };
    if server_side || last.status != Status::Failed || last.revision < good.revision {
        return Ok(());
    }
    let (failed, before) = (
        Object::parse(&last.manifest)?,
        Object::parse(&good.manifest)?,
    );
    let Some(left) = chart::leftover_fields(&failed, &before, &proof.objects) else {
        return Ok(());
    };
    run.events.note(format!(
        "revision {} failed, and helm would not take back what it left ({left}): going back to revision {} first",
        last.revision, good.revision
    ));
    let rollback = Rollback {
        revision: good.revision,
        wait: None,
        server_side: good.server_side,
        timeout: run.left(),
    };
    run.helm_begins();
    let back = found
        .helm
        .rollback(&rollback, run.deadline, std::future::pending());
    match back.await? {
        HelmOutcome::Succeeded => Ok(()),
        HelmOutcome::Failed(failure) => Err(failure.error),
        HelmOutcome::Stopped {
            by: StopReason::Cancelled(signal),
            ..
        } => Err(cancelled(signal)),
        HelmOutcome::Stopped { .. } => Err(Error::new(
            Kind::Broken,
            format!("no time was left to go back to revision {}", good.revision),
        )),
    }
}
