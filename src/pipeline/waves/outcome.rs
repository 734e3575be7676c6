//! How a run that did not come to its end is told: what is where, and what a person does
//! next. Pure.

use super::targets::{Target, Targets};
use crate::error::{Error, Kind, Problem};
use crate::event::waves::{TargetOutcome, names};
use crate::plan::{OnFailure, Plan};

/// A wave failed, and was answered.
pub(super) fn of_failed<O>(
    targets: &Targets<O>,
    number: usize,
    plan: &Plan,
    error: Error,
) -> Error {
    let kind = error.kind();
    let wave = targets.numbered(number);
    if targets.is_untouched() {
        return error.outcome(format!("{wave} did not begin: nothing was changed"));
    }
    let error = error.outcome(format!("{wave} failed; {}", where_it_is(targets)));
    if kind != Kind::Broken {
        return error;
    }
    let app = &plan.request.app;
    let error = error.hint(format!("look at it: deploy status {app}"));
    if plan.on_failure == OnFailure::Keep {
        return error.hint(format!(
            "nothing was deleted; send the signal again once it is mended, or go back: deploy rollback {app}"
        ));
    }
    error.hint("nothing was deleted; send the signal again once it is mended")
}

/// The wave is good, and that could not be noted.
pub(super) fn of_not_noted<O>(targets: &Targets<O>, problem: Problem) -> Error {
    let problem = problem.hint("send the signal again: it is judged then");
    problem.of_kind(Kind::Broken).outcome(where_it_is(targets))
}

/// The chart was moved between two waves, or nobody knows whether it was.
pub(super) fn of_chart<O>(targets: &Targets<O>, error: Error) -> Error {
    if targets.is_untouched() {
        return error;
    }
    let kind = match error.kind() {
        Kind::Broken => Kind::Broken,
        _ => targets.kind(),
    };
    let problem = error.into_problem();
    problem.of_kind(kind).outcome(where_it_is(targets))
}

/// The Lease was lost: another deploy can be at work.
pub(super) fn of_lost<O>(targets: &Targets<O>, lost: &Error) -> Error {
    let message = "the lease was lost, so nothing more was touched";
    Error::new(lost.kind(), message)
        .detail(lost.to_string())
        .details(lost.evidence())
        .outcome(where_it_is(targets))
        .hint(
            "see what another deploy made of it, then send the signal again: it goes on from there",
        )
}

/// The run was cancelled. `left` are the targets of which nobody knows whether what was
/// begun was stopped.
pub(super) fn of_cancelled<O>(targets: &Targets<O>, cancelled: Error, left: &[String]) -> Error {
    if targets.is_untouched() {
        return cancelled.hint("nothing was changed");
    }
    let cancelled = cancelled.outcome(where_it_is(targets));
    if left.is_empty() {
        return cancelled.hint("what was begun was stopped; the next signal goes on from there");
    }
    cancelled.hint(format!(
        "there was no time to stop {}: the next signal does it",
        names(left)
    ))
}

/// What is where, in one line.
pub(super) fn where_it_is<O>(targets: &Targets<O>) -> String {
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for target in &targets.0 {
        let said = said(target);
        match groups.iter_mut().find(|(group, _)| *group == said) {
            Some((_, names)) => names.push(target.name.to_string()),
            None => groups.push((said, vec![target.name.to_string()])),
        }
    }
    let told = |(said, all): &(String, Vec<String>)| format!("{said}: {}", names(all));
    let told: Vec<String> = groups.iter().map(told).collect();
    told.join("; ")
}

fn said<O>(target: &Target<O>) -> String {
    let held = target.held().map(|held| held.version.to_string());
    let version = held.as_deref().unwrap_or("nothing");
    match target.outcome() {
        TargetOutcome::WouldDeploy | TargetOutcome::NotReached => "not touched".to_owned(),
        TargetOutcome::Unchanged | TargetOutcome::Deployed => format!("serves {version}"),
        TargetOutcome::RolledBack => format!("rolled back to {version}"),
        TargetOutcome::Refused => format!("still holds {version}"),
        TargetOutcome::NotJudged => format!("holds {version}, not judged"),
        TargetOutcome::Interrupted => format!("cut short on the way to {version}"),
        TargetOutcome::Failed => format!("needs manual action, holds {version}"),
        TargetOutcome::Unknown => "what it serves is not known".to_owned(),
    }
}
