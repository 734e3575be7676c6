//! What the scheduler's words mean.

use super::words::quoted_after;
use crate::rollout::baseline::{ClusterFacts, Node};
use crate::rollout::cause::Cause;
use crate::rollout::model::Pod;
use crate::rollout::runtime_messages::is_passing_taint;

/// The scheduler's reasons and for how many of how many nodes each holds:
/// `0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint(s). preemption: …`
pub(super) fn reasons(message: &str) -> Option<(usize, &str)> {
    let (count, rest) = message
        .strip_prefix("0/")?
        .split_once(" nodes are available: ")?;
    let (reasons, _) = rest
        .split_once(". ")
        .unwrap_or_else(|| (rest.trim_end_matches('.'), ""));
    Some((count.parse().ok().filter(|count| *count > 0)?, reasons))
}

/// Each reason with the number of nodes that it holds for.
pub(super) fn each(reasons: &str) -> impl Iterator<Item = (usize, &str)> {
    reasons.split(", ").map(|reason| {
        reason
            .split_once(' ')
            .and_then(|(count, reason)| Some((count.parse().ok()?, reason)))
            .unwrap_or((0, reason))
    })
}

/// Whether every node is only too small.
pub(super) fn is_only_short(message: &str) -> bool {
    reasons(message)
        .is_some_and(|(_, reasons)| each(reasons).all(|(_, one)| one.starts_with("Insufficient ")))
}

/// What the scheduler's sentence means; none where it may pass.
pub(super) fn classify(
    message: &str,
    pod: &Pod,
    facts: &ClusterFacts,
    is_late: bool,
) -> Option<Cause> {
    let (count, reasons) = reasons(message)?;
    if let Some(name) = quoted_after(reasons, "persistentvolumeclaim ")
        && reasons.ends_with("not found")
    {
        return Some(Cause::Missing {
            kind: "PersistentVolumeClaim",
            name: name.to_owned(),
            key: None,
        });
    }
    // A node has come since.
    if facts
        .nodes
        .as_ref()
        .is_some_and(|nodes| nodes.len() > count)
        && !is_late
    {
        return None;
    }
    each(reasons)
        .all(|(count, reason)| is_lasting(count, reason, pod, facts, is_late))
        .then_some(Cause::Unschedulable)
}

/// Whether a reason that holds for so many nodes lasts, whatever pods leave. Without
/// a right to read nodes that is not known before it is late.
pub(super) fn is_lasting(
    count: usize,
    reason: &str,
    pod: &Pod,
    facts: &ClusterFacts,
    is_late: bool,
) -> bool {
    let nodes = facts.nodes.as_deref();
    if nodes.is_none() && !is_late {
        return false;
    }
    if let Some(resource) = reason.strip_prefix("Insufficient ") {
        // A device plugin that restarts offers none for a while.
        let is_offered_by_plugin = resource.contains('/');
        return (is_late || !is_offered_by_plugin)
            && nodes.is_some_and(|nodes| is_more_than_any_has(resource, pod, nodes));
    }
    if reason.starts_with("node(s) had untolerated taint")
        || reason == "node(s) had taints that the pod didn't tolerate"
    {
        return is_tainted_for_good(count, reason, pod, nodes);
    }
    matches!(
        reason,
        "node(s) didn't match Pod's node affinity/selector"
            | "node(s) didn't match the requested node name"
            | "node(s) didn't satisfy plugin(s) [NodeAffinity]"
    )
}

fn is_more_than_any_has(resource: &str, pod: &Pod, nodes: &[Node]) -> bool {
    let asked = pod.requests.get(resource).copied().unwrap_or(0);
    let has = |node: &Node| node.allocatable.get(resource).copied().unwrap_or(0);
    nodes.iter().map(has).max().is_some_and(|most| most < asked)
}

/// Whether as many nodes as the scheduler says have a taint, not tolerated by the pod,
/// that does not go by itself. Since Kubernetes 1.34 the scheduler does not name the
/// taint, and what it says may be older than what the nodes say: one that is not found
/// on them has gone.
fn is_tainted_for_good(count: usize, reason: &str, pod: &Pod, nodes: Option<&[Node]>) -> bool {
    if is_passing_taint(reason) {
        return false;
    }
    let Some(nodes) = nodes else {
        return reason.contains('{');
    };
    let keeps_away = |node: &&Node| {
        node.taints
            .iter()
            .any(|taint| !pod.tolerations.iter().any(|one| one.tolerates(taint)))
    };
    nodes.iter().all(|node| !node.passing_taint) && nodes.iter().filter(keeps_away).count() >= count
}
