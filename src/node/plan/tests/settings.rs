//! What deploy.toml says, and what holds without it.

use super::*;

#[test]
fn no_configuration_at_all() {
    let scene = TestNode::new();
    let (plan, warnings) = scene.plan().unwrap();
    assert_eq!(warnings, [""; 0]);
    assert_eq!(
        (plan.release.name.as_str(), plan.release.namespace.as_str()),
        ("shop", "shop")
    );
    assert_eq!(plan.values, [""; 0].map(PathBuf::from));
    assert_eq!(plan.budget, Duration::from_secs(600));
    assert_eq!(plan.rollback_budget, Duration::from_secs(600));
    assert_eq!(plan.on_failure, OnFailure::Rollback);
    assert_eq!(plan.helm, None);
    assert_eq!(plan.kubeconfig.as_deref(), Some(OsStr::new("/k")));
    assert_eq!(plan.state, scene.at("state"));
    assert_eq!(given(&plan, "HELM_NO_PLUGINS"), Some("1"));
    assert_eq!(given(&plan, "KUBECONFIG"), Some("/k"));
    assert_eq!(given(&plan, "DEPLOY_STATE_DIR"), None);
    assert!(!plan.dry_run);

    let scene = scene.file("runner/shop.values.yaml", "replicas: 2\n");
    assert_eq!(
        scene.plan().unwrap().0.values,
        [scene.at("runner/shop.values.yaml")]
    );
    // A directory, or a file that others may write, is not passed over.
    fs::set_permissions(
        &scene.plan().unwrap().0.values[0],
        fs::Permissions::from_mode(0o666),
    )
    .unwrap();
    let (kind, told) = scene.refused();
    assert_eq!(kind, Kind::Node);
    assert!(
        told.contains("the values file") && told.contains("chmod go-w"),
        "{told}"
    );
}

#[test]
fn the_systems_file_beats_the_one_beside_the_script() {
    let scene = TestNode::new().file("runner/deploy.toml", "[apps.shop]\nnamespace = \"beside\"");
    assert_eq!(scene.plan().unwrap().0.release.namespace, "beside");
    let scene = scene.file("etc/deploy.toml", "[apps.shop]\nnamespace = \"system\"");
    assert_eq!(scene.plan().unwrap().0.release.namespace, "system");
    let scene = scene
        .file("work/mine.toml", "[apps.shop]\nnamespace = \"mine\"")
        .with("DEPLOY_CONFIG", "mine.toml");
    assert_eq!(scene.plan().unwrap().0.release.namespace, "mine");
    let (plan, warnings) = scene.inside("push").plan().unwrap();
    assert_eq!(plan.release.namespace, "system");
    assert!(
        warnings
            .iter()
            .any(|warning| warning.contains("DEPLOY_CONFIG")),
        "{warnings:?}"
    );
}

#[test]
fn what_deploy_toml_says_holds() {
    let scene = TestNode::new()
        .file("etc/a.yaml", "")
        .file("etc/b.yaml", "")
        .file(
            "etc/deploy.toml",
            r#"
[defaults]
timeout = "5m"
on_failure = "keep"
kubeconfig = "k3s.yaml"
helm = "/opt/helm"
kube_context = "prod"
[apps.shop]
namespace = "prod"
release = "shop2"
timeout = "7m"
lock_timeout = "1m"
stale_after = "2h"
evidence = { keep = "1d", max = "1MB" }
values = ["a.yaml", "b.yaml"]
images.api = ["api.image"]
images.cron = []
absent = ["worker"]
allow_images = ["ghcr.io/acme/api:0"]
"#,
        );
    let (plan, warnings) = scene
        .with("DEPLOY_ATOMIC", "1")
        .with("HELM_KUBECONTEXT", "other")
        .plan()
        .unwrap();
    assert_eq!(
        warnings,
        ["DEPLOY_ATOMIC is ignored: deploy.toml sets timeout"]
    );
    assert_eq!(
        (plan.release.name.as_str(), plan.release.namespace.as_str()),
        ("shop2", "prod")
    );
    assert_eq!(plan.budget, Duration::from_secs(420));
    assert_eq!(plan.rollback_budget, Duration::from_secs(420));
    assert_eq!(plan.on_failure, OnFailure::Keep);
    assert_eq!(plan.lock_timeout, Duration::from_secs(60));
    assert_eq!(plan.stale_after, Duration::from_secs(7200));
    assert_eq!(
        (plan.evidence.keep, plan.evidence.max),
        (Duration::from_secs(86_400), 1_000_000)
    );
    assert_eq!(plan.helm.as_deref(), Some(Path::new("/opt/helm")));
    assert_eq!(plan.kube_context.as_deref(), Some("prod"));
    assert!(
        plan.kubeconfig
            .unwrap()
            .to_str()
            .unwrap()
            .ends_with("/etc/k3s.yaml")
    );
    assert_eq!(plan.values.len(), 2);
    assert_eq!(
        plan.images.layouts.len(),
        1,
        "an empty list only declares the key"
    );
    assert_eq!(
        (plan.images.absent.len(), plan.images.allowed.len()),
        (1, 1)
    );
    assert!(
        !plan
            .environment
            .contains_key(OsStr::new("HELM_KUBECONTEXT"))
    );
}
