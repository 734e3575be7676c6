//! A deploy from the plan to the proof that it took effect: [`run`] is the
//! table of contents, each step a module.
//!
//! Nothing here prints, and nothing here decides what a step knows better.

mod apply;
mod failure;
mod hand_over;
mod heal;
mod look;
mod moved;
mod obstacles;
mod prove;
mod rollback;
mod verify;
mod wait;

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::os::fd::AsFd as _;
use std::time::Duration;

use tokio::time::Instant;

use crate::cluster::lease::Lease;
use crate::error::{Kind, Result};
use crate::event::{Event, Events, Phase, Report, Summary};
use crate::plan::Plan;
use crate::process::Cancel;
use crate::release::record::{Record, Status};
use crate::run::{Holder, RunId, Who};
use crate::state::journal::Lap;
use crate::state::lock::{self, Lock};

/// How long the lease may take to be given back; else it runs out.
const PATIENCE: Duration = Duration::from_secs(2);

/// The same in a run that was cancelled: it has seven seconds in all.
const HURRY: Duration = Duration::from_millis(300);

/// A deploy on its way.
pub struct Course<'a> {
    /// What will be done.
    pub plan: &'a Plan,
    /// The run's id.
    pub run: &'a RunId,
    /// Who runs it.
    pub who: &'a Who,
    /// Where what happens is told.
    pub events: &'a Events,
    /// Whether it was cancelled.
    pub cancel: &'a Cancel,
    /// What the journal wants to know.
    pub ledger: Ledger,
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

/// What is known of a run when it ends, however it ends.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// The chart's digest in the registry.
    pub chart_digest: Option<String>,
    /// The digest of each image, as far as the registry told.
    pub digests: BTreeMap<String, String>,
    /// The phases that ended, in their order.
    pub phases: Vec<Lap>,
    /// The revision before.
    pub before: Option<u32>,
    /// The revision after.
    pub revision: Option<u32>,
    /// What is kept of a failed rollout: logs and all, not for a public log.
    pub evidence: Vec<String>,
}

impl<'a> Course<'a> {
    /// A deploy that begins now: the budget counts from here.
    pub fn new(
        plan: &'a Plan,
        run: &'a RunId,
        who: &'a Who,
        events: &'a Events,
        cancel: &'a Cancel,
    ) -> Self {
        Self {
            plan,
            run,
            who,
            events,
            cancel,
            ledger: Ledger::default(),
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
        self.ledger.phases.push(Lap::new(phase, took));
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
pub async fn run(course: &mut Course<'_>) -> Result<Report> {
    let begun = Instant::now();
    let summary = summary(course);
    course.events.emit(&Event::Planned(&summary));

    lock(course).await?;
    if let Some(forward) = &course.plan.forward {
        return hand_over::to(course, forward, summary, begun).await;
    }
    let done = deploy(course, summary).await;
    // Before the lock ends: who waits for that finds the lease free.
    give_back(course).await;
    course.lock = None;
    let mut report = done?;
    report.took = begun.elapsed();
    Ok(report)
}

/// All that is done under the lock.
async fn deploy(course: &mut Course<'_>, summary: Summary) -> Result<Report> {
    let mut found = look::preflight(course).await?;
    if !course.plan.dry_run {
        // Before the proof: what is left decides whether helm installs or upgrades.
        heal::before(course, &mut found).await?;
    }
    let proof = prove::images(course, &found).await?;
    let mut report = Report {
        summary,
        before: found.serving().map(|record| record.revision),
        revision: None,
        unchanged: false,
        dry_run: course.plan.dry_run,
        forward: None,
        placed: prove::placed(course.plan, &proof),
        took: Duration::ZERO,
    };
    if !course.plan.dry_run {
        let applied = apply::upgrade(course, &found, &proof).await;
        if let Err(error) = applied {
            // What another helm is at work on is not ours to settle.
            course.settled = error.kind() == Kind::Locked || heal::after(course, &found).await;
            return Err(heal::told(course, error));
        }
        let record = verify::release(course, &found, &proof).await?;
        report.revision = Some(record.revision);
        report.unchanged = found
            .serving()
            .is_some_and(|before| before.manifest == record.manifest);
    }
    Ok(report)
}

async fn give_back(course: &mut Course<'_>) {
    let within = if course.cancel.signal().is_some() {
        HURRY
    } else {
        PATIENCE
    };
    if let Some(lease) = course.lease.take() {
        lease.end(course.settled, within).await;
    }
}

fn summary(course: &Course<'_>) -> Summary {
    let request = &course.plan.request;
    Summary {
        run: course.run.to_string(),
        release: course.plan.release.clone(),
        namespace: course.plan.namespace.clone(),
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
async fn lock(course: &mut Course<'_>) -> Result<()> {
    if course.plan.dry_run {
        return Ok(());
    }
    let begun = course.begin(Phase::Lock);
    let plan = course.plan;
    let me = Holder::this_process(course.run, course.who);
    let waiting = lock::acquire(
        &plan.state,
        &plan.namespace,
        &plan.release,
        &me,
        plan.lock_timeout,
        |waiting| course.events.progress(waiting.line()),
    );
    let lock = course.unless_cancelled(waiting).await?;
    if let Some(warning) = lock.warning() {
        course.events.warn(warning);
    }
    course.end(Phase::Lock, begun);
    course.patience = plan.lock_timeout.saturating_sub(begun.elapsed());
    // The wait for others is not this deploy's own time.
    course.deadline = Instant::now() + plan.budget;
    course.lock = Some(lock);
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
