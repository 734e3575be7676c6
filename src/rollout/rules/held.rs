//! What an old pod holds and a new one needs, where the old one cannot leave.
//!
//! A Deployment lets an old pod go once a new one is Ready, or where one may be missing.
//! Where `maxUnavailable` is 0 (25 % of fewer than four, rounded down) and the new pod
//! needs the port or the room of the old one, neither ever moves.

use std::collections::BTreeSet;
use std::time::Duration;

use super::context::{RuleContext, is_alive};
use super::create::spare;
use super::scheduler::{each, is_lasting, reasons};
use crate::rollout::cause::Cause;
use crate::rollout::model::{Pod, PodPresence, Strategy};
use crate::rollout::workload_ref::WorkloadKind;

/// The scheduler's words where a host port is taken
/// (`pkg/scheduler/framework/plugins/nodeports/node_ports.go`, Kubernetes 1.34).
const NO_PORT: &str = "node(s) didn't have free ports for the requested pod ports";

/// A rollout counts as stuck when nothing of it has changed for so long, ...
const STUCK_AFTER: Duration = Duration::from_secs(2);

/// ... and the pod has waited for so long: a preemption takes a moment.
const WAITED: Duration = Duration::from_secs(5);

/// The old pod that holds what this one needs for as long as this one waits.
pub(super) fn by_an_old_pod(context: &RuleContext<'_>, pod: &Pod, message: &str) -> Option<Cause> {
    let old = old_pods_that_stay(context)?;
    let cache = context.cache;
    if context.now.since(cache.last_change) < STUCK_AFTER
        || context.now.since(cache.since(pod)) < WAITED
    {
        return None;
    }
    let (_, reasons) = reasons(message)?;
    let mut held = None;
    for (count, reason) in each(reasons) {
        let holder = if reason == NO_PORT {
            holder_of_port(pod, &old, count)
        } else if let Some(resource) = reason.strip_prefix("Insufficient ") {
            holder_of(context, pod, &old, resource, count)
        } else {
            None
        };
        let facts = &context.baseline.facts;
        match holder {
            Some(_) => held = held.or(holder),
            None if is_lasting(count, reason, pod, facts, context.is_late()) => {}
            None => return None,
        }
    }
    let (what, by) = held?;
    Some(Cause::HeldByOldPod {
        what,
        by: by.key.name.clone(),
    })
}

/// The old pods of the Deployment, where its controller lets none of them go before a
/// new one is Ready, and no new one is on its way to that.
fn old_pods_that_stay<'a>(context: &RuleContext<'a>) -> Option<Vec<&'a Pod>> {
    let workload = context.workload.filter(|workload| {
        workload.id.kind == WorkloadKind::Deployment
            && workload.strategy == (Strategy::Rolling { missing: 0 })
    })?;
    let pods = context.cache.pods_of(&workload.id);
    if pods.iter().any(|pod| pod.presence == PodPresence::Leaving) {
        return None;
    }
    let (current, old): (Vec<&Pod>, Vec<&Pod>) = pods
        .into_iter()
        .filter(|pod| is_alive(pod))
        .partition(|pod| context.cache.is_current(workload, pod));
    let ready = current.iter().filter(|pod| pod.ready).count();
    let starts = current.iter().any(|pod| !pod.ready && pod.node.is_some());
    let settled =
        i64::try_from(old.len() + ready).ok() == Some(spare(context, workload, ready).into());
    (!starts && settled && spare(context, workload, ready) <= workload.wanted).then_some(old)
}

/// An old pod with one of the ports, where old pods with one stand on so many nodes.
fn holder_of_port<'a>(pod: &Pod, old: &[&'a Pod], count: usize) -> Option<(String, &'a Pod)> {
    let shared = |other: &Pod| {
        pod.host_ports
            .intersection(&other.host_ports)
            .next()
            .cloned()
    };
    let holders: Vec<(String, &Pod)> = old
        .iter()
        .filter_map(|other| Some((shared(other)?, *other)))
        .collect();
    let nodes: BTreeSet<&str> = holders
        .iter()
        .filter_map(|(_, holder)| holder.node.as_deref())
        .collect();
    let (port, holder) = holders.into_iter().next()?;
    (nodes.len() >= count).then(|| (format!("host port {port}"), holder))
}

/// An old pod that uses a resource, where so many nodes have too little of it beside the
/// old pods, whatever else leaves them.
fn holder_of<'a>(
    context: &RuleContext<'_>,
    pod: &Pod,
    old: &[&'a Pod],
    resource: &str,
    count: usize,
) -> Option<(String, &'a Pod)> {
    let asked = *pod.requests.get(resource)?;
    let on = |name: &str| {
        let name = name.to_owned();
        old.iter()
            .copied()
            .filter(move |other| other.node.as_ref() == Some(&name))
    };
    let used = |other: &Pod| other.requests.get(resource).copied().unwrap_or(0);
    let nodes = context.baseline.facts.nodes.as_ref()?;
    let full: Vec<_> = nodes
        .iter()
        .filter(|node| {
            let has = node.allocatable.get(resource).copied().unwrap_or(0);
            asked > has - on(&node.name).map(used).sum::<i128>()
        })
        .collect();
    let holder = full
        .iter()
        .find_map(|node| on(&node.name).find(|other| used(other) > 0))?;
    (full.len() >= count).then(|| (resource.to_owned(), holder))
}
