//! What is said of a rollout whose time is up.
//!
//! Pure. Nothing is judged here: a workload that cannot come right is a rule's
//! matter, and was told long before.

use super::baseline::WatchTarget;
use super::cache::ReleaseCache;
use super::model::{Kind, Pod, Role, State};
use super::progress::{current_pods, ending, last_answer, short};
use super::readiness::{self, Readiness};
use crate::text;

/// How many pods of a workload are explained.
const PODS: usize = 3;

/// What stood in the way when time was up: a line for each workload that is not
/// ready, and lines about its pods, with the probe and its last answer. Safe to show.
pub fn explain_timeout(world: &ReleaseCache) -> Vec<String> {
    let mut lines = Vec::new();
    for target in world.targets().filter(|target| {
        !target.hook || world.workload(&target.id).is_some() || target.id.kind == Kind::Pod
    }) {
        let Readiness::Missing(what) = readiness::of_target(world, target) else {
            continue;
        };
        if world.is_unseen(target) {
            continue;
        }
        lines.push(format!(
            "{} {} waits for {}",
            target.id.kind.name(),
            text::line(&target.id.name, text::VALUE),
            short(&what)
        ));
        if let Some(refusal) = refusal(world, target) {
            lines.push(format!(
                "  pods are refused: {}",
                text::line(&refusal, text::LINE)
            ));
        }
        let current = current_pods(world, target);
        let stuck: Vec<&&Pod> = current.iter().filter(|pod| !pod.ready).collect();
        lines.extend(
            stuck
                .iter()
                .take(PODS)
                .flat_map(|pod| explain_pod(world, pod)),
        );
        if stuck.len() > PODS {
            lines.push(format!("  and {} more pods like these", stuck.len() - PODS));
        }
        if stuck.is_empty()
            && target.id.kind == Kind::StatefulSet
            && !world.pods_of(&target.id).is_empty()
        {
            lines.push("  a StatefulSet replaces no pod while one of the old revision is not ready: delete that pod".to_owned());
        }
    }
    lines
}

/// Why pods of the workload were last refused.
fn refusal(world: &ReleaseCache, target: &WatchTarget) -> Option<String> {
    let workload = world.workload(&target.id)?;
    if target.id.kind == Kind::Deployment {
        return world.current_replica_set(workload)?.failure.clone();
    }
    let place = (target.id.namespace.clone(), target.id.name.clone());
    let events = world.events_on(target.id.kind.name(), &place, &workload.uid);
    let last = events
        .into_iter()
        .rfind(|event| event.reason == "FailedCreate" && workload.total < workload.wanted);
    last.map(|event| event.message.clone())
}

fn explain_pod(world: &ReleaseCache, pod: &Pod) -> Vec<String> {
    let name = text::line(&pod.place.1, text::VALUE);
    let mut lines = Vec::new();
    if let Some((_, message)) = &pod.unscheduled {
        lines.push(format!(
            "  pod {name}: no node: {}",
            text::line(message, text::LINE)
        ));
    }
    for container in &pod.containers {
        let who = format!(
            "  container {} of {name}",
            text::line(&container.name, text::VALUE)
        );
        match &container.state {
            State::Running if !container.ready && container.role != Role::Init => {
                let probe = container
                    .probe
                    .as_ref()
                    .map(|probe| format!(" its readiness probe ({})", short(probe)))
                    .unwrap_or_default();
                let answer = last_answer(world, pod, container).map_or_else(
                    || " has not answered yet".to_owned(),
                    |answer| format!(" last said: {}", text::line(&answer, text::LINE)),
                );
                lines.push(format!("{who} runs and is not ready:{probe}{answer}"));
            }
            State::Running if container.role == Role::Init => {
                lines.push(format!("{who} (init) still runs"));
            }
            State::Waiting { reason, message }
                if !matches!(reason.as_str(), "" | "PodInitializing") =>
            {
                let message = if message.is_empty() {
                    String::new()
                } else {
                    format!(": {}", text::line(message, text::LINE))
                };
                lines.push(format!(
                    "{who} waits: {}{message}{}",
                    short(reason),
                    ending(container)
                ));
            }
            State::Terminated(end) if end.code != 0 => {
                lines.push(format!("{who} ended{}", ending(container)));
            }
            _ => {}
        }
    }
    let events = world.events_on("Pod", &pod.place, &pod.uid);
    if let Some(event) = events.into_iter().rfind(|event| {
        matches!(
            event.reason.as_str(),
            "FailedMount" | "FailedAttachVolume" | "FailedCreatePodSandBox"
        )
    }) {
        lines.push(format!(
            "  pod {name}: {}",
            text::line(&event.message, text::LINE)
        ));
    }
    lines
}
