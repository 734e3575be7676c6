//! A workflow says what to deploy; whatever else it sets or leaves lying
//! around, the node says where it goes.

use std::os::unix::fs::{PermissionsExt as _, chown};

use crate::harness::{Helm, Node, RUNNER, Signal, on_both_helms};

/// Where the workflow's steps run.
const WORK: &str = "/home/github-runner/work";

/// A push's payload, and the variables that the runner sets for an event.
fn workflow<'a>(mut signal: Signal<'a>, node: &Node, event: &str) -> Signal<'a> {
    let payload = r#"{"repository":{"full_name":"acme/shop","private":false}}"#;
    node.home.write("work/event.json", payload, 0o644);
    for (key, value) in [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_EVENT_NAME", event),
        ("GITHUB_EVENT_PATH", "/home/github-runner/work/event.json"),
        ("GITHUB_ACTOR", "octocat"),
        ("GITHUB_REPOSITORY", "acme/shop"),
        ("GITHUB_SERVER_URL", "https://github.com"),
        ("GITHUB_RUN_ID", "4711"),
        ("GITHUB_SHA", "8f3c2d1"),
        ("GITHUB_REF", "refs/heads/main"),
    ] {
        signal = signal.env(key, value);
    }
    signal.within(WORK)
}

/// A signal with two images of the node's own owner.
fn signal(node: &Node) -> Signal<'_> {
    let image = |component| format!("ghcr.io/{}/shop/{component}:t1", node.name);
    node.signal("0.1.0")
        .image("api", image("api"))
        .image("web", image("web"))
}

/// Variables that would lead helm or `deploy` elsewhere, if they counted.
const BENT: [(&str, &str); 17] = [
    ("KUBECONFIG", "/home/github-runner/work/elsewhere"),
    ("HELM_NAMESPACE", "elsewhere"),
    ("HELM_DRIVER", "configmap"),
    ("HELM_PLUGINS", "/home/github-runner/work/plugins"),
    ("HELM_KUBEAPISERVER", "https://127.0.0.1:1"),
    ("HELM_KUBECONTEXT", "elsewhere"),
    ("HELM_KUBETOKEN", "stolen"),
    ("HELM_KUBEASUSER", "somebody"),
    ("HELM_DEBUG", "true"),
    ("HELM_CONFIG_HOME", "/home/github-runner/work/xdg"),
    ("XDG_CONFIG_HOME", "/home/github-runner/work/xdg"),
    ("XDG_CACHE_HOME", "/dev/null/none"),
    ("XDG_DATA_HOME", "/dev/null/none"),
    ("XDG_STATE_HOME", "/home/github-runner/work/state"),
    ("STATE_DIRECTORY", "/home/github-runner/work/state"),
    ("DEPLOY_STATE_DIR", "/home/github-runner/work/state"),
    ("DEPLOY_CONFIG", "/home/github-runner/work/deploy.toml"),
];

on_both_helms! {
    /// A tree of folders that spells the chart's reference, and an environment
    /// that points everywhere else: nothing of it counts.
    fn a_workflow_cannot_bend_helm(node) {
        node.shop("0.1.0");
        let (api, web) = (node.image("api", "t1"), node.image("web", "t1"));
        // helm takes a folder before a registry, where there is one.
        let trick = format!("work/oci:/ghcr.io/{}/charts/shop", node.name);
        node.home.write(
            &format!("{trick}/Chart.yaml"), "apiVersion: v2\nname: shop\nversion: 0.1.0\n", 0o644,
        );
        node.home.write(
            &format!("{trick}/templates/trick.yaml"),
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: trick}\n", 0o644,
        );
        node.home.write("work/plugins/bad/plugin.yaml", "no: [plugin", 0o644);
        node.home.write("work/deploy.toml", "[defaults]\nowners = []\n", 0o644);
        node.home.write("work/elsewhere", "not even YAML: [", 0o600);
        node.home.write("work/tmp/keep", "", 0o600);
        // The node's own kubeconfig, which deploy.toml names.
        let kubeconfig = std::fs::read_to_string(node.home.inside(".kube/config")).unwrap();
        std::fs::remove_file(node.home.inside(".kube/config")).unwrap();
        node.home.write_etc("deploy/kubeconfig", &kubeconfig, 0o640);
        chown(node.home.etc("deploy/kubeconfig"), Some(0), Some(RUNNER)).unwrap();
        let toml = "[defaults]\nkubeconfig = \"/etc/deploy/kubeconfig\"\n";
        node.home.write_etc("deploy/deploy.toml", toml, 0o644);

        let mut signal = workflow(signal(&node), &node, "push")
            .env("TMPDIR", "/home/github-runner/work/tmp");
        for (key, value) in BENT {
            signal = signal.env(key, value);
        }
        signal.run().exits(0)
            .says("::ignored from the workflow's environment, since the node decides it: ")
            .says("HELM_NAMESPACE")
            .never_says("stolen");

        node.runs(&[api.by_tag(), web.by_tag()]);
        let records = node.kubectl(&["get", "secrets", "-l", "owner=helm", "-o", "name"]);
        assert_eq!(records.trim(), format!("secret/sh.helm.release.v1.{}.v1", node.name));
        assert_eq!(node.kubectl(&["get", "configmap", "trick", "--ignore-not-found"]), "");
        assert!(!node.home.inside("work/state").exists(), "state lies where the node says");
        let left: Vec<_> = std::fs::read_dir(node.home.inside("work/tmp")).unwrap()
            .map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["keep"], "nothing is left in TMPDIR");

        let line = node.journal().pop().expect("a line in the journal");
        let workflow = &line["who"]["workflow"];
        for (key, value) in [
            ("actor", "octocat"),
            ("repository", "acme/shop"),
            ("url", "https://github.com/acme/shop/actions/runs/4711"),
            ("sha", "8f3c2d1"),
            ("ref", "refs/heads/main"),
            ("event", "push"),
        ] {
            assert_eq!(workflow[key], value, "{line}");
        }
    }
}

/// No event of a pull request deploys, nor one that the node does not allow;
/// the registry and the cluster are not even asked.
#[test]
fn events_that_may_not_deploy() {
    let node = Node::new("events", Helm::V4);
    let send = |event: &str, env: &[(&str, &str)]| {
        let mut signal = workflow(signal(&node), &node, event);
        for (key, value) in env {
            signal = signal.env(key, value);
        }
        signal.run()
    };
    let never = "a deploy never runs for a pull request; this is";
    for event in [
        "pull_request",
        "pull_request_target",
        "pull_request_review",
        "merge_group",
    ] {
        send(event, &[])
            .exits(4)
            .says(never)
            .says("deploy on push, on a tag or by hand");
    }
    send("push", &[("GITHUB_REF", "refs/pull/7/merge")])
        .exits(4)
        .says(never);
    send("issue_comment", &[])
        .exits(4)
        .says("the event 'issue_comment' is not allowed to deploy; this node allows push")
        .says("events = [");
    send("push", &[("GITHUB_EVENT_PATH", "/nowhere")])
        .exits(4)
        .says("the event's payload cannot be read");
    send("", &[]).exits(4).says("GITHUB_EVENT_NAME is not set");
    assert!(node.asked().is_empty(), "{:?}", node.asked());
    assert_eq!(node.namespaces(), "");
}

/// A file that others may write to says nothing on this node.
#[test]
fn files_that_others_may_write() {
    let node = Node::new("modes", Helm::V4);
    let refused = || {
        let ran = workflow(signal(&node), &node, "push").run();
        ran.exits(3);
        ran
    };
    let (system, values) = ("deploy/deploy.toml", format!("{}.values.yaml", node.name));

    node.home.write_etc(system, "", 0o666);
    refused().says("/etc/deploy/deploy.toml").says("chmod");
    node.home.write_etc(system, "", 0o644);
    chown(node.home.etc(system), Some(RUNNER + 1), None).unwrap();
    refused().says("/etc/deploy/deploy.toml").says("chown");
    chown(node.home.etc(system), Some(0), None).unwrap();
    let folder = node.home.etc("deploy");
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).unwrap();
    refused().says("/etc/deploy").says("chmod");
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();

    std::fs::remove_file(node.home.etc(system)).unwrap();
    node.home.write("deploy.toml", "", 0o622);
    refused()
        .says("/home/github-runner/deploy.toml")
        .says("chmod go-w");
    // The runner's user may decide for itself, but not for root.
    node.home.write("deploy.toml", "", 0o644);
    signal(&node)
        .by_root()
        .run()
        .exits(3)
        .says("expected root or the caller");
    std::fs::remove_file(node.home.inside("deploy.toml")).unwrap();

    node.home.write(&values, "{}", 0o666);
    refused().says(&values).says("chmod");
    std::fs::remove_file(node.home.inside(&values)).unwrap();
    node.home
        .write_etc(system, "[defaults]\nevnets = []\n", 0o644);
    refused().says("evnets").says("did you mean").says("events");
    assert!(node.asked().is_empty(), "{:?}", node.asked());
}
