//! What is lost when things are undone, gathered before: the state of the pods, what was
//! said of them, and the ends of their logs.
//!
//! Bounded in time and size. Everything in it is escaped. Logs may hold secrets:
//! they are kept apart, for whoever prints them to decide.

use futures::future::join_all;
use kube::Client;

use super::cache::ReleaseCache;
use super::cause::{Cause, TerminalFailure};
use super::logs::{Log, Logs, fetch};
use super::model::{ContainerStatus, KubeEvent, Pod, PodPresence, State};
use super::readiness::Readiness;
use super::runtime_messages::EXEC_FORMAT_ERROR;
use super::target_readiness;
use super::workload_ref::{GroupKind, WorkloadKind};
use crate::error::Problem;
use crate::text;

/// How many pods are looked at.
const PODS: usize = 3;

/// How many events are shown of one object.
const EVENTS: usize = 8;

/// What stood there before anything was undone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// The state of the pods and what was said of them, one safe line each.
    pub lines: Vec<String>,
    /// The ends of logs, escaped.
    pub logs: Vec<Log>,
}

impl Evidence {
    /// The lines that are news: without the events of every good start.
    pub fn news(&self) -> impl Iterator<Item = String> + '_ {
        let news = self.lines.iter().filter(|line| !is_routine(line));
        news.cloned()
    }

    /// The ends of logs as lines, each log under a heading. They may hold secrets.
    pub fn log_lines(&self) -> Vec<String> {
        self.logs
            .iter()
            .flat_map(|log| titled(log, usize::MAX))
            .collect()
    }

    /// The same, without logs that say what another one says, and at most `max`
    /// lines in all but for the headings.
    pub fn log_ends(&self, max: usize) -> Vec<String> {
        let repeats = |at: usize, log: &Log| {
            let others = self.logs.iter().enumerate();
            others
                .filter(|(other, _)| *other != at)
                .any(|(other_at, other)| {
                    let is_longer = other.lines.len() > log.lines.len();
                    other.lines.starts_with(&log.lines) && (is_longer || other_at > at)
                })
        };
        let logs = self.logs.iter().enumerate();
        let told: Vec<&Log> = logs
            .filter(|(at, log)| !log.lines.is_empty() && !repeats(*at, log))
            .map(|(_, log)| log)
            .collect();
        let share = max / told.len().max(1);
        told.into_iter()
            .flat_map(|log| titled(log, share))
            .collect()
    }
}

/// The end of a log under its heading.
fn titled(log: &Log, max: usize) -> impl Iterator<Item = String> + '_ {
    let run = if log.previous { ", the run before" } else { "" };
    let title = format!(
        "log of container {} of pod {}{run}:",
        text::line(&log.container, text::VALUE),
        text::line(&log.pod.name, text::VALUE)
    );
    let end = &log.lines[log.lines.len().saturating_sub(max)..];
    std::iter::once(title).chain(end.iter().map(|line| format!("  {line}")))
}

/// Whether a line of [`last_events`] tells what every pod goes through, or what
/// the line of its container says already.
fn is_routine(line: &str) -> bool {
    let event = line
        .strip_prefix("  ")
        .and_then(|line| line.split_once(" ("));
    let Some((reason, rest)) = event else {
        return false;
    };
    match reason {
        "SuccessfulCreate" | "SuccessfulDelete" | "ScalingReplicaSet" | "Scheduled" | "Pulling"
        | "Pulled" | "Created" | "Started" => true,
        // pkg/kubelet/kuberuntime/kuberuntime_manager.go
        "BackOff" => rest.contains("Back-off restarting failed container"),
        _ => false,
    }
}

impl TerminalFailure {
    /// What is told of this failure. Logs are not in it: whether they may be shown is
    /// not known here.
    pub fn problem(&self, evidence: &Evidence) -> Problem {
        Problem::new(self.headline())
            .details(evidence.news())
            .hint(self.hint())
    }
}

/// Gathers evidence for a failure, or, where time is up, for all that is not ready.
/// Takes at most a few seconds. A log may tell more than the cluster did: the failure's
/// cause is made the better of both.
pub async fn gather(
    cache: &ReleaseCache,
    logs: &Logs,
    client: &Client,
    failure: Option<&mut TerminalFailure>,
) -> Evidence {
    let pods = failure
        .as_deref()
        .map_or_else(|| unready(cache), |failure| pods_of_failure(cache, failure));
    let mut lines: Vec<String> = failure
        .as_deref()
        .map(TerminalFailure::lines)
        .unwrap_or_default();
    if let Some(failure) = failure.as_deref() {
        lines.extend(events_of_owner(cache, failure));
    }
    lines.extend(pods.iter().flat_map(|pod| of_pod(cache, pod)));
    let mut seen = std::collections::BTreeSet::new();
    lines.retain(|line| seen.insert(line.clone()));
    let wanted = pods.iter().flat_map(|pod| {
        pod.containers
            .iter()
            .map(move |container| (*pod, container))
    });
    let wanted = wanted.filter(|(pod, container)| {
        has_log(container)
            && failure
                .as_deref()
                .is_none_or(|failure| concerns(failure, pod, container))
    });
    let logs = join_all(wanted.map(|(pod, container)| of_container(logs, client, pod, container)))
        .await
        .into_iter()
        .flatten()
        .collect();
    let evidence = Evidence { lines, logs };
    if let Some(failure) = failure {
        refine(failure, &evidence.logs);
    }
    evidence
}

/// A program for another platform starts under runc, and says so in its log alone.
fn refine(failure: &mut TerminalFailure, logs: &[Log]) {
    let says = |log: &Log| {
        log.lines
            .iter()
            .any(|line| line.ends_with(EXEC_FORMAT_ERROR))
    };
    if matches!(
        failure.cause,
        Cause::CrashLoop { .. } | Cause::JobFailed | Cause::PodFailed
    ) && logs.iter().any(says)
    {
        failure.cause = Cause::WrongPlatform;
    }
}

fn pods_of_failure<'a>(cache: &'a ReleaseCache, failure: &TerminalFailure) -> Vec<&'a Pod> {
    let mut pods = cache.pods_of(&failure.workload);
    if let Some(workload) = cache.workload(&failure.workload) {
        pods.retain(|pod| cache.is_current(workload, pod));
    }
    pods.sort_by_key(|pod| (Some(&pod.key) != failure.pod.as_ref(), pod.ready));
    pods.truncate(PODS);
    pods
}

fn unready(cache: &ReleaseCache) -> Vec<&Pod> {
    let missing = cache
        .targets()
        .filter(|target| matches!(target_readiness::of(cache, target), Readiness::Missing(_)));
    missing
        .flat_map(|target| {
            let workload = cache.workload(&target.id);
            let mut pods = cache.pods_of(&target.id);
            pods.retain(|pod| {
                !pod.ready
                    && pod.presence == PodPresence::Here
                    && workload.is_none_or(|workload| cache.is_current(workload, pod))
            });
            pods.truncate(PODS);
            pods
        })
        .collect()
}

/// Whether a container's log may tell about the failure.
fn concerns(failure: &TerminalFailure, pod: &Pod, container: &ContainerStatus) -> bool {
    failure
        .pod
        .as_ref()
        .is_none_or(|key| *key == pod.key || failure.workload.kind == WorkloadKind::Job)
        && failure
            .container
            .as_ref()
            .is_none_or(|name| *name == container.name)
}

const fn has_log(container: &ContainerStatus) -> bool {
    !matches!(container.state, State::Waiting { .. }) || container.last.is_some()
}

async fn of_container(
    logs: &Logs,
    client: &Client,
    pod: &Pod,
    container: &ContainerStatus,
) -> Vec<Log> {
    let (key, name) = (&pod.key, container.name.as_str());
    let followed: Vec<Log> = logs
        .of(key)
        .into_iter()
        .filter(|log| log.container == name)
        .collect();
    if pod.presence == PodPresence::Gone {
        return followed;
    }
    let (before, now) = tokio::join!(
        async {
            if container.last.is_some() {
                fetch(client, key, name, true).await
            } else {
                None
            }
        },
        fetch(client, key, name, false),
    );
    let fetched: Vec<Log> = before.into_iter().chain(now).collect();
    if fetched.is_empty() {
        followed
    } else {
        fetched
    }
}

/// The state of a pod: a line for it and for each of its containers, then its events.
fn of_pod(cache: &ReleaseCache, pod: &Pod) -> Vec<String> {
    let name = text::line(&pod.key.name, text::VALUE);
    let node = pod
        .node
        .as_ref()
        .map(|node| format!(" on {}", text::line(node, text::VALUE)))
        .unwrap_or_default();
    let why = [pod.reason.as_str(), pod.message.as_str()]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(": ");
    let why = if why.is_empty() {
        why
    } else {
        format!(": {}", text::line(&why, text::LINE))
    };
    let mut lines = vec![format!(
        "pod {name}{node} is {}{why}",
        if pod.ready { "ready" } else { "not ready" }
    )];
    for container in &pod.containers {
        let state = match &container.state {
            State::Running if container.ready => "runs and is ready".to_owned(),
            State::Running => "runs and is not ready".to_owned(),
            State::Waiting { reason, .. } if reason.is_empty() => "waits".to_owned(),
            // pkg/kubelet/kuberuntime/kuberuntime_manager.go: "back-off 10s restarting
            // failed container=api pod=…": the line says that already.
            State::Waiting { reason, message }
                if message.contains("restarting failed container") =>
            {
                format!("waits: {}", text::line(reason, text::VALUE))
            }
            State::Waiting { reason, message } => format!(
                "waits: {}",
                text::line(&format!("{reason} {message}"), text::LINE)
            ),
            State::Terminated(end) => format!(
                "ended with exit code {} {}",
                end.code,
                text::line(&end.reason, text::VALUE)
            ),
        };
        let last = container.last.as_ref().map(|end| {
            format!(
                ", before that it ended with exit code {} {}",
                end.code,
                text::line(&end.reason, text::VALUE)
            )
        });
        lines.push(format!(
            "  container {} {state}{} (restarts: {})",
            text::line(&container.name, text::VALUE),
            last.unwrap_or_default(),
            container.restarts
        ));
    }
    lines.extend(last_events(&cache.events_on_pod(pod)));
    lines
}

fn events_of_owner(cache: &ReleaseCache, failure: &TerminalFailure) -> Vec<String> {
    let (kind, key) = (
        failure.workload.kind.group_kind(),
        failure.workload.namespaced_name(),
    );
    let Some(workload) = cache.workload(&failure.workload) else {
        let uid = cache.claims.get(&key).map_or("", |claim| &claim.uid);
        return last_events(&cache.events_on(kind, &key, uid));
    };
    let events = match cache
        .current_replica_set(workload)
        .filter(|_| failure.workload.kind == WorkloadKind::Deployment)
    {
        Some(set) => cache.events_on(GroupKind::REPLICA_SET, &set.key, &set.uid),
        None => cache.events_on(kind, &key, &workload.uid),
    };
    last_events(&events)
}

fn last_events(events: &[&KubeEvent]) -> Vec<String> {
    events[events.len().saturating_sub(EVENTS)..]
        .iter()
        .map(|event| {
            format!(
                "  {} ({}×): {}",
                text::line(&event.reason, text::VALUE),
                event.count,
                text::line(&event.message, text::LINE)
            )
        })
        .collect()
}

#[cfg(test)]
#[path = "evidence_tests.rs"]
mod tests;
