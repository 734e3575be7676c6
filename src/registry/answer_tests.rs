#![allow(clippy::unwrap_used)]

use oci_client::errors::{DigestError, OciDistributionError};
use serde_json::json;

use super::{RegistryError, meaning};

fn answered(code: &str, message: &str) -> OciDistributionError {
    let envelope = json!({ "errors": [ { "code": code, "message": message } ] });
    OciDistributionError::RegistryError {
        envelope: serde_json::from_value(envelope).unwrap(),
        url: "x".into(),
    }
}

fn server(code: u16) -> OciDistributionError {
    OciDistributionError::ServerError {
        code,
        url: "x".into(),
        message: "<html>".into(),
    }
}

#[test]
fn ghcrs_answers_are_understood() {
    let token = |body: &str| OciDistributionError::AuthenticationFailure(body.into());
    let altered = || DigestError::VerificationError {
        expected: "sha256:a".into(),
        actual: "sha256:b".into(),
    };
    for (error, answer) in [
        (
            answered("MANIFEST_UNKNOWN", "manifest unknown"),
            RegistryError::NotFound,
        ),
        (
            answered("NAME_UNKNOWN", "repository name not known to registry"),
            RegistryError::NotFound,
        ),
        (answered("DENIED", "denied"), RegistryError::Denied),
        (
            answered("DENIED", "permission_denied: read_package"),
            RegistryError::NoRight,
        ),
        (
            answered("TOOMANYREQUESTS", "later"),
            RegistryError::Throttled,
        ),
        (answered("NEW", "new"), RegistryError::Unknown),
        (
            token(r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#),
            RegistryError::Denied,
        ),
        (token("<html>busy</html>"), RegistryError::Unavailable),
        (
            OciDistributionError::UnauthorizedError { url: "x".into() },
            RegistryError::Denied,
        ),
        (server(403), RegistryError::Denied),
        (server(404), RegistryError::Unknown),
        (server(407), RegistryError::Proxy),
        (server(503), RegistryError::Unavailable),
        (altered().into(), RegistryError::Altered),
        (
            std::io::Error::other(altered()).into(),
            RegistryError::Altered,
        ),
        (
            std::io::Error::other("reset").into(),
            RegistryError::Unknown,
        ),
    ] {
        assert_eq!(meaning(&error), answer, "{error}");
    }
}
