//! Which images the pods run that a workload keeps, as far as the watch has shown them.
//!
//! Pure.

use std::collections::BTreeSet;

use super::cache::ReleaseCache;
use super::model::Pod;
use super::ran::{RanImage, images};
use super::workload_ref::{WorkloadKind, WorkloadRef};

impl ReleaseCache {
    /// The images of the pods that a Deployment, `StatefulSet` or `DaemonSet` keeps; none
    /// where not all that it wants have been seen with theirs.
    pub fn kept_images(&self, workload: &WorkloadRef) -> Option<BTreeSet<RanImage>> {
        if matches!(workload.kind, WorkloadKind::Job | WorkloadKind::Pod) {
            return None;
        }
        let wanted = self.workload(workload)?.wanted;
        let pods = self.current_pods(workload);
        let is_named = |pod: &&Pod| images(pod).count() == pod.containers.len();
        let all = usize::try_from(wanted).is_ok_and(|wanted| pods.len() >= wanted);
        (all && pods.iter().all(is_named)).then(|| pods.into_iter().flat_map(images).collect())
    }
}
