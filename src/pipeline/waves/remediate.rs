//! What is done where a run does not come to its end, and the error that this makes.
//!
//! Without the Lease nothing is touched; nothing is ever deleted.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::timeout_at;

use super::back;
use super::halt::Halt;
use super::outcome;
use super::targets::{Stand, Target, Targets};
use super::wave::Stop;
use crate::engine::Engine;
use crate::error::{Error, Kind, Problem};
use crate::pipeline::context::Run;
use crate::pipeline::failure;
use crate::process::cancel::cancelled;

/// How long after the signal a cancelled run may still stop what it began: it has seven
/// seconds in all.
const CANCELLED: Duration = Duration::from_millis(6500);

/// Answers a run that stopped before its end as the node wants it.
pub(super) async fn remediate<E: Engine>(
    run: &mut Run<'_>,
    engine: &E,
    targets: &mut Targets<E::Operation>,
    stop: Stop,
) -> Error {
    match stop {
        Stop::Halted(halt) => halted(run, engine, targets, halt).await,
        Stop::Chart(error) => outcome::of_chart(targets, error),
        Stop::NotNoted(number) => {
            let problem = primary(targets, number);
            outcome::of_not_noted(targets, problem)
        }
        Stop::Failed(number) => failed(run, engine, targets, number).await,
    }
}

/// A wave failed: its evidence is kept before anything is undone.
async fn failed<E: Engine>(
    run: &mut Run<'_>,
    engine: &E,
    targets: &mut Targets<E::Operation>,
    number: usize,
) -> Error {
    keep_evidence(run, targets, number);
    if run.lost() {
        let problem = primary(targets, number);
        return outcome::of_failed(targets, number, run.plan, problem.of_kind(Kind::Broken));
    }
    let first = first(targets, number).map(|target| {
        let problem = target.failure.as_ref().map(|failure| &failure.problem);
        problem.map_or_else(String::new, |problem| {
            format!("{}: {problem}", target.place())
        })
    });
    if let Some(why) = &first
        && back::is_needed(run, targets, number)
    {
        let progress = format!("{why}; wave {number} goes back");
        run.events.progress(progress);
    }
    if let Err(halt) = back::go(run, engine, targets, number).await {
        let error = halted(run, engine, targets, halt).await;
        let why = first.unwrap_or_default();
        return error.outcome(format!("wave {number} was going back, since {why}"));
    }
    let kind = if targets.is_untouched() {
        refused_kind(targets, number)
    } else {
        targets.kind()
    };
    let problem = primary(targets, number);
    outcome::of_failed(targets, number, run.plan, problem.of_kind(kind))
}

/// What it is where every target refused, and nothing was changed.
fn refused_kind<O>(targets: &Targets<O>, number: usize) -> Kind {
    let failure = first(targets, number).and_then(|target| target.failure.as_ref());
    failure.map_or(Kind::Internal, |failure| failure.kind)
}

/// The target that failed first.
fn first<O>(targets: &Targets<O>, number: usize) -> Option<&Target<O>> {
    let failed = targets.of(number).filter(|target| target.failure.is_some());
    failed.min_by_key(|target| target.failure.as_ref().map(|failure| failure.at))
}

/// The cause of a wave's end, with what the other targets said and why some could not go
/// back.
fn primary<O>(targets: &mut Targets<O>, number: usize) -> Problem {
    let name = first(targets, number).map(|target| target.name.clone());
    let mut cause = None;
    let mut besides = Vec::new();
    let mut hints = Vec::new();
    for target in targets.of_mut(number) {
        let place = target.place();
        if let Some(back) = &target.back {
            besides.push(format!("{place} could not go back: {back}"));
            besides.extend(back.evidence().into_iter().map(|line| format!("  {line}")));
            hints.extend(back.hints().iter().cloned());
        }
        let Some(failure) = &mut target.failure else {
            continue;
        };
        if Some(&target.name) == name.as_ref() {
            // The report keeps the words alone.
            let words = Problem::new(failure.problem.to_string());
            let problem = std::mem::replace(&mut failure.problem, words);
            cause = Some(problem.headed(&place));
        } else {
            besides.push(format!("{place}: {}", failure.problem));
        }
    }
    let cause = cause.unwrap_or_else(|| Problem::new(format!("wave {number} failed")));
    cause.details(besides).first_do(hints)
}

/// Keeps what is known of each failed target in the run's folder; logs are shown only
/// where they may be.
fn keep_evidence<O>(run: &mut Run<'_>, targets: &mut Targets<O>, number: usize) {
    let mut lines = Vec::new();
    for target in targets.of(number) {
        if let Some(failure) = &target.failure {
            lines.push(format!("{}: {}", target.place(), failure.problem));
            lines.extend(failure.problem.evidence());
        }
    }
    let kept = failure::keep(run, lines);
    if run.show_logs {
        return;
    }
    let hint = format!("its log is kept on the node: deploy show {}", run.id);
    for target in targets.of_mut(number) {
        let Some(failure) = &mut target.failure else {
            continue;
        };
        if failure.problem.take_log().is_empty() || !kept {
            continue;
        }
        let problem = std::mem::replace(&mut failure.problem, Problem::new(""));
        failure.problem = problem.hint(hint.clone());
    }
}

/// The run was ended early: what it began is stopped, unless another deploy can be at
/// work.
async fn halted<E: Engine>(
    run: &mut Run<'_>,
    engine: &E,
    targets: &mut Targets<E::Operation>,
    halt: Halt,
) -> Error {
    match halt {
        Halt::Lost(error) => outcome::of_lost(targets, &error),
        Halt::Cancelled(signal) => {
            let left = stop(run, engine, targets).await;
            outcome::of_cancelled(targets, cancelled(signal), &left)
        }
    }
}

/// Stops every operation of this run that can still be at work; the targets of which
/// that is not known to have worked.
async fn stop<E: Engine>(
    run: &Run<'_>,
    engine: &E,
    targets: &Targets<E::Operation>,
) -> Vec<String> {
    let until = run.cancel.since().unwrap_or_else(tokio::time::Instant::now) + CANCELLED;
    let at_work = targets.0.iter().filter(|target| target.is_at_work());
    let stopping = at_work.map(async |target| {
        let Some(operation) = &target.operation else {
            // What was asked was not answered.
            return (target.stand == Stand::Asked).then(|| target.place());
        };
        match timeout_at(until, engine.stop(&target.name, operation)).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(format!("{} ({error})", target.place())),
            Err(_) => Some(target.place()),
        }
    });
    join_all(stopping).await.into_iter().flatten().collect()
}
