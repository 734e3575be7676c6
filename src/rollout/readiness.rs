//! When a workload counts as ready, and when it may be judged at all.
//!
//! Pure. The rules of readiness are those of `kubectl rollout status`
//! (`k8s.io/kubectl/pkg/polymorphichelpers/rollout_status.go`) and, for Jobs, of
//! helm's wait.

use super::baseline::{Baseline, WatchTarget};
use super::cache::ReleaseCache;
use super::model::{Condition, Kind, Pod, PodPhase, Strategy, Workload};

/// Where a workload stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// As it should be.
    Ready,
    /// It need not be ready, and why.
    Exempt(&'static str),
    /// Not yet, and what it waits for (reads on after "waits for").
    Missing(String),
}

impl Readiness {
    /// Whether nothing is to be waited for.
    pub const fn is_ready(&self) -> bool {
        matches!(self, Self::Ready | Self::Exempt(_))
    }
}

/// Where a workload stands by its own status.
pub fn of(workload: &Workload) -> Readiness {
    let missing = |text: String| Readiness::Missing(text);
    let kind = workload.id.kind;
    if workload.paused {
        return Readiness::Exempt(if kind == Kind::Job {
            "suspended"
        } else {
            "paused"
        });
    }
    if kind == Kind::Job {
        return if workload.condition("Complete").is_some() {
            Readiness::Ready
        } else {
            missing(format!(
                "{} of {} runs to be done",
                workload.wanted.saturating_sub(workload.updated),
                workload.wanted
            ))
        };
    }
    if workload.strategy == Strategy::OnDelete {
        return Readiness::Exempt("its pods are replaced by hand (OnDelete)");
    }
    if workload.wanted == 0 {
        return Readiness::Exempt(if kind == Kind::DaemonSet {
            "no node wants it"
        } else {
            "scaled to 0"
        });
    }
    if workload.observed < workload.generation {
        return missing("its controller to see the change".to_owned());
    }
    let updated = workload.wanted - workload.partition.min(workload.wanted);
    if workload.updated < updated {
        return missing(format!(
            "{} of {updated} pods to be updated",
            updated - workload.updated
        ));
    }
    match kind {
        Kind::Deployment if workload.total > workload.updated => missing(format!(
            "{} old pods to leave",
            workload.total - workload.updated
        )),
        Kind::Deployment | Kind::DaemonSet if workload.available < workload.wanted => {
            missing(format!(
                "{} of {} pods to be available",
                workload.wanted - workload.available,
                workload.wanted
            ))
        }
        Kind::StatefulSet if workload.ready < workload.wanted => missing(format!(
            "{} of {} pods to be ready",
            workload.wanted - workload.ready,
            workload.wanted
        )),
        Kind::StatefulSet if workload.partition == 0 && !workload.settled => {
            missing("pods of the old revision to leave".to_owned())
        }
        _ => Readiness::Ready,
    }
}

/// The condition by which a workload says itself that it has failed.
pub fn has_failed(workload: &Workload) -> Option<&Condition> {
    match workload.id.kind {
        // The second stands from the failure until the last pod has ended.
        Kind::Job => workload
            .condition("Failed")
            .or_else(|| workload.condition("FailureTarget")),
        Kind::Deployment => workload.conditions.iter().find(|one| {
            one.kind == "Progressing"
                && one.holds == Some(false)
                && one.reason == "ProgressDeadlineExceeded"
        }),
        _ => None,
    }
}

/// Where a target stands in this world.
pub fn of_target(world: &ReleaseCache, target: &WatchTarget) -> Readiness {
    match target.id.kind {
        Kind::PersistentVolumeClaim => {
            let claim = world
                .claims
                .get(&(target.id.namespace.clone(), target.id.name.clone()));
            // A claim whose class waits for a pod stays unbound, and helm 3 and 4
            // wait for it all the same; only the rules speak of claims.
            if claim.is_some_and(|claim| claim.bound) {
                Readiness::Ready
            } else {
                Readiness::Exempt("not bound yet")
            }
        }
        Kind::Pod => world
            .pods_of(&target.id)
            .first()
            .map_or_else(absent, |pod| of_pod(pod)),
        _ => world.workload(&target.id).map_or_else(absent, of),
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

/// Whether what is seen of a workload is about what helm applies now: its
/// template does not change, or its generation and revision have passed those before
/// helm started, its controller has caught up, and the current `ReplicaSet` has been
/// seen. Else a fix for a crashing release would be killed for the old crash.
pub fn is_judged(world: &ReleaseCache, baseline: &Baseline, target: &WatchTarget) -> bool {
    let Some(workload) = world.workload(&target.id) else {
        return false;
    };
    if matches!(of(workload), Readiness::Exempt(_)) || workload.observed < workload.generation {
        return false;
    }
    let before = baseline
        .workloads
        .get(&target.id)
        .filter(|before| before.uid == workload.uid);
    // An autoscaler raises the generation, too, but starts no new revision.
    let passed = before.is_none_or(|before| {
        workload.generation > before.generation && workload.revision != before.revision
    });
    if workload.id.kind == Kind::Job {
        // The object of before is the one that helm is about to replace.
        return before.is_none() || !(target.template_changed || target.hook);
    }
    if target.template_changed && !passed {
        return false;
    }
    workload.id.kind != Kind::Deployment || knows_current(world, workload)
}

/// Whether the `ReplicaSet` that the Deployment speaks of has arrived: the two
/// come over different watches.
fn knows_current(world: &ReleaseCache, workload: &Workload) -> bool {
    let spoken: Option<u64> = workload
        .revision
        .as_ref()
        .and_then(|text| text.parse().ok());
    let seen = world.current_replica_set(workload).map(|set| set.revision);
    seen.is_some() && (spoken.is_none() || spoken == seen)
}
