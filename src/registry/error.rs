//! What an answer of the registry means, and what to do about it.
//!
//! Pure. How GHCR answers was read from public threads: a refusal can come at
//! the token or at the manifest, a private package and a missing one look the
//! same from outside, and credentials that have expired are refused even for
//! public packages (akuity/kargo#777, deliveryhero/helm-charts#773).

use std::path::PathBuf;

use crate::error::{Error, Kind};
use crate::text;

/// What an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegistryError {
    /// It is definitely not there.
    NotFound,
    /// Refused: no access, or not there; or the credentials have expired.
    Denied,
    /// Refused to known credentials: they lack the right (`read_package`).
    NoRight,
    /// Too many requests.
    Throttled,
    /// The registry has a failure (5xx, cut off, too slow).
    Unavailable,
    /// Its certificate is not trusted.
    Untrusted,
    /// The proxy does not lead there.
    Proxy,
    /// No way there: name, route, refused connection.
    Unreachable,
    /// Stored credentials cannot be had: a helper program failed.
    Credentials,
    /// What came is not what its digest says.
    Altered,
    /// Something else.
    Unknown,
}

/// Reads the words of a failed `helm pull`, or the chain of causes of a failed
/// request: both say status and code of the registry.
pub fn read(said: &str) -> RegistryError {
    let said = plain(said);
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    let status = status(&said);
    if has(&[
        "executable file not found",
        "getting credentials",
        "docker-credential",
    ]) {
        return RegistryError::Credentials;
    }
    // A proxy may answer with a status of its own, so that it comes first.
    if has(&[
        "proxyconnect",
        "proxy authentication required",
        "tunnel",
        "proxy connect",
    ]) {
        RegistryError::Proxy
    } else if has(&[
        "x509:",
        "tls: failed to verify",
        "invalid peer certificate",
        "unknownissuer",
    ]) {
        RegistryError::Untrusted
    } else if has(&["read_package", "insufficient_scope"]) {
        RegistryError::NoRight
    } else if matches!(status, Some(401 | 403))
        || has(&["unauthorized", "denied: ", "not authorized"])
    {
        RegistryError::Denied
    } else if status == Some(404)
        || has(&[
            "not found",
            "manifest unknown",
            "manifest_unknown",
            "name unknown",
            "name_unknown",
        ])
    {
        RegistryError::NotFound
    } else if status == Some(429) || has(&["toomanyrequests"]) {
        RegistryError::Throttled
    } else if has(&["mismatched digest"]) {
        RegistryError::Altered
    } else if matches!(status, Some(500..=599))
        || has(&[
            ": eof",
            "unexpected eof",
            "timeout",
            "timed out",
            "deadline exceeded",
            "connection reset",
            "closed connection",
            "unexpected-eof",
            "incomplete message",
        ])
    {
        RegistryError::Unavailable
    } else if has(&[
        "no such host",
        "connection refused",
        "no route",
        "unreachable",
        "dns error",
        "failed to lookup",
    ]) {
        RegistryError::Unreachable
    } else {
        RegistryError::Unknown
    }
}

/// The words in lower case, without what is quoted or names something of the
/// registry: a chart may be called `eof` or `tunnel`.
fn plain(said: &str) -> String {
    let unquoted: String = said.split('"').step_by(2).collect();
    let words = unquoted
        .split_whitespace()
        .filter(|word| !word.contains("ghcr.io/"));
    words.collect::<Vec<_>>().join(" ").to_lowercase()
}

/// The number behind `status code` (helm's words) or `code:`.
fn status(said: &str) -> Option<u16> {
    ["status code ", "code: "].into_iter().find_map(|before| {
        let rest = &said[said.rfind(before)? + before.len()..];
        let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
        digits.parse().ok()
    })
}

/// What was asked of the registry.
#[derive(Clone, Debug)]
pub struct RegistryRequest {
    /// Chart or image, as people write it: `oci://ghcr.io/acme/charts/shop 1.0.0`.
    pub what: String,
    /// The file that holds credentials for the registry, where there is one.
    pub stored: Option<PathBuf>,
    /// Whether it was tried without credentials as well.
    pub anonymous: bool,
}

/// The error of an answer: [`Kind::Registry`] where it is not there or access is
/// refused, [`Kind::Node`] where something on the node is the cause.
pub fn error(answer: RegistryError, asked: &RegistryRequest, said: &str) -> Error {
    let what = text::line(&asked.what, 300);
    let new = |kind: Kind, why: &str| {
        Error::new(kind, format!("{what}: {why}")).details(text::tail(said.trim(), 3))
    };
    match answer {
        RegistryError::NotFound => new(Kind::Registry, "ghcr.io does not have it (404)")
            .hint("push it first, and see that the version or tag in the signal is the one that was pushed"),
        RegistryError::Denied => denied(asked, said),
        RegistryError::NoRight => new(Kind::Registry, "ghcr.io knows the stored credentials, but they lack the right to read it")
            .details(stored(asked))
            .hint("give their owner read access: the package's settings, Manage access; the token needs read:packages"),
        RegistryError::Throttled => new(Kind::Registry, "ghcr.io refuses so many requests (429)").hint("send the signal again in a few minutes"),
        RegistryError::Unavailable => new(Kind::Registry, "ghcr.io did not answer as it should")
            .hint("see githubstatus.com, then send the signal again"),
        RegistryError::Untrusted => new(Kind::Node, "the certificate of ghcr.io is not trusted here")
            .hint("install the CA of your proxy, or name it in deploy.toml: [env] SSL_CERT_FILE = \"/path\""),
        RegistryError::Proxy => new(Kind::Node, "the proxy does not lead to ghcr.io")
            .hint("see HTTPS_PROXY and NO_PROXY: those of deploy.toml, [env], else of the environment that deploy was called with"),
        RegistryError::Unreachable => new(Kind::Node, "ghcr.io cannot be reached from this node")
            .hint("see the node's DNS, routes and firewall; where it needs a proxy, set HTTPS_PROXY in deploy.toml, [env]"),
        RegistryError::Credentials => new(Kind::Node, "the stored credentials for ghcr.io cannot be read")
            .details(stored(asked))
            .hint("see that the credential helper that is named there is installed and works"),
        RegistryError::Altered => new(Kind::Registry, "what ghcr.io gave is not what its digest says: it was altered")
            .hint("send the signal again; if it stays, see what stands between the node and ghcr.io (HTTPS_PROXY), and who pushed this"),
        RegistryError::Unknown => new(Kind::Registry, "ghcr.io did not give it")
            .hint("send the signal again; if it stays, run `helm pull` by hand on the node as this user"),
    }
}

fn denied(asked: &RegistryRequest, said: &str) -> Error {
    let what = text::line(&asked.what, 300);
    let Some(file) = &asked.stored else {
        return Error::new(
            Kind::Registry,
            format!("{what}: ghcr.io refuses it without credentials: it is private, or not there"),
        )
        .details(text::tail(said.trim(), 3))
        .hint("log in on the node with a classic token that has read:packages: helm registry login ghcr.io")
        .hint("or make the package public: a package is private on its first push");
    };
    let tried = if asked.anonymous {
        ", and without them"
    } else {
        ""
    };
    Error::new(Kind::Registry, format!("{what}: ghcr.io refuses it with the stored credentials{tried}"))
        .details(text::tail(said.trim(), 3))
        .detail(format!("credentials: {}", file.display()))
        .hint("if the token has expired or was revoked: log in again with a classic token that has read:packages")
        .hint("if its owner has no access: give it in the package's settings, Manage access")
        .hint("if it was never pushed: push it; a private package and a missing one look the same from outside")
}

fn stored(asked: &RegistryRequest) -> Option<String> {
    asked
        .stored
        .as_ref()
        .map(|file| format!("credentials: {}", file.display()))
}

/// The warning where dead credentials stood in the way of a public package.
pub fn dead_credentials(file: &std::path::Path) -> String {
    format!(
        "the credentials for ghcr.io in {} are refused, even for a public package; it was pulled without them. \
         Log in again, or remove them: helm registry logout ghcr.io, docker logout ghcr.io",
        file.display()
    )
}

#[cfg(test)]
mod tests {
    use super::{RegistryError, RegistryRequest, error, read};
    use crate::error::Kind;

    const MANIFEST: &str = "Error: failed to perform \"FetchReference\" on source: GET \"https://ghcr.io/v2/acme/charts/shop/manifests/1.0.0\": ";

    #[test]
    fn helms_words_are_understood() {
        for (said, answer) in [
            (
                "GET \"https://ghcr.io/token?scope=x\": response status code 401: unauthorized: authentication required",
                RegistryError::Denied,
            ),
            (
                "response status code 403: denied: denied",
                RegistryError::Denied,
            ),
            (
                "response status code 403: denied: requested access to the resource is denied",
                RegistryError::Denied,
            ),
            (
                "response status code 403: denied: permission_denied: read_package",
                RegistryError::NoRight,
            ),
            (
                "response status code 500: unknown: unknown error",
                RegistryError::Unavailable,
            ),
            (
                "response status code 503: Service Unavailable",
                RegistryError::Unavailable,
            ),
            (
                "response status code 429: toomanyrequests: retry later",
                RegistryError::Throttled,
            ),
            ("EOF", RegistryError::Unavailable),
            (
                "read failed: expected content size of 842, got 100, for digest sha256:0a5e: unexpected EOF",
                RegistryError::Unavailable,
            ),
            (
                "exec: \"docker-credential-nope\": executable file not found in $PATH",
                RegistryError::Credentials,
            ),
            (
                "net/http: TLS handshake timeout",
                RegistryError::Unavailable,
            ),
            (
                "client error (SendRequest): connection error: peer closed connection without sending TLS close_notify",
                RegistryError::Unavailable,
            ),
            (
                "tls: failed to verify certificate: x509: certificate signed by unknown authority",
                RegistryError::Untrusted,
            ),
            (
                "proxyconnect tcp: dial tcp 127.0.0.1:1: connect: connection refused",
                RegistryError::Proxy,
            ),
            (
                "dial tcp: lookup ghcr.io on 10.0.0.53:53: no such host",
                RegistryError::Unreachable,
            ),
            (
                "dial tcp 1.2.3.4:443: connect: connection refused",
                RegistryError::Unreachable,
            ),
            (
                "copy failed: sha256:0a5e: mismatched digest",
                RegistryError::Altered,
            ),
            ("something new", RegistryError::Unknown),
        ] {
            assert_eq!(read(&format!("{MANIFEST}{said}\n")), answer, "{said}");
        }
        for name in ["shop", "tunnel", "denied", "eof"] {
            let said = format!(
                "Error: failed to perform \"FetchReference\" on source: ghcr.io/acme/charts/{name}:1.0.0: not found\n"
            );
            assert_eq!(read(&said), RegistryError::NotFound);
        }
    }

    #[test]
    fn each_answer_has_its_kind_and_cure() {
        for (answer, kind) in [
            (RegistryError::NotFound, Kind::Registry),
            (RegistryError::Denied, Kind::Registry),
            (RegistryError::NoRight, Kind::Registry),
            (RegistryError::Throttled, Kind::Registry),
            (RegistryError::Unavailable, Kind::Registry),
            (RegistryError::Untrusted, Kind::Node),
            (RegistryError::Proxy, Kind::Node),
            (RegistryError::Unreachable, Kind::Node),
            (RegistryError::Credentials, Kind::Node),
            (RegistryError::Altered, Kind::Registry),
            (RegistryError::Unknown, Kind::Registry),
        ] {
            let asked = RegistryRequest {
                what: "chart".into(),
                stored: None,
                anonymous: false,
            };
            let error = error(answer, &asked, "said");
            assert_eq!(error.kind(), kind, "{answer:?}");
            assert!(!error.hints().is_empty(), "{answer:?}");
            assert!(error.to_string().starts_with("chart: "), "{error}");
        }
    }

    #[test]
    fn a_denial_with_credentials_names_three_causes_and_the_file() {
        let asked = RegistryRequest {
            what: "chart".into(),
            stored: Some("/home/u/config.json".into()),
            anonymous: true,
        };
        let error = error(RegistryError::Denied, &asked, "denied");
        assert_eq!(error.hints().len(), 3);
        assert!(
            error
                .evidence()
                .iter()
                .any(|line| line.contains("/home/u/config.json"))
        );
        assert!(error.to_string().contains("without them"));
    }
}
