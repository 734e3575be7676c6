#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use super::{Capabilities, ReleaseTarget, RenderMode, RenderRequest, render};
use crate::error::{Kind, Result};
use crate::helm::command;
use crate::plan::ReleaseId;
use crate::process::cancel::Cancel;
use crate::process::runner::tests::{bare, script};

async fn rendered(body: &str, way: RenderMode) -> Result<String> {
    let folder = tempfile::tempdir().unwrap();
    let runner = bare(script(folder.path(), body), &[("PATH", "/usr/bin:/bin")]);
    let (cancel, _trigger) = Cancel::manual();
    let target = ReleaseTarget {
        release: ReleaseId::new("prod", "shop"),
        context: None,
        kubeconfig: None,
    };
    let capabilities = Capabilities::default();
    let wanted = RenderRequest {
        chart: Path::new("/c.tgz"),
        values: &[],
        upgrade: true,
        capabilities: &capabilities,
    };
    render(
        &runner,
        &target,
        way,
        &wanted,
        &cancel,
        Instant::now() + Duration::from_secs(30),
    )
    .await
}

#[tokio::test]
async fn what_helm_prints_is_the_rendering() {
    assert_eq!(
        rendered(
            "echo '---'; echo 'a: 1'; echo 'warning' >&2",
            RenderMode::Local
        )
        .await
        .unwrap(),
        "---\na: 1\n"
    );
}

#[tokio::test]
async fn a_dry_run_is_joined_with_its_hooks_but_those_of_tests() {
    let release = r#"{"name":"shop","version":2,"manifest":"---\na: 1\n","config":{"secret":"x"},"hooks":[
        {"path":"shop/templates/h.yaml","manifest":"b: 2","events":["pre-upgrade"]},
        {"path":"shop/templates/t.yaml","manifest":"c: 3","events":["test"]}]}"#;
    let body = format!("cat <<'END'\nwarning: odd\n{release}\nEND");
    let documents = rendered(&body, RenderMode::Server).await.unwrap();
    assert_eq!(
        documents,
        "---\na: 1\n---\n# Source: shop/templates/h.yaml\nb: 2\n"
    );
}

#[tokio::test]
async fn failures_are_the_charts_or_the_nodes() {
    for (body, way, kind) in [
        (
            "echo 'Error: execution error at (shop/templates/x.yaml:1:3): no' >&2; exit 1",
            RenderMode::Local,
            Kind::Chart,
        ),
        (
            "echo 'Error: Kubernetes cluster unreachable: x' >&2; exit 1",
            RenderMode::Server,
            Kind::Node,
        ),
        ("echo nonsense", RenderMode::Server, Kind::Node),
        ("head -c 70000000 /dev/zero", RenderMode::Local, Kind::Chart),
    ] {
        assert_eq!(
            rendered(body, way).await.unwrap_err().kind(),
            kind,
            "{body}"
        );
    }
}

/// The command lines are those that the real helms take: run by hand against
/// both, here only their shape.
#[test]
fn nothing_is_ever_set_on_the_command_line() {
    let target = ReleaseTarget {
        release: ReleaseId::new("prod", "shop"),
        context: None,
        kubeconfig: None,
    };
    let capabilities = Capabilities::default();
    let wanted = RenderRequest {
        chart: Path::new("/c.tgz"),
        values: &[],
        upgrade: false,
        capabilities: &capabilities,
    };
    for call in [
        command::template(&target, &wanted),
        command::server_render(&target, &wanted),
    ] {
        assert!(
            !call
                .args
                .iter()
                .any(|word| word.to_string_lossy().starts_with("--set"))
        );
    }
}

#[test]
fn charts_that_ask_the_cluster_are_rendered_there() {
    let apis = [
        "v1",
        "apps/v1",
        "apps/v1/Deployment",
        "networking.k8s.io/v1/Ingress",
    ];
    let capabilities = Capabilities {
        apis: apis.map(Into::into).to_vec(),
        ..Capabilities::default()
    };
    for (template, way) in [
        ("image: {{ .Values.image }}", RenderMode::Local),
        (
            "{{ (lookup \"v1\" \"Secret\" .Release.Namespace \"x\").data }}",
            RenderMode::Server,
        ),
        ("{{ include \"lookups\" . }}", RenderMode::Local),
        ("rev: {{ .Release.Revision }}", RenderMode::Server),
        (
            "{{ if .Capabilities.APIVersions.Has \"apps/v1/Deployment\" }}",
            RenderMode::Local,
        ),
        (
            "{{ if .Capabilities.APIVersions.Has \"policy/v1beta1\" }}",
            RenderMode::Server,
        ),
        (
            "{{ if $.Capabilities.APIVersions.Has `networking.k8s.io/v1beta1/Ingress` }}",
            RenderMode::Server,
        ),
        (
            "{{ if .Capabilities.APIVersions.Has \"networking.k8s.io/v1/Ingress\" }}",
            RenderMode::Local,
        ),
        (
            "{{ if .Capabilities.APIVersions.Has \"monitoring.coreos.com/v1\" }}",
            RenderMode::Local,
        ),
        ("apiVersion: \"policy/v1beta1\"", RenderMode::Local),
    ] {
        assert_eq!(
            RenderMode::of(["", template], &capabilities),
            way,
            "{template}"
        );
    }
}
