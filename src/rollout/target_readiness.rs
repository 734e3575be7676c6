//! When what is waited for counts as ready, by what was last seen of it.
//!
//! Pure.

use super::cache::ReleaseCache;
use super::model::{Pod, PodPhase};
use super::readiness::{self, Readiness};
use super::target::WatchTarget;
use super::workload_ref::WorkloadKind;

/// Whether a target is Ready by what was last seen of it.
pub(super) fn of(cache: &ReleaseCache, target: &WatchTarget) -> Readiness {
    match target.id.kind {
        WorkloadKind::PersistentVolumeClaim => {
            let claim = cache.claims.get(&target.id.namespaced_name());
            // A claim whose class waits for a pod stays unbound, and helm 3 and 4
            // wait for it all the same; only the rules speak of claims.
            if claim.is_some_and(|claim| claim.bound) {
                Readiness::Ready
            } else {
                Readiness::Exempt("not bound yet")
            }
        }
        WorkloadKind::Pod => cache
            .pods_of(&target.id)
            .first()
            .map_or_else(absent, |pod| of_pod(pod)),
        WorkloadKind::Job => cache.applied_workload(target).map_or_else(
            || {
                if cache.was_gone_after_helm(&target.id) {
                    // Only that it ended well makes it Ready, and that was not seen.
                    Readiness::Missing("its end to be known: it is gone".to_owned())
                } else {
                    absent()
                }
            },
            readiness::of,
        ),
        _ => cache.workload(&target.id).map_or_else(absent, |workload| {
            if cache.is_outdated(workload) {
                Readiness::Missing("its change to be seen".to_owned())
            } else {
                readiness::of(workload)
            }
        }),
    }
}

fn absent() -> Readiness {
    Readiness::Missing("helm to apply it".to_owned())
}

fn of_pod(pod: &Pod) -> Readiness {
    if pod.phase == PodPhase::Succeeded || pod.ready {
        Readiness::Ready
    } else {
        Readiness::Missing("it to be ready".to_owned())
    }
}
