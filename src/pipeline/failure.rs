//! What helm's end means where it is no success: the cause in one line, and the
//! evidence, kept before anything is undone.
//!
//! What becomes of the release is not decided here.

use std::time::Duration;

use tokio::time::Instant;

use super::context::Run;
use super::supervise::{Halt, WaitEnd};
use crate::cluster::discovery;
use crate::error::{Error, Kind, Problem, Result};
use crate::helm::{self, FailureKind, HelmOutcome};
use crate::process::StopReason;
use crate::process::cancel::cancelled;
use crate::rollout::{Evidence, NotReady, RolloutWatcher, TerminalFailure, gather};
use crate::run;
use crate::state::evidence;
use crate::units;

/// How long the watches may still bring what explains helm's own failure.
const LAST_LOOK: Duration = Duration::from_millis(1500);

/// How many lines of logs are shown with an error; all that is kept is in the
/// run's folder.
const LOG_LINES: usize = 30;

/// Why an apply or a rollback did not end Ready, before it is known what that
/// means for the release ([`super::remediate`]).
#[derive(Debug)]
pub(super) enum Failure {
    /// The rollout failed for good, or took too long.
    Rollout(Problem),
    /// Helm failed by itself: of this kind, where it changed nothing.
    Helm(Kind, Problem),
    /// Helm lost the way to the cluster, which it had found before.
    Lost(Problem),
    /// It was ended, or never begun, for a reason that no remediation answers: a
    /// cancel, a lost Lease, another helm at work, a bug.
    Ended(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error.kind() {
            Kind::Cancelled(_) | Kind::Internal | Kind::Locked => Self::Ended(error),
            kind => Self::Helm(kind, error.into_problem()),
        }
    }
}

/// How an apply or a rollback ended, once helm and the wait for the workloads are told
/// alike.
enum End {
    /// Every workload is Ready; or helm has done its part, and the wait begins.
    Well,
    TimeUp,
    Failed(Box<TerminalFailure>),
    Foreign(Problem),
    Helm(helm::Failure),
    /// No remediation answers it.
    Ended(Error),
}

impl End {
    fn of_helm(outcome: HelmOutcome, halt: Option<Halt>) -> Self {
        use StopReason::{Cancelled, Deadline};
        match (outcome, halt) {
            (
                HelmOutcome::Stopped {
                    by: Cancelled(signal),
                    ..
                },
                _,
            ) => Self::Ended(cancelled(signal)),
            // Whatever helm did: another deploy can be at work.
            (_, Some(Halt::Lost(error))) => Self::Ended(error),
            // It came right in the last moment after all: verify has the last word.
            (HelmOutcome::Succeeded, _) => Self::Well,
            (HelmOutcome::Stopped { .. }, Some(Halt::Failed(failure))) => Self::Failed(failure),
            (HelmOutcome::Stopped { by: Deadline, .. }, None) => Self::TimeUp,
            (HelmOutcome::Stopped { .. }, None) => Self::Ended(Error::new(
                Kind::Internal,
                "helm was stopped, and nobody asked for it",
            )),
            (HelmOutcome::Failed(failure), _) => Self::Helm(failure),
        }
    }

    fn of_wait(end: WaitEnd) -> Self {
        match end {
            WaitEnd::Ready => Self::Well,
            WaitEnd::TimeUp => Self::TimeUp,
            WaitEnd::Cancelled(signal) => Self::Ended(cancelled(signal)),
            WaitEnd::Foreign(problem) => Self::Foreign(problem),
            WaitEnd::Halted(Halt::Failed(failure)) => Self::Failed(failure),
            WaitEnd::Halted(Halt::Lost(error)) => Self::Ended(error),
        }
    }
}

/// What helm's end means; the evidence is kept.
pub(super) async fn of(
    run: &mut Run<'_>,
    watcher: &mut RolloutWatcher,
    outcome: HelmOutcome,
    halt: Option<Halt>,
) -> Result<(), Failure> {
    of_apply(run, watcher, End::of_helm(outcome, halt)).await
}

/// What the end of the wait for the workloads means; the evidence is kept.
pub(super) async fn of_wait(
    run: &mut Run<'_>,
    watcher: &mut RolloutWatcher,
    end: WaitEnd,
) -> Result<(), Failure> {
    of_apply(run, watcher, End::of_wait(end)).await
}

async fn of_apply(
    run: &mut Run<'_>,
    watcher: &mut RolloutWatcher,
    end: End,
) -> Result<(), Failure> {
    Err(match end {
        End::Well => return Ok(()),
        End::TimeUp => timed_out(run, watcher).await,
        End::Failed(failure) => terminal(run, watcher, *failure).await,
        End::Foreign(problem) => rollout(
            gathered(run, watcher, None, |evidence, _| {
                problem.details(evidence.news())
            })
            .await,
        ),
        End::Helm(failure) => by_itself(run, watcher, failure).await,
        End::Ended(error) => Failure::Ended(error),
    })
}

/// What helm's end means in a rollback, which has a budget of its own; its
/// evidence is told beside that of the failure that it answers.
pub(super) async fn of_rollback(
    begun: Instant,
    watcher: &RolloutWatcher,
    outcome: HelmOutcome,
    halt: Option<Halt>,
) -> Result<(), Failure> {
    of_going_back(begun, watcher, End::of_helm(outcome, halt)).await
}

/// The same of the wait for the workloads that a rollback brings back.
pub(super) async fn of_rollback_wait(
    begun: Instant,
    watcher: &RolloutWatcher,
    end: WaitEnd,
) -> Result<(), Failure> {
    of_going_back(begun, watcher, End::of_wait(end)).await
}

async fn of_going_back(begun: Instant, watcher: &RolloutWatcher, end: End) -> Result<(), Failure> {
    let problem = match end {
        End::Well => return Ok(()),
        End::Ended(error) => return Err(Failure::Ended(error)),
        End::Helm(failure) => return Err(failure.error.into()),
        End::TimeUp => {
            let message = format!("not ready after {}", units::show(passed(begun)));
            Problem::new(message).details(watcher.explain_timeout())
        }
        End::Failed(mut failure) => {
            let (cache, logs) = (watcher.cache(), watcher.logs());
            let evidence = gather(cache, logs, watcher.client(), Some(&mut failure)).await;
            failure.problem(&evidence)
        }
        End::Foreign(problem) => problem,
    };
    Err(Failure::Rollout(problem.first_do(watcher.advice())))
}

/// The time that passed, in whole seconds: never the budget.
fn passed(begun: Instant) -> Duration {
    Duration::from_secs(begun.elapsed().as_secs())
}

/// Helm failed by itself: the cluster may know better why.
async fn by_itself(
    run: &mut Run<'_>,
    watcher: &mut RolloutWatcher,
    failure: helm::Failure,
) -> Failure {
    let mut seen = None;
    if matches!(failure.cause, FailureKind::Hook | FailureKind::Timeout) {
        seen = watcher.last_look(LAST_LOOK, run.events).await;
    }
    match (seen, failure.cause) {
        (Some(seen), _) => terminal(run, watcher, seen).await,
        (None, FailureKind::Timeout) => timed_out(run, watcher).await,
        // Its pods are another deploy's.
        (None, FailureKind::Pending) => failure.error.into(),
        (None, _) => {
            let kind = failure.error.kind();
            let problem = failure.error.into_problem();
            let gathered = gathered(run, watcher, None, |evidence, _| {
                problem.details(evidence.news())
            });
            match gathered.await {
                Ok(problem) if failure.cause == FailureKind::Lost => Failure::Lost(problem),
                Ok(problem) => Failure::Helm(kind, problem),
                Err(cancelled) => Failure::Ended(cancelled),
            }
        }
    }
}

async fn terminal(
    run: &mut Run<'_>,
    watcher: &RolloutWatcher,
    failure: TerminalFailure,
) -> Failure {
    let told = gathered(run, watcher, Some(failure), |evidence, failure| {
        failure.map_or_else(
            || Problem::new("the rollout failed for good"),
            |failure| failure.problem(evidence),
        )
    });
    rollout(told.await)
}

async fn timed_out(run: &mut Run<'_>, watcher: &RolloutWatcher) -> Failure {
    let mut lines = watcher.explain_timeout();
    // Where every workload is Ready, helm waits for something else.
    let mut other = None;
    if lines.is_empty() {
        other = watcher.custom_not_ready().await.into_iter().next();
    }
    if let Some(silence) = discovery::silent(watcher.client()).await {
        lines.insert(0, silence);
    }
    let passed = units::show(passed(run.begun));
    let told = gathered(run, watcher, None, |evidence, _| {
        // What one of its pods lacks says more than how many pods are missing.
        let pod = lines.get(1).filter(|line| line.starts_with("  "));
        let other = other.as_ref().map(|other| &other.said);
        let message = match pod.or(lines.first()).or(other) {
            Some(line) => format!("not ready after {passed}: {}", line.trim()),
            None => format!("not ready after {passed}"),
        };
        Problem::new(message)
            .details(lines)
            .details(evidence.news())
    });
    rollout(told.await)
}

fn rollout(told: Result<Problem>) -> Failure {
    told.map_or_else(Failure::Ended, Failure::Rollout)
}

/// Gathers the evidence, makes the problem of it and keeps both in the run's
/// folder. A cancel ends it.
async fn gathered(
    run: &mut Run<'_>,
    watcher: &RolloutWatcher,
    mut failure: Option<TerminalFailure>,
    problem: impl FnOnce(&Evidence, Option<&TerminalFailure>) -> Problem,
) -> Result<Problem> {
    let gathering = async {
        let (cache, logs, client) = (watcher.cache(), watcher.logs(), watcher.client());
        let evidence = gather(cache, logs, client, failure.as_mut());
        Ok(futures::join!(evidence, watcher.custom_not_ready()))
    };
    let (evidence, custom) = run.unless_cancelled(gathering).await?;
    let problem = problem(&evidence, failure.as_ref()).first_do(watcher.advice());
    let problem = made_by(problem, custom);
    let mut lines = vec![problem.to_string()];
    let mut said = problem.evidence();
    said.retain(|line| !evidence.lines.contains(line));
    lines.extend(said);
    lines.extend(evidence.lines.iter().cloned());
    lines.extend(evidence.log_lines());
    let kept = keep(run, lines);
    Ok(with_logs(run, problem, &evidence, kept))
}

/// Names the custom resource whose controller has not made what the problem lacks; the
/// others are told beside it.
pub(super) fn made_by(problem: Problem, mut not_ready: Vec<NotReady>) -> Problem {
    let lacks = problem.to_string();
    let behind = not_ready.iter().position(|one| one.concerns(&lacks));
    let problem = match behind.map(|at| not_ready.remove(at)) {
        Some(behind) => problem.because(&behind.said),
        None => problem,
    };
    not_ready.retain(|one| !lacks.contains(&one.said));
    problem.details(not_ready.into_iter().map(|one| one.said))
}

/// Logs may hold secrets, and a public repository's log is public.
fn with_logs(run: &Run<'_>, problem: Problem, evidence: &Evidence, kept: bool) -> Problem {
    let logs = evidence.log_ends(LOG_LINES);
    if logs.is_empty() {
        return problem;
    }
    if run.show_logs {
        return problem.log(logs);
    }
    if kept {
        problem.hint(format!(
            "its log is kept on the node: deploy show {}",
            run.id
        ))
    } else {
        problem
    }
}

/// Writes the evidence before anything is undone, behind what the run has kept
/// already; says whether it is there.
pub(super) fn keep(run: &mut Run<'_>, lines: Vec<String>) -> bool {
    let plan = run.plan;
    run.evidence.extend(lines);
    let kept = evidence::keep(&plan.state, run.id, &run.evidence).and_then(|()| {
        evidence::prune(&plan.state, plan.evidence, run::now())?;
        Ok(())
    });
    if let Err(error) = &kept {
        run.events.warn(format!(
            "the evidence cannot be kept in {}: {error}",
            plan.state.display()
        ));
    }
    kept.is_ok()
}
