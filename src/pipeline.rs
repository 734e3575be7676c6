//! A deploy from the plan to the proof that it took effect: [`run`] is the
//! table of contents, each step a module.
//!
//! Nothing here prints, and nothing here decides what a step knows better.

mod apply;
mod failure;
mod forward;
mod preconditions;
mod preflight;
mod prove;
mod recover;
mod rollback;
mod tag_drift;
mod verify;
mod wait_strategy;

use std::cell::OnceCell;
use std::os::fd::AsFd as _;
use std::time::Duration;

use tokio::time::Instant;

use crate::cluster::lease::Lease;
use crate::error::{Kind, Result};
use crate::event::{Event, Events, Phase, PhaseTiming, Report, RunFacts, Summary};
use crate::plan::Plan;
use crate::process::Cancel;
use crate::release::record::{Record, Status};
use crate::run::{LockHolder, RunId, Who};
use crate::state::lock::{self, Lock};

/// How long the lease may take to be given back; else it runs out.
const PATIENCE: Duration = Duration::from_secs(2);

/// The same in a run that was cancelled: it has seven seconds in all.
const HURRY: Duration = Duration::from_millis(300);

/// A deploy on its way.
pub struct Run<'a> {
    /// What will be done.
    pub plan: &'a Plan,
    /// The run's id.
    pub id: &'a RunId,
    /// Who runs it.
    pub who: &'a Who,
    /// Where what happens is told.
    pub events: &'a Events,
    /// Whether it was cancelled.
    pub cancel: &'a Cancel,
    /// What the journal wants to know.
    pub facts: RunFacts,
    /// What was kept of it so far: logs and all, not for a public log.
    evidence: Vec<String>,
    /// Whether the logs of pods may be shown: they may hold secrets.
    pub show_logs: bool,
    deadline: Instant,
    /// What is left of the wait for other deploys.
    patience: Duration,
    /// Held for all of the run but a dry one, by every helm too.
    lock: Option<Lock>,
    lease: OnceCell<Lease>,
    /// Whether nothing is left to settle of a helm that did not end well.
    settled: bool,
}

impl<'a> Run<'a> {
    /// A deploy that begins now: the budget counts from here.
    pub fn new(
        plan: &'a Plan,
        id: &'a RunId,
        who: &'a Who,
        events: &'a Events,
        cancel: &'a Cancel,
    ) -> Self {
        Self {
            plan,
            id,
            who,
            events,
            cancel,
            facts: RunFacts::default(),
            evidence: Vec::new(),
            show_logs: false,
            deadline: Instant::now() + plan.budget,
            patience: plan.lock_timeout,
            lock: None,
            lease: OnceCell::new(),
            settled: true,
        }
    }

    /// What is left of the budget.
    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    fn begin(&self, phase: Phase) -> Instant {
        self.events.emit(&Event::Started(phase));
        Instant::now()
    }

    fn end(&mut self, phase: Phase, begun: Instant) {
        let took = begun.elapsed();
        self.facts.phases.push(PhaseTiming { phase, took });
        self.events.emit(&Event::Done(phase, took));
    }

    /// Notes that a helm which may write begins: a recovery knows it by that.
    fn helm_begins(&self) {
        if let Some(lock) = &self.lock {
            // Where it cannot be noted (a full disk), a recovery only waits longer.
            let _ = lock::helm_begins(lock.as_fd());
        }
    }

    /// Whether another node's deploy may be at work on the release.
    fn lost(&self) -> bool {
        self.lease.get().is_some_and(Lease::is_lost)
    }

    /// Ends `work`, which changes nothing, as soon as the run is cancelled.
    async fn unless_cancelled<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            signal = self.cancel.cancelled() => Err(crate::process::cancel::cancelled(signal)),
            done = work => done,
        }
    }
}

/// Deploys what the plan says, and proves it.
pub async fn run(run: &mut Run<'_>) -> Result<Report> {
    let begun = Instant::now();
    let summary = summary(run);
    run.events.emit(&Event::Planned(&summary));

    lock(run).await?;
    if let Some(forward) = &run.plan.forward {
        return forward::to(run, forward, summary, begun).await;
    }
    let done = deploy(run, summary).await;
    // Before the lock ends: who waits for that finds the lease free.
    give_back(run).await;
    run.lock = None;
    let mut report = done?;
    report.took = begun.elapsed();
    Ok(report)
}

/// All that is done under the lock.
async fn deploy(run: &mut Run<'_>, summary: Summary) -> Result<Report> {
    let mut found = preflight::preflight(run).await?;
    if !run.plan.dry_run {
        // Before the proof: what is left decides whether helm installs or upgrades.
        recover::before(run, &mut found).await?;
    }
    let proof = prove::images(run, &found).await?;
    let mut report = Report {
        summary,
        before: found.serving().map(|record| record.revision),
        revision: None,
        unchanged: false,
        dry_run: run.plan.dry_run,
        forward: None,
        placed: prove::placed(run.plan, &proof),
        took: Duration::ZERO,
    };
    if !run.plan.dry_run {
        let applied = apply::upgrade(run, &found, &proof).await;
        if let Err(error) = applied {
            // What another helm is at work on is not ours to settle.
            run.settled = error.kind() == Kind::Locked || recover::after(run, &found).await;
            return Err(recover::told(run, error));
        }
        let record = verify::release(run, &found, &proof).await?;
        report.revision = Some(record.revision);
        report.unchanged = found
            .serving()
            .is_some_and(|before| before.manifest == record.manifest);
    }
    Ok(report)
}

async fn give_back(run: &mut Run<'_>) {
    let within = if run.cancel.signal().is_some() {
        HURRY
    } else {
        PATIENCE
    };
    if let Some(lease) = run.lease.take() {
        lease.end(run.settled, within).await;
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

/// One deploy of a release at a time. A dry run changes nothing and takes no
/// lock.
async fn lock(run: &mut Run<'_>) -> Result<()> {
    if run.plan.dry_run {
        return Ok(());
    }
    let begun = run.begin(Phase::Lock);
    let plan = run.plan;
    let me = LockHolder::this_process(run.id, run.who);
    let waiting = lock::acquire(
        &plan.state,
        &plan.release,
        &me,
        plan.lock_timeout,
        |waiting| run.events.progress(waiting.line()),
    );
    let lock = run.unless_cancelled(waiting).await?;
    if let Some(warning) = lock.warning() {
        run.events.warn(warning);
    }
    run.end(Phase::Lock, begun);
    run.patience = plan.lock_timeout.saturating_sub(begun.elapsed());
    // The wait for others is not this deploy's own time.
    run.deadline = Instant::now() + plan.budget;
    run.lock = Some(lock);
    Ok(())
}

/// The revision that serves: the last that was deployed, else the newest that
/// once was.
fn good(records: &[Record]) -> Option<&Record> {
    let newest = |status: Status| {
        records
            .iter()
            .filter(|record| record.status == status)
            .max_by_key(|record| record.revision)
    };
    newest(Status::Deployed).or_else(|| newest(Status::Superseded))
}
