//! What helm's end means where it is no success: the cause in one line, and the
//! evidence, kept before anything is undone.
//!
//! What becomes of the release is not decided here.

use std::time::Duration;

use super::Run;
use super::apply::Halt;
use crate::cluster::discovery;
use crate::error::{Error, Kind};
use crate::helm::{Failure, FailureKind, HelmOutcome};
use crate::process::StopReason;
use crate::process::cancel::cancelled;
use crate::rollout::{Evidence, RolloutWatcher, TerminalFailure, explain_timeout, gather};
use crate::run;
use crate::state::evidence;

/// How long the watches may still bring what explains helm's own failure.
const LAST_LOOK: Duration = Duration::from_millis(1500);

/// How many lines of logs are shown with an error; all that is kept is in the
/// run's folder.
const LOG_LINES: usize = 30;

/// The failure; nothing where all is well.
pub(super) async fn of(
    run: &mut Run<'_>,
    watch: &mut RolloutWatcher,
    ended: HelmOutcome,
    halt: Option<Halt>,
) -> Option<Error> {
    Some(match ended {
        // It came right in the last moment after all: verify has the last word.
        HelmOutcome::Well => return None,
        HelmOutcome::StopReason {
            by: StopReason::Cancelled(signal),
            ..
        } => cancelled(signal),
        HelmOutcome::StopReason {
            by: StopReason::Deadline,
            ..
        } => timed_out(run, watch).await,
        HelmOutcome::StopReason { .. } => match halt {
            Some(Halt::Doomed(doom)) => doomed(run, watch, doom).await,
            Some(Halt::Lost(error)) => error,
            None => Error::new(Kind::Internal, "helm was stopped, and nobody asked for it"),
        },
        HelmOutcome::Failed(failure) => by_itself(run, watch, failure).await,
    })
}

/// Helm failed by itself: the cluster may know better why.
async fn by_itself(run: &mut Run<'_>, watch: &mut RolloutWatcher, failure: Failure) -> Error {
    let mut doom = None;
    if matches!(failure.cause, FailureKind::Hook | FailureKind::Timeout) {
        doom = watch.last_look(LAST_LOOK, run.events).await;
    }
    match (doom, failure.cause) {
        (Some(doom), _) => doomed(run, watch, doom).await,
        (None, FailureKind::Timeout) => timed_out(run, watch).await,
        // Its pods are another deploy's.
        (None, FailureKind::Pending) => failure.error,
        (None, _) => {
            gathered(run, watch, None, |evidence, _| {
                failure.error.details(evidence.lines.iter().cloned())
            })
            .await
        }
    }
}

async fn doomed(run: &mut Run<'_>, watch: &RolloutWatcher, doom: TerminalFailure) -> Error {
    gathered(run, watch, Some(doom), |evidence, doom| match doom {
        Some(doom) => doom.error(Kind::Broken, evidence),
        None => Error::new(Kind::Internal, "a doom was lost"),
    })
    .await
}

async fn timed_out(run: &mut Run<'_>, watch: &RolloutWatcher) -> Error {
    let mut lines = explain_timeout(watch.world());
    if let Some(silence) = discovery::silent(watch.client()).await {
        lines.insert(0, silence);
    }
    let budget = run.plan.budget;
    gathered(run, watch, None, |evidence, _| {
        // What one of its pods lacks says more than how many pods are missing.
        let pod = lines.get(1).filter(|line| line.starts_with("  "));
        let message = match pod.or(lines.first()) {
            Some(line) => format!("not ready after {budget:?}: {}", line.trim()),
            None => format!("not ready after {budget:?}"),
        };
        Error::new(Kind::Broken, message)
            .details(lines)
            .details(evidence.lines.iter().cloned())
    })
    .await
}

/// Gathers the evidence, makes the error of it and keeps both in the run's
/// folder. A cancel ends it.
async fn gathered(
    run: &mut Run<'_>,
    watch: &RolloutWatcher,
    mut doom: Option<TerminalFailure>,
    error: impl FnOnce(&Evidence, Option<&TerminalFailure>) -> Error,
) -> Error {
    let gathering = async { Ok(gather(watch, doom.as_mut()).await) };
    let evidence = match run.unless_cancelled(gathering).await {
        Ok(evidence) => evidence,
        Err(cancelled) => return cancelled,
    };
    let error = error(&evidence, doom.as_ref());
    let mut lines = vec![error.to_string()];
    lines.extend(error.evidence());
    lines.extend(evidence.log_lines());
    let kept = keep(run, lines);
    with_logs(run, error, &evidence, kept)
}

/// Logs may hold secrets, and a public repository's log is public.
fn with_logs(run: &Run<'_>, error: Error, evidence: &Evidence, kept: bool) -> Error {
    let logs = evidence.log_lines();
    if logs.is_empty() {
        return error;
    }
    if run.show_logs {
        let skipped = logs.len().saturating_sub(LOG_LINES);
        return error.details(logs.into_iter().skip(skipped));
    }
    if kept {
        error.hint(format!(
            "its log is kept on the node: deploy show {}",
            run.id
        ))
    } else {
        error
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
