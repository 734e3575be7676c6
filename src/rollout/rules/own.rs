//! Workloads that say themselves that they have failed.

use super::context::{Rule, RuleContext};
use crate::rollout::cause::{Cause, TerminalFailure};
use crate::rollout::model::{Pod, PodPhase, State};
use crate::rollout::workload_ref::WorkloadKind;
use crate::rollout::{need, readiness};

pub(super) const FAILED: Rule = Rule {
    name: "failed",
    catches: "a hook, Job or bare pod that has failed",
    tolerates: "a Job whose backoffLimit is not used up; a Job or pod that was there before, which helm is about to replace",
    source: "batch/v1 Job conditions Failed and FailureTarget; core/v1 pod phase Failed",
    check: check_failed,
};

pub(super) const DEADLINE: Rule = Rule {
    name: "deadline",
    catches: "a Deployment that made no progress within its own progressDeadlineSeconds",
    tolerates: "a deadline that had passed before helm started, until half of the budget is gone (the controller keeps saying so until there is progress)",
    source: "controllers: pkg/controller/deployment/progress.go",
    check: check_deadline,
};

fn check_failed(context: &RuleContext<'_>) -> Option<TerminalFailure> {
    let mut pods = context.cache.pods_of(&context.target.id);
    pods.retain(|pod| pod.phase == PodPhase::Failed);
    let failure = match context.target.id.kind {
        WorkloadKind::Job => {
            let workload = context.workload?;
            if was_failed(context) {
                return None;
            }
            let condition = readiness::has_failed(workload)?;
            context
                .failure(FAILED.name, Cause::JobFailed)
                .saying(condition.message.as_str())
        }
        WorkloadKind::Pod => {
            let pod = pods.first()?;
            context
                .failure(FAILED.name, Cause::PodFailed)
                .saying(pod.message.as_str())
        }
        _ => return None,
    };
    Some(
        pods.last()
            .map_or(failure.clone(), |pod| with_pod(failure, pod)),
    )
}

/// Adds how the pod failed: its container's end tells more than the Job's.
fn with_pod(mut failure: TerminalFailure, pod: &Pod) -> TerminalFailure {
    failure.pod = Some(pod.key.clone());
    let failed = pod
        .containers
        .iter()
        .find_map(|container| match &container.state {
            State::Terminated(end) if end.code != 0 => Some((container, end)),
            _ => None,
        });
    if let Some((container, end)) = failed {
        failure.container = Some(container.name.clone());
        failure.image = Some(container.image.clone());
        let why = if end.reason.is_empty() || end.reason == "Error" {
            String::new()
        } else {
            format!(" ({})", end.reason)
        };
        failure.said.insert(
            0,
            format!(
                "container {} ended with exit code {}{why}",
                container.name, end.code
            ),
        );
        failure = failure.saying(end.message.as_str());
    }
    failure
}

fn check_deadline(context: &RuleContext<'_>) -> Option<TerminalFailure> {
    let workload = context
        .workload
        .filter(|workload| workload.id.kind == WorkloadKind::Deployment)?;
    if was_failed(context) && !context.is_late() {
        return None;
    }
    let condition = readiness::has_failed(workload)?;
    let mut failure = context.failure(DEADLINE.name, Cause::DeadlineExceeded);
    // What a pod lacks says more than that time has passed.
    let mut waiting = context.pods.iter().filter(|pod| !pod.ready);
    if let Some((pod, what)) =
        waiting.find_map(|pod| Some((pod, need::of_pod(context.cache, pod)?)))
    {
        failure.pod = Some(pod.key.clone());
        failure = failure.saying(format!("pod {} waits for {what}", pod.key.name));
    }
    Some(failure.saying(condition.message.as_str()))
}

fn was_failed(context: &RuleContext<'_>) -> bool {
    let before = context.baseline.workloads.get(&context.target.id);
    before.is_some_and(|before| {
        before.failed
            && context
                .workload
                .is_some_and(|workload| workload.uid == before.uid)
    })
}
