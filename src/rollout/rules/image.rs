//! Images that cannot be had.

use super::context::{Rule, RuleContext};
use super::grace::{GRACE, is_within, may_come_to};
use super::registry::{Answer, classify};
use super::words::waiting;
use crate::rollout::cause::{Cause, TerminalFailure};
use crate::rollout::model::{ContainerStatus, KubeEvent, Pod};

pub(super) const PULL: Rule = Rule {
    name: "image",
    catches: "an image that the registry does not have or denies, that is not built for the node's platform, whose name is invalid, or that may never be pulled and is not there",
    tolerates: "time-outs, refused and broken connections, 429, 5xx and everything else that may pass; what is said of blobs, layers and by mirrors, until half of the budget is gone; a first answer on an image that the registry has just said to be there; a denial while a pull secret is still to be made, or came too late for the first try; old ReplicaSets; pods that were there before helm started",
    source: "kubelet: pkg/kubelet/images/types.go (reasons), image_manager.go (messages); containerd: core/remotes/docker (resolver.go, fetcher.go)",
    check,
};

fn check(context: &RuleContext<'_>) -> Option<TerminalFailure> {
    context.find_in_fresh_containers(judge)
}

fn judge(
    context: &RuleContext<'_>,
    pod: &Pod,
    container: &ContainerStatus,
) -> Option<TerminalFailure> {
    let (reason, message) = waiting(container)?;
    let (cause, said) = match reason {
        "InvalidImageName" => (Cause::ImageInvalid, message.to_owned()),
        "ErrImageNeverPull" => (Cause::ImageNeverPulled, message.to_owned()),
        "SignatureValidationFailed" => (Cause::ImageDenied, message.to_owned()),
        "ErrImagePull" | "ImagePullBackOff" => {
            let said = what_was_said(context, pod, container, message)?;
            let cause = match classify(&said, &container.image)? {
                Answer::OfLaterStep(_) if !context.is_late() => return None,
                Answer::OfRegistry(Cause::ImageDenied) => denied(context, pod, container)?,
                Answer::OfRegistry(cause) | Answer::OfLaterStep(cause) => cause,
            };
            if may_be_a_mirrors(context, pod, container, &cause) {
                return None;
            }
            (cause, said)
        }
        _ => return None,
    };
    Some(
        context
            .failure_of_container(PULL.name, cause, pod, container)
            .saying(said),
    )
}

/// What a denial means to a pod that names pull secrets. The kubelet goes on
/// without one that it cannot get, which may be there a moment later, and it
/// tells so only in an event, ahead of that on the pull itself.
fn denied(context: &RuleContext<'_>, pod: &Pod, container: &ContainerStatus) -> Option<Cause> {
    let secrets = &pod.pull_secrets;
    let promised = &context.baseline.promised;
    if secrets.iter().any(|name| promised.contains(name)) {
        return None;
    }
    if secrets.is_empty() || context.is_late() {
        return Some(Cause::ImageDenied);
    }
    let may_come = |name: &String| may_come_to(context, pod, "Secret", name);
    if !context.cache.sees_events(&pod.key.namespace) {
        return (!secrets.iter().any(may_come)).then_some(Cause::ImageDenied);
    }
    let events = context.new_events_of(pod);
    let denial = events.iter().rfind(|event| {
        is_failed_pull(event, container)
            && classify(&event.message, &container.image)
                == Some(Answer::OfRegistry(Cause::ImageDenied))
    })?;
    let without = events.iter().rfind(|event| {
        event.reason == "FailedToRetrieveImagePullSecret" && event.at + NEXT_TRY > denial.at
    });
    let Some(without) = without else {
        return Some(Cause::ImageDenied);
    };
    let missing = secrets
        .iter()
        .find(|name| without.message.contains(name.as_str()) && !context.may_come("Secret", name));
    match missing {
        // It is there by now: the next try has it.
        None => None,
        Some(name) if may_come(name) => None,
        Some(name) => Some(Cause::Missing {
            kind: "Secret",
            name: name.clone(),
            key: None,
        }),
    }
}

/// The kubelet waits for so many seconds, and longer each time, before it tries a pull
/// again: what it says of a pull secret within that time is about the same try
/// (`imageBackOffPeriod` of pkg/kubelet/kubelet.go, Kubernetes 1.34).
const NEXT_TRY: i64 = 10;

/// Whether an answer is let pass, since the registry has just said that the image is
/// there: of several mirrors one that lacks it speaks louder than one that is down
/// (`firstErrPriority` of core/remotes/docker/resolver.go, containerd 2.1). The second
/// try's answer counts.
fn may_be_a_mirrors(
    context: &RuleContext<'_>,
    pod: &Pod,
    container: &ContainerStatus,
    cause: &Cause,
) -> bool {
    if !matches!(cause, Cause::ImageNotFound | Cause::ImageDenied)
        || !context
            .baseline
            .expected
            .seen_images
            .contains(&container.image)
        || context.is_late()
    {
        return false;
    }
    if !context.cache.sees_events(&pod.key.namespace) {
        return is_within(context, context.cache.since(pod), GRACE);
    }
    let events = context.new_events_of(pod);
    let tries = events
        .iter()
        .filter(|event| is_failed_pull(event, container));
    tries.map(|event| event.count).sum::<u32>() < 2
}

/// Whether an event is the kubelet's on a failed pull of the container's image.
fn is_failed_pull(event: &KubeEvent, container: &ContainerStatus) -> bool {
    event.reason == "Failed" && is_pull_of(&event.message, &container.image)
}

/// Whether a message is the kubelet's on a failed pull of this very image, which
/// it may have given the tag `latest`.
fn is_pull_of(message: &str, image: &str) -> bool {
    message
        .strip_prefix("Failed to pull image \"")
        .and_then(|rest| rest.strip_prefix(image))
        .is_some_and(|rest| rest.starts_with('"') || rest.starts_with(":latest\""))
}

/// The registry's answer: in the container's state, or, before Kubernetes 1.32
/// and while backing off, only in an event.
fn what_was_said(
    context: &RuleContext<'_>,
    pod: &Pod,
    container: &ContainerStatus,
    message: &str,
) -> Option<String> {
    let bare = format!("Back-off pulling image \"{}\"", container.image);
    if !message.is_empty() && message != bare {
        return Some(message.to_owned());
    }
    let mut events = context.new_events_of(pod);
    events.retain(|event| event.reason == "Failed" && event.message.contains(&container.image));
    events.last().map(|event| event.message.clone())
}
