//! What an object belongs to, as far as names and owners tell.
//!
//! Pure. An owner's group and kind are compared, never the kind alone.

use super::model::Pod;
use super::workload_ref::{GroupKind, NamespacedName, WorkloadKind, WorkloadRef};

/// Generated names keep this much of what they are made from
/// (`maxGeneratedNameLength` of `k8s.io/apiserver/pkg/storage/names`).
const GENERATED_PREFIX: usize = 58;

/// What the names of all pods of a workload begin with.
pub(super) fn prefix(workload: &str) -> &str {
    workload.get(..GENERATED_PREFIX).unwrap_or(workload)
}

/// The workload that a pod belongs to, as far as its owner's name tells; none where
/// its owner is of a group and kind that is not waited for.
pub(super) fn workload_of(pod: &Pod) -> Option<WorkloadRef> {
    let (kind, name) = match &pod.owner {
        None => (WorkloadKind::Pod, pod.key.name.as_str()),
        Some(owner) if GroupKind::REPLICA_SET.is_of(&owner.object) => {
            let (deployment, _hash) = owner.object.name.rsplit_once('-')?;
            (WorkloadKind::Deployment, deployment)
        }
        Some(owner) => match WorkloadKind::of(&owner.object)? {
            // Neither is made by a Deployment itself, nor by a pod or a claim.
            WorkloadKind::Deployment | WorkloadKind::Pod | WorkloadKind::PersistentVolumeClaim => {
                return None;
            }
            kind => (kind, owner.object.name.as_str()),
        },
    };
    let name = NamespacedName::new(&pod.key.namespace, name);
    Some(WorkloadRef::new(kind, name))
}

/// Whether a name may have been made from a workload's.
pub(super) fn made_from(name: &str, workload: &str) -> bool {
    match workload.get(..GENERATED_PREFIX) {
        Some(cut) if workload.len() > GENERATED_PREFIX => name.starts_with(cut),
        _ => name
            .strip_prefix(workload)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('-')),
    }
}
