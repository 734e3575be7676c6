//! What is said of a rollout whose time is up.
//!
//! Pure. Nothing is judged here: what cannot come right by waiting is found by a rule,
//! long before.

use super::cache::ReleaseCache;
use super::model::{ContainerStatus, Elapsed, Pod, Role, State};
use super::need::{ending, last_answer, short};
use super::readiness::Readiness;
use super::target::WatchTarget;
use super::target_readiness;
use super::unprobed;
use super::workload_ref::WorkloadKind;
use crate::text;

/// How many pods of a workload are explained.
const PODS: usize = 3;

/// What stood in the way when time was up: a line for each workload that is not
/// ready, and lines about its pods, with the probe and its last answer. Safe to show.
pub(super) fn explain_timeout(cache: &ReleaseCache, now: Elapsed) -> Vec<String> {
    let mut lines = Vec::new();
    for target in cache.targets().filter(|target| {
        !target.hook || cache.workload(&target.id).is_some() || target.id.kind == WorkloadKind::Pod
    }) {
        let what = match target_readiness::of(cache, target) {
            Readiness::Missing(what) => Some(what),
            Readiness::Ready => unprobed::waits_for(cache, target, now),
            Readiness::Exempt(_) => None,
        };
        let Some(what) = what else {
            continue;
        };
        if cache.is_unwatchable(target) {
            continue;
        }
        lines.push(format!("{} waits for {}", target.id, short(&what)));
        if let Some(refusal) = refusal(cache, target) {
            lines.push(format!(
                "  pods are refused: {}",
                text::line(&refusal, text::LINE)
            ));
        }
        let current = cache.current_pods(&target.id);
        let stuck: Vec<&&Pod> = current.iter().filter(|pod| !pod.ready).collect();
        lines.extend(
            stuck
                .iter()
                .take(PODS)
                .flat_map(|pod| explain_pod(cache, pod)),
        );
        if stuck.len() > PODS {
            lines.push(format!("  and {} more pods like these", stuck.len() - PODS));
        }
        if stuck.is_empty()
            && target.id.kind == WorkloadKind::StatefulSet
            && !cache.pods_of(&target.id).is_empty()
        {
            lines.push("  a StatefulSet replaces no pod while one of the old revision is not ready: delete that pod".to_owned());
        }
    }
    lines
}

/// Why pods of the workload were last refused.
fn refusal(cache: &ReleaseCache, target: &WatchTarget) -> Option<String> {
    let workload = cache.workload(&target.id)?;
    if target.id.kind == WorkloadKind::Deployment {
        return cache.current_replica_set(workload)?.failure.clone();
    }
    let events = cache.events_on(
        target.id.kind.group_kind(),
        &target.id.namespaced_name(),
        &workload.uid,
    );
    let last = events
        .into_iter()
        .rfind(|event| event.reason == "FailedCreate" && workload.total < workload.wanted);
    last.map(|event| event.message.clone())
}

/// Which probe a container waits for, and what it last said. The probe that is told is
/// the readiness probe; an answer of another (startup, liveness) names it itself.
fn probe_and_answer(cache: &ReleaseCache, pod: &Pod, container: &ContainerStatus) -> String {
    let answer = last_answer(cache, pod, container);
    let other = answer
        .as_ref()
        .is_some_and(|answer| !answer.starts_with("Readiness"));
    let probe = match &container.probe {
        Some(probe) if !other => format!("its readiness probe ({})", short(probe)),
        _ => "its probe".to_owned(),
    };
    match answer {
        Some(answer) => format!("{probe} last said: {}", text::line(&answer, text::LINE)),
        None => format!("{probe} has not answered yet"),
    }
}

fn explain_pod(cache: &ReleaseCache, pod: &Pod) -> Vec<String> {
    let name = text::line(&pod.key.name, text::VALUE);
    let mut lines = Vec::new();
    if let Some((_, message)) = &pod.unscheduled {
        lines.push(format!(
            "  pod {name}: no node: {}",
            text::line(message, text::LINE)
        ));
    }
    if let Some(gate) = &pod.gated {
        lines.push(format!(
            "  pod {name} waits for a readiness gate: {}",
            text::line(gate, text::LINE)
        ));
    }
    for container in &pod.containers {
        let who = format!(
            "  container {} of pod {name}",
            text::line(&container.name, text::VALUE)
        );
        match &container.state {
            State::Running if !container.ready && container.role != Role::Init => {
                lines.push(format!(
                    "{who} runs and is not ready: {}",
                    probe_and_answer(cache, pod, container)
                ));
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
    let events = cache.events_on_pod(pod);
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
