//! The rollout under watch: runs the informers, fills the cache, asks for verdicts and
//! reports progress while helm works.
//!
//! Each kind is listed once and then watched; nothing is polled. A watch that breaks
//! (410, a restarted API server) is taken up again where it was. One that the server
//! refuses is said once, and the rollout is judged without it. Nothing here changes the
//! cluster.

mod start;

use std::collections::BTreeMap;
use std::time::Duration;

use kube::Client;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use super::baseline::Baseline;
use super::cache::ReleaseCache;
use super::cause::{Cause, TerminalFailure};
use super::custom::{CustomResources, NotReady};
use super::explain::explain_timeout;
use super::foreign_watch::{ForeignLook, ForeignWatch};
use super::informers::InformerEvent;
use super::logs::Logs;
use super::model::{Change, Elapsed};
use super::progress::{ReportedProgress, progress};
use super::recheck;
use super::recheck_jobs;
use super::shortage::{self, ReleaseReadiness};
use super::stuck::{StuckPod, stuck_pods};
use super::unprobed;
use super::verdict::{judge, most_telling};
use super::workload_ref::WorkloadRef;
use crate::error::Problem;
use crate::event::{Event, Events, WorkloadProgress};
use crate::manifest::ObjectRef;

pub use start::RolloutContext;

/// Changes that come close together are judged together.
const DEBOUNCE: Duration = Duration::from_millis(20);

/// Rules that wait for time to pass are asked again this often.
const RECHECK: Duration = Duration::from_secs(1);

/// A pod whose controller waits for it may still become ready within this time, or be
/// replaced.
const STUCK: Duration = Duration::from_secs(5);

/// Changes that wait to be taken in.
const QUEUE: usize = 1024;

/// A rollout under watch.
pub struct RolloutWatcher {
    client: Client,
    cache: ReleaseCache,
    baseline: Baseline,
    started: Instant,
    changes: mpsc::Receiver<InformerEvent>,
    facts_asked_at: Option<Instant>,
    reported: ReportedProgress,
    logs: Logs,
    foreign: ForeignWatch,
    custom: CustomResources,
    /// Since when each pod, by its uid, has been stuck; none once it was told.
    stuck: BTreeMap<String, Option<Instant>>,
    advice: Vec<String>,
    _watches: JoinSet<()>,
}

/// Why a rollout stands still.
#[derive(Debug)]
pub enum Stall {
    /// It has failed for good.
    Failed(Box<TerminalFailure>),
    /// A pod is in the way of its successor; told once of each.
    Pod(StuckPod),
    /// A workload of another group says that it has failed.
    Foreign(Problem),
}

impl RolloutWatcher {
    /// Returns when the release cannot come right by waiting, else never. May be
    /// dropped and called again at any time.
    pub async fn stalled(&mut self, events: &Events) -> Stall {
        let mut open = true;
        loop {
            if let Some(stall) = self.stall(events).await {
                return stall;
            }
            self.take_in(&mut open, false, events).await;
        }
    }

    /// Ends with nothing when every workload is Ready, and with the first that stands
    /// still. Helm has ended before. It may be dropped, as [`Self::stalled`].
    pub async fn settled(&mut self, events: &Events) -> Option<Stall> {
        let mut open = true;
        loop {
            self.ask_for_jobs().await;
            let ReleaseReadiness { ready, warnings } = self.readiness();
            if ready {
                self.report_progress(events);
                match self.foreign.look(&self.client, events).await {
                    ForeignLook::Settled => {
                        for warning in warnings {
                            events.warn(warning);
                        }
                        return None;
                    }
                    ForeignLook::Failed(problem) => return Some(Stall::Foreign(problem)),
                    ForeignLook::Waiting => {}
                }
            }
            if let Some(stall) = self.stall(events).await {
                return Some(stall);
            }
            self.take_in(&mut open, true, events).await;
        }
    }

    /// Whether the rollout stands still by what is known.
    async fn stall(&mut self, events: &Events) -> Option<Stall> {
        if let Some(failure) = self.look(events).await {
            return Some(Stall::Failed(Box::new(failure)));
        }
        self.stuck_pod().map(Stall::Pod)
    }

    /// A pod that has been stuck for a while, and of which nothing was told before.
    fn stuck_pod(&mut self) -> Option<StuckPod> {
        let now = Instant::now();
        let pods = stuck_pods(&self.cache);
        let is_there = |uid: &String| pods.iter().any(|pod| pod.uid == *uid);
        self.stuck
            .retain(|uid, since| since.is_none() || is_there(uid));
        pods.into_iter().find(|pod| {
            let since = self.stuck.entry(pod.uid.clone()).or_insert(Some(now));
            let is_due = since.is_some_and(|since| since + STUCK <= now);
            if is_due {
                *since = None;
            }
            is_due
        })
    }

    /// What is not Ready yet and what it waits for, most telling first.
    pub fn explain_timeout(&self) -> Vec<String> {
        let mut lines = explain_timeout(&self.cache, self.now());
        lines.extend(self.foreign.waits_for());
        lines
    }

    /// The custom resources of the release that their controllers say are not Ready now.
    pub async fn custom_not_ready(&self) -> Vec<NotReady> {
        self.custom.not_ready(&self.client).await
    }

    /// Remembers what a person has to do, should the rollout fail.
    pub fn advise(&mut self, hint: String) {
        self.advice.push(hint);
    }

    /// What a person has to do first.
    pub fn advice(&self) -> &[String] {
        &self.advice
    }

    /// Asks once, now that helm has ended, which of its Jobs are there: one that is not
    /// has been collected, however the watches lag.
    async fn ask_for_jobs(&mut self) {
        if !self.cache.knows_jobs_after_helm()
            && let Some(there) = recheck_jobs::there(&self.client, self.cache.targets()).await
        {
            self.cache.note_jobs_after_helm(there);
        }
    }

    /// Judges what is known. First, before anything new is waited for: a call
    /// before may have been dropped between a change and its verdict.
    async fn look(&mut self, events: &Events) -> Option<TerminalFailure> {
        self.report_progress(events);
        self.logs.follow_hooks(&self.cache);
        self.ask_for_facts().await;
        let failure = self.judge()?;
        self.is_confirmed(&failure).await.then_some(failure)
    }

    /// A last look when helm has ended by itself, as it does at once when a hook
    /// fails: what the watches still bring within this time is judged, too.
    pub async fn last_look(
        &mut self,
        within: Duration,
        events: &Events,
    ) -> Option<TerminalFailure> {
        let failed = async {
            loop {
                if let Stall::Failed(failure) = self.stalled(events).await {
                    return *failure;
                }
            }
        };
        timeout(within, failed).await.ok()
    }

    /// From now on only what is seen of these generations, or of newer ones, says
    /// anything of a workload: helm has applied them, and the watches may lag.
    pub fn expect(&mut self, generations: &[(ObjectRef, i64)]) {
        for (object, generation) in generations {
            if let Some(workload) = WorkloadRef::of(object) {
                self.cache.expect(workload, *generation);
            }
        }
    }

    /// Whether every workload of the release can be watched, so that its readiness
    /// can be judged here.
    pub fn sees_every_workload(&self) -> bool {
        let mut targets = self.cache.targets();
        targets.all(|target| !self.cache.is_unwatchable(target))
    }

    /// Whether every workload is Ready, or need not be.
    pub fn is_ready(&self) -> bool {
        self.readiness().ready
    }

    /// Whether every workload is Ready, or need not be, and stays so where a container says
    /// nothing of whether it is. Also judges what was Ready when the watch began.
    pub async fn stays_ready(&mut self, events: &Events) -> bool {
        let mut open = true;
        while self.is_ready() {
            if self.started.elapsed() >= unprobed::seen_ready_for(&self.cache) {
                return true;
            }
            self.take_in(&mut open, false, events).await;
        }
        false
    }

    /// Whether the release is Ready by what was last seen of it, and what a person should
    /// know all the same.
    pub fn readiness(&self) -> ReleaseReadiness {
        shortage::of_release(&self.cache, &self.baseline, self.now())
    }

    /// Where each workload stands, as last seen.
    pub fn workloads(&self) -> Vec<WorkloadProgress> {
        let lines = progress(&self.cache, self.now()).into_iter();
        lines.map(|(_, line)| line).collect()
    }

    /// The release's objects as last seen.
    pub const fn cache(&self) -> &ReleaseCache {
        &self.cache
    }

    /// The logs of hooks that were followed.
    pub const fn logs(&self) -> &Logs {
        &self.logs
    }

    /// The client, for evidence.
    pub const fn client(&self) -> &Client {
        &self.client
    }

    fn now(&self) -> Elapsed {
        Elapsed(self.started.elapsed())
    }

    fn judge(&self) -> Option<TerminalFailure> {
        most_telling(judge(&self.cache, &self.baseline, self.now()))
    }

    /// Takes in what has come, waiting a while for the first that changes anything of
    /// the release. Where Ready is the `goal`, nothing more is waited for once it is.
    async fn take_in(&mut self, open: &mut bool, goal: bool, events: &Events) {
        let mut until = Instant::now() + RECHECK;
        let mut changed = false;
        let mut count = 0;
        while count < QUEUE {
            if !*open {
                tokio::time::sleep_until(until).await;
                break;
            }
            match timeout_at(until, self.changes.recv()).await {
                Ok(Some(InformerEvent::Change(change))) => {
                    let is_workload = matches!(change, Change::Workload(_));
                    let now = self.now();
                    let is_news = self.cache.apply(change, now).is_some();
                    let may_be_ready = goal && is_news && is_workload;
                    if may_be_ready && shortage::is_ready_in_full(&self.cache, now) {
                        break;
                    }
                    if is_news && !changed {
                        changed = true;
                        until = Instant::now() + DEBOUNCE;
                    }
                    count += 1;
                }
                Ok(Some(InformerEvent::Unwatchable(resource, namespace, why))) => {
                    self.cache.mark_unwatchable(resource, namespace);
                    events.note(format!("the rollout is no longer watched in full: {why}"));
                }
                Ok(Some(InformerEvent::Listed)) => {}
                Ok(None) => *open = false,
                Err(_) => break,
            }
        }
    }

    /// Asks for nodes, classes and volumes where a verdict may hang on them.
    async fn ask_for_facts(&mut self) {
        if !recheck::needs_facts(&self.cache)
            || self
                .facts_asked_at
                .is_some_and(|from| from.elapsed() < RECHECK * 5)
        {
            return;
        }
        self.refresh_facts().await;
    }

    async fn refresh_facts(&mut self) {
        // Nothing is taken away before the answer is here: this may be dropped.
        let mut facts = recheck::facts(&self.client).await;
        facts.present = std::mem::take(&mut self.baseline.facts.present);
        self.baseline.facts = facts;
        self.facts_asked_at = Some(Instant::now());
    }

    /// Whether a failure is still one when the cluster is asked once more.
    async fn is_confirmed(&mut self, failure: &TerminalFailure) -> bool {
        match &failure.cause {
            Cause::Missing { kind, name, key } => match recheck::exists(
                &self.client,
                &failure.workload.namespace,
                kind,
                name,
                key.as_deref(),
            )
            .await
            {
                Some(true) => {
                    self.baseline.facts.present.insert(format!("{kind}/{name}"));
                    false
                }
                Some(false) => true,
                None => false,
            },
            Cause::Unschedulable | Cause::HeldByOldPod { .. } | Cause::NoVolume => {
                if self
                    .facts_asked_at
                    .is_none_or(|from| from.elapsed() > RECHECK)
                {
                    self.refresh_facts().await;
                }
                self.judge().is_some_and(|again| {
                    again.rule == failure.rule && again.workload == failure.workload
                })
            }
            _ => true,
        }
    }

    /// Reports how far the workloads are, and which lines of that are new.
    fn report_progress(&mut self, events: &Events) {
        let now = self.now();
        let progress = progress(&self.cache, now);
        let news = self.reported.news(progress.clone(), now);
        let all: Vec<_> = progress.into_iter().map(|(_, line)| line).collect();
        events.emit(&Event::Workloads {
            all: &all,
            news: &news,
        });
    }
}
