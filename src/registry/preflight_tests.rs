#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use oci_client::errors::OciDistributionError;
use oci_client::manifest::OciManifest;
use serde_json::json;

use super::{Answer, Preflight, Verdict, judge, platforms};
use crate::error::Kind;

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
    for (error, answer) in [
        (
            answered("MANIFEST_UNKNOWN", "manifest unknown"),
            Answer::NotFound,
        ),
        (
            answered("NAME_UNKNOWN", "repository name not known to registry"),
            Answer::NotFound,
        ),
        (answered("DENIED", "denied"), Answer::Denied),
        (
            answered("DENIED", "permission_denied: read_package"),
            Answer::NoRight,
        ),
        (answered("TOOMANYREQUESTS", "later"), Answer::Throttled),
        (answered("NEW", "new"), Answer::Unknown),
        (
            token(r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#),
            Answer::Denied,
        ),
        (token("<html>busy</html>"), Answer::Unavailable),
        (
            OciDistributionError::UnauthorizedError { url: "x".into() },
            Answer::Denied,
        ),
        (server(403), Answer::Denied),
        (server(404), Answer::Unknown),
        (server(407), Answer::Proxy),
        (server(503), Answer::Unavailable),
    ] {
        assert_eq!(judge(&error), answer, "{error}");
    }
}

#[test]
fn platforms_of_an_index_are_told_without_attestations() {
    let entry = |os: &str, architecture: &str| {
        json!({ "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "sha256:0", "size": 1,
            "platform": { "os": os, "architecture": architecture } })
    };
    let index = json!({ "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [ entry("linux", "amd64"), entry("linux", "arm64"), entry("unknown", "unknown") ] });
    let manifest: OciManifest = serde_json::from_value(index).unwrap();
    assert_eq!(
        platforms(&manifest),
        BTreeSet::from(["linux/amd64".into(), "linux/arm64".into()])
    );
}

#[test]
fn only_what_is_definitely_missing_stops_a_deploy() {
    let image = |key: &str, verdict: Verdict| {
        (
            key.parse().unwrap(),
            format!("ghcr.io/acme/{key}:1").parse().unwrap(),
            verdict,
        )
    };
    let found = Verdict::Found {
        digest: None,
        platforms: BTreeSet::new(),
    };
    let denied = Verdict::Unknown(Answer::Denied, "denied".into());
    let good = Preflight {
        verdicts: vec![image("api", found), image("web", denied)],
        ..Preflight::default()
    };
    assert!(good.check().is_ok());
    let notes = good.notes();
    assert!(
        notes.len() == 1 && notes[0].starts_with("web: ghcr.io/acme/web:1"),
        "{notes:?}"
    );

    let missing = Preflight {
        verdicts: vec![
            image("api", Verdict::NotFound),
            image("web", Verdict::NotFound),
        ],
        ..Preflight::default()
    };
    let error = missing.check().unwrap_err();
    assert_eq!(error.kind(), Kind::Registry);
    assert_eq!(
        error.evidence(),
        ["api: ghcr.io/acme/api:1", "web: ghcr.io/acme/web:1"]
    );
}
