//! What becomes of a release whose rollout failed: it goes back, or stays as it
//! is.
//!
//! What changed is judged by helm's record alone, never by its words. Nothing
//! is ever deleted here.

use std::collections::BTreeSet;

use tokio::time::Instant;

use super::apply::{self, Halt};
use super::look::Found;
use super::{Course, verify, wait};
use crate::chart::{self, Proof};
use crate::error::{Error, Kind, Result};
use crate::event::Phase;
use crate::helm::{Dialect, Ended, Rollback, Wait};
use crate::manifest::Object;
use crate::plan::OnFailure;
use crate::process::Stopped;
use crate::process::cancel::cancelled;
use crate::release::record::{Hook, Record, Status, next_is_server_side};
use crate::rollout::{Known, Watch, explain_timeout, gather, promises};

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
pub(super) async fn answer(
    course: &mut Course<'_>,
    found: &Found,
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
    if course.lost() {
        return needs_hands(course, error);
    }
    let now = found.cluster.last(course.plan);
    let last = match course.unless_cancelled(now).await {
        Ok(last) => last,
        Err(unknown) if matches!(unknown.kind(), Kind::Cancelled(_)) => return unknown,
        Err(unknown) => {
            let error = error.detail(format!("what helm left cannot be told: {unknown}"));
            return needs_hands(course, error);
        }
    };
    course.ledger.revision = last.as_ref().map(|record| record.revision);
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
        (Changed::Workloads, None) => needs_hands(course, error),
        (Changed::Workloads, Some(good)) => match course.plan.on_failure {
            OnFailure::Keep => needs_hands(course, error),
            OnFailure::Rollback => back(course, found, allowed, last.as_ref(), good, error).await,
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
async fn back(
    course: &mut Course<'_>,
    found: &Found,
    allowed: Wait,
    failed: Option<&Record>,
    good: &Record,
    error: Error,
) -> Error {
    let revision = good.revision;
    course
        .events
        .progress(format!("{error}; going back to revision {revision}"));
    match restore(course, found, allowed, failed, good).await {
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
            needs_hands(course, error)
        }
    }
}

/// `helm rollback`, watched and verified as a deploy is. Gives the revision that
/// serves. Helm runs no hook but those of a rollback itself.
async fn restore(
    course: &mut Course<'_>,
    found: &Found,
    allowed: Wait,
    failed: Option<&Record>,
    good: &Record,
) -> Result<u32> {
    let begun = course.begin(Phase::Rollback);
    let budget = course.plan.rollback_budget;
    let deadline = Instant::now() + budget;
    let objects = Object::parse(&good.documents())?;
    let mut watch = watch(course, found, failed, &objects).await;
    let rollback = Rollback {
        revision: good.revision,
        wait: Some(wait::suited(course, found, allowed, &objects)),
        server_side: good.server_side,
        timeout: budget,
    };
    let helm = |stop| found.helm.rollback(&rollback, deadline, stop);
    let (ended, halt) = apply::raced(course, found, &mut watch, helm).await?;
    match (ended, halt) {
        (Ended::Well, _) => {}
        (
            Ended::Stopped {
                by: Stopped::Cancelled(signal),
                ..
            },
            _,
        ) => return Err(cancelled(signal)),
        (Ended::Failed(failure), _) => return Err(failure.error),
        (Ended::Stopped { .. }, Some(Halt::Lost(error))) => return Err(error),
        (Ended::Stopped { .. }, Some(Halt::Doomed(mut doom))) => {
            let evidence = gather(&watch, Some(&mut doom)).await;
            return Err(doom.error(Kind::Broken, &evidence));
        }
        (Ended::Stopped { .. }, None) => {
            let lines = explain_timeout(watch.world());
            let message = format!("not ready after {budget:?}");
            return Err(Error::new(Kind::Broken, message).details(lines));
        }
    }
    let after = failed.map_or(0, |failed| failed.revision);
    let revision = verify::restored(course, found, good, &objects, after).await?;
    course.end(Phase::Rollback, begun);
    Ok(revision)
}

async fn watch(
    course: &Course<'_>,
    found: &Found,
    failed: Option<&Record>,
    objects: &[Object],
) -> Watch {
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
    let known = Known {
        server: found.cluster.capabilities.version.clone(),
        budget: course.plan.rollback_budget,
        requested: images,
        promised: promises(objects.iter().map(|object| &object.value)),
    };
    let before = failed.map_or("", |failed| failed.manifest.as_str());
    let targets = apply::targets(course, before, objects);
    Watch::start(found.cluster.client.clone(), &targets, known, course.events).await
}

/// Goes back without waiting, where a failed revision left what the upgrade would
/// not take back; then helm compares with the good one, which is what lives.
pub(super) async fn residue(course: &Course<'_>, found: &Found, proof: &Proof) -> Result<()> {
    let server_side = found.helm.dialect() == Dialect::Four && next_is_server_side(found.last());
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
    let Some(left) = chart::residue(&failed, &before, &proof.objects) else {
        return Ok(());
    };
    course.events.note(format!(
        "revision {} failed, and helm would not take back what it left ({left}): going back to revision {} first",
        last.revision, good.revision
    ));
    let rollback = Rollback {
        revision: good.revision,
        wait: None,
        server_side: good.server_side,
        timeout: course.left(),
    };
    course.helm_begins();
    let back = found
        .helm
        .rollback(&rollback, course.deadline, std::future::pending());
    match back.await? {
        Ended::Well => Ok(()),
        Ended::Failed(failure) => Err(failure.error),
        Ended::Stopped {
            by: Stopped::Cancelled(signal),
            ..
        } => Err(cancelled(signal)),
        Ended::Stopped { .. } => Err(Error::new(
            Kind::Broken,
            format!("no time was left to go back to revision {}", good.revision),
        )),
    }
}

/// What a person does next about a release that is left as it is.
fn needs_hands(course: &Course<'_>, error: Error) -> Error {
    let (release, namespace) = (&course.plan.release, &course.plan.namespace);
    let error = error.as_kind(Kind::Broken).hint(format!(
        "look at it: kubectl get pods,events --namespace {namespace}"
    ));
    match course.ledger.before {
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
