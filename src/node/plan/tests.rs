#![allow(clippy::unwrap_used)]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::{Node, load_from};
use super::plan;
use crate::error::{Error, Kind};
use crate::host::Environment;
use crate::plan::{OnFailure, Plan};
use crate::signal::Request;

/// A node in a folder of its own: /home/runner, /etc/deploy, a state folder.
struct Scene {
    scratch: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

impl Scene {
    fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        for folder in ["runner", "etc", "state", "work"] {
            let folder = scratch.path().join(folder);
            fs::create_dir(&folder).unwrap();
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let scene = Self {
            scratch,
            variables: Vec::new(),
        };
        let home = scene.at("runner").display().to_string();
        let state = scene.at("state").display().to_string();
        scene
            .with("HOME", &home)
            .with("DEPLOY_STATE_DIR", &state)
            .with("KUBECONFIG", "/k")
    }

    fn at(&self, path: &str) -> PathBuf {
        self.scratch.path().join(path)
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.into(), value.into()));
        self
    }

    fn file(self, path: &str, text: &str) -> Self {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        self
    }

    fn inside(self, event: &str) -> Self {
        let scene = self.file("event.json", "{}");
        let path = scene.at("event.json").display().to_string();
        scene
            .with("GITHUB_ACTIONS", "true")
            .with("GITHUB_EVENT_NAME", event)
            .with("GITHUB_EVENT_PATH", &path)
    }

    fn environment(&self) -> Environment {
        self.variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect()
    }

    fn node(&self) -> Result<Node, Error> {
        let invoked = self.at("runner/deploy.sh");
        load_from(
            &self.at("etc/deploy.toml"),
            invoked.as_os_str(),
            &self.environment(),
            &self.at("work"),
        )
    }

    fn plan(&self) -> Result<(Plan, Vec<String>), Error> {
        plan(request(), &self.node()?, &self.environment())
    }

    fn refused(&self) -> (Kind, String) {
        let error = self.plan().unwrap_err();
        let hints = error.hints().join("\n");
        (error.kind(), format!("{error}\n{hints}"))
    }
}

fn request() -> Request {
    let image = |text: &str| format!("ghcr.io/acme/{text}").parse().unwrap();
    Request {
        app: "shop".parse().unwrap(),
        chart: "oci://ghcr.io/acme/charts/shop".parse().unwrap(),
        version: "1.2.3".parse().unwrap(),
        images: [("api", image("api:1")), ("web", image("web:1"))]
            .into_iter()
            .map(|(key, image)| (key.parse().unwrap(), image))
            .collect(),
    }
}

fn given<'a>(plan: &'a Plan, name: &str) -> Option<&'a str> {
    plan.environment
        .get(OsStr::new(name))
        .map(|value| value.to_str().unwrap())
}

#[test]
fn no_configuration_at_all() {
    let scene = Scene::new();
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
    let scene = Scene::new().file("runner/deploy.toml", "[apps.shop]\nnamespace = \"beside\"");
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
    let scene = Scene::new()
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

#[test]
fn the_old_scripts_variables() {
    for (timeout, atomic, config, told) in [
        ("20m", "0", "", Ok((1200, OnFailure::Keep))),
        ("90s", "1", "[apps.shop]", Ok((90, OnFailure::Rollback))),
        (
            "20m",
            "0",
            "[defaults]\ntimeout = \"1m\"",
            Ok((60, OnFailure::Rollback)),
        ),
        (
            "20m",
            "0",
            "[apps.shop]\non_failure = \"rollback\"",
            Ok((600, OnFailure::Rollback)),
        ),
        (
            "nonsense",
            "nonsense",
            "[defaults]\ntimeout = \"1m\"",
            Ok((60, OnFailure::Rollback)),
        ),
        ("", "", "", Ok((600, OnFailure::Rollback))),
        (
            "600",
            "1",
            "",
            Err(
                "DEPLOY_TIMEOUT is '600', expected a duration above zero such as 10m, 1h30m or 90s\ndid you mean 10m? A number needs its unit",
            ),
        ),
        ("0s", "1", "", Err("DEPLOY_TIMEOUT is '0s'")),
        ("-1m", "1", "", Err("DEPLOY_TIMEOUT is '-1m'")),
        (
            "1m",
            "true",
            "",
            Err("DEPLOY_ATOMIC is 'true', expected 1 (roll back) or 0 (keep)"),
        ),
    ] {
        let scene = Scene::new()
            .file("etc/deploy.toml", config)
            .with("DEPLOY_TIMEOUT", timeout)
            .with("DEPLOY_ATOMIC", atomic);
        // Inside Actions as by hand: the old script read them there.
        for scene in [
            scene,
            Scene::new()
                .file("etc/deploy.toml", config)
                .with("DEPLOY_TIMEOUT", timeout)
                .with("DEPLOY_ATOMIC", atomic)
                .inside("push"),
        ] {
            match told {
                Ok((seconds, on_failure)) => {
                    let (plan, _) = scene.plan().unwrap();
                    assert_eq!(plan.budget.as_secs(), seconds, "{timeout} {config}");
                    assert_eq!(plan.on_failure, on_failure, "{atomic} {config}");
                    assert!(given(&plan, "DEPLOY_TIMEOUT").is_none());
                }
                Err(told) => {
                    let (kind, seen) = scene.refused();
                    assert_eq!(kind, Kind::Node);
                    assert!(seen.contains(told), "{seen}");
                }
            }
        }
    }
}

#[test]
fn which_cluster() {
    let scene = || Scene::new().with("KUBECONFIG", "");
    // Nothing is known: unless this machine is a node of k3s itself.
    if !Path::new(super::K3S).exists() {
        let (kind, told) = scene().refused();
        assert_eq!(kind, Kind::Node);
        assert!(
            told.contains("no cluster is known") && told.contains("kubeconfig ="),
            "{told}"
        );
        let pod = scene()
            .with("KUBERNETES_SERVICE_HOST", "10.0.0.1")
            .plan()
            .unwrap()
            .0;
        assert_eq!(pod.kubeconfig, None);
        assert_eq!(given(&pod, "KUBERNETES_SERVICE_HOST"), Some("10.0.0.1"));
    }
    let home = scene()
        .file("runner/.kube/config", "")
        .with("KUBERNETES_SERVICE_HOST", "10.0.0.1");
    assert_eq!(
        home.plan().unwrap().0.kubeconfig.unwrap(),
        home.at("runner/.kube/config")
    );
    let relative = home.with("KUBECONFIG", "a.yaml:/b.yaml");
    let list = format!("{}:/b.yaml", relative.at("work/a.yaml").display());
    let (plan, _) = relative.plan().unwrap();
    assert_eq!(plan.kubeconfig.as_deref(), Some(OsStr::new(&list)));
    assert_eq!(given(&plan, "KUBECONFIG"), Some(list.as_str()));
    let set = relative
        .file("etc/deploy.toml", "[defaults]\nkubeconfig = \"/set\"")
        .inside("push");
    let (plan, _) = set.plan().unwrap();
    assert_eq!(given(&plan, "KUBECONFIG"), Some("/set"));
    let (kind, told) = Scene::new()
        .with("HELM_KUBEAPISERVER", "https://x")
        .refused();
    assert_eq!(kind, Kind::Node);
    assert!(told.contains("unset HELM_KUBEAPISERVER"), "{told}");
    let (plan, _) = Scene::new()
        .with("HELM_KUBECONTEXT", "mine")
        .plan()
        .unwrap();
    assert_eq!(plan.kube_context.as_deref(), Some("mine"));
    let (plan, warnings) = Scene::new()
        .with("HELM_KUBECONTEXT", "mine")
        .inside("push")
        .plan()
        .unwrap();
    assert_eq!(plan.kube_context, None);
    assert!(warnings[0].contains("HELM_KUBECONTEXT"));
}

#[test]
fn guard_and_policy_come_before_anything_else() {
    let broken = || Scene::new().with("DEPLOY_TIMEOUT", "broken");
    assert_eq!(broken().inside("pull_request").refused().0, Kind::Policy);
    assert_eq!(broken().inside("issues").refused().0, Kind::Policy);
    assert_eq!(
        broken().file("etc/deploy.toml", "[apps.other]").refused().0,
        Kind::Policy
    );
    assert_eq!(broken().refused().0, Kind::Node);
    let allowed = Scene::new()
        .file("etc/deploy.toml", "[apps.shop]\nevents = [\"issues\"]")
        .inside("issues");
    assert!(allowed.plan().is_ok());
}

#[test]
fn values_that_are_named_must_be_there() {
    let scene = Scene::new().file("etc/deploy.toml", "[apps.shop]\nvalues = [\"none.yaml\"]");
    let (kind, told) = scene.refused();
    assert_eq!(kind, Kind::Node);
    assert!(
        told.contains("etc/none.yaml cannot be read: No such file"),
        "{told}"
    );
    let none = Scene::new()
        .file("runner/shop.values.yaml", "")
        .file("etc/deploy.toml", "[apps.shop]\nvalues = []");
    assert!(none.plan().unwrap().0.values.is_empty());
}

#[test]
fn a_forwarded_app_needs_no_cluster_and_no_values() {
    let scene = Scene::new()
        .with("KUBECONFIG", "")
        .with("HELM_KUBETOKEN", "x")
        .file(
            "etc/deploy.toml",
            "[defaults]\nforward = \"unix:/run/x\"\n[apps.shop]\nvalues = [\"none.yaml\"]\n",
        );
    let (plan, warnings) = scene.plan().unwrap();
    assert_eq!(warnings, [""; 0]);
    assert_eq!(plan.forward.unwrap().target.to_string(), "unix:/run/x");
    assert_eq!((plan.kubeconfig, plan.values.len()), (None, 0));

    let own = "[defaults]\nforward = \"unix:/run/x\"\n[apps.shop]\nforward = \"helm\"\n";
    let scene = Scene::new().file("etc/deploy.toml", own);
    assert_eq!(scene.plan().unwrap().0.forward, None);
}

#[test]
fn a_token_is_only_its_readers() {
    let toml = "[defaults]\nforward = { url = \"https://c.example\", token_file = \"token\" }\n";
    let scene = Scene::new().file("etc/deploy.toml", toml);
    let (kind, told) = scene.refused();
    assert_eq!(kind, Kind::Node);
    assert!(
        told.contains("the token file") && told.contains("cannot be read"),
        "{told}"
    );
    for (content, mode, says) in [
        ("s3cret\n", 0o644, "may be read by everyone (mode 0644)"),
        ("s3cret\n", 0o620, "may be written by its group (mode 0620)"),
        ("two words", 0o600, "holds no token, expected one line"),
        ("", 0o600, "holds no token"),
    ] {
        let scene = Scene::new()
            .file("etc/deploy.toml", toml)
            .file("etc/token", content);
        fs::set_permissions(scene.at("etc/token"), fs::Permissions::from_mode(mode)).unwrap();
        let (kind, told) = scene.refused();
        assert_eq!(kind, Kind::Node);
        assert!(told.contains(says) && !told.contains("s3cret"), "{told}");
    }
    let scene = Scene::new()
        .file("etc/deploy.toml", toml)
        .file("etc/token", "s3cret\n");
    fs::set_permissions(scene.at("etc/token"), fs::Permissions::from_mode(0o640)).unwrap();
    let (plan, _) = scene.plan().unwrap();
    assert!(!format!("{plan:?}").contains("s3cret"));
    assert_eq!(
        plan.forward.unwrap().token.unwrap().header(),
        "Bearer s3cret"
    );
}
