//! A deploy on its way: what every step is given, and what it leaves for the
//! next and for the journal.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::os::fd::AsFd as _;
use std::time::Duration;

use tokio::time::Instant;

use crate::cluster::lease::Lease;
use crate::error::Result;
use crate::event::{Event, Events, Phase, PhaseTiming, RunFacts};
use crate::plan::Plan;
use crate::process::Cancel;
use crate::process::cancel::cancelled;
use crate::run::{HelmSpan, RunId, Sender, Who};
use crate::signal::{ImageKey, ImageRef};
use crate::state::lock::{self, Lock};

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
    /// The images as they are deployed: those of the request, by their digests
    /// where these were proven.
    pub(super) images: BTreeMap<ImageKey, ImageRef>,
    /// What the journal wants to know.
    pub(super) facts: RunFacts,
    /// The phase that it is in, and when that began.
    phase: Option<(Phase, Instant)>,
    /// What was kept of it so far: logs and all, not for a public log.
    pub(super) evidence: Vec<String>,
    /// Whether the logs of pods may be shown: they may hold secrets.
    pub show_logs: bool,
    /// Who hands the signal over, and the token that came with it.
    pub(super) sender: Sender,
    /// When the wait for other deploys was over, and this one's budget began.
    pub(super) begun: Instant,
    /// When the budget is spent.
    pub(super) deadline: Instant,
    /// What is left of the wait for other deploys.
    pub(super) patience: Duration,
    /// Held for all of the run but a dry one, by every helm too.
    pub(super) lock: Option<Lock>,
    pub(super) lease: OnceCell<Lease>,
    /// Whether nothing is left to settle of a helm that did not end well.
    pub(super) settled: bool,
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
            images: plan.request.images.clone(),
            facts: RunFacts::default(),
            phase: None,
            evidence: Vec::new(),
            show_logs: false,
            sender: Sender::default(),
            begun: Instant::now(),
            deadline: Instant::now() + plan.budget,
            patience: plan.lock_timeout,
            lock: None,
            lease: OnceCell::new(),
            settled: true,
        }
    }

    /// The same, handed over by this sender.
    #[must_use]
    pub fn sent_by(mut self, sender: &Sender) -> Self {
        self.sender = sender.clone();
        self.show_logs = sender.sees_logs;
        self
    }

    /// What is left of the budget.
    pub(super) fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// A phase begins; the one before, where it did not end well, is over with that.
    pub(super) fn begin(&mut self, phase: Phase) {
        self.leave();
        self.phase = Some((phase, Instant::now()));
        self.events.emit(&Event::Started(phase));
    }

    /// The phase that began last has ended well.
    pub(super) fn end(&mut self) {
        if let Some(PhaseTiming { phase, took }) = self.leave() {
            self.events.emit(&Event::Done(phase, took));
        }
    }

    /// Notes how long the phase took, however it ended.
    fn leave(&mut self) -> Option<PhaseTiming> {
        let (phase, begun) = self.phase.take()?;
        let took = begun.elapsed();
        let timing = PhaseTiming { phase, took };
        self.facts.phases.push(timing);
        Some(timing)
    }

    /// What is known of the run, which has ended.
    pub fn into_facts(mut self) -> RunFacts {
        self.leave();
        self.facts
    }

    /// Notes that a helm which may write begins: a recovery knows by that what
    /// it wrote. Its end has to be noted with [`Self::helm_ends`].
    pub(super) fn helm_begins(&self) -> HelmSpan {
        let helm = HelmSpan::begin();
        self.note(helm);
        helm
    }

    /// Notes that this helm has ended: what is written from now on is another's.
    pub(super) fn helm_ends(&self, helm: HelmSpan) {
        self.note(helm.end());
    }

    fn note(&self, helm: HelmSpan) {
        if let Some(lock) = &self.lock {
            // Where it cannot be noted (a full disk), a recovery only waits longer.
            let _ = lock::note_helm(lock.as_fd(), helm);
        }
        if let Some(lease) = self.lease.get() {
            lease.note_helm(helm);
        }
    }

    /// Whether another node's deploy may be at work on the release.
    pub(super) fn lost(&self) -> bool {
        self.lease.get().is_some_and(Lease::is_lost)
    }

    /// Ends `work`, which changes nothing, as soon as the run is cancelled.
    pub(super) async fn unless_cancelled<T>(
        &self,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        tokio::select! {
            biased;
            signal = self.cancel.cancelled() => Err(cancelled(signal)),
            done = work => done,
        }
    }
}
