//! What else there is of a release, beside a container that ends again and again: it
//! may be what the container waits for.

use std::time::Duration;

use super::context::{RuleContext, is_alive};
use crate::rollout::baseline::Baseline;
use crate::rollout::model::{ContainerStatus, Elapsed, Pod, PodPresence, Role, State};
use crate::rollout::readiness::{self, Readiness};
use crate::rollout::target::WatchTarget;
use crate::rollout::target_readiness;
use crate::rollout::workload_ref::WorkloadKind;

/// What became ready so long before a start may not be reached by it: a watch brings
/// the one later than the other, and a Service's endpoints follow a moment later.
const LAG: Duration = Duration::from_secs(2);

/// How often a container was started again since the watch began.
pub(super) fn restarts(baseline: &Baseline, pod: &Pod, container: &ContainerStatus) -> u32 {
    let before = baseline
        .pods
        .get(&pod.uid)
        .and_then(|containers| containers.get(&container.name))
        .copied()
        .unwrap_or(0);
    container.restarts.saturating_sub(before)
}

/// Whether the last good revision's own pods restart as often, or one of them is not
/// ready any more: then what the container lacks is none of this release's making.
pub(super) fn good_pods_end_too(
    context: &RuleContext<'_>,
    container: &ContainerStatus,
    restarts: u32,
) -> bool {
    let before = context.baseline.workloads.get(&context.target.id);
    let then = before
        .and_then(|before| before.restarts.get(&container.name))
        .copied()
        .unwrap_or(0);
    then >= restarts
        || context
            .cache
            .pods_of(&context.target.id)
            .into_iter()
            .filter(|pod| is_alive(pod) && !context.pods.iter().any(|own| own.uid == pod.uid))
            .any(|pod| {
                let mut same = pod
                    .containers
                    .iter()
                    .filter(|other| other.name == container.name);
                !pod.ready || same.any(|other| other.restarts >= restarts)
            })
}

/// Whether something else of the release is still on its way: another workload that
/// is not ready and does not itself end again and again (`restarts` times), an active
/// Job, or another container of the pod that has not been started yet.
pub(super) fn on_their_way(context: &RuleContext<'_>, pod: &Pod, restarts: u32) -> bool {
    let starts = |container: &ContainerStatus| {
        container.role != Role::Init
            && container.restarts == 0
            && container.last.is_none()
            && matches!(&container.state, State::Waiting { reason, .. } if reason != "PodInitializing")
    };
    pod.containers.iter().any(starts)
        || context
            .cache
            .targets()
            .filter(|target| target.id != context.target.id)
            .any(|target| is_on_its_way(context, target, restarts))
}

fn is_on_its_way(context: &RuleContext<'_>, target: &WatchTarget, restarts: u32) -> bool {
    if context.cache.is_unwatchable(target)
        || !matches!(
            target_readiness::of(context.cache, target),
            Readiness::Missing(_)
        )
    {
        return false;
    }
    let Some(workload) = context.cache.workload(&target.id) else {
        // Hooks come before the workloads, or after all of them are ready.
        return !target.hook && !context.cache.was_gone_after_helm(&target.id);
    };
    if target.id.kind == WorkloadKind::Job {
        return readiness::has_failed(workload).is_none() && (!target.hook || workload.total > 0);
    }
    let mut pods = context.cache.pods_of(&target.id);
    pods.retain(|pod| is_alive(pod) && context.cache.is_current(workload, pod));
    let wanted = usize::try_from(workload.wanted).unwrap_or(0);
    if pods.iter().all(|pod| pod.ready) {
        return pods.len() < wanted;
    }
    pods.iter().filter(|pod| !pod.ready).any(|pod| {
        pod.containers
            .iter()
            .all(|container| self::restarts(context.baseline, pod, container) < restarts)
    })
}

/// Whether something else of the release has become ready after the container's last
/// start: the next one may find it.
pub(super) fn became_ready_since(
    context: &RuleContext<'_>,
    pod: &Pod,
    container: &ContainerStatus,
) -> bool {
    let timeline = &context.cache.timeline;
    let start = timeline.last_start(pod, container);
    let counts = |at: Option<Elapsed>| at.is_some_and(|at| at.0 + LAG >= start.0);
    let beside = |other: &ContainerStatus| {
        other.name != container.name && counts(timeline.came_up(pod, other))
    };
    let own = context.cache.pods_of(&context.target.id);
    let is_other = |other: &&Pod| {
        other.presence == PodPresence::Here && !own.iter().any(|own| own.uid == other.uid)
    };
    pod.containers.iter().any(beside)
        || context
            .cache
            .pods
            .values()
            .filter(is_other)
            .any(|other| counts(timeline.became_ready(other)))
        || context
            .cache
            .targets()
            .filter(|target| target.id.kind == WorkloadKind::Job)
            .any(|target| counts(timeline.completed(&target.id)))
}
