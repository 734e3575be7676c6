//! Pods that no node can ever take.

use super::context::{Rule, RuleContext};
use super::words::quoted_after;
use crate::rollout::baseline::ClusterFacts;
use crate::rollout::cause::{Cause, TerminalFailure};
use crate::rollout::model::Pod;
use crate::rollout::runtime_messages::is_passing_taint;

pub(super) const SCHEDULE: Rule = Rule {
    name: "schedule",
    catches: "a node selector, affinity, node name or taint that leaves no node; a request larger than any node has; a claim that does not exist",
    tolerates: "everything that another pod's leaving may cure; cordoned, new and unready nodes; a cluster without nodes; a cluster that adds nodes by itself, unless it says that it will not",
    source: "scheduler: pkg/scheduler/framework/types.go (FitError), plugins/*/ (ErrReason…); cluster-autoscaler: TriggeredScaleUp, NotTriggerScaleUp; karpenter: Nominated",
    check,
};

fn check(context: &RuleContext<'_>) -> Option<TerminalFailure> {
    context.fresh_pods().find_map(|pod| {
        let (reason, message) = pod.unscheduled.as_ref()?;
        if reason != "Unschedulable" || will_scale(context, pod) {
            return None;
        }
        let cause = classify(message, pod, &context.baseline.facts)?;
        if let Cause::Missing { kind, name, .. } = &cause
            && context.may_come(kind, name)
        {
            return None;
        }
        let (why, _) = message.split_once(". ").unwrap_or((message, ""));
        Some(
            context
                .failure_of_pod(SCHEDULE.name, cause, pod)
                .saying(why)
                .saying(message.as_str()),
        )
    })
}

/// Whether something adds a node for this pod, or has not said yet that it will not.
fn will_scale(context: &RuleContext<'_>, pod: &Pod) -> bool {
    let events = context.new_events_of(pod);
    let said = |reason: &str| events.iter().any(|event| event.reason == reason);
    said("TriggeredScaleUp")
        || said("Nominated")
        || (context.baseline.facts.autoscaler && !said("NotTriggerScaleUp"))
}

/// What the scheduler's sentence means; none where it may pass:
/// `0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint(s). preemption: …`
pub(super) fn classify(message: &str, pod: &Pod, facts: &ClusterFacts) -> Option<Cause> {
    let (count, rest) = message
        .strip_prefix("0/")?
        .split_once(" nodes are available: ")?;
    if count.parse::<u32>().ok()? == 0 {
        return None;
    }
    let (reasons, _) = rest
        .split_once(". ")
        .unwrap_or_else(|| (rest.trim_end_matches('.'), ""));
    if let Some(name) = quoted_after(reasons, "persistentvolumeclaim ")
        && reasons.ends_with("not found")
    {
        return Some(Cause::Missing {
            kind: "PersistentVolumeClaim",
            name: name.to_owned(),
            key: None,
        });
    }
    reasons
        .split(", ")
        .all(|reason| is_lasting(reason, pod, facts))
        .then_some(Cause::Unschedulable)
}

/// Whether one of the reasons lasts, whatever pods leave.
fn is_lasting(reason: &str, pod: &Pod, facts: &ClusterFacts) -> bool {
    let Some((_, reason)) = reason.split_once(' ') else {
        return false;
    };
    if let Some(resource) = reason.strip_prefix("Insufficient ") {
        let asked = pod.requests.get(resource).copied().unwrap_or(0);
        let most = facts.nodes.as_ref().and_then(|nodes| {
            nodes
                .iter()
                .map(|node| node.allocatable.get(resource).copied().unwrap_or(0))
                .max()
        });
        return most.is_some_and(|most| most < asked);
    }
    if reason.starts_with("node(s) had untolerated taint")
        || reason == "node(s) had taints that the pod didn't tolerate"
    {
        // Since Kubernetes 1.34 the taint is not named.
        return !is_passing_taint(reason)
            && facts
                .nodes
                .as_ref()
                .is_some_and(|nodes| nodes.iter().all(|node| !node.passing_taint));
    }
    matches!(
        reason,
        "node(s) didn't match Pod's node affinity/selector"
            | "node(s) didn't match the requested node name"
            | "node(s) didn't satisfy plugin(s) [NodeAffinity]"
    )
}
