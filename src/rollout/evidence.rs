//! What is lost when things are undone, gathered before: how the pods stand, what was
//! said of them, and the ends of their logs.
//!
//! Bounded in time and size. Everything in it is escaped. Logs may hold secrets:
//! they are kept apart, for whoever prints them to decide.

use futures::future::join_all;

use super::cache::ReleaseCache;
use super::cause::{Cause, TerminalFailure};
use super::logs::{Log, fetch};
use super::model::{ContainerStatus, Kind, Pod, PodPresence, State};
use super::readiness;
use super::rules::START_FORMAT;
use super::watcher::RolloutWatcher;
use crate::text;

/// How many pods are looked at.
const PODS: usize = 3;

/// How many events are shown of one object.
const EVENTS: usize = 8;

/// What stood there before anything was undone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// How the pods stand and what was said of them, one safe line each.
    pub lines: Vec<String>,
    /// The ends of logs, escaped.
    pub logs: Vec<Log>,
}

impl Evidence {
    /// The ends of logs as lines, each log under a heading. They may hold secrets.
    pub fn log_lines(&self) -> Vec<String> {
        let logs = self.logs.iter().flat_map(|log| {
            let run = if log.previous { ", the run before" } else { "" };
            let title = format!(
                "log of container {} of {}{run}:",
                text::line(&log.container, text::VALUE),
                text::line(&log.pod.1, text::VALUE)
            );
            std::iter::once(title).chain(log.lines.iter().map(|line| format!("  {line}")))
        });
        logs.collect()
    }
}

/// Gathers evidence for a failure, or, where time is up, for all that is not ready.
/// Takes at most a few seconds. A log may tell more than the cluster did: the failure's
/// cause is made the better of both.
pub async fn gather(watch: &RolloutWatcher, failure: Option<&mut TerminalFailure>) -> Evidence {
    let world = watch.world();
    let pods = failure
        .as_deref()
        .map_or_else(|| unready(world), |failure| of_doom(world, failure));
    let mut lines: Vec<String> = failure
        .as_deref()
        .map(TerminalFailure::lines)
        .unwrap_or_default();
    if let Some(failure) = failure.as_deref() {
        lines.extend(events_of_owner(world, failure));
    }
    lines.extend(pods.iter().flat_map(|pod| of_pod(world, pod)));
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
    let logs = join_all(wanted.map(|(pod, container)| of_container(watch, pod, container)))
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
    let says = |log: &Log| log.lines.iter().any(|line| line.ends_with(START_FORMAT));
    if matches!(
        failure.cause,
        Cause::CrashLoop { .. } | Cause::JobFailed | Cause::PodFailed
    ) && logs.iter().any(says)
    {
        failure.cause = Cause::WrongPlatform;
    }
}

fn of_doom<'a>(world: &'a ReleaseCache, failure: &TerminalFailure) -> Vec<&'a Pod> {
    let mut pods = world.pods_of(&failure.workload);
    if let Some(workload) = world.workload(&failure.workload) {
        pods.retain(|pod| world.is_current(workload, pod));
    }
    pods.sort_by_key(|pod| (Some(&pod.place) != failure.pod.as_ref(), pod.ready));
    pods.truncate(PODS);
    pods
}

fn unready(world: &ReleaseCache) -> Vec<&Pod> {
    let missing = world.targets().filter(|target| {
        matches!(
            readiness::of_target(world, target),
            readiness::Readiness::Missing(_)
        )
    });
    missing
        .flat_map(|target| {
            let workload = world.workload(&target.id);
            let mut pods = world.pods_of(&target.id);
            pods.retain(|pod| {
                !pod.ready
                    && pod.presence == PodPresence::Here
                    && workload.is_none_or(|workload| world.is_current(workload, pod))
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
        .is_none_or(|place| *place == pod.place || failure.workload.kind == Kind::Job)
        && failure
            .container
            .as_ref()
            .is_none_or(|name| *name == container.name)
}

const fn has_log(container: &ContainerStatus) -> bool {
    !matches!(container.state, State::Waiting { .. }) || container.last.is_some()
}

async fn of_container(watch: &RolloutWatcher, pod: &Pod, container: &ContainerStatus) -> Vec<Log> {
    let (client, place, name) = (watch.client(), &pod.place, container.name.as_str());
    let followed: Vec<Log> = watch
        .logs()
        .of(place)
        .into_iter()
        .filter(|log| log.container == name)
        .collect();
    if pod.presence == PodPresence::Gone {
        return followed;
    }
    let (before, now) = tokio::join!(
        async {
            if container.last.is_some() {
                fetch(client, place, name, true).await
            } else {
                None
            }
        },
        fetch(client, place, name, false),
    );
    let fetched: Vec<Log> = before.into_iter().chain(now).collect();
    if fetched.is_empty() {
        followed
    } else {
        fetched
    }
}

/// How a pod stands: a line for it and for each of its containers, then its events.
fn of_pod(world: &ReleaseCache, pod: &Pod) -> Vec<String> {
    let name = text::line(&pod.place.1, text::VALUE);
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
    lines.extend(last_events(world, "Pod", &pod.place, &pod.uid));
    lines
}

fn events_of_owner(world: &ReleaseCache, failure: &TerminalFailure) -> Vec<String> {
    let place = (
        failure.workload.namespace.clone(),
        failure.workload.name.clone(),
    );
    let Some(workload) = world.workload(&failure.workload) else {
        let uid = world
            .claims
            .get(&place)
            .map_or("", |claim| claim.uid.as_str());
        return last_events(world, failure.workload.kind.name(), &place, uid);
    };
    match world
        .current_replica_set(workload)
        .filter(|_| failure.workload.kind == Kind::Deployment)
    {
        Some(set) => last_events(world, "ReplicaSet", &set.place, &set.uid),
        None => last_events(world, failure.workload.kind.name(), &place, &workload.uid),
    }
}

fn last_events(
    world: &ReleaseCache,
    kind: &str,
    place: &super::model::NamespacedName,
    uid: &str,
) -> Vec<String> {
    let events = world.events_on(kind, place, uid);
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
