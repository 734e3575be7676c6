//! Helm as the pipeline uses it, played by scripts.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use super::{FailureKind, Helm, HelmOutcome, Rollback, Upgrade, Wait, locate};
use crate::error::{Kind, UnixSignal};
use crate::plan::{ImageRules, OnFailure, Plan, ReleaseId, Retention};
use crate::process::runner::tests::{bare, script};
use crate::process::{Cancel, StopReason};
use crate::signal::Request;

pub(crate) fn plan(path: &str) -> Plan {
    let minute = Duration::from_secs(60);
    Plan {
        request: Request {
            app: "shop".parse().unwrap(),
            chart: "oci://ghcr.io/acme/charts/shop".parse().unwrap(),
            version: "1.0.0".parse().unwrap(),
            images: BTreeMap::new(),
        },
        release: ReleaseId::new("prod", "shop"),
        values: Vec::new(),
        images: ImageRules::default(),
        budget: minute,
        platforms: BTreeSet::new(),
        chart_is_pinned: false,
        rollback_budget: minute,
        on_failure: OnFailure::Keep,
        lock_timeout: minute,
        stale_after: minute,
        helm: None,
        kubeconfig: None,
        kube_context: None,
        environment: BTreeMap::from([("PATH".into(), path.into())]),
        windows: Vec::new(),
        freezes: Vec::new(),
        state: "/nowhere".into(),
        evidence: Retention {
            keep: minute,
            max: 0,
        },
        forward: None,
        fleet: None,
        verify: None,
        callers: None,
        dry_run: false,
    }
}

#[test]
fn helm_is_looked_for_only_where_the_plan_says() {
    let folder = tempfile::tempdir().unwrap();
    let helm = script(folder.path(), "");
    let here = folder.path().to_str().unwrap();
    assert_eq!(
        locate::locate(&plan(&format!("/nowhere:{here}"))).unwrap(),
        helm
    );
    for path in ["/nowhere", ".", ""] {
        let error = locate::locate(&plan(path)).unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string()),
            (Kind::Node, "helm is not in PATH".into())
        );
    }
    let named = Plan {
        helm: Some(helm.clone()),
        ..plan("")
    };
    assert_eq!(locate::locate(&named).unwrap(), helm);
    let missing = Plan {
        helm: Some("/nowhere/helm".into()),
        ..plan(here)
    };
    assert!(
        locate::locate(&missing)
            .unwrap_err()
            .to_string()
            .contains("/nowhere/helm")
    );
}

async fn helm(folder: &Path, body: &str, cancel: &Cancel) -> crate::Result<Helm> {
    helm_of(folder, "v4.3.1", body, cancel).await
}

/// A helm of this version that does no more than the script says.
pub(crate) async fn helm_of(
    folder: &Path,
    version: &str,
    body: &str,
    cancel: &Cancel,
) -> crate::Result<Helm> {
    let body = format!("if [ $1 = version ]; then printf {version}; exit; fi; {body}");
    let runner = bare(script(folder, &body), &[("PATH", "/usr/bin:/bin")]);
    let known = super::known(&runner, cancel).await?;
    Ok(Helm::of(runner, known, &plan(""), cancel.clone()))
}

fn upgrade() -> Upgrade<'static> {
    Upgrade {
        chart: Path::new("/c.tgz"),
        values: &[],
        create_namespace: false,
        wait: Wait::Watch,
        description: "",
        server_side: true,
        timeout: Duration::from_secs(60),
    }
}

#[tokio::test]
async fn an_unsupported_helm_is_refused_with_its_place() {
    for (says, said) in [
        ("printf v3.10.0; exit", "helm 3.10.0 is not supported"),
        ("exit 1", "does not print its version"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let runner = bare(script(folder.path(), says), &[]);
        let (cancel, _trigger) = Cancel::manual();
        let error = super::known(&runner, &cancel).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Node);
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[tokio::test]
async fn helms_ends_are_told_apart() {
    let deadline = || Instant::now() + Duration::from_secs(30);
    let (cancel, trigger) = Cancel::manual();
    let folder = tempfile::tempdir().unwrap();
    let well = helm(folder.path(), "exit 0", &cancel).await.unwrap();
    assert_eq!(well.version().to_string(), "4.3.1");
    let ended = well
        .upgrade(&upgrade(), deadline(), std::future::pending())
        .await
        .unwrap();
    assert!(matches!(ended, HelmOutcome::Succeeded));

    let folder = tempfile::tempdir().unwrap();
    let said = "echo 'Error: UPGRADE FAILED: context deadline exceeded' >&2; exit 1";
    let failed = helm(folder.path(), said, &cancel).await.unwrap();
    let ended = failed
        .upgrade(&upgrade(), deadline(), std::future::pending())
        .await
        .unwrap();
    assert!(matches!(ended, HelmOutcome::Failed(failure) if failure.cause == FailureKind::Timeout));

    let folder = tempfile::tempdir().unwrap();
    let killed = helm(folder.path(), "kill -9 $$", &cancel).await.unwrap();
    let ended = killed
        .upgrade(&upgrade(), deadline(), std::future::pending())
        .await
        .unwrap();
    assert!(matches!(ended, HelmOutcome::Failed(failure) if failure.cause == FailureKind::Killed));

    let folder = tempfile::tempdir().unwrap();
    let slow = helm(folder.path(), "exec sleep 60", &cancel).await.unwrap();
    let ended = slow
        .upgrade(&upgrade(), deadline(), async {})
        .await
        .unwrap();
    assert!(matches!(
        ended,
        HelmOutcome::Stopped {
            by: StopReason::Asked,
            killed: false
        }
    ));
    trigger.fire(UnixSignal::Hangup);
    let rollback = Rollback {
        revision: 1,
        wait: Some(Wait::Poll),
        description: None,
        server_side: false,
        timeout: Duration::from_secs(60),
    };
    let error = slow
        .rollback(&rollback, deadline(), std::future::pending())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Cancelled(UnixSignal::Hangup));
}
