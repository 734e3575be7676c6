//! What helm's end means where it is no success: the cause in one line, and the
//! evidence, kept before anything is undone.
//!
//! What becomes of the release is not decided here.

use std::time::Duration;

use super::Course;
use super::apply::Halt;
use crate::cluster::discovery;
use crate::error::{Error, Kind};
use crate::helm::{Cause, Ended, Failure};
use crate::process::Stopped;
use crate::process::cancel::cancelled;
use crate::rollout::{Doom, Evidence, Watch, explain_timeout, gather};
use crate::run;
use crate::state::evidence;

/// How long the watches may still bring what explains helm's own failure.
const LAST_LOOK: Duration = Duration::from_millis(1500);

/// How many lines of logs are shown with an error; all that is kept is in the
/// run's folder.
const LOG_LINES: usize = 30;

/// The failure; nothing where all is well.
pub(super) async fn of(
    course: &mut Course<'_>,
    watch: &mut Watch,
    ended: Ended,
    halt: Option<Halt>,
) -> Option<Error> {
    Some(match ended {
        // It came right in the last moment after all: verify has the last word.
        Ended::Well => return None,
        Ended::Stopped {
            by: Stopped::Cancelled(signal),
            ..
        } => cancelled(signal),
        Ended::Stopped {
            by: Stopped::Deadline,
            ..
        } => timed_out(course, watch).await,
        Ended::Stopped { .. } => match halt {
            Some(Halt::Doomed(doom)) => doomed(course, watch, doom).await,
            Some(Halt::Lost(error)) => error,
            None => Error::new(Kind::Internal, "helm was stopped, and nobody asked for it"),
        },
        Ended::Failed(failure) => by_itself(course, watch, failure).await,
    })
}

/// Helm failed by itself: the cluster may know better why.
async fn by_itself(course: &mut Course<'_>, watch: &mut Watch, failure: Failure) -> Error {
    let mut doom = None;
    if matches!(failure.cause, Cause::Hook | Cause::Timeout) {
        doom = watch.last_look(LAST_LOOK, course.events).await;
    }
    match (doom, failure.cause) {
        (Some(doom), _) => doomed(course, watch, doom).await,
        (None, Cause::Timeout) => timed_out(course, watch).await,
        // Its pods are another deploy's.
        (None, Cause::Pending) => failure.error,
        (None, _) => {
            gathered(course, watch, None, |evidence, _| {
                failure.error.details(evidence.lines.iter().cloned())
            })
            .await
        }
    }
}

async fn doomed(course: &mut Course<'_>, watch: &Watch, doom: Doom) -> Error {
    gathered(course, watch, Some(doom), |evidence, doom| match doom {
        Some(doom) => doom.error(Kind::Broken, evidence),
        None => Error::new(Kind::Internal, "a doom was lost"),
    })
    .await
}

async fn timed_out(course: &mut Course<'_>, watch: &Watch) -> Error {
    let mut lines = explain_timeout(watch.world());
    if let Some(silence) = discovery::silent(watch.client()).await {
        lines.insert(0, silence);
    }
    let budget = course.plan.budget;
    gathered(course, watch, None, |evidence, _| {
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
    course: &mut Course<'_>,
    watch: &Watch,
    mut doom: Option<Doom>,
    error: impl FnOnce(&Evidence, Option<&Doom>) -> Error,
) -> Error {
    let gathering = async { Ok(gather(watch, doom.as_mut()).await) };
    let evidence = match course.unless_cancelled(gathering).await {
        Ok(evidence) => evidence,
        Err(cancelled) => return cancelled,
    };
    let error = error(&evidence, doom.as_ref());
    let mut lines = vec![error.to_string()];
    lines.extend(error.evidence());
    lines.extend(evidence.log_lines());
    let kept = keep(course, &lines);
    course.ledger.evidence = lines;
    with_logs(course, error, &evidence, kept)
}

/// Logs may hold secrets, and a public repository's log is public.
fn with_logs(course: &Course<'_>, error: Error, evidence: &Evidence, kept: bool) -> Error {
    let logs = evidence.log_lines();
    if logs.is_empty() {
        return error;
    }
    if course.show_logs {
        let skipped = logs.len().saturating_sub(LOG_LINES);
        return error.details(logs.into_iter().skip(skipped));
    }
    if kept {
        error.hint(format!(
            "its log is kept on the node: deploy show {}",
            course.run
        ))
    } else {
        error
    }
}

/// Writes the evidence before anything is undone; says whether it is there.
pub(super) fn keep(course: &Course<'_>, lines: &[String]) -> bool {
    let plan = course.plan;
    let kept = evidence::keep(&plan.state, course.run, lines).and_then(|()| {
        evidence::prune(&plan.state, plan.evidence, run::now())?;
        Ok(())
    });
    if let Err(error) = &kept {
        course.events.warn(format!(
            "the evidence cannot be kept in {}: {error}",
            plan.state.display()
        ));
    }
    kept.is_ok()
}
