//! Images that cannot be had.

use super::context::{Rule, RuleContext};
use super::grace::{GRACE, is_within, may_come_to};
use super::words::{any, waiting, words};
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

/// A refusal to pull that does not look like one that passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The registry's own, on the reference.
    OfRegistry(Cause),
    /// On something behind the reference (a blob, its storage's signed address, a layer on
    /// the node's disk), or a mirror's: the next try may do better.
    OfLaterStep(Cause),
}

/// What a pull says after the reference was resolved, or of a mirror (`ns=`):
/// core/remotes/docker/fetcher.go, core/unpack/unpacker.go and core/content of
/// containerd 2.1; `copy` of containers/image for CRI-O.
const LATER_STEPS: [&str; 14] = [
    "/blobs/",
    "?ns=",
    "&ns=",
    "failed to copy",
    "httpreadseeker",
    "content at ",
    "content digest",
    "content descriptor",
    "could not fetch content",
    "snapshot",
    "extract",
    "reading blob",
    "fetching blob",
    "copying blob",
];

/// What says that the registry does not have the reference itself.
const NO_SUCH_REFERENCE: [&str; 5] = [
    "failed to resolve",
    "manifest unknown",
    "manifest_unknown",
    "name unknown",
    "name_unknown",
];

/// What the answer means; none where it may pass. References and addresses are
/// left out first: an image may be called `not-found:503`.
pub(super) fn classify(message: &str, image: &str) -> Option<Answer> {
    let rest = message.replace(image, " ").to_lowercase();
    let cause = cause(&rest)?;
    let is_named =
        || any(&rest, &NO_SUCH_REFERENCE) || message.contains(&format!("{image}: not found"));
    let later = match cause {
        Cause::ImageNotFound => any(&rest, &LATER_STEPS) || !is_named(),
        Cause::ImageDenied => any(&rest, &LATER_STEPS),
        _ => false,
    };
    Some(if later {
        Answer::OfLaterStep(cause)
    } else {
        Answer::OfRegistry(cause)
    })
}

/// What a message without the image's name means, in lower case.
fn cause(rest: &str) -> Option<Cause> {
    let text: String = rest
        .split_whitespace()
        .filter(|word| !word.contains('/'))
        .collect::<Vec<_>>()
        .join(" ")
        // The node's disk, not the registry.
        .replace("permission denied", "");
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
    use super::{Answer, classify};
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
                cause.map(Answer::OfRegistry),
                "{message}"
            );
        }
    }

    /// Case C4: words of containerd 2.1 (core/unpack/unpacker.go, core/metadata/content.go,
    /// core/remotes/docker/fetcher.go and resolver.go), and of containers/image.
    #[test]
    fn what_is_said_behind_the_reference_may_pass() {
        let image = "ghcr.io/acme/api:1";
        let digest = "sha256:4055aa2a4a5b6a4ac8f5e9a1c7a3e9f4b8f5b0f6d4d0f0a9d4b3e6f7a8b9c0d1";
        let pull = r#"rpc error: code = NotFound desc = failed to pull and unpack image "IMAGE": "#;
        for (message, cause) in [
            (
                "failed to prepare extraction snapshot \"extract-716213-Lq7E DIGEST\": parent snapshot DIGEST does not exist: not found",
                Cause::ImageNotFound,
            ),
            ("content digest DIGEST: not found", Cause::ImageNotFound),
            (
                "failed to copy: httpReadSeeker: failed open: content at https://ghcr.io/v2/acme/api/manifests/DIGEST not found: not found",
                Cause::ImageNotFound,
            ),
            (
                "failed to copy: httpReadSeeker: failed open: could not fetch content descriptor DIGEST (application/vnd.oci.image.layer.v1.tar+gzip) from remote: not found",
                Cause::ImageNotFound,
            ),
            (
                "failed to copy: httpReadSeeker: failed open: unexpected status code https://ghcr.io/v2/acme/api/blobs/DIGEST: 403 Forbidden",
                Cause::ImageDenied,
            ),
            (
                "failed to resolve reference \"IMAGE\": unexpected status from HEAD request to https://mirror.local:5000/v2/acme/api/manifests/1?ns=ghcr.io: 404 Not Found",
                Cause::ImageNotFound,
            ),
            (
                "failed to resolve reference \"IMAGE\": unexpected status from HEAD request to https://mirror.local:5000/v2/acme/api/manifests/1?ns=ghcr.io: 403 Forbidden",
                Cause::ImageDenied,
            ),
            (
                "copying system image from manifest list: reading blob DIGEST: fetching blob: denied",
                Cause::ImageDenied,
            ),
        ] {
            let message = format!("{pull}{message}").replace("DIGEST", digest);
            assert_eq!(
                classify(&message.replace("IMAGE", image), image),
                Some(Answer::OfLaterStep(cause)),
                "{message}"
            );
        }
        // The node's disk.
        let disk =
            "failed to create temp dir: mkdir /var/lib/containerd/tmpmounts: permission denied";
        assert_eq!(classify(disk, image), None);
        for said in [
            "IMAGE: not found",
            "failed to resolve image: IMAGE: not found",
            "failed to resolve reference \"IMAGE\": IMAGE: not found",
            "initializing source docker://IMAGE: reading manifest 1 in ghcr.io/acme/api: manifest unknown",
        ] {
            let message = format!("{pull}{said}").replace("IMAGE", image);
            assert_eq!(
                classify(&message, image),
                Some(Answer::OfRegistry(Cause::ImageNotFound)),
                "{message}"
            );
        }
    }
}
