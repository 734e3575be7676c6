//! Containers that end again and again.

use std::time::Duration;

use super::context::{Rule, RuleContext};
use super::peers;
use crate::rollout::cause::{Cause, TerminalFailure};
use crate::rollout::model::{ContainerStatus, Pod, Role, State, Terminated};
use crate::rollout::workload_ref::WorkloadKind;

pub(super) const CRASH: Rule = Rule {
    name: "crash",
    catches: "a container that ends again and again: at its third end, the first that follows a back-off, where the workload was ready at the last good revision, all else of the release is ready and no pod of the new template is; else after four restarts and a minute and a half, or at its second end when half of the budget is gone",
    tolerates: "restarts before helm started, a container that runs right now, a reboot of the node; as many restarts of the last good revision's own pods, or one of these that is not ready; until half of the budget is gone, all while something else of the release is on its way (pulling, creating, not ready yet, a Job active, an init container running); something else that became ready after the last start: one more start may be all it takes; a sidecar, unless it has restarted four times and half of the budget is gone; Jobs, which have a limit of their own",
    source: "kubelet: pkg/kubelet/kuberuntime/kuberuntime_manager.go (doBackOff: none before the first restart, then 10 s doubled to 5 min); Shopify/krane#819 (flapping sidecars)",
    check,
};

/// The third end is the first that follows a back-off. The two before lie within a
/// second where a program ends at once, and say no more than one: what it needs may
/// come a moment later.
const ENDS: u32 = 3;

/// A pod is not judged before it has been there for so long: a cluster can cut the
/// back-off short (`crashLoopBackOff.maxContainerRestartPeriod`).
const THERE: Duration = Duration::from_secs(10);

/// So many restarts are too many wherever a container may wait for another, ...
const RESTARTS: u32 = 4;

/// ... once its pod has been there for so long. By the kubelet's own steps the
/// fourth comes after 70 s and more; a cluster can cut them short, and what is waited
/// for takes its time all the same.
const PATIENCE: Duration = Duration::from_secs(90);

fn check(context: &RuleContext<'_>) -> Option<TerminalFailure> {
    if matches!(
        context.target.id.kind,
        WorkloadKind::Job | WorkloadKind::Pod
    ) {
        return None;
    }
    let before = context
        .baseline
        .workloads
        .get(&context.target.id)
        .is_some_and(|before| before.ready);
    let fast = before && context.rest_ready && !context.pods.iter().any(|pod| pod.ready);
    context.pods.iter().find_map(|pod| {
        pod.containers
            .iter()
            .find_map(|container| judge(context, pod, container, fast))
    })
}

fn judge(
    context: &RuleContext<'_>,
    pod: &Pod,
    container: &ContainerStatus,
    fast: bool,
) -> Option<TerminalFailure> {
    let end = down(container)?;
    let restarts = peers::restarts(context.baseline, pod, container)
        .saturating_sub(u32::from(is_reboot(container)));
    let crashes = restarts + 1;
    let there = context.now.since(context.cache.since(pod));
    let early = || {
        let at_once = fast && crashes >= ENDS && there >= THERE;
        let later = restarts >= RESTARTS && there >= PATIENCE;
        (later || (at_once && !peers::good_pods_end_too(context, container, restarts)))
            && !peers::on_their_way(context, pod, RESTARTS)
    };
    let is_loop = if is_primary(context, pod, container) {
        (context.is_late() && crashes >= 2) || early()
    } else {
        context.is_late() && restarts >= RESTARTS
    };
    if !is_loop || peers::became_ready_since(context, pod, container) {
        return None;
    }
    let cause = if end.reason == "OOMKilled" {
        Cause::OomLoop { crashes }
    } else {
        Cause::CrashLoop {
            crashes,
            code: end.code,
        }
    };
    let mut failure = context
        .failure_of_container(CRASH.name, cause, pod, container)
        .saying(end.message.as_str());
    if let Some(kill) = context.new_events_of(pod).into_iter().rfind(|event| {
        event.reason == "Killing" && event.field.contains(&format!("{{{}}}", container.name))
    }) {
        failure = failure.saying(kill.message.as_str());
    }
    Some(failure)
}

/// How the container ended, where it is down because it ended.
fn down(container: &ContainerStatus) -> Option<&Terminated> {
    match &container.state {
        State::Terminated(end) if container.role != Role::Init || end.code != 0 => Some(end),
        State::Waiting { reason, .. } if reason == "CrashLoopBackOff" => container.last.as_ref(),
        _ => None,
    }
}

/// Whether the last restart was the node's: containerd does not know how a
/// container ended that ran before the reboot.
fn is_reboot(container: &ContainerStatus) -> bool {
    container
        .last
        .as_ref()
        .is_some_and(|last| matches!(last.reason.as_str(), "Unknown" | "ContainerStatusUnknown"))
}

/// Whether the container is the one that its pod is for: named by
/// `kubectl.kubernetes.io/default-container`, else the first that carries a
/// requested image, else the first. Init containers count, too: nothing runs before
/// they end.
fn is_primary(context: &RuleContext<'_>, pod: &Pod, container: &ContainerStatus) -> bool {
    match container.role {
        Role::Init => true,
        Role::Sidecar => false,
        Role::Main => {
            let mut mains = pod
                .containers
                .iter()
                .filter(|other| other.role == Role::Main);
            let named = pod
                .default_container
                .as_ref()
                .filter(|name| mains.clone().any(|other| other.name == **name));
            let requested = mains
                .clone()
                .find(|other| context.cache.requested.contains(&other.image));
            match (named, requested.or_else(|| mains.next())) {
                (Some(name), _) => *name == container.name,
                (None, Some(primary)) => primary.name == container.name,
                (None, None) => true,
            }
        }
    }
}
