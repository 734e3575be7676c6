//! What is done about a release whose apply failed: it goes back, or stays as it
//! is; and the kind of error that this makes of the failure.
//!
//! What changed is judged by helm's record alone, never by its words. Nothing is
//! ever deleted here.

use super::context::Run;
use super::failure::Failure;
use super::observed::{ReleaseObservation, patiently};
use super::{judge, rollback, verify};
use crate::error::{Error, Kind, Problem, Result};
use crate::plan::OnFailure;
use crate::release::record::{Hook, Record, Status};

/// What a failed helm changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// It wrote no record, and so applied nothing.
    Nothing,
    /// A hook before the workloads did not succeed: only hooks ran.
    Hooks,
    /// Workloads, or nobody knows.
    Workloads,
}

/// What is to be done about a failed apply. Pure data.
#[derive(Clone, Debug, PartialEq)]
enum Remediation<'a> {
    /// Nothing was changed: the failure is told as what it is.
    Tell,
    /// The good revision still serves, and why.
    StillServes(&'a Record, &'static str),
    /// Only hooks of a first install ran.
    NothingServes,
    /// Go back to the good revision.
    RollBack(&'a Record),
    /// Leave it to a person.
    Manual,
}

/// Answers a failed apply as the node wants it. The evidence is kept already.
pub(super) async fn remediate(
    run: &mut Run<'_>,
    found: &ReleaseObservation,
    failure: Failure,
) -> Error {
    let (kind, problem) = match failure {
        Failure::Ended(error) => return error,
        Failure::Rollout(problem) | Failure::Lost(problem) => (Kind::Broken, problem),
        Failure::Helm(kind, problem) => (kind, problem),
    };
    if run.lost() {
        // Without the Lease nothing must be touched.
        return manual_action_required(run, problem);
    }
    let seen = observe(run, found).await;
    let (last, changed) = match seen {
        Ok(seen) => seen,
        Err(unknown) if matches!(unknown.kind(), Kind::Cancelled(_)) => return unknown,
        Err(unknown) => {
            let problem = problem.detail(format!("what helm left cannot be told: {unknown}"));
            return manual_action_required(run, problem);
        }
    };
    run.facts.revision = last.as_ref().map(|record| record.revision);
    let decision = decide(kind, changed, found.serving(), run.plan.on_failure);
    let target = match decision {
        Remediation::RollBack(good) => Some(good.revision),
        _ => None,
    };
    let before = found.last().map(|record| record.revision);
    let cause = problem.to_string();
    let client = &found.cluster.client;
    let judged = patiently(run, client, async || {
        judge::failed(run, found, before, target, &cause).await
    });
    let problem = match judged.await {
        Ok(()) => problem,
        Err(error) if matches!(error.kind(), Kind::Cancelled(_)) => return error,
        Err(error) => problem.detail(format!("the verdict is not in the records: {error}")),
    };
    match decision {
        Remediation::Tell => problem.of_kind(kind),
        Remediation::StillServes(good, why) => problem
            .of_kind(Kind::RolledBack)
            .outcome(format!("revision {} still serves: {why}", good.revision)),
        Remediation::NothingServes => problem
            .of_kind(Kind::Broken)
            .outcome("only hooks ran, no workload was installed: nothing serves")
            .hint("fix what the hook needs, then send the signal again"),
        Remediation::Manual => manual_action_required(run, problem),
        Remediation::RollBack(good) => roll_back(run, found, last.as_ref(), good, problem).await,
    }
}

/// The newest record, and what helm changed.
async fn observe(run: &Run<'_>, found: &ReleaseObservation) -> Result<(Option<Record>, Change)> {
    let client = &found.cluster.client;
    let last = patiently(run, client, async || found.cluster.last(run.plan).await).await?;
    let before = found.last().map(|record| record.revision);
    let changed = change(before, last.as_ref());
    if changed != Change::Hooks {
        return Ok((last, changed));
    }
    // The record says that a hook was not done; it says so too where helm was
    // killed behind it. Only the workloads know.
    let untouched = match found.serving() {
        Some(good) => verify::carries(run, found, good).await?,
        None => last
            .as_ref()
            .is_none_or(|last| last.status == Status::Failed),
    };
    let changed = if untouched {
        Change::Hooks
    } else {
        Change::Workloads
    };
    Ok((last, changed))
}

/// What to do, by what was changed and what served before. `kind` is what the
/// failure is where nothing was changed.
fn decide(
    kind: Kind,
    changed: Change,
    good: Option<&Record>,
    on_failure: OnFailure,
) -> Remediation<'_> {
    match (changed, good) {
        (Change::Nothing, Some(good)) if kind == Kind::Broken => {
            Remediation::StillServes(good, "helm changed nothing")
        }
        (Change::Nothing, None) if kind == Kind::Broken => Remediation::Manual,
        (Change::Nothing, _) => Remediation::Tell,
        (Change::Hooks, Some(good)) => {
            Remediation::StillServes(good, "only hooks ran, no workload was changed")
        }
        (Change::Hooks, None) => Remediation::NothingServes,
        (Change::Workloads, None) => Remediation::Manual,
        (Change::Workloads, Some(good)) => match on_failure {
            OnFailure::Keep => Remediation::Manual,
            OnFailure::Rollback => Remediation::RollBack(good),
        },
    }
}

/// What helm changed, by the revision before and the last record now. Helm
/// writes its record before all else, and applies nothing before every `pre-`
/// hook succeeded (`pkg/action/upgrade.go`, `hooks.go`: a hook's phase is stored
/// with the record).
fn change(before: Option<u32>, last: Option<&Record>) -> Change {
    let Some(last) = last.filter(|last| Some(last.revision) > before) else {
        return Change::Nothing;
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
        Change::Hooks
    } else {
        Change::Workloads
    }
}

/// Restores the good revision, and proves it.
async fn roll_back(
    run: &mut Run<'_>,
    found: &ReleaseObservation,
    failed: Option<&Record>,
    good: &Record,
    problem: Problem,
) -> Error {
    let revision = good.revision;
    run.events
        .progress(format!("{problem}; going back to revision {revision}"));
    let failure = match rollback::restore(run, found, failed, good).await {
        Ok(now) => {
            return problem.of_kind(Kind::RolledBack).outcome(format!(
                "rolled back: revision {now} serves, a copy of revision {revision}"
            ));
        }
        Err(Failure::Ended(why)) if why.kind() != Kind::Internal => {
            return why.outcome(format!(
                "it was going back to revision {revision}, since {problem}"
            ));
        }
        Err(Failure::Ended(why)) => why.into_problem(),
        Err(Failure::Rollout(why) | Failure::Lost(why) | Failure::Helm(_, why)) => why,
    };
    let cause = format!("the rollback to revision {revision} failed: {failure}");
    let before = failed.map(|failed| failed.revision);
    let problem = match judge::failed(run, found, before, None, &cause).await {
        Ok(()) => problem,
        Err(error) => problem.detail(format!("the verdict is not in the records: {error}")),
    };
    let evidence = failure.evidence();
    let problem = problem
        .detail(cause)
        .details(evidence.into_iter().map(|line| format!("  {line}")));
    manual_action_required(run, problem.first_do(failure.hints()))
}

/// What a person does next about a release that is left as it is.
fn manual_action_required(run: &Run<'_>, problem: Problem) -> Error {
    let release = &run.plan.release;
    let (name, namespace) = (&release.name, &release.namespace);
    let problem = problem.hint(format!(
        "look at it: kubectl get pods,events --namespace {namespace}"
    ));
    let problem = match run.facts.before {
        Some(before) => problem.hint(format!(
            "nothing was deleted; send the signal again once it is mended, or go back: helm rollback {name} {before} --namespace {namespace}"
        )),
        None => problem.hint("nothing was deleted; send the signal again once it is mended"),
    };
    problem.of_kind(Kind::Broken)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::{Value, json};

    use super::{Change, Remediation, change, decide};
    use crate::error::Kind;
    use crate::plan::OnFailure;
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
            (Some(1), vec![], Change::Workloads),
            (Some(1), vec![(both, "Failed")], Change::Hooks),
            // Helm was stopped while it ran, or before it began.
            (Some(1), vec![(both, "Unknown")], Change::Hooks),
            (Some(1), vec![(both, "")], Change::Hooks),
            (Some(1), vec![(both, "Succeeded")], Change::Workloads),
            (
                Some(1),
                vec![(both, "Succeeded"), (both, "Failed")],
                Change::Hooks,
            ),
            // Other hooks say nothing of it.
            (
                Some(1),
                vec![(&["post-upgrade"], "Failed")],
                Change::Workloads,
            ),
            (Some(1), vec![(&["pre-install"], "")], Change::Workloads),
            (
                Some(1),
                vec![(&["pre-upgrade", "post-upgrade"], "Failed")],
                Change::Workloads,
            ),
            (None, vec![(&["pre-install"], "Failed")], Change::Hooks),
        ] {
            assert_eq!(
                change(before, Some(&record(2, &hooks))),
                what,
                "{before:?} {hooks:?}"
            );
        }
        assert_eq!(change(Some(2), Some(&record(2, &[]))), Change::Nothing);
        assert_eq!(change(None, None), Change::Nothing);
    }

    /// Cases A3 and A5 among them: what changed decides, and what served.
    #[test]
    fn what_is_done_about_a_failure() {
        use Change::{Hooks, Nothing, Workloads};
        use OnFailure::{Keep, Rollback};
        let good = record(1, &[]);
        for (kind, changed, served, on_failure, expected) in [
            (
                Kind::Broken,
                Workloads,
                true,
                Rollback,
                Remediation::RollBack(&good),
            ),
            (Kind::Broken, Workloads, true, Keep, Remediation::Manual),
            (
                Kind::Broken,
                Workloads,
                false,
                Rollback,
                Remediation::Manual,
            ),
            (
                Kind::Broken,
                Hooks,
                true,
                Keep,
                Remediation::StillServes(&good, "only hooks ran, no workload was changed"),
            ),
            (
                Kind::Broken,
                Hooks,
                false,
                Rollback,
                Remediation::NothingServes,
            ),
            (
                Kind::Broken,
                Nothing,
                true,
                Rollback,
                Remediation::StillServes(&good, "helm changed nothing"),
            ),
            (Kind::Broken, Nothing, false, Rollback, Remediation::Manual),
            // Helm refused the chart, or has no right: told as that.
            (Kind::Chart, Nothing, true, Rollback, Remediation::Tell),
            (Kind::Node, Nothing, false, Rollback, Remediation::Tell),
            (
                Kind::Node,
                Workloads,
                true,
                Rollback,
                Remediation::RollBack(&good),
            ),
        ] {
            let served = served.then_some(&good);
            let decided = decide(kind, changed, served, on_failure);
            assert_eq!(decided, expected, "{kind:?} {changed:?} {on_failure:?}");
        }
    }
}
