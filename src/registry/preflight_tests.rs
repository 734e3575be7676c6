#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use oci_client::errors::OciDistributionError;
use oci_client::manifest::OciImageIndex;
use serde_json::json;

use super::{
    ImageStatus, Preflight, RegistryError, meaning, named_platform, platforms, wrong_platform,
};
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
    ] {
        assert_eq!(meaning(&error), answer, "{error}");
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
    let index: OciImageIndex = serde_json::from_value(index).unwrap();
    assert_eq!(
        platforms(&index),
        BTreeSet::from(["linux/amd64".into(), "linux/arm64".into()])
    );
}

#[test]
fn only_what_is_definitely_missing_stops_a_deploy() {
    let image = |key: &str, verdict: ImageStatus| {
        (
            key.parse().unwrap(),
            format!("ghcr.io/acme/{key}:1").parse().unwrap(),
            verdict,
        )
    };
    let found = ImageStatus::Found {
        digest: None,
        platforms: BTreeSet::new(),
    };
    let denied = ImageStatus::Unknown(RegistryError::Denied, "denied".into());
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
            image("api", ImageStatus::NotFound),
            image("web", ImageStatus::NotFound),
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

#[test]
fn a_single_images_platform_is_in_its_config() {
    for (config, platform) in [
        (
            r#"{"os":"linux","architecture":"arm64","config":{}}"#,
            Some("linux/arm64"),
        ),
        (r#"{"apiVersion":"v2","name":"shop"}"#, None),
        (r#"{"os":"","architecture":""}"#, None),
        ("<html>", None),
    ] {
        assert_eq!(
            named_platform(config.as_bytes()).as_deref(),
            platform,
            "{config}"
        );
    }
}

#[test]
fn an_image_for_no_node_is_told_with_both_sides() {
    let found = |platforms: &[&str]| ImageStatus::Found {
        digest: None,
        platforms: platforms.iter().map(|&name| name.to_owned()).collect(),
    };
    let preflight = |verdicts: [ImageStatus; 2]| Preflight {
        verdicts: ["api", "web"]
            .into_iter()
            .zip(verdicts)
            .map(|(key, verdict)| {
                let image = format!("ghcr.io/acme/{key}:1").parse().unwrap();
                (key.parse().unwrap(), image, verdict)
            })
            .collect(),
        ..Preflight::default()
    };
    let nodes = BTreeSet::from(["linux/amd64".to_owned()]);
    let good = [found(&["linux/amd64", "linux/arm64"]), found(&[])];
    assert!(preflight(good).incompatible_images(&nodes).is_empty());
    let unknown = [found(&["linux/amd64"]), ImageStatus::NotFound];
    assert!(preflight(unknown).incompatible_images(&nodes).is_empty());

    let one =
        preflight([found(&["linux/arm64"]), found(&["linux/amd64"])]).incompatible_images(&nodes);
    let error = wrong_platform(&one);
    assert_eq!(error.kind(), Kind::Chart);
    assert_eq!(
        error.to_string(),
        "no node can run api: ghcr.io/acme/api:1 is built for linux/arm64, the cluster's nodes are linux/amd64"
    );
    let both =
        preflight([found(&["linux/arm64"]), found(&["windows/amd64"])]).incompatible_images(&nodes);
    let error = wrong_platform(&both);
    assert_eq!(error.to_string(), "no node can run 2 of the images");
    assert_eq!(error.evidence().len(), 2);
}
