//! What becomes of a release whose rollout failed: it goes back, or stays as it
//! is.
//!
//! What changed is judged by helm's record alone, never by its words. Nothing
//! is ever deleted here.

use std::collections::BTreeSet;

use tokio::time::Instant;

use super::apply::{self, Halt};
use super::preflight::ReleaseObservation;
use super::{Run, verify, wait_strategy};
use crate::chart::{self, Proof};
use crate::error::{Error, Kind, Result};
use crate::event::Phase;
use crate::helm::{HelmMajor, HelmOutcome, Rollback, Wait};
use crate::manifest::Object;
use crate::plan::OnFailure;
use crate::process::StopReason;
use crate::process::cancel::cancelled;
use crate::release::record::{Hook, Record, Status, next_is_server_side};
use crate::rollout::{RolloutContext, RolloutWatcher, explain_timeout, gather, promises};

/// What a failed helm changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Changed {
    /// It wrote no record, and so applied nothing.
    Nothing,
    /// A hook before the workloads did not succeed: only hooks ran.
    Hooks,
    /// Workloads, or nobody knows.
    Workloads,
}

/// Answers a failed rollout as the node wants it. The evidence is kept already.
pub(super) async fn remediate(
    run: &mut Run<'_>,
    found: &ReleaseObservation,
    allowed: Wait,
    error: Error,
) -> Error {
    // What is locked another deploy is at work on.
    if matches!(
        error.kind(),
        Kind::Cancelled(_) | Kind::Internal | Kind::Locked
    ) {
        return error;
    }
    // Without the lease nothing may be touched.
    if run.lost() {
        return manual_action_required(run, error);
    }
    let now = found.cluster.last(run.plan);
    let last = match run.unless_cancelled(now).await {
        Ok(last) => last,
        Err(unknown) if matches!(unknown.kind(), Kind::Cancelled(_)) => return unknown,
        Err(unknown) => {
            let error = error.detail(format!("what helm left cannot be told: {unknown}"));
            return manual_action_required(run, error);
        }
    };
    run.facts.revision = last.as_ref().map(|record| record.revision);
    let before = found.last().map(|record| record.revision);
    match (changed(before, last.as_ref()), found.serving()) {
        (Changed::Nothing, Some(good)) if error.kind() == Kind::Broken => {
            still_serves(error, good, "helm changed nothing")
        }
        (Changed::Nothing, _) => error,
        (Changed::Hooks, Some(good)) => {
            still_serves(error, good, "only hooks ran, no workload was changed")
        }
        (Changed::Hooks, None) => error
            .as_kind(Kind::RolledBack)
            .outcome("only hooks ran, no workload was installed; no revision served before"),
        (Changed::Workloads, None) => manual_action_required(run, error),
        (Changed::Workloads, Some(good)) => match run.plan.on_failure {
            OnFailure::Keep => manual_action_required(run, error),
            OnFailure::Rollback => roll_back(run, found, allowed, last.as_ref(), good, error).await,
        },
    }
}

/// What helm changed, by the revision before and the last record now. Helm
/// writes its record before all else, and applies nothing before every `pre-`
/// hook succeeded (`pkg/action/upgrade.go`, `hooks.go`: a hook's phase is stored
/// with the record).
fn changed(before: Option<u32>, last: Option<&Record>) -> Changed {
    let Some(last) = last.filter(|last| Some(last.revision) > before) else {
        return Changed::Nothing;
    };
    let (pre, post) = if before.is_none() {
        ("pre-install", "post-install")
    } else {
        ("pre-upgrade", "post-upgrade")
    };
    let on = |hook: &Hook, event: &str| hook.events.iter().any(|on| on == event);
    // Of a hook that runs before and after, only the later run's phase is stored.
    let stopped = |hook: &Hook| on(hook, pre) && !on(hook, post) && hook.phase != "Succeeded";
    if last.hooks.iter().any(stopped) {
        Changed::Hooks
    } else {
        Changed::Workloads
    }
}

fn still_serves(error: Error, good: &Record, why: &str) -> Error {
    error
        .as_kind(Kind::RolledBack)
        .outcome(format!("revision {} still serves: {why}", good.revision))
}

/// Restores the good revision, and proves it.
async fn roll_back(
    run: &mut Run<'_>,
    found: &ReleaseObservation,
    allowed: Wait,
    failed: Option<&Record>,
    good: &Record,
    error: Error,
) -> Error {
    let revision = good.revision;
    run.events
        .progress(format!("{error}; going back to revision {revision}"));
    match restore(run, found, allowed, failed, good).await {
        Ok(now) => error.as_kind(Kind::RolledBack).outcome(format!(
            "rolled back: revision {now} serves, a copy of revision {revision}"
        )),
        Err(why) if matches!(why.kind(), Kind::Cancelled(_) | Kind::Locked) => why.outcome(
            format!("it was going back to revision {revision}, since {error}"),
        ),
        Err(why) => {
            let error = error
                .detail(format!("the rollback to revision {revision} failed: {why}"))
                .details(why.evidence().into_iter().map(|line| format!("  {line}")));
            manual_action_required(run, error)
        }
    }
}

/// `helm rollback`, watched and verified as a deploy is. Gives the revision that
/// serves. Helm runs no hook but those of a rollback itself.
async fn restore(
    run: &mut Run<'_>,
    found: &ReleaseObservation,
    allowed: Wait,
    failed: Option<&Record>,
    good: &Record,
) -> Result<u32> {
    let begun = run.begin(Phase::Rollback);
    let budget = run.plan.rollback_budget;
    let deadline = Instant::now() + budget;
    let objects = Object::parse(&good.documents())?;
    let mut watch = watch(run, found, failed, &objects).await;
    let rollback = Rollback {
        revision: good.revision,
        wait: Some(wait_strategy::suited(run, found, allowed, &objects)),
        server_side: good.server_side,
        timeout: budget,
    };
    let helm = |stop| found.helm.rollback(&rollback, deadline, stop);
    let (ended, halt) = apply::raced(run, found, &mut watch, helm).await?;
    match (ended, halt) {
        (HelmOutcome::Well, _) => {}
        (
            HelmOutcome::StopReason {
                by: StopReason::Cancelled(signal),
                ..
            },
            _,
        ) => return Err(cancelled(signal)),
        (HelmOutcome::Failed(failure), _) => return Err(failure.error),
        (HelmOutcome::StopReason { .. }, Some(Halt::Lost(error))) => return Err(error),
        (HelmOutcome::StopReason { .. }, Some(Halt::Doomed(mut doom))) => {
            let evidence = gather(&watch, Some(&mut doom)).await;
            return Err(doom.error(Kind::Broken, &evidence));
        }
        (HelmOutcome::StopReason { .. }, None) => {
            let lines = explain_timeout(watch.world());
            let message = format!("not ready after {budget:?}");
            return Err(Error::new(Kind::Broken, message).details(lines));
        }
    }
    let after = failed.map_or(0, |failed| failed.revision);
    let revision = verify::restored(run, found, good, &objects, after).await?;
    run.end(Phase::Rollback, begun);
    Ok(revision)
}

async fn watch(
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
    let known = RolloutContext {
        server: found.cluster.capabilities.version.clone(),
        budget: run.plan.rollback_budget,
        requested: images,
        promised: promises(objects.iter().map(|object| &object.value)),
    };
    let before = failed.map_or("", |failed| failed.manifest.as_str());
    let targets = apply::targets(run, before, objects);
    RolloutWatcher::start(found.cluster.client.clone(), &targets, known, run.events).await
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
        HelmOutcome::Well => Ok(()),
        HelmOutcome::Failed(failure) => Err(failure.error),
        HelmOutcome::StopReason {
            by: StopReason::Cancelled(signal),
            ..
        } => Err(cancelled(signal)),
        HelmOutcome::StopReason { .. } => Err(Error::new(
            Kind::Broken,
            format!("no time was left to go back to revision {}", good.revision),
        )),
    }
}

/// What a person does next about a release that is left as it is.
fn manual_action_required(run: &Run<'_>, error: Error) -> Error {
    let (release, namespace) = (&run.plan.release.name, &run.plan.release.namespace);
    let error = error.as_kind(Kind::Broken).hint(format!(
        "look at it: kubectl get pods,events --namespace {namespace}"
    ));
    match run.facts.before {
        Some(before) => error.hint(format!(
            "nothing was deleted; send the signal again once it is mended, or go back: helm rollback {release} {before} --namespace {namespace}"
        )),
        None => error.hint("nothing was deleted; send the signal again once it is mended"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::{Value, json};

    use super::{Changed, changed};
    use crate::release::record::{self, Record};

    fn record(revision: u32, hooks: &[(&[&str], &str)]) -> Record {
        let hooks: Vec<Value> = hooks
            .iter()
            .map(|(events, phase)| json!({"name": "h", "events": events, "last_run": {"phase": phase}}))
            .collect();
        record::read(json!({"version": revision, "info": {"status": "failed"}, "hooks": hooks}))
            .unwrap()
    }

    #[test]
    fn a_record_tells_what_was_changed() {
        let both: &[&str] = &["pre-install", "pre-upgrade"];
        for (before, hooks, what) in [
            (Some(1), vec![], Changed::Workloads),
            (Some(1), vec![(both, "Failed")], Changed::Hooks),
            // Helm was stopped while it ran, or before it began.
            (Some(1), vec![(both, "Unknown")], Changed::Hooks),
            (Some(1), vec![(both, "")], Changed::Hooks),
            (Some(1), vec![(both, "Succeeded")], Changed::Workloads),
            (
                Some(1),
                vec![(both, "Succeeded"), (both, "Failed")],
                Changed::Hooks,
            ),
            // Other hooks say nothing of it.
            (
                Some(1),
                vec![(&["post-upgrade"], "Failed")],
                Changed::Workloads,
            ),
            (Some(1), vec![(&["pre-install"], "")], Changed::Workloads),
            (
                Some(1),
                vec![(&["pre-upgrade", "post-upgrade"], "Failed")],
                Changed::Workloads,
            ),
            (None, vec![(&["pre-install"], "Failed")], Changed::Hooks),
        ] {
            assert_eq!(
                changed(before, Some(&record(2, &hooks))),
                what,
                "{before:?} {hooks:?}"
            );
        }
        assert_eq!(changed(Some(2), Some(&record(2, &[]))), Changed::Nothing);
        assert_eq!(changed(None, None), Changed::Nothing);
    }
}
