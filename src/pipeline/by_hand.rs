//! `deploy rollback`: goes back to an earlier revision, locked, watched, judged and
//! settled as a deploy is. The registry is not asked.
//!
//! What can be refused is refused before anything is touched.

use std::time::Duration;

use tokio::time::Instant;

use super::context::Run;
use super::failure::Failure;
use super::observed::ReleaseObservation;
use super::{gate, lock, preconditions, preflight, preview, recover, remediate, rollback};
use crate::cluster::client::connect;
use crate::error::{Error, Kind, Result};
use crate::event::{Event, Report, Summary};
use crate::release::record::{Driver, Record};
use crate::release::{judgement, store, target};

/// What a rollback never undoes.
pub(super) const STAYS: &str = "a rollback changes objects of the cluster alone: what migrations did to a database, and what stands in claims, stays as it is";

/// Goes back to the revision that is asked for, else to the good one before the
/// present one.
pub async fn roll_back(run: &mut Run<'_>, asked: Option<u32>) -> Result<Report> {
    let begun = Instant::now();
    if run.plan.forward.is_some() {
        let message = "the app is handed to a local controller, which has to go back itself";
        return Err(Error::new(Kind::Request, message));
    }
    let (goal, summary) = planned(run, asked).await?;
    run.events.emit(&Event::Planned(&summary));
    gate::tell(run)?;
    lock::take(run).await?;
    // The one that was told: others may have deployed since.
    let done = go_back(run, goal, summary).await;
    lock::give_back(run).await;
    let mut report = done?;
    report.took = begun.elapsed();
    Ok(report)
}

/// What is going to be done, by the records as they are before the lock.
async fn planned(run: &Run<'_>, asked: Option<u32>) -> Result<(u32, Summary)> {
    let plan = run.plan;
    let driver = Driver::of(&plan.environment)?;
    let look = async {
        let client = connect(plan).await?;
        store::list(&client, driver, &plan.release).await
    };
    let records = run.unless_cancelled(look).await?;
    let goal = choose(run, &records, asked)?;
    let summary = Summary {
        run: run.id.to_string(),
        release: plan.release.name.clone(),
        namespace: plan.release.namespace.clone(),
        chart: format!(
            "revision {}, {} {}",
            goal.revision, goal.chart, goal.chart_version
        ),
        images: Vec::new(),
    };
    Ok((goal.revision, summary))
}

fn choose<'a>(run: &Run<'_>, records: &'a [Record], asked: Option<u32>) -> Result<&'a Record> {
    let plan = run.plan;
    let pin = plan.chart_is_pinned.then(|| plan.request.chart.name());
    target::choose(records, asked, &plan.release, pin)
}

/// All that is done under the lock.
async fn go_back(run: &mut Run<'_>, goal: u32, summary: Summary) -> Result<Report> {
    let mut found = preflight::without_chart(run).await?;
    preconditions::not_leaving(run, &found)?;
    if !run.plan.dry_run {
        recover::before(run, &mut found).await?;
    }
    preconditions::readable(run, &found)?;
    let goal = choose(run, &found.records, Some(goal))?.clone();
    let serving = found.serving().cloned();
    let preview = preview::of_rollback(run, &found, &goal).await?;
    run.events.note(STAYS);
    let mut report = Report {
        summary,
        before: serving.as_ref().map(|record| record.revision),
        revision: None,
        unchanged: false,
        dry_run: run.plan.dry_run,
        preview: None,
        restored: Some(goal.revision),
        json: false,
        forward: None,
        targets: Vec::new(),
        placed: Vec::new(),
        took: Duration::ZERO,
    };
    if run.plan.dry_run {
        report.preview = preview;
        return Ok(report);
    }
    if let Some(preview) = &preview {
        run.events.emit(&Event::Preview(preview));
    }
    announce(run, &mut found, &goal).await?;
    let last = found.last().cloned();
    let restored = rollback::restore(run, &found, last.as_ref(), &goal).await;
    match restored {
        Ok(revision) => {
            report.revision = Some(revision);
            report.unchanged = serving.is_some_and(|before| before.manifest == goal.manifest);
            Ok(report)
        }
        Err(failure) => Err(failed(run, &found, failure).await),
    }
}

/// A rollback that failed is answered as a deploy that failed: the node goes back
/// to what served, or keeps it.
async fn failed(run: &mut Run<'_>, found: &ReleaseObservation, failure: Failure) -> Error {
    let error = remediate::remediate(run, found, failure).await;
    run.settled = error.kind() == Kind::Locked || recover::after(run, found).await;
    recover::told(run, error)
}

/// Says in the record of the revision that is left where the release goes, where
/// this helm gives the next record no mark: without one it would count as good
/// before anybody looked.
async fn announce(run: &Run<'_>, found: &mut ReleaseObservation, goal: &Record) -> Result<()> {
    let Some(last) = found.last() else {
        return Ok(());
    };
    let good = found
        .serving()
        .is_some_and(|good| good.revision == last.revision);
    if found.helm.describes_rollback() || !good || found.cluster.driver != Driver::Secrets {
        return Ok(());
    }
    let said = judgement::leaving(run.id, goal.revision);
    let client = &found.cluster.client;
    let marked = store::mark(client, &run.plan.release, last, last.status, &said);
    run.unless_cancelled(marked).await?;
    found.refresh(run).await
}
