//! Scripts that say what helm said.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use tokio::time::Instant;

use super::{PulledChart, pull};
use crate::error::{Kind, Result};
use crate::process::cancel::Cancel;
use crate::process::runner::tests::{bare, script};

const PULLED: &str = "touch \"${4#*=}/shop-1.0.0.tgz\"; echo Pulled: x; echo Digest: sha256:0123456789012345678901234567890123456789012345678901234567890123";
const DENIED: &str = "echo 'Error: failed to perform \"FetchReference\" on source: GET \"https://ghcr.io/v2/x\": response status code 403: denied: denied' >&2; exit 1";

async fn pulled(body: &str, credentials: &str) -> (Result<PulledChart>, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.json");
    std::fs::write(&file, credentials).unwrap();
    let environment = [
        ("PATH", "/usr/bin:/bin"),
        ("HELM_REGISTRY_CONFIG", file.to_str().unwrap()),
    ];
    let runner = bare(script(folder.path(), body), &environment);
    let (cancel, _trigger) = Cancel::manual();
    let deadline = Instant::now() + Duration::from_secs(30);
    let (chart, version) = (
        "oci://ghcr.io/acme/charts/shop".parse().unwrap(),
        "1.0.0".parse().unwrap(),
    );
    let pulled = pull(&runner, &chart, &version, &cancel, deadline).await;
    (pulled, file.display().to_string())
}

#[tokio::test]
async fn a_chart_is_pulled() {
    let (pulled, _) = pulled(PULLED, "{}").await;
    let pulled = pulled.unwrap();
    assert!(pulled.archive.ends_with("chart/shop-1.0.0.tgz"));
    assert!(pulled.digest.unwrap().hex().starts_with("0123"));
    assert_eq!(pulled.warning, None);
}

#[tokio::test]
async fn dead_credentials_do_not_stand_in_the_way_of_a_public_chart() {
    let body = format!(
        "if grep -q auths \"$HELM_REGISTRY_CONFIG\"; then {DENIED}; fi; [ -d \"$DOCKER_CONFIG\" ] || exit 1; {PULLED}"
    );
    let (pulled, file) = pulled(&body, r#"{"auths":{"ghcr.io":{"auth":"dTpw"}}}"#).await;
    let warning = pulled.unwrap().warning.unwrap();
    assert!(
        warning.contains(&file) && warning.contains("helm registry logout"),
        "{warning}"
    );
}

#[tokio::test]
async fn a_missing_version_of_a_public_chart_is_told_despite_dead_credentials() {
    let missing = "echo 'Error: failed to perform \"FetchReference\" on source: ghcr.io/acme/charts/shop:1.0.0: not found' >&2; exit 1";
    let body = format!("if grep -q auths \"$HELM_REGISTRY_CONFIG\"; then {DENIED}; fi; {missing}");
    let (pulled, _) = pulled(&body, r#"{"auths":{"ghcr.io":{"auth":"dTpw"}}}"#).await;
    let error = pulled.unwrap_err();
    assert!(error.to_string().contains("does not have it"), "{error}");
}

#[tokio::test]
async fn a_denial_says_its_causes() {
    for (credentials, hints) in [("{}", 2), (r#"{"auths":{"ghcr.io":{"auth":"dTpw"}}}"#, 3)] {
        let (pulled, file) = pulled(DENIED, credentials).await;
        let error = pulled.unwrap_err();
        assert_eq!(
            (error.kind(), error.hints().len()),
            (Kind::Registry, hints),
            "{error}"
        );
        assert_eq!(
            error.evidence().iter().any(|line| line.contains(&file)),
            hints == 3
        );
    }
}

#[tokio::test]
async fn a_credential_helper_that_fails_is_the_nodes_matter() {
    let said = "echo 'Error: GET \"https://ghcr.io/v2/x\": the store is locked' >&2; exit 1";
    let (pulled, _) = pulled(said, r#"{"credsStore":"is-not-there"}"#).await;
    let error = pulled.unwrap_err();
    assert_eq!(error.kind(), Kind::Node);
    assert!(
        error.to_string().contains("docker-credential-is-not-there"),
        "{error}"
    );
}
