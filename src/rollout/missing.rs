//! Which wanted pods of a workload are missing, and why.
//!
//! Pure.

use super::cache::ReleaseCache;
use super::model::{ContainerStatus, Pod, PodPhase, PodPresence, State, Workload};
use super::need;
use super::workload_ref::WorkloadKind;

/// Why pods of a workload are missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Shortage {
    /// How many of the wanted pods are not available.
    pub(super) missing: i32,
    /// The known causes, one for each pod.
    pub(super) causes: Vec<String>,
}

impl Shortage {
    pub(super) fn of(cache: &ReleaseCache, workload: &Workload) -> Self {
        let missing = missing(workload);
        let causes = if missing == 0 {
            Vec::new()
        } else {
            let stuck = stuck(cache, workload);
            stuck.into_iter().map(|one| one.key).collect()
        };
        Self { missing, causes }
    }
}

/// A pod that is missing, and why.
#[derive(Debug)]
pub(super) struct Stuck<'a> {
    /// None where it could not be created.
    pub(super) pod: Option<&'a Pod>,
    /// The cause without what differs from pod to pod and from day to day.
    pub(super) key: String,
    /// The cause, safe to show.
    pub(super) shown: String,
}

/// How many of the wanted pods are not available.
pub(super) fn missing(workload: &Workload) -> i32 {
    let there = match workload.id.kind {
        WorkloadKind::Deployment | WorkloadKind::DaemonSet => workload.available,
        WorkloadKind::StatefulSet => workload.ready,
        _ => workload.wanted,
    };
    workload.wanted.saturating_sub(there).max(0)
}

/// The missing pods whose cause is known.
pub(super) fn stuck<'a>(cache: &'a ReleaseCache, workload: &'a Workload) -> Vec<Stuck<'a>> {
    let pods = cache.pods_of(&workload.id).into_iter().filter(|pod| {
        pod.presence == PodPresence::Here
            && !pod.ready
            && !matches!(pod.phase, PodPhase::Failed | PodPhase::Succeeded)
            && cache.is_current(workload, pod)
    });
    let mut all: Vec<Stuck<'a>> = pods.filter_map(|pod| stuck_pod(cache, pod)).collect();
    if let Some(set) = cache.current_replica_set(workload)
        && let Some(refusal) = &set.failure
    {
        let why = refusal
            .split_once(" is forbidden: ")
            .map_or(refusal.as_str(), |(_, why)| why);
        let refused = set.wanted.saturating_sub(set.total).max(0);
        all.extend((0..refused).map(|_| Stuck {
            pod: None,
            key: without_numbers(why),
            shown: need::short(why),
        }));
    }
    all
}

fn stuck_pod<'a>(cache: &ReleaseCache, pod: &'a Pod) -> Option<Stuck<'a>> {
    let what = need::of_pod(cache, pod)?;
    let key = match &pod.unscheduled {
        Some((reason, message)) if reason == "Unschedulable" => without_numbers(message),
        Some(_) => return None,
        None => pod
            .containers
            .iter()
            .find_map(|container| cause(cache, pod, container))?,
    };
    Some(Stuck {
        pod: Some(pod),
        key,
        shown: what,
    })
}

/// Why a container keeps its pod from being ready; none where it may only have begun.
fn cause(cache: &ReleaseCache, pod: &Pod, container: &ContainerStatus) -> Option<String> {
    let name = &container.name;
    let ended = |code: i32| Some(format!("{name} ends with {code}"));
    match &container.state {
        State::Waiting { reason, .. } if reason == "CrashLoopBackOff" => {
            ended(container.last.as_ref()?.code)
        }
        State::Terminated(end) if end.code != 0 => ended(end.code),
        State::Waiting { reason, .. }
            if matches!(
                reason.as_str(),
                "" | "ContainerCreating" | "PodInitializing"
            ) =>
        {
            None
        }
        State::Waiting { reason, .. }
            if matches!(reason.as_str(), "ErrImagePull" | "ImagePullBackOff") =>
        {
            Some(format!("{name} pulls its image"))
        }
        State::Waiting { reason, .. } => Some(format!("{name} waits: {reason}")),
        State::Running if !container.ready => {
            let answer = need::last_answer(cache, pod, container)?;
            Some(format!("{name} answers: {}", without_numbers(&answer)))
        }
        State::Running | State::Terminated(_) => None,
    }
}

/// Numbers count nodes, name addresses or tell the time.
fn without_numbers(message: &str) -> String {
    message
        .chars()
        .filter(|character| !character.is_ascii_digit())
        .collect()
}
