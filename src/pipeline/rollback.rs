//! `helm rollback`, watched and verified as a deploy is.
//!
//! Whether to go back is not decided here.

use std::collections::BTreeSet;

use tokio::time::Instant;

use super::context::Run;
use super::failure::{self, Failure};
use super::observed::ReleaseObservation;
use super::{judge, supervise, verify, wait_strategy};
use crate::chart::{self, Proof};
use crate::error::{Error, Kind, Problem, Result};
use crate::event::Phase;
use crate::helm::{HelmOutcome, Rollback};
use crate::manifest::Object;
use crate::plan::OnFailure;
use crate::process::StopReason;
use crate::process::cancel::cancelled;
use crate::release::judgement;
use crate::release::record::{Record, Status, next_is_server_side};
use crate::rollout::RolloutWatcher;

/// Restores the good revision, and waits until it is Ready. Gives the one that
/// serves then, a copy of it. Helm runs no hook but those of a rollback itself.
pub(super) async fn restore(
    run: &mut Run<'_>,
    found: &ReleaseObservation,
    failed: Option<&Record>,
    good: &Record,
) -> Result<u32, Failure> {
    let begun = Instant::now();
    run.begin(Phase::Rollback);
    let budget = run.plan.rollback_budget;
    let deadline = Instant::now() + budget;
    run.deadline = deadline;
    let objects = Object::parse(&good.documents())?;
    let mut watcher = watcher(run, found, failed, &objects).await;
    let back: Vec<Object> = objects
        .iter()
        .filter(|object| is_rolled_back(object))
        .cloned()
        .collect();
    let description = judgement::not_judged(run.id);
    let rollback = Rollback {
        revision: good.revision,
        wait: Some(wait_strategy::choose(run, found, &watcher, &back).await?),
        description: Some(&description),
        server_side: good.server_side,
        timeout: budget,
    };
    let helm = |stop| found.helm.rollback(&rollback, deadline, stop);
    let (outcome, halt) = supervise::supervise(run, found, &mut watcher, helm).await?;
    failure::of_rollback(begun, &watcher, outcome, halt).await?;
    let applied = verify::restored(run, found, good, &objects, failed).await?;
    watcher.expect(&applied.generations);
    let end = supervise::until_ready(run, &mut watcher, deadline).await;
    failure::of_rollback_wait(begun, &watcher, end).await?;
    let revision = applied.record.revision;
    let judged = judge::good(run, found, &applied.record).await;
    judged.map_err(|error| verify::unverified(revision, error))?;
    run.end();
    Ok(revision)
}

/// Whether a rollback applies or runs the object: of hooks only its own.
fn is_rolled_back(object: &Object) -> bool {
    let of_rollback = |hook: &String| hook.ends_with("-rollback");
    object.hooks.is_empty() || object.hooks.iter().any(of_rollback)
}

async fn watcher(
    run: &Run<'_>,
    found: &ReleaseObservation,
    failed: Option<&Record>,
    objects: &[Object],
) -> RolloutWatcher {
    let objects: Vec<&Object> = objects
        .iter()
        .filter(|object| is_rolled_back(object))
        .collect();
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
/// `found` holds the records as they are then.
pub(super) async fn clear_leftover_fields(
    run: &Run<'_>,
    found: &mut ReleaseObservation,
    proof: &Proof,
) -> Result<(), Failure> {
    let server_side = next_is_server_side(found.last());
    let server_side = found.helm.major().applies_on_the_server(server_side);
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
    let (last, good) = (last.revision, good.clone());
    if run.plan.on_failure == OnFailure::Keep {
        return Err(Failure::Ended(
            Error::new(
                Kind::Broken,
                format!(
                    "revision {last} failed and left what helm would not take back ({left}), and on_failure is keep"
                ),
            )
            .hint(format!(
                "go back by hand, then send the signal again: helm rollback {} {} --namespace {} --no-hooks",
                run.plan.release.name, good.revision, run.plan.release.namespace
            )),
        ));
    }
    run.events.note(format!(
        "revision {last} failed, and helm would not take back what it left ({left}): going back to revision {} first",
        good.revision
    ));
    let rollback = Rollback {
        revision: good.revision,
        wait: None,
        description: None,
        server_side: good.server_side,
        timeout: run.left(),
    };
    let helm = |stop| found.helm.rollback(&rollback, run.deadline, stop);
    let (outcome, lease) = supervise::guard(run, found, helm).await?;
    match (outcome, lease) {
        (HelmOutcome::Succeeded, None) => {}
        (_, Some(error)) => return Err(Failure::Ended(error)),
        (HelmOutcome::Failed(failure), None) => return Err(failure.error.into()),
        (
            HelmOutcome::Stopped {
                by: StopReason::Cancelled(signal),
                ..
            },
            None,
        ) => return Err(Failure::Ended(cancelled(signal))),
        (HelmOutcome::Stopped { .. }, None) => {
            return Err(Failure::Rollout(Problem::new(format!(
                "no time was left to go back to revision {}",
                good.revision
            ))));
        }
    }
    found.refresh(run).await?;
    Ok(())
}
