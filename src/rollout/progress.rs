//! What the release waits for, in words, while it rolls out.
//!
//! Pure. A line changes only when something changes; no ages, no counts that
//! tick.

use std::collections::BTreeMap;
use std::time::Duration;

use super::cache::ReleaseCache;
use super::model::{ContainerStatus, Elapsed, Pod, PodPhase, PodPresence, Role, State};
use super::readiness::{self, Readiness};
use super::target::WatchTarget;
use super::workload_ref::{WorkloadKind, WorkloadRef};
use crate::event::{Unit, WorkloadProgress};
use crate::text;

/// The longest reason shown in a line of progress, in characters.
const REASON: usize = 160;

/// What a workload waits for is reported once it has lasted so long.
const LASTS: Duration = Duration::from_secs(3);

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
        if self.waits.0 != line.waits_for {
            self.waits = (line.waits_for.clone(), now);
        }
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
        } else if !done && lasts && self.line.waits_for != line.waits_for {
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
}

/// Without what it waits for.
fn bare(line: &WorkloadProgress) -> WorkloadProgress {
    WorkloadProgress {
        waits_for: None,
        ..line.clone()
    }
}

/// A line for each workload that has been applied, hooks too while they run.
pub(super) fn progress(cache: &ReleaseCache) -> Vec<(WorkloadRef, WorkloadProgress)> {
    cache
        .targets()
        .filter(|target| !cache.is_unwatchable(target))
        .filter_map(|target| Some((target.id.clone(), line(cache, target)?)))
        .collect()
}

fn line(cache: &ReleaseCache, target: &WatchTarget) -> Option<WorkloadProgress> {
    let readiness = readiness::of_target(cache, target);
    let current = current_pods(cache, target);
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
        Readiness::Ready | Readiness::Exempt(_) => None,
        Readiness::Missing(what) => Some(
            current
                .iter()
                .filter(|pod| !pod.ready)
                .find_map(|pod| need(cache, pod))
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

pub(super) fn current_pods<'a>(cache: &'a ReleaseCache, target: &WatchTarget) -> Vec<&'a Pod> {
    let workload = cache.workload(&target.id);
    let mut pods = cache.pods_of(&target.id);
    pods.retain(|pod| {
        pod.presence == PodPresence::Here
            && workload.is_none_or(|workload| cache.is_current(workload, pod))
    });
    pods
}

/// What a pod waits for, in a few words.
fn need(cache: &ReleaseCache, pod: &Pod) -> Option<String> {
    if let Some((_, message)) = &pod.unscheduled {
        return Some(format!("a node ({})", short(message)));
    }
    if let Some(event) = cache
        .events_on_pod(pod)
        .into_iter()
        .rfind(|event| event.reason == "FailedMount" && !event.message.contains("failed to sync"))
        && pod.containers.iter().all(|container| {
            container.last.is_none() && matches!(container.state, State::Waiting { .. })
        })
    {
        return Some(format!("a volume ({})", short(&event.message)));
    }
    pod.containers
        .iter()
        .find_map(|container| need_of(cache, pod, container))
}

fn need_of(cache: &ReleaseCache, pod: &Pod, container: &ContainerStatus) -> Option<String> {
    let name = text::line(&container.name, text::VALUE);
    match &container.state {
        State::Waiting { reason, .. } if reason == "CrashLoopBackOff" => Some(format!(
            "container {name} to start again{}",
            ending(container)
        )),
        State::Waiting { reason, .. }
            if matches!(
                reason.as_str(),
                "" | "ContainerCreating" | "PodInitializing"
            ) =>
        {
            let events = cache.events_on_pod(pod);
            let of_it = events
                .iter()
                .rfind(|event| event.field.contains(&format!("{{{}}}", container.name)));
            Some(match of_it.map(|event| event.reason.as_str()) {
                Some("Pulling") => format!("container {name} to get its image"),
                _ if reason == "PodInitializing" => "its init containers".to_owned(),
                _ => format!("container {name} to start"),
            })
        }
        State::Waiting { reason, .. } => Some(format!("container {name}: {}", short(reason))),
        State::Terminated(_)
            if pod.phase == PodPhase::Succeeded || container.role != Role::Main =>
        {
            None
        }
        // A run of a Job that is done; the pod's phase follows in a moment.
        State::Terminated(end) if end.code == 0 && !pod.restarts_always => None,
        State::Terminated(_) if pod.phase == PodPhase::Failed => Some(format!(
            "another try, container {name} failed{}",
            ending(container)
        )),
        State::Terminated(_) => Some(format!(
            "container {name} to start again{}",
            ending(container)
        )),
        State::Running if container.role == Role::Init => {
            Some(format!("init container {name} to end"))
        }
        State::Running if !container.ready => Some(match last_answer(cache, pod, container) {
            Some(answer) => format!("container {name} to be ready ({})", short(&answer)),
            None => format!("container {name} to be ready"),
        }),
        State::Running => None,
    }
}

pub(super) fn ending(container: &ContainerStatus) -> String {
    let end = match &container.state {
        State::Terminated(end) => Some(end),
        _ => container.last.as_ref(),
    };
    end.map(|end| {
        format!(
            " (restarts: {}, last exit code {})",
            container.restarts, end.code
        )
    })
    .unwrap_or_default()
}

/// What the container's probe last said.
pub(super) fn last_answer(
    cache: &ReleaseCache,
    pod: &Pod,
    container: &ContainerStatus,
) -> Option<String> {
    let field = format!("{{{}}}", container.name);
    let events = cache.events_on_pod(pod);
    events
        .into_iter()
        .rfind(|event| {
            event.reason == "Unhealthy" && (event.field.is_empty() || event.field.contains(&field))
        })
        .map(|event| event.message.clone())
}

pub(super) fn short(message: &str) -> String {
    text::line(message, REASON).into_owned()
}
