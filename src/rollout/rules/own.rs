//! Workloads that say themselves that they have failed.

use super::{Rule, RuleContext};
use crate::rollout::cause::{Cause, TerminalFailure};
use crate::rollout::model::{Kind, Pod, PodPhase, State};
use crate::rollout::readiness;

pub(super) const FAILED: Rule = Rule {
    name: "failed",
    catches: "a hook, Job or bare pod that has failed",
    tolerates: "a Job whose backoffLimit is not used up; a Job or pod of before, which helm is about to replace",
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

fn check_failed(scene: &RuleContext<'_>) -> Option<TerminalFailure> {
    let mut pods = scene.world.pods_of(&scene.target.id);
    pods.retain(|pod| pod.phase == PodPhase::Failed);
    let failure = match scene.target.id.kind {
        Kind::Job => {
            let workload = scene.workload?;
            if was_failed(scene) {
                return None;
            }
            let condition = readiness::has_failed(workload)?;
            scene
                .failure(FAILED.name, Cause::JobFailed)
                .saying(condition.message.as_str())
        }
        Kind::Pod => {
            let pod = pods.first()?;
            scene
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
    failure.pod = Some(pod.place.clone());
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

fn check_deadline(scene: &RuleContext<'_>) -> Option<TerminalFailure> {
    let workload = scene
        .workload
        .filter(|workload| workload.id.kind == Kind::Deployment)?;
    if was_failed(scene) && !scene.is_late() {
        return None;
    }
    let condition = readiness::has_failed(workload)?;
    Some(
        scene
            .failure(DEADLINE.name, Cause::DeadlineExceeded)
            .saying(condition.message.as_str()),
    )
}

fn was_failed(scene: &RuleContext<'_>) -> bool {
    let before = scene.baseline.workloads.get(&scene.target.id);
    before.is_some_and(|before| {
        before.failed
            && scene
                .workload
                .is_some_and(|workload| workload.uid == before.uid)
    })
}
