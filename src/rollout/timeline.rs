//! When what was seen came to be as it is, by the watch's own clock.
//!
//! Pure. The clocks of nodes and API server are never compared with it: what counts is
//! when a watch brought a change.

use std::collections::BTreeMap;

use super::model::{ContainerStatus, Elapsed, Pod, Workload};
use super::readiness::{self, Readiness};
use super::workload_ref::{WorkloadKind, WorkloadRef};

/// A container of a pod, by the pod's uid.
type ContainerKey = (String, String);

/// When the pods of a release and their containers came to be as they are.
#[derive(Clone, Debug, Default)]
pub(super) struct Timeline {
    /// When each pod, and each Job, was first seen, by its uid.
    seen: BTreeMap<String, Elapsed>,
    /// When each pod was seen to become ready, by its uid.
    ready: BTreeMap<String, Elapsed>,
    /// When each container was seen to become ready without a restart before.
    up: BTreeMap<ContainerKey, Elapsed>,
    /// How often each container has been restarted, and when that was first seen.
    starts: BTreeMap<ContainerKey, (u32, Elapsed)>,
    /// When each Job was seen to be complete.
    complete: BTreeMap<WorkloadRef, Elapsed>,
    /// Since when each workload has been Ready, and with which revision.
    steady: BTreeMap<WorkloadRef, (Option<String>, Elapsed)>,
}

impl Timeline {
    /// Notes what is new about a pod that was known as `before`.
    pub(super) fn note_pod(&mut self, before: Option<&Pod>, pod: &Pod, now: Elapsed) {
        let before = before.filter(|before| before.uid == pod.uid);
        self.seen.entry(pod.uid.clone()).or_insert(now);
        if pod.ready && !before.is_some_and(|before| before.ready) {
            self.ready.insert(pod.uid.clone(), now);
        }
        for container in &pod.containers {
            let key = || (pod.uid.clone(), container.name.clone());
            if container.ready && container.restarts == 0 {
                self.up.entry(key()).or_insert(now);
            }
            if container.restarts > 0 {
                let start = self.starts.entry(key()).or_insert((0, now));
                if start.0 != container.restarts {
                    *start = (container.restarts, now);
                }
            }
        }
    }

    /// Notes what is new about a workload.
    pub(super) fn note_workload(&mut self, workload: &Workload, now: Elapsed) {
        let known = self.steady.get(&workload.id);
        if readiness::of(workload) != Readiness::Ready {
            self.steady.remove(&workload.id);
        } else if known.is_none_or(|(revision, _)| *revision != workload.revision) {
            let since = (workload.revision.clone(), now);
            self.steady.insert(workload.id.clone(), since);
        }
        if workload.id.kind != WorkloadKind::Job {
            return;
        }
        self.seen.entry(workload.uid.clone()).or_insert(now);
        if workload.condition("Complete").is_some() {
            self.complete.entry(workload.id.clone()).or_insert(now);
        }
    }

    /// Since when a workload has been Ready; none where it was so at the watch's start, or
    /// is not.
    pub(super) fn ready_since(&self, workload: &WorkloadRef) -> Option<Elapsed> {
        let (_, at) = self.steady.get(workload)?;
        Some(*at).filter(|at| *at > Elapsed::default())
    }

    /// When a pod or a Job was first seen, by its uid.
    pub(super) fn seen(&self, uid: &str) -> Elapsed {
        self.seen.get(uid).copied().unwrap_or_default()
    }

    /// Whether a pod or a Job was there when the watch began, by its uid.
    pub(super) fn was_there(&self, uid: &str) -> bool {
        self.seen.get(uid) == Some(&Elapsed::default())
    }

    /// When a container's last run began, at the latest.
    pub(super) fn last_start(&self, pod: &Pod, container: &ContainerStatus) -> Elapsed {
        self.starts
            .get(&(pod.uid.clone(), container.name.clone()))
            .map_or_else(|| self.seen(&pod.uid), |(_, at)| *at)
    }

    /// When a pod became ready; none where it was so at the watch's start, or is not.
    pub(super) fn became_ready(&self, pod: &Pod) -> Option<Elapsed> {
        let at = self.ready.get(&pod.uid).copied();
        at.filter(|at| pod.ready && *at > Elapsed::default())
    }

    /// When a container that never restarted became ready; none where it was so at the
    /// watch's start, or is not.
    pub(super) fn came_up(&self, pod: &Pod, container: &ContainerStatus) -> Option<Elapsed> {
        let key = (pod.uid.clone(), container.name.clone());
        let at = self.up.get(&key).copied();
        at.filter(|at| container.ready && container.restarts == 0 && *at > Elapsed::default())
    }

    /// When the present run of a container was seen to begin; none where it ran at the
    /// watch's start, or was not seen to run yet.
    pub(super) fn runs_since(&self, pod: &Pod, container: &ContainerStatus) -> Option<Elapsed> {
        if container.restarts == 0 {
            return self.came_up(pod, container);
        }
        let (_, at) = self
            .starts
            .get(&(pod.uid.clone(), container.name.clone()))?;
        Some(*at).filter(|at| *at > Elapsed::default())
    }

    /// When a Job was seen to be complete; none where it was so at the watch's start.
    pub(super) fn completed(&self, job: &WorkloadRef) -> Option<Elapsed> {
        let at = self.complete.get(job).copied();
        at.filter(|at| *at > Elapsed::default())
    }
}
