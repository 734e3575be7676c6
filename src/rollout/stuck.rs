//! Pods of a `StatefulSet` that its controller will not replace.
//!
//! Pure. With `podManagementPolicy: OrderedReady` the controller waits for a pod that
//! is not ready before it turns to any other, also where that pod is of a revision that
//! is no longer wanted and cannot become ready
//! (`pkg/controller/statefulset/stateful_set_control.go`, kubernetes#67250). Somebody has
//! to delete it.

use super::cache::ReleaseCache;
use super::model::{Pod, PodPhase, PodPresence, Strategy, Workload};
use super::workload_ref::{NamespacedName, WorkloadKind, WorkloadRef};

/// A pod that is not ready, of a revision that is not wanted, and that its controller
/// does not replace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StuckPod {
    /// Which pod.
    pub pod: NamespacedName,
    /// Its uid: a precondition of its deletion, so that its successor is never deleted.
    pub uid: String,
    /// Its `StatefulSet`.
    pub workload: WorkloadRef,
    /// The revision it is of.
    pub revision: String,
    /// The revision that is wanted.
    pub wanted: String,
}

/// The pods of the release's `StatefulSet`s that are stuck, the lowest ordinal of each
/// first. Ask it of a cache that has seen what was applied; a pod that has just begun
/// to start is among them.
pub(super) fn stuck_pods(cache: &ReleaseCache) -> Vec<StuckPod> {
    cache
        .targets()
        .filter(|target| target.id.kind == WorkloadKind::StatefulSet)
        .filter_map(|target| cache.workload(&target.id))
        .flat_map(|workload| of(cache, workload))
        .collect()
}

fn of(cache: &ReleaseCache, workload: &Workload) -> Vec<StuckPod> {
    let Some(wanted) = workload.revision.as_ref().filter(|_| {
        workload.ordered
            && workload.strategy != Strategy::OnDelete
            && workload.observed >= workload.generation
            && !cache.is_outdated(workload)
    }) else {
        return Vec::new();
    };
    let mut stuck: Vec<(i32, StuckPod)> = cache
        .pods_of(&workload.id)
        .into_iter()
        .filter(|pod| waits(pod))
        .filter_map(|pod| {
            let ordinal = ordinal(workload, pod)?;
            let revision = pod.revision.clone()?;
            // Those below the partition keep the revision before.
            let is_unwanted = revision != *wanted && ordinal >= workload.partition;
            let stuck = StuckPod {
                pod: pod.key.clone(),
                uid: pod.uid.clone(),
                workload: workload.id.clone(),
                revision,
                wanted: wanted.clone(),
            };
            is_unwanted.then_some((ordinal, stuck))
        })
        .collect();
    stuck.sort_by_key(|(ordinal, _)| *ordinal);
    stuck.into_iter().map(|(_, pod)| pod).collect()
}

/// Whether the controller waits for a pod: one that has failed or succeeded it
/// replaces, and one that is being deleted is on its way out.
fn waits(pod: &Pod) -> bool {
    pod.presence == PodPresence::Here
        && !pod.ready
        && !matches!(pod.phase, PodPhase::Failed | PodPhase::Succeeded)
}

fn ordinal(workload: &Workload, pod: &Pod) -> Option<i32> {
    let rest = pod.key.name.strip_prefix(&workload.id.name)?;
    rest.strip_prefix('-')?.parse().ok()
}
