//! Brings the targets of a failed wave back to their last good versions, each watched as
//! a deploy is.
//!
//! Which of them go back is decided by [`super::targets`]; nothing is ever deleted here.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::{Instant, sleep, timeout};

use super::halt::{Halt, Stopper, beside};
use super::targets::{Stand, Target, Targets, WayBack};
use super::wave::{Asking, News, changed_nothing};
use crate::engine::{Ended, Engine, Wanted};
use crate::event::Phase;
use crate::pipeline::context::Run;

/// How long the end of an operation may take before its target is asked to go back.
const STOP: Duration = Duration::from_secs(20);

/// How soon an engine that does not answer is asked again.
const AGAIN: Duration = Duration::from_secs(2);

/// For how long it is, on the way back.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether some target of the wave goes back.
pub(super) fn is_needed<O>(run: &Run<'_>, targets: &Targets<O>, number: usize) -> bool {
    let on_failure = run.plan.on_failure;
    let goes = |target: &Target<O>| matches!(target.way_back(on_failure), WayBack::To(_));
    targets.of(number).any(goes)
}

/// Goes back, all targets at once, within the budget of a rollback.
pub(super) async fn go<E: Engine>(
    run: &mut Run<'_>,
    engine: &E,
    targets: &mut Targets<E::Operation>,
    number: usize,
) -> Result<(), Halt> {
    if !is_needed(run, targets, number) {
        return Ok(());
    }
    let on_failure = run.plan.on_failure;
    run.begin(Phase::Rollback);
    let deadline = Instant::now() + run.plan.rollback_budget;
    run.deadline = deadline;
    let shared: &Run<'_> = run;
    beside(shared, async |stopper| {
        let going = targets.of_mut(number).filter_map(|target| {
            let WayBack::To(good) = target.way_back(on_failure) else {
                return None;
            };
            let good = good.clone();
            Some(restore(shared, engine, target, good, deadline, stopper))
        });
        join_all(going).await;
    })
    .await?;
    if targets.of(number).all(|target| target.back.is_none()) {
        run.end();
    }
    Ok(())
}

async fn restore<E: Engine>(
    run: &Run<'_>,
    engine: &E,
    target: &mut Target<E::Operation>,
    good: Wanted,
    deadline: Instant,
    stopper: &Stopper,
) {
    let news = News::of(run, target);
    if let (Some(operation), true) = (&target.operation, target.is_at_work()) {
        let stopping = timeout(STOP, engine.stop(&target.name, operation));
        if let Ok(Err(error)) = stopping.await {
            // The request to go back tells whether that matters.
            news.tell(format!("what was begun could not be stopped: {error}"));
        }
    }
    target.stand = Stand::Returning;
    news.tell(format!("going back to {}", good.version));
    let asking = Asking {
        patience: PATIENCE,
        deadline,
        stopper,
        news: &news,
    };
    let ask = async || engine.apply(&target.name, &good).await;
    let operation = match asking.until_answered(ask).await {
        Ok(operation) => target.operation.insert(operation),
        Err(error) => {
            target.stand = if changed_nothing(error.kind()) {
                Stand::BackRefused
            } else {
                Stand::BackUnknown
            };
            news.tell(error.to_string());
            target.back = Some(error.into_problem());
            return;
        }
    };
    let tell = |said: String| news.tell(said);
    // Whoever does not answer for a moment is watched on: there is nothing else to do.
    let watching = async {
        let mut until = None;
        loop {
            let end = engine.watch(&target.name, operation, deadline, &tell).await;
            let now = Instant::now();
            let until = *until.get_or_insert(deadline.min(now + PATIENCE));
            if !matches!(end, Ended::Unknown(_)) || now + AGAIN >= until {
                return end;
            }
            sleep(AGAIN).await;
        }
    };
    let end = tokio::select! {
        biased;
        end = watching => end,
        () = stopper.stopped() => return,
    };
    let (stand, problem) = match end {
        Ended::Serves => {
            news.tell(format!("serves {} again", good.version));
            target.stand = Stand::Back;
            return;
        }
        Ended::Failed(problem) | Ended::TimeUp(problem) => (Stand::NotBack, problem),
        Ended::Unknown(problem) => (Stand::BackUnknown, problem),
    };
    news.tell(problem.to_string());
    target.stand = stand;
    target.back = Some(problem);
}
