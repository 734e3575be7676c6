//! What the release waits for, in words, while it rolls out.
//!
//! Pure. A line changes only when something changes; no ages, no counts that
//! tick.

use std::collections::BTreeMap;
use std::time::Duration;

use super::cache::ReleaseCache;
use super::model::Elapsed;
use super::need::of_pod;
use super::readiness::Readiness;
use super::target::WatchTarget;
use super::target_readiness;
use super::unprobed;
use super::workload_ref::{WorkloadKind, WorkloadRef};
use crate::event::{Unit, WorkloadProgress};

/// What a workload waits for is reported once it has lasted so long.
const LASTS: Duration = Duration::from_secs(3);

/// A wait whose answer alone changes is reported again after so long.
const REPEATS: Duration = Duration::from_secs(30);

/// Pods that become ready are not reported more often than this, but for the last.
const RESTS: Duration = Duration::from_secs(2);

/// What was last reported of each workload, so that only what matters is: that it
/// begins, that pods became ready, and what it waits for where that lasts.
#[derive(Clone, Debug, Default)]
pub(super) struct ReportedProgress(BTreeMap<WorkloadRef, Reported>);

/// What was last reported of one workload.
#[derive(Clone, Debug)]
struct Reported {
    line: WorkloadProgress,
    /// Whether it waits for nothing.
    done: bool,
    at: Elapsed,
    /// What it waits for now, and since when.
    waits: (Option<String>, Elapsed),
}

impl ReportedProgress {
    /// The progress at the start of the watch, which need not be reported.
    pub(super) fn of(lines: Vec<(WorkloadRef, WorkloadProgress)>, now: Elapsed) -> Self {
        let known = lines
            .into_iter()
            .map(|(workload, line)| (workload, Reported::new(&line, now)));
        Self(known.collect())
    }

    /// The lines that are to be reported now.
    pub(super) fn news(
        &mut self,
        lines: Vec<(WorkloadRef, WorkloadProgress)>,
        now: Elapsed,
    ) -> Vec<WorkloadProgress> {
        lines
            .into_iter()
            .filter_map(|(workload, line)| {
                if let Some(known) = self.0.get_mut(&workload) {
                    return known.news(line, now);
                }
                self.0.insert(workload, Reported::new(&line, now));
                Some(bare(&line))
            })
            .collect()
    }
}

impl Reported {
    fn new(line: &WorkloadProgress, now: Elapsed) -> Self {
        Self {
            done: line.waits_for.is_none(),
            waits: (line.waits_for.clone(), now),
            line: bare(line),
            at: now,
        }
    }

    fn news(&mut self, line: WorkloadProgress, now: Elapsed) -> Option<WorkloadProgress> {
        if !is_same_wait(self.waits.0.as_deref(), line.waits_for.as_deref()) {
            self.waits.1 = now;
        }
        self.waits.0.clone_from(&line.waits_for);
        let same = (self.line.ready, self.line.wanted) == (line.ready, line.wanted);
        let full = line.ready == line.wanted;
        let done = line.waits_for.is_none();
        let lasts = now.0.saturating_sub(self.waits.1.0) >= LASTS;
        let rested = now.0.saturating_sub(self.at.0) >= RESTS;
        let report = if self.done && !done {
            // A change that no pod has felt yet is none for people.
            (!same).then(|| bare(&line))
        } else if done && !self.done {
            self.done = true;
            (!same || self.line.waits_for.is_some()).then_some(line)
        } else if line.wanted != self.line.wanted
            || (line.ready > self.line.ready && (full || rested))
        {
            Some(bare(&line))
        } else if !done && lasts && self.is_news(&line, now) {
            Some(line)
        } else {
            None
        };
        if let Some(line) = &report {
            self.done = done;
            self.line = line.clone();
            self.at = now;
        }
        report
    }

    /// Whether what a workload waits for was not told yet, or is answered for the
    /// first time, or anew after a while.
    fn is_news(&self, line: &WorkloadProgress, now: Elapsed) -> bool {
        let (told, wait) = (self.line.waits_for.as_deref(), line.waits_for.as_deref());
        let had_answer = told.is_some_and(|told| told.contains(" ("));
        told != wait && (!is_same_wait(told, wait) || !had_answer || now.since(self.at) >= REPEATS)
    }
}

/// Whether two waits are for the same, whatever was answered meanwhile: a probe may
/// say the time of day.
fn is_same_wait(one: Option<&str>, other: Option<&str>) -> bool {
    fn without_answer(wait: &str) -> &str {
        wait.split_once(" (").map_or(wait, |(what, _)| what)
    }
    one.map(without_answer) == other.map(without_answer)
}

/// Without what it waits for.
fn bare(line: &WorkloadProgress) -> WorkloadProgress {
    WorkloadProgress {
        waits_for: None,
        ..line.clone()
    }
}

/// A line for each workload that has been applied, hooks too while they run.
pub(super) fn progress(cache: &ReleaseCache, now: Elapsed) -> Vec<(WorkloadRef, WorkloadProgress)> {
    cache
        .targets()
        .filter(|target| !cache.is_unwatchable(target))
        .filter_map(|target| Some((target.id.clone(), line(cache, target, now)?)))
        .collect()
}

fn line(cache: &ReleaseCache, target: &WatchTarget, now: Elapsed) -> Option<WorkloadProgress> {
    let readiness = target_readiness::of(cache, target);
    let current = cache.current_pods(&target.id);
    let (ready, wanted) = match (target.id.kind, cache.workload(&target.id)) {
        (WorkloadKind::PersistentVolumeClaim, _) => return None,
        (WorkloadKind::Pod, _) => (i32::from(readiness.is_ready()), current.first().map(|_| 1)?),
        (WorkloadKind::Job, Some(job)) => (job.updated, job.wanted),
        (_, Some(workload)) => (
            i32::try_from(current.iter().filter(|pod| pod.ready).count())
                .unwrap_or(i32::MAX)
                .min(workload.wanted),
            workload.wanted,
        ),
        (_, None) => return None,
    };
    let waits_for = match readiness {
        Readiness::Ready => unprobed::waits_for(cache, target, now),
        Readiness::Exempt(_) => None,
        Readiness::Missing(what) => Some(
            current
                .iter()
                .filter(|pod| !pod.ready)
                .find_map(|pod| of_pod(cache, pod))
                .unwrap_or(what),
        ),
    };
    Some(WorkloadProgress {
        name: target.id.name.clone(),
        ready,
        wanted,
        unit: match target.id.kind {
            WorkloadKind::Job => Unit::Completions,
            _ => Unit::ReadyPods,
        },
        waits_for,
    })
}
