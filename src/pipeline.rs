//! A deploy from the plan to the proof that it took effect: [`run`] is the
//! table of contents, each step a module.
//!
//! Nothing here prints, and nothing here decides what a step knows better.

mod apply;
mod by_hand;
mod context;
mod failure;
mod forward;
mod gate;
mod judge;
mod lock;
mod moved_tags;
mod observed;
mod origin;
mod overtaken;
mod preconditions;
mod preflight;
mod preview;
mod prove;
mod recover;
mod remediate;
mod rollback;
mod running;
mod stuck_pods;
mod supervise;
mod tag_drift;
mod verify;
mod wait_strategy;
mod waves;

#[cfg(test)]
mod tests;

use std::time::Duration;

use tokio::time::Instant;

pub use by_hand::roll_back;
pub use context::Run;
pub use waves::roll_back as roll_back_in_waves;

use failure::Failure;
use observed::ReleaseObservation;
use verify::Applied;

use crate::chart::Proof;
use crate::error::{Kind, Result};
use crate::event::{Event, Report, Summary};

/// Deploys what the plan says, and proves it.
pub async fn run(run: &mut Run<'_>) -> Result<Report> {
    let begun = Instant::now();
    let summary = summary(run);
    run.events.emit(&Event::Planned(&summary));

    gate::caller(run).await?;
    gate::signal(run)?;
    lock::take(run).await?;
    let plan = run.plan;
    let done = match (gate::frozen(run), &plan.forward, &plan.fleet) {
        (Err(refused), ..) => Err(refused),
        (Ok(()), Some(controller), _) => forward::to(run, controller, summary).await,
        (Ok(()), None, Some(fleet)) => waves::deploy(run, fleet, summary).await,
        (Ok(()), None, None) => deploy(run, summary).await,
    };
    lock::give_back(run).await;
    let mut report = done?;
    report.took = begun.elapsed();
    Ok(report)
}

/// All that is done under the lock.
async fn deploy(run: &mut Run<'_>, summary: Summary) -> Result<Report> {
    let mut found = preflight::preflight(run).await?;
    preconditions::release(run, &found)?;
    if !run.plan.dry_run {
        // Before the proof: what is left decides whether helm installs or upgrades.
        recover::before(run, &mut found).await?;
    }
    preconditions::readable(run, &found)?;
    let proof = prove::images(run, &found).await?;
    let mut report = Report {
        summary,
        before: found.serving().map(|record| record.revision),
        revision: None,
        unchanged: false,
        dry_run: run.plan.dry_run,
        preview: None,
        restored: None,
        json: false,
        forward: None,
        targets: Vec::new(),
        placed: prove::placed(run, &proof),
        took: Duration::ZERO,
    };
    if run.plan.dry_run {
        report.preview = preview::of_upgrade(run, &found, &proof).await?;
    } else {
        let applied = applied(run, &mut found, &proof).await?;
        verify::report(run, &applied);
        report.revision = Some(applied.record.revision);
        report.unchanged = found
            .serving()
            .is_some_and(|before| before.manifest == applied.record.manifest);
    }
    Ok(report)
}

/// The upgrade, once more where the way to the cluster was lost; what fails is
/// remediated and settled.
async fn applied(
    run: &mut Run<'_>,
    found: &mut ReleaseObservation,
    proof: &Proof,
) -> Result<Applied> {
    let mut applied = apply::upgrade(run, found, proof).await;
    if let Err(Failure::Lost(problem)) = &applied
        && recover::after_break(run, found, problem).await?
    {
        applied = apply::upgrade(run, found, proof).await;
    }
    match applied {
        Ok(applied) => Ok(applied),
        Err(failure) => {
            let error = remediate::remediate(run, found, failure).await;
            // What another helm is at work on is left to its own deploy.
            run.settled = error.kind() == Kind::Locked || recover::after(run, found).await;
            Err(recover::told(run, error))
        }
    }
}

fn summary(run: &Run<'_>) -> Summary {
    let request = &run.plan.request;
    Summary {
        run: run.id.to_string(),
        release: run.plan.release.name.clone(),
        namespace: run.plan.release.namespace.clone(),
        chart: format!("{} {}", request.chart, request.version),
        images: request
            .images
            .iter()
            .map(|(key, image)| (key.to_string(), image.to_string()))
            .collect(),
    }
}
