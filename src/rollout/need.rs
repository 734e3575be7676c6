//! What a pod waits for, in a few words that read on after "waits for".
//!
//! Pure. No ages, no counts that tick.

use super::cache::ReleaseCache;
use super::model::{ContainerStatus, Pod, PodPhase, Role, State};
use crate::text;

/// The longest reason shown, in characters.
const REASON: usize = 160;

/// What a pod waits for, in a few words.
pub(super) fn of_pod(cache: &ReleaseCache, pod: &Pod) -> Option<String> {
    if let Some((_, message)) = &pod.unscheduled {
        return Some(format!("a node ({})", short(message)));
    }
    if let Some(event) = cache
        .events_on_pod(pod)
        .into_iter()
        .rfind(|event| event.reason == "FailedMount" && !event.message.contains("failed to sync"))
        && pod.containers.iter().all(|container| {
            container.last.is_none() && matches!(container.state, State::Waiting { .. })
        })
    {
        return Some(format!("a volume ({})", short(&event.message)));
    }
    pod.containers
        .iter()
        .find_map(|container| of_container(cache, pod, container))
        .or_else(|| {
            let gate = pod.gated.as_ref()?;
            Some(format!("a readiness gate ({})", short(gate)))
        })
}

fn of_container(cache: &ReleaseCache, pod: &Pod, container: &ContainerStatus) -> Option<String> {
    let name = text::line(&container.name, text::VALUE);
    match &container.state {
        State::Waiting { reason, .. } if reason == "CrashLoopBackOff" => Some(format!(
            "container {name} to start again{}",
            ending(container)
        )),
        State::Waiting { reason, .. }
            if matches!(
                reason.as_str(),
                "" | "ContainerCreating" | "PodInitializing"
            ) =>
        {
            let events = cache.events_on_pod(pod);
            let of_it = events
                .iter()
                .rfind(|event| event.field.contains(&format!("{{{}}}", container.name)));
            Some(match of_it.map(|event| event.reason.as_str()) {
                Some("Pulling") => format!("container {name} to get its image"),
                _ if reason == "PodInitializing" => "its init containers".to_owned(),
                _ => format!("container {name} to start"),
            })
        }
        State::Waiting { reason, .. } => Some(format!("container {name}: {}", short(reason))),
        State::Terminated(_)
            if pod.phase == PodPhase::Succeeded || container.role != Role::Main =>
        {
            None
        }
        // A run of a Job that is done; the pod's phase follows in a moment.
        State::Terminated(end) if end.code == 0 && !pod.restarts_always => None,
        State::Terminated(_) if pod.phase == PodPhase::Failed => Some(format!(
            "another try, container {name} failed{}",
            ending(container)
        )),
        State::Terminated(_) => Some(format!(
            "container {name} to start again{}",
            ending(container)
        )),
        State::Running if container.role == Role::Init => {
            Some(format!("init container {name} to end"))
        }
        State::Running if !container.ready => Some(match last_answer(cache, pod, container) {
            Some(answer) => format!("container {name} to be ready ({})", short(&answer)),
            None => format!("container {name} to be ready"),
        }),
        State::Running => None,
    }
}

pub(super) fn ending(container: &ContainerStatus) -> String {
    let end = match &container.state {
        State::Terminated(end) => Some(end),
        _ => container.last.as_ref(),
    };
    end.map(|end| {
        format!(
            " (restarts: {}, last exit code {})",
            container.restarts, end.code
        )
    })
    .unwrap_or_default()
}

/// What the container's probe last said.
pub(super) fn last_answer(
    cache: &ReleaseCache,
    pod: &Pod,
    container: &ContainerStatus,
) -> Option<String> {
    let field = format!("{{{}}}", container.name);
    let events = cache.events_on_pod(pod);
    events
        .into_iter()
        .rfind(|event| {
            event.reason == "Unhealthy" && (event.field.is_empty() || event.field.contains(&field))
        })
        .map(|event| event.message.clone())
}

pub(super) fn short(message: &str) -> String {
    text::line(message, REASON).into_owned()
}
