//! Pods that cannot be created at all.

use std::time::Duration;

use super::context::{Rule, RuleContext, can_be_judged, is_alive};
use super::grace::{GRACE, is_within, may_come_since};
use super::quota::Exceeded;
use super::words::{any, quoted_after};
use crate::rollout::cause::{Cause, TerminalFailure};
use crate::rollout::model::{Elapsed, Pod, PodPresence, Strategy, Workload};
use crate::rollout::readiness::{self, Readiness};
use crate::rollout::target::WatchTarget;
use crate::rollout::workload_ref::{GroupKind, NamespacedName, WorkloadKind};

pub(super) const CREATE: Rule = Rule {
    name: "create",
    catches: "pods that a quota, an admission webhook or policy, Pod Security or a limit range refuses, or whose ServiceAccount, PriorityClass or RuntimeClass does not exist",
    tolerates: "a webhook that cannot be called; a quota that is not counted yet, one that pods of the release free when they leave, and for a minute one that others use; a ServiceAccount `default`, which comes a moment after its namespace",
    source: "controllers: pkg/controller/controller_utils.go (FailedCreate), statefulset/stateful_pod_control.go; admission: resourcequota/controller.go, plugin/webhook/errors, podsecurity",
    check,
};

fn check(context: &RuleContext<'_>) -> Option<TerminalFailure> {
    let workload = context.workload?;
    let Refusal {
        message,
        first,
        last,
    } = refusal(context, workload)?;
    let cause = classify(&message)?;
    match &cause {
        Cause::Missing { kind, name, .. } if may_come_since(context, first, kind, name) => {
            return None;
        }
        Cause::Quota => {
            let exceeded = Exceeded::of(&message);
            if !exceeded.as_ref().is_some_and(Exceeded::is_never_enough)
                && (frees(context)
                    || is_moving(context, last)
                    || (is_within(context, first, GRACE)
                        && exceeded.is_none_or(|it| it.others_may_free(context))))
            {
                return None;
            }
        }
        _ => {}
    }
    let said = message
        .split_once(" is forbidden: ")
        .map_or(message.as_str(), |(_, why)| why);
    Some(
        context
            .failure(CREATE.name, cause)
            .saying(said)
            .saying(message.as_str()),
    )
}

/// A rollout counts as stuck at a quota when nothing of it has changed for so long: the
/// watches of pods and workloads do not bring their changes at the same instant.
const STUCK_AFTER: Duration = Duration::from_secs(2);

/// So long after a pod has left, a refusal may still be about it: the quota is counted
/// anew a moment later.
const QUOTA_LAG: Duration = Duration::from_secs(5);

/// Whether the rollout still moves, or the last refusal is older than the last pod's
/// removal: a `ReplicaSet` that was refused a few times asks again only after most of
/// a minute, and its condition stands until then.
fn is_moving(context: &RuleContext<'_>, refused: Elapsed) -> bool {
    context.now.since(context.cache.last_change) < STUCK_AFTER
        || context
            .cache
            .last_pod_removed
            .is_some_and(|removed| refused < Elapsed(removed.0 + QUOTA_LAG))
}

/// Why pods are missing.
struct Refusal {
    message: String,
    /// When a watch first and last brought that pods are refused.
    first: Elapsed,
    last: Elapsed,
}

fn refusal(context: &RuleContext<'_>, workload: &Workload) -> Option<Refusal> {
    let told = |kind: GroupKind, key: &NamespacedName, uid: &str| {
        let mut events = context.new_events_on(kind, key, uid);
        events.retain(|event| event.reason == "FailedCreate");
        let first = events.iter().map(|event| event.seen).min()?;
        let last = events.last()?;
        Some(Refusal {
            message: last.message.clone(),
            first,
            last: last.seen,
        })
    };
    let (kind, key) = (workload.id.kind.group_kind(), workload.id.namespaced_name());
    match workload.id.kind {
        WorkloadKind::Deployment => {
            // The condition says whether it still is so.
            let set = context.cache.current_replica_set(workload)?;
            let message = set.failure.clone().filter(|_| set.total < set.wanted)?;
            let told = told(GroupKind::REPLICA_SET, &set.key, &set.uid)?;
            return Some(Refusal { message, ..told });
        }
        WorkloadKind::StatefulSet | WorkloadKind::DaemonSet if workload.total < workload.wanted => {
        }
        WorkloadKind::Job
            if workload.total == 0
                && workload.updated < workload.wanted
                && context.cache.pods_of(&workload.id).is_empty() => {}
        _ => return None,
    }
    told(kind, &key, &workload.uid)
}

/// What a refusal means; none where it may pass.
pub(super) fn classify(message: &str) -> Option<Cause> {
    let text = message.to_lowercase();
    if any(
        &text,
        &[
            "failed calling webhook",
            "failed to call webhook",
            "status unknown for quota",
            "not yet ready to handle request",
            "timed out",
            "timeout",
            "deadline exceeded",
            "etcdserver",
            "connection refused",
        ],
    ) {
        return None;
    }
    if let Some(name) = quoted_after(message, "namespaces ")
        && text.contains("not found")
    {
        return Some(Cause::Missing {
            kind: "Namespace",
            name: name.to_owned(),
            key: None,
        });
    }
    for (kind, word) in [
        ("ServiceAccount", "serviceaccount "),
        ("RuntimeClass", "RuntimeClass "),
        ("RuntimeClass", "runtimeclass.node.k8s.io "),
    ] {
        if let Some(name) = quoted_after(message, word)
            && text.contains("not found")
        {
            return Some(Cause::Missing {
                kind,
                name: name.to_owned(),
                key: None,
            });
        }
    }
    if let Some((_, rest)) = message.split_once("no PriorityClass with name ") {
        let name = rest.split_whitespace().next()?.to_owned();
        return Some(Cause::Missing {
            kind: "PriorityClass",
            name,
            key: None,
        });
    }
    if text.contains("exceeded quota") {
        return Some(Cause::Quota);
    }
    let refused = any(
        &text,
        &[
            "denied the request",
            "denied request",
            "violates podsecurity",
            "failed quota",
            "usage per container",
            "usage per pod",
            "limit to request ratio",
            " is invalid: ",
        ],
    );
    refused.then_some(Cause::Admission)
}

/// Whether pods of the release may still leave and make room.
fn frees(context: &RuleContext<'_>) -> bool {
    let namespace = &context.target.id.namespace;
    let leaving =
        |pod: &Pod| pod.presence == PodPresence::Leaving && pod.key.namespace == *namespace;
    context.cache.pods.values().any(leaving)
        || context
            .cache
            .targets()
            .filter(|target| target.id.namespace == *namespace)
            .any(|target| moves(context, target))
}

/// Whether a workload may still let old pods go.
fn moves(context: &RuleContext<'_>, target: &WatchTarget) -> bool {
    let Some(workload) = context.cache.workload(&target.id) else {
        return false;
    };
    if matches!(readiness::of(workload), Readiness::Exempt(_)) {
        return false;
    }
    if target.id.kind != WorkloadKind::Job
        && target.id != context.target.id
        && !can_be_judged(context.cache, context.baseline, target)
    {
        return true;
    }
    let pods = context.cache.pods_of(&target.id);
    let (current, old): (Vec<&Pod>, Vec<&Pod>) = pods
        .into_iter()
        .filter(|pod| is_alive(pod))
        .partition(|pod| context.cache.is_current(workload, pod));
    match workload.id.kind {
        WorkloadKind::Job => workload.total > 0 && target.id != context.target.id,
        WorkloadKind::Deployment if old.is_empty() => false,
        WorkloadKind::Deployment => match workload.strategy {
            Strategy::Recreate | Strategy::OnDelete => true,
            Strategy::Rolling { missing } => {
                current.iter().any(|pod| !pod.ready)
                    || spare(
                        context,
                        workload,
                        current.iter().filter(|pod| pod.ready).count(),
                    ) > workload.wanted - missing
            }
        },
        WorkloadKind::StatefulSet | WorkloadKind::DaemonSet => {
            !old.is_empty() && workload.total >= workload.wanted
        }
        WorkloadKind::Pod | WorkloadKind::PersistentVolumeClaim => false,
    }
}

/// The pods that the Deployment's controller counts before it lets old ones go: what
/// the old `ReplicaSet`s are to have, and the new ones that are ready
/// (`maxScaledDown` of pkg/controller/deployment/rolling.go).
pub(super) fn spare(context: &RuleContext<'_>, workload: &Workload, ready: usize) -> i32 {
    let current = context
        .cache
        .current_replica_set(workload)
        .map(|set| set.uid.as_str());
    let old: i32 = context
        .cache
        .replica_sets_of(workload)
        .filter(|set| Some(set.uid.as_str()) != current)
        .map(|set| set.wanted)
        .sum();
    old.saturating_add(i32::try_from(ready).unwrap_or(i32::MAX))
}

#[cfg(test)]
mod tests {
    use super::classify;
    use crate::rollout::cause::Cause;

    #[test]
    fn only_definite_refusals_are_failures() {
        let missing = |kind, name: &str| {
            Some(Cause::Missing {
                kind,
                name: name.to_owned(),
                key: None,
            })
        };
        for (message, cause) in [
            (
                r#"pods "api-1" is forbidden: exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2"#,
                Some(Cause::Quota),
            ),
            (
                r#"Error creating: pods "api-1" is forbidden: failed quota: small: must specify limits.cpu for: api"#,
                Some(Cause::Admission),
            ),
            (
                r#"admission webhook "policy.acme.io" denied the request: no latest tags"#,
                Some(Cause::Admission),
            ),
            (
                r#"pods "api-1" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true"#,
                Some(Cause::Admission),
            ),
            (
                "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no",
                Some(Cause::Admission),
            ),
            (
                r#"pods "api-1" is forbidden: maximum cpu usage per ContainerStatus is 1, but limit is 2"#,
                Some(Cause::Admission),
            ),
            (
                r#"pods "api-1" is forbidden: error looking up service account shop/deployer: serviceaccount "deployer" not found"#,
                missing("ServiceAccount", "deployer"),
            ),
            (
                r#"pods "api-1" is forbidden: no PriorityClass with name high was found"#,
                missing("PriorityClass", "high"),
            ),
            // Case B6.
            (
                r#"Error creating: namespaces "jobs" not found"#,
                missing("Namespace", "jobs"),
            ),
            (
                r#"Internal error occurred: failed calling webhook "x": failed to call webhook: Post "https://x": dial tcp: connect: connection refused"#,
                None,
            ),
            (
                r#"pods "api-1" is forbidden: status unknown for quota: small, resources: pods"#,
                None,
            ),
            (
                r#"pods "api-1" is forbidden: not yet ready to handle request"#,
                None,
            ),
            (
                "the server was unable to return a response in the time allotted",
                None,
            ),
            ("", None),
        ] {
            assert_eq!(classify(message), cause, "{message}");
        }
    }
}
