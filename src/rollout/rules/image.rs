//! Images that cannot be had.

use super::context::{Rule, RuleContext};
use super::words::{any, waiting, words};
use crate::rollout::cause::{Cause, TerminalFailure};
use crate::rollout::model::{ContainerStatus, Pod};

pub(super) const PULL: Rule = Rule {
    name: "image",
    catches: "an image that the registry does not have or denies, that is not built for the node's platform, whose name is invalid, or that may never be pulled and is not there",
    tolerates: "time-outs, refused and broken connections, 429, 5xx and everything else that may pass; a denial while a pull secret is still to be made, or came too late for the first try; old ReplicaSets; pods that were there before helm started",
    source: "kubelet: pkg/kubelet/images/types.go (reasons), image_manager.go (messages); containerd: remotes/docker",
    check,
};

fn check(context: &RuleContext<'_>) -> Option<TerminalFailure> {
    context.fresh_pods().find_map(|pod| {
        pod.containers
            .iter()
            .find_map(|container| judge(context, pod, container))
    })
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
                Cause::ImageDenied => denied(context, pod, container)?,
                other => other,
            };
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
    if secrets.is_empty() || context.is_late() || !context.cache.sees_events(&pod.key.namespace) {
        return Some(Cause::ImageDenied);
    }
    let events = context.new_events_of(pod);
    let denials = events.iter().filter(|event| {
        event.reason == "Failed"
            && is_pull_of(&event.message, &container.image)
            && classify(&event.message, &container.image) == Some(Cause::ImageDenied)
    });
    let denials: u32 = denials.map(|event| event.count).sum();
    let without = events
        .iter()
        .find(|event| event.reason == "FailedToRetrieveImagePullSecret");
    let missing = secrets.iter().find(|name| {
        without.is_some_and(|event| event.message.contains(name.as_str()))
            && !context.may_come("Secret", name)
    });
    match (denials, missing) {
        (0, _) => None,
        (_, Some(name)) => Some(Cause::Missing {
            kind: "Secret",
            name: name.clone(),
            key: None,
        }),
        // It is there by now: the next try has it.
        (1, None) if without.is_some() => None,
        _ => Some(Cause::ImageDenied),
    }
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

/// What the answer means; none where it may pass. References and addresses are
/// left out first: an image may be called `not-found:503`.
pub(super) fn classify(message: &str, image: &str) -> Option<Cause> {
    let text: String = message
        .replace(image, " ")
        .split_whitespace()
        .filter(|word| !word.contains('/'))
        .collect::<Vec<_>>()
        .join(" ")
        .to_lowercase();
    let words = words(&text);
    let status = |codes: &[&str]| codes.iter().any(|code| words.contains(*code));
    let passing = [
        "timeout",
        "timed out",
        "deadline exceeded",
        "connection refused",
        "connection reset",
        "no such host",
        "server misbehaving",
        "temporary failure",
        "too many requests",
        "toomanyrequests",
        "unreachable",
        "no route to host",
        "tls handshake",
        "broken pipe",
        "canceled",
        "internal server error",
        "bad gateway",
        "service unavailable",
        "unavailable",
        "unexpected eof",
    ];
    if any(&text, &passing) || status(&["429", "500", "502", "503", "504", "eof"]) {
        return None;
    }
    if any(
        &text,
        &[
            "no match for platform",
            "no matching manifest for",
            "does not match the specified platform",
            "exec format error",
        ],
    ) {
        return Some(Cause::WrongPlatform);
    }
    if any(
        &text,
        &[
            "denied",
            "forbidden",
            "unauthorized",
            "authentication required",
            "authorization failed",
            "insufficient_scope",
        ],
    ) || status(&["401", "403"])
    {
        return Some(Cause::ImageDenied);
    }
    let gone = any(
        &text,
        &[
            "not found",
            "manifest unknown",
            "manifest_unknown",
            "name unknown",
            "name_unknown",
            "does not exist",
        ],
    );
    (gone || status(&["404"])).then_some(Cause::ImageNotFound)
}

#[cfg(test)]
mod tests {
    use super::classify;
    use crate::rollout::cause::Cause;

    #[test]
    fn only_definite_answers_are_failures() {
        let image = "ghcr.io/acme/not-found/503/denied:timeout";
        for (message, cause) in [
            (
                r#"failed to pull and unpack image "IMAGE": failed to resolve reference "IMAGE": IMAGE: not found"#,
                Some(Cause::ImageNotFound),
            ),
            (
                r#"Back-off pulling image "IMAGE": ErrImagePull: rpc error: code = NotFound desc = failed to pull and unpack image "IMAGE": IMAGE: not found"#,
                Some(Cause::ImageNotFound),
            ),
            (
                r#"failed to resolve reference "IMAGE": unexpected status from HEAD request to https://ghcr.io/v2/acme/x/manifests/1: 404 Not Found"#,
                Some(Cause::ImageNotFound),
            ),
            (
                r#"failed to pull image "IMAGE": no match for platform in manifest: not found"#,
                Some(Cause::WrongPlatform),
            ),
            (
                "failed to authorize: failed to fetch anonymous token: unexpected status from GET request to https://ghcr.io/token?scope=a: 401 Unauthorized",
                Some(Cause::ImageDenied),
            ),
            (
                r#"failed to resolve reference "IMAGE": unexpected status from HEAD request to https://ghcr.io/v2/: 403 Forbidden"#,
                Some(Cause::ImageDenied),
            ),
            (
                "pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed",
                Some(Cause::ImageDenied),
            ),
            (
                r#"failed to do request: Head "https://ghcr.io/v2/": dial tcp: lookup ghcr.io: i/o timeout"#,
                None,
            ),
            (
                r#"failed to do request: Head "https://ghcr.io/v2/": dial tcp 1.2.3.4:443: connect: connection refused"#,
                None,
            ),
            (
                r#"failed to do request: Head "https://ghcr.io/v2/": net/http: TLS handshake timeout"#,
                None,
            ),
            (
                "unexpected status from HEAD request to https://ghcr.io/v2/: 503 Service Unavailable",
                None,
            ),
            (
                "unexpected status from GET request to https://ghcr.io/token: 429 Too Many Requests",
                None,
            ),
            (
                r#"failed to do request: Head "https://ghcr.io/v2/": EOF"#,
                None,
            ),
            (
                "failed to copy: httpReadSeeker: failed open: unexpected status code https://ghcr.io/v2/blobs/sha256:40: 502 Bad Gateway",
                None,
            ),
            (r#"pulling image "IMAGE""#, None),
            ("", None),
        ] {
            assert_eq!(
                classify(&message.replace("IMAGE", image), image),
                cause,
                "{message}"
            );
        }
    }
}
