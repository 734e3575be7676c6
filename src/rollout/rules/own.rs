//! Workloads that say themselves that they have failed.

use super::{Rule, Scene};
use crate::rollout::cause::{Cause, Doom};
use crate::rollout::model::{Kind, Phase, Pod, State};
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

fn check_failed(scene: &Scene<'_>) -> Option<Doom> {
    let mut pods = scene.world.pods_of(&scene.target.id);
    pods.retain(|pod| pod.phase == Phase::Failed);
    let doom = match scene.target.id.kind {
        Kind::Job => {
            let workload = scene.workload?;
            if was_failed(scene) {
                return None;
            }
            let condition = readiness::has_failed(workload)?;
            scene
                .doom(FAILED.name, Cause::JobFailed)
                .saying(condition.message.as_str())
        }
        Kind::Pod => {
            let pod = pods.first()?;
            scene
                .doom(FAILED.name, Cause::PodFailed)
                .saying(pod.message.as_str())
        }
        _ => return None,
    };
    Some(pods.last().map_or(doom.clone(), |pod| with_pod(doom, pod)))
}

/// Adds how the pod failed: its container's end tells more than the Job's.
fn with_pod(mut doom: Doom, pod: &Pod) -> Doom {
    doom.pod = Some(pod.place.clone());
    let failed = pod
        .containers
        .iter()
        .find_map(|container| match &container.state {
            State::Ended(end) if end.code != 0 => Some((container, end)),
            _ => None,
        });
    if let Some((container, end)) = failed {
        doom.container = Some(container.name.clone());
        doom.image = Some(container.image.clone());
        let why = if end.reason.is_empty() || end.reason == "Error" {
            String::new()
        } else {
            format!(" ({})", end.reason)
        };
        doom.said.insert(
            0,
            format!(
                "container {} ended with exit code {}{why}",
                container.name, end.code
            ),
        );
        doom = doom.saying(end.message.as_str());
    }
    doom
}

fn check_deadline(scene: &Scene<'_>) -> Option<Doom> {
    let workload = scene
        .workload
        .filter(|workload| workload.id.kind == Kind::Deployment)?;
    if was_failed(scene) && !scene.is_late() {
        return None;
    }
    let condition = readiness::has_failed(workload)?;
    Some(
        scene
            .doom(DEADLINE.name, Cause::DeadlineExceeded)
            .saying(condition.message.as_str()),
    )
}

fn was_failed(scene: &Scene<'_>) -> bool {
    let before = scene.baseline.workloads.get(&scene.target.id);
    before.is_some_and(|before| {
        before.failed
            && scene
                .workload
                .is_some_and(|workload| workload.uid == before.uid)
    })
}
