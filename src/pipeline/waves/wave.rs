//! One wave: all of its targets at once, until each serves what is wanted and stays
//! good for a while.
//!
//! What is done about one that fails is not decided here.

use std::time::Duration;

use futures::future::join_all;
use futures::stream::{FuturesUnordered, StreamExt as _};
use tokio::time::{Instant, sleep, timeout_at};

use super::halt::{Halt, Stopper, beside};
use super::targets::{Failure, Stand, Target, Targets};
use crate::engine::{Ended, Engine};
use crate::error::{Error, Kind, Result};
use crate::event::Event;
use crate::event::waves::{TargetNews, WaveNews};
use crate::pipeline::context::Run;
use crate::plan::OnFailure;
use crate::units;

/// How soon an engine that does not answer is asked again.
const AGAIN: Duration = Duration::from_secs(2);

/// For how long it is, on the way to what is wanted.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why a run does not go on to the next wave.
#[derive(Debug)]
pub(super) enum Stop {
    /// A target of this wave failed.
    Failed(usize),
    /// The wave serves what is wanted, and that could not be noted of a target.
    NotNoted(usize),
    /// The chart is not what it was any more, or that is not known.
    Chart(Error),
    /// It was ended early.
    Halted(Halt),
}

impl From<Halt> for Stop {
    fn from(halt: Halt) -> Self {
        Self::Halted(halt)
    }
}

/// Brings a wave to what is wanted and judges it. `bake` is how long it has to stay good.
pub(super) async fn deploy<E: Engine>(
    run: &mut Run<'_>,
    engine: &E,
    targets: &mut Targets<E::Operation>,
    number: usize,
    bake: Duration,
) -> Result<(), Stop> {
    let begun = Instant::now();
    let wave = targets.numbered(number);
    let tell = |news: WaveNews| run.events.emit(&Event::Wave(&news));
    let names = |targets: &Targets<E::Operation>| {
        let all = targets
            .of(number)
            .filter(|target| target.stand != Stand::Unchanged);
        all.map(|target| target.name.to_string())
            .collect::<Vec<_>>()
    };
    if targets.is_done(number) {
        let names = names(targets);
        if !names.is_empty() {
            tell(WaveNews::Unchanged(wave, names));
        }
        for target in targets.of_mut(number) {
            target.stand = Stand::Unchanged;
        }
        return Ok(());
    }
    for target in targets.of_mut(number).filter(|target| target.is_done()) {
        target.stand = Stand::Unchanged;
    }
    tell(WaveNews::Begins(wave, names(targets)));
    all_serve(run, engine, targets, number).await?;
    if !bake.is_zero() {
        tell(WaveNews::Bakes(wave, bake));
        // The node chose this time: it is none of the work's.
        run.deadline += bake;
        all_stay_good(run, engine, targets, number, bake).await?;
    }
    note(run, engine, targets, number).await?;
    run.events
        .emit(&Event::Wave(&WaveNews::Ends(wave, begun.elapsed())));
    Ok(())
}

/// Asks every target of the wave, and waits for each. Where the wave will go back, the
/// first that fails ends the wait for the others.
async fn all_serve<E: Engine>(
    run: &Run<'_>,
    engine: &E,
    targets: &mut Targets<E::Operation>,
    number: usize,
) -> Result<(), Stop> {
    let goes_back = run.plan.on_failure == OnFailure::Rollback;
    let deadline = run.deadline;
    beside(run, async |stopper| {
        let open = targets.of_mut(number);
        let open = open.filter(|target| target.stand == Stand::Waiting);
        let mut open: FuturesUnordered<_> = open
            .map(|target| async move {
                serve(run, engine, target, deadline, stopper).await;
                target.stand
            })
            .collect();
        while let Some(stand) = open.next().await {
            if stand != Stand::Serves && goes_back {
                stopper.stop();
            }
        }
    })
    .await?;
    none_failed(targets, number)
}

fn none_failed<O>(targets: &Targets<O>, number: usize) -> Result<(), Stop> {
    if targets.of(number).any(|target| target.failure.is_some()) {
        return Err(Stop::Failed(number));
    }
    Ok(())
}

/// Asks a target for what is wanted, and waits until it serves that.
async fn serve<E: Engine>(
    run: &Run<'_>,
    engine: &E,
    target: &mut Target<E::Operation>,
    deadline: Instant,
    stopper: &Stopper,
) {
    let news = News::of(run, target);
    // Whatever becomes of the request.
    target.stand = Stand::Asked;
    let wanted = target.wanted.clone();
    news.tell(format!("asked to serve {}", wanted.version));
    let asking = Asking {
        patience: PATIENCE,
        deadline,
        stopper,
        news: &news,
    };
    match asking
        .until_answered(async || engine.apply(&target.name, &wanted).await)
        .await
    {
        Ok(operation) => target.operation = Some(operation),
        Err(error) => {
            let kind = error.kind();
            target.stand = if changed_nothing(kind) {
                Stand::Refused
            } else {
                Stand::Unknown
            };
            news.tell(error.to_string());
            target.failure = Some(Failure::now(error.into_problem(), kind));
            return;
        }
    }
    let Some(operation) = &target.operation else {
        return;
    };
    let tell = |said: String| news.tell(said);
    let end = tokio::select! {
        biased;
        end = engine.watch(&target.name, operation, deadline, &tell) => end,
        () = stopper.stopped() => return,
    };
    let (stand, problem) = match end {
        Ended::Serves => {
            news.tell(format!("serves {}", wanted.version));
            target.stand = Stand::Serves;
            return;
        }
        Ended::Failed(problem) | Ended::TimeUp(problem) => (Stand::Failed, problem),
        Ended::Unknown(problem) => (Stand::Unknown, problem),
    };
    news.tell(problem.to_string());
    target.stand = stand;
    target.failure = Some(Failure::now(problem, Kind::Broken));
}

/// Whether an engine's answer of this kind says that nothing was changed.
pub(super) const fn changed_nothing(kind: Kind) -> bool {
    !matches!(
        kind,
        Kind::Node | Kind::Internal | Kind::RolledBack | Kind::Broken | Kind::Cancelled(_)
    )
}

/// How an engine is asked that may not answer for a moment: an API server that restarts
/// is no verdict.
pub(super) struct Asking<'a> {
    /// For how long it is asked again.
    pub(super) patience: Duration,
    /// Not after this.
    pub(super) deadline: Instant,
    /// Not once nobody waits any more.
    pub(super) stopper: &'a Stopper,
    /// Where that is told.
    pub(super) news: &'a News<'a>,
}

impl Asking<'_> {
    /// Asks until there is an answer.
    pub(super) async fn until_answered<T>(&self, ask: impl AsyncFn() -> Result<T>) -> Result<T> {
        let until = self.deadline.min(Instant::now() + self.patience);
        let mut told = false;
        loop {
            let answer = timeout_at(self.deadline, ask()).await.unwrap_or_else(|_| {
                let message = "no answer before time was up";
                Err(Error::new(Kind::Node, message))
            });
            let error = match answer {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            if error.kind() != Kind::Node || Instant::now() + AGAIN >= until {
                return Err(error);
            }
            if !std::mem::replace(&mut told, true) {
                self.news.tell(format!("{error}; it is asked again"));
            }
            tokio::select! {
                biased;
                () = self.stopper.stopped() => return Err(error),
                () = sleep(AGAIN) => {}
            }
        }
    }
}

/// Waits while the wave has to stay good.
async fn all_stay_good<E: Engine>(
    run: &Run<'_>,
    engine: &E,
    targets: &mut Targets<E::Operation>,
    number: usize,
    bake: Duration,
) -> Result<(), Stop> {
    let until = Instant::now() + bake;
    beside(run, async |stopper| {
        let baking = targets
            .of_mut(number)
            .filter(|target| target.stand == Stand::Serves);
        let baking = baking.map(|target| async move {
            let Some(operation) = &target.operation else {
                return;
            };
            let end = tokio::select! {
                biased;
                end = engine.stays(&target.name, operation, until) => end,
                () = stopper.stopped() => return,
            };
            let (stand, problem) = match end {
                Ended::Serves => return,
                Ended::Failed(problem) | Ended::TimeUp(problem) => (Stand::Failed, problem),
                Ended::Unknown(problem) => (Stand::Unknown, problem),
            };
            let head = format!("it did not stay good for {}", units::show(bake));
            let problem = problem.headed(&head);
            News::of(run, target).tell(problem.to_string());
            target.stand = stand;
            target.failure = Some(Failure::now(problem, Kind::Broken));
            stopper.stop();
        });
        join_all(baking).await;
    })
    .await?;
    none_failed(targets, number)
}

/// Notes of every target of the wave that it was judged good.
async fn note<E: Engine>(
    run: &Run<'_>,
    engine: &E,
    targets: &mut Targets<E::Operation>,
    number: usize,
) -> Result<(), Stop> {
    // Its own time: what is good must not be forgotten since the wait was long.
    let deadline = Instant::now() + PATIENCE;
    beside(run, async |stopper| {
        let serving = targets
            .of_mut(number)
            .filter(|target| target.stand == Stand::Serves);
        let noting = serving.map(|target| async move {
            let news = News::of(run, target);
            let asking = Asking {
                patience: PATIENCE,
                deadline,
                stopper,
                news: &news,
            };
            let note = async || engine.note_good(&target.name, &target.wanted).await;
            match asking.until_answered(note).await {
                Ok(()) => target.stand = Stand::Good,
                Err(error) => {
                    target.stand = Stand::NotNoted;
                    let kind = error.kind();
                    let problem = error.into_problem();
                    let problem = problem.headed("it is good, and that could not be noted");
                    target.failure = Some(Failure::now(problem, kind));
                }
            }
        });
        join_all(noting).await;
    })
    .await?;
    none_failed(targets, number).map_err(|_| Stop::NotNoted(number))
}

/// Tells what is new of a target.
pub(super) struct News<'a> {
    run: &'a Run<'a>,
    name: String,
    cluster: String,
}

impl<'a> News<'a> {
    /// Of this target.
    pub(super) fn of<O>(run: &'a Run<'a>, target: &Target<O>) -> Self {
        Self {
            run,
            name: target.name.to_string(),
            cluster: target.observed.cluster.clone(),
        }
    }

    /// Tells it.
    pub(super) fn tell(&self, said: String) {
        let news = WaveNews::Target(TargetNews {
            name: self.name.clone(),
            cluster: self.cluster.clone(),
            said,
        });
        self.run.events.emit(&Event::Wave(&news));
    }
}
