//! Which images the pods of a release run. What Jobs and bare pods ran is noted as the
//! watch brings it, since helm deletes hooks, and what has ended may be collected before
//! anybody asks.
//!
//! Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::model::Pod;
use super::target::WatchTarget;
use super::timeline::Timeline;
use super::workload_ref::{WorkloadKind, WorkloadRef};

/// A container's image, as its pod asks for it and as the kubelet names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RanImage {
    /// The container.
    pub container: String,
    /// What its pod asks for.
    pub image: String,
    /// What the kubelet names it (`imageID`).
    pub image_id: String,
}

/// The images of each Job and bare pod.
#[derive(Clone, Debug, Default)]
pub(super) struct RanImages(BTreeMap<WorkloadRef, BTreeSet<RanImage>>);

impl RanImages {
    /// Notes what a target's pod runs. One that was there when the watch began, or whose
    /// Job was, is of an earlier run; but for a bare pod that is no hook and stays.
    pub(super) fn note(&mut self, target: &WatchTarget, pod: &Pod, timeline: &Timeline) {
        let is_new = !timeline.was_there(&pod.uid);
        let of_this_run = match (target.id.kind, &pod.owner) {
            (WorkloadKind::Job, Some(job)) => is_new && !timeline.was_there(&job.uid),
            (WorkloadKind::Pod, _) => is_new || !target.hook,
            _ => false,
        };
        if !of_this_run {
            return;
        }
        let ran = self.0.entry(target.id.clone()).or_default();
        ran.extend(images(pod));
    }

    pub(super) fn of(&self, workload: &WorkloadRef) -> impl Iterator<Item = &RanImage> {
        self.0.get(workload).into_iter().flatten()
    }
}

/// The images of a pod's containers, as far as its kubelet has named them.
pub(super) fn images(pod: &Pod) -> impl Iterator<Item = RanImage> {
    let containers = pod.containers.iter();
    let named = containers.filter(|container| !container.image_id.is_empty());
    named.map(|container| RanImage {
        container: container.name.clone(),
        image: container.image.clone(),
        image_id: container.image_id.clone(),
    })
}
