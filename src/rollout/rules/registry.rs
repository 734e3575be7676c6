//! What the words of a failed pull mean.

use super::words::{any, words};
use crate::rollout::cause::Cause;

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
