//! A deploy in several clusters, wave by wave, through an engine: here it is said which,
//! and what each target is asked to serve; the order of the waves, and the answers to one
//! that fails, know only the trait.
//!
//! It must never touch a wave before the one before it is judged good.

mod argocd;
mod back;
mod by_hand;
mod halt;
mod outcome;
mod preflight;
mod prove;
mod remediate;
mod targets;
mod wave;

#[cfg(test)]
mod tests;

use std::time::Duration;

use tokio::time::{Instant, sleep};

use self::targets::Targets;
use self::wave::Stop;
use super::by_hand::STAYS;
use super::context::Run;
use super::{gate, lock};
use crate::argocd::ArgoCd;
use crate::engine::Engine;
use crate::error::{Kind, Result};
use crate::event::{Event, Phase, Report, Summary};
use crate::plan::fleet::Fleet;

/// How soon a registry that does not answer is asked again whether the chart is still
/// the same.
const AGAIN: Duration = Duration::from_secs(5);

/// For how long it is.
const PATIENCE: Duration = Duration::from_secs(30);

/// Deploys what the plan says in every cluster of the fleet, and proves it. All that is
/// done under the lock.
pub(super) async fn deploy(run: &mut Run<'_>, fleet: &Fleet, summary: Summary) -> Result<Report> {
    let engine = argocd::engine(run, fleet).await?;
    let found = preflight::preflight(run, &engine, fleet).await?;
    let wanted = prove::targets(run, &engine, fleet, &found).await?;
    let targets = Targets::new(fleet, found.targets, wanted)?;
    let is_same = async |run: &Run<'_>| prove::still_same_chart(run).await;
    carry_out(run, &engine, fleet, summary, targets, is_same).await
}

/// `deploy rollback`: to what the plan asks for, which a former run deployed, where one
/// is named; else every target to its last good version.
pub async fn roll_back(run: &mut Run<'_>, fleet: &Fleet, is_named: bool) -> Result<Report> {
    let begun = Instant::now();
    let mut summary = super::summary(run);
    if !is_named {
        "the last good version of each target".clone_into(&mut summary.chart);
    }
    run.events.emit(&Event::Planned(&summary));
    gate::tell(run)?;
    run.events.note(STAYS);
    lock::take(run).await?;
    let done = if is_named {
        deploy(run, fleet, summary).await
    } else {
        to_what_is_good(run, fleet, summary).await
    };
    lock::give_back(run).await;
    let mut report = done?;
    report.took = begun.elapsed();
    Ok(report)
}

async fn to_what_is_good(run: &mut Run<'_>, fleet: &Fleet, summary: Summary) -> Result<Report> {
    run.begin(Phase::Preflight);
    let engine = argocd::engine(run, fleet).await?;
    let looking = preflight::targets(run, &engine, fleet);
    let (found, waited) = run.unless_cancelled(looking).await?;
    run.deadline += waited;
    let targets = by_hand::to_what_is_good::<ArgoCd>(run, fleet, found)?;
    run.end();
    // What was judged good is held against nothing that was proven now.
    let is_same = async |_: &Run<'_>| Ok(());
    carry_out(run, &engine, fleet, summary, targets, is_same).await
}

/// What is done once it is known what every target is asked to serve: nothing in a dry
/// run.
async fn carry_out<E: Engine>(
    run: &mut Run<'_>,
    engine: &E,
    fleet: &Fleet,
    summary: Summary,
    mut targets: Targets<E::Operation>,
    is_same: impl AsyncFn(&Run<'_>) -> Result<()>,
) -> Result<Report> {
    if run.plan.dry_run {
        run.facts.targets = targets.planned();
    } else {
        in_order(run, engine, fleet.bake, &mut targets, is_same).await?;
    }
    Ok(Report {
        summary,
        before: None,
        revision: None,
        unchanged: false,
        dry_run: run.plan.dry_run,
        preview: None,
        restored: None,
        json: false,
        placed: Vec::new(),
        forward: None,
        targets: run.facts.targets.clone(),
        took: Duration::ZERO,
    })
}

/// Brings every target to what it is asked to serve, wave by wave; where that fails,
/// answers it as the node wants it. `is_same` tells whether the chart still is what was
/// proven. What became of each target is in the facts of the run, however it ends.
async fn in_order<E: Engine>(
    run: &mut Run<'_>,
    engine: &E,
    bake: Duration,
    targets: &mut Targets<E::Operation>,
    is_same: impl AsyncFn(&Run<'_>) -> Result<()>,
) -> Result<()> {
    run.begin(Phase::Waves);
    let done = waves(run, engine, bake, targets, is_same).await;
    let done = match done {
        Ok(()) => {
            run.end();
            Ok(())
        }
        Err(stop) => Err(remediate::remediate(run, engine, targets, stop).await),
    };
    run.facts.targets = targets.reports();
    done
}

async fn waves<E: Engine>(
    run: &mut Run<'_>,
    engine: &E,
    bake: Duration,
    targets: &mut Targets<E::Operation>,
    is_same: impl AsyncFn(&Run<'_>) -> Result<()>,
) -> Result<(), Stop> {
    let last = targets.waves();
    for number in 1..=last {
        // Of the first wave the proof has just said it.
        if number > 1 && !targets.is_done(number) {
            still_the_same(run, &is_same).await?;
        }
        let bake = if number == last { Duration::ZERO } else { bake };
        wave::deploy(run, engine, targets, number, bake).await?;
    }
    Ok(())
}

/// A registry that does not answer for a moment is asked again.
async fn still_the_same(
    run: &Run<'_>,
    is_same: &impl AsyncFn(&Run<'_>) -> Result<()>,
) -> Result<(), Stop> {
    let until = run.deadline.min(Instant::now() + PATIENCE);
    let asking = halt::beside_one(run, async {
        loop {
            match is_same(run).await {
                Err(error) if error.kind() == Kind::Node && Instant::now() + AGAIN < until => {
                    sleep(AGAIN).await;
                }
                answer => return answer,
            }
        }
    });
    asking.await?.map_err(Stop::Chart)
}
