//! When a workload counts as ready.
//!
//! Pure. The rules of readiness are those of `kubectl rollout status`
//! (`k8s.io/kubectl/pkg/polymorphichelpers/rollout_status.go`), which are stricter than
//! helm's: every wanted pod counts, not `replicas - maxUnavailable`. A Job is Ready when
//! it was seen complete, also where it has been collected since.

use super::model::{Condition, Strategy, Workload};
use super::workload_ref::WorkloadKind;

/// Whether a workload is Ready, and if not, why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    /// As it should be.
    Ready,
    /// It need not be ready, and why.
    Exempt(&'static str),
    /// Not yet, and what it waits for (reads on after "waits for").
    Missing(String),
}

impl Readiness {
    /// Whether nothing is to be waited for.
    pub(super) const fn is_ready(&self) -> bool {
        matches!(self, Self::Ready | Self::Exempt(_))
    }
}

/// Whether a workload is Ready by its own status.
pub(super) fn of(workload: &Workload) -> Readiness {
    let missing = |text: String| Readiness::Missing(text);
    let kind = workload.id.kind;
    if workload.paused {
        return Readiness::Exempt(if kind == WorkloadKind::Job {
            "suspended"
        } else {
            "paused"
        });
    }
    if kind == WorkloadKind::Job {
        return if workload.condition("Complete").is_some() {
            Readiness::Ready
        } else {
            missing(format!(
                "{} of {} completions",
                workload.wanted.saturating_sub(workload.updated),
                workload.wanted
            ))
        };
    }
    if workload.strategy == Strategy::OnDelete {
        return Readiness::Exempt("its pods are replaced by hand (OnDelete)");
    }
    if workload.wanted == 0 {
        return Readiness::Exempt(if kind == WorkloadKind::DaemonSet {
            "no node is to run it"
        } else {
            "scaled to 0"
        });
    }
    if workload.observed < workload.generation {
        return missing("its controller to observe the change".to_owned());
    }
    let updated = workload.wanted - workload.partition.min(workload.wanted);
    if workload.updated < updated {
        return missing(format!(
            "{} of {updated} pods to be updated",
            updated - workload.updated
        ));
    }
    match kind {
        WorkloadKind::Deployment if workload.total > workload.updated => missing(format!(
            "{} old pods to leave",
            workload.total - workload.updated
        )),
        WorkloadKind::Deployment | WorkloadKind::DaemonSet
            if workload.available < workload.wanted =>
        {
            missing(format!(
                "{} of {} pods to be available",
                workload.wanted - workload.available,
                workload.wanted
            ))
        }
        WorkloadKind::StatefulSet if workload.ready < workload.wanted => missing(format!(
            "{} of {} pods to be ready",
            workload.wanted - workload.ready,
            workload.wanted
        )),
        WorkloadKind::StatefulSet if workload.partition == 0 && !workload.settled => {
            missing("pods of the old revision to leave".to_owned())
        }
        _ => Readiness::Ready,
    }
}

/// The condition by which a workload says itself that it has failed.
pub(super) fn has_failed(workload: &Workload) -> Option<&Condition> {
    match workload.id.kind {
        // The second holds from the failure until the last pod has ended.
        WorkloadKind::Job => workload
            .condition("Failed")
            .or_else(|| workload.condition("FailureTarget")),
        WorkloadKind::Deployment => workload.conditions.iter().find(|one| {
            one.kind == "Progressing"
                && one.holds == Some(false)
                && one.reason == "ProgressDeadlineExceeded"
        }),
        _ => None,
    }
}
