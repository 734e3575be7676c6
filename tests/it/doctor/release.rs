//! A release that a deploy could not go on with: rights, records, others at work.

use serde_json::{Value, json};

use super::{Broken, HELM, deployed, finding, findings};
use crate::cancel::stuck;
use crate::harness::{Node, SCRIPT, until};
use crate::lease::lease;

/// An account with too few rights is told which, and how to grant them.
#[test]
fn missing_rights() {
    let (broken, _, _) = deployed("rights");
    let node = &broken.node;
    node.kubectl(&["create", "serviceaccount", "runner"]);
    node.kubectl(&[
        "create",
        "role",
        "some",
        "--verb=get,list",
        "--resource=secrets,deployments.apps",
    ]);
    let account = format!("--serviceaccount={}:runner", node.name);
    node.kubectl(&["create", "rolebinding", "some", "--role=some", &account]);
    let token = node.kubectl(&["create", "token", "runner"]);
    let admin = node.kubectl(&["config", "view", "--raw", "--output=json"]);
    let admin: Value = serde_json::from_str(&admin).unwrap();
    let kubeconfig = |token: &str| {
        json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "node",
            "clusters": [{ "name": "node", "cluster": admin["clusters"][0]["cluster"] }],
            "users": [{ "name": "runner", "user": { "token": token } }],
            "contexts": [{ "name": "node", "context": { "cluster": "node", "user": "runner" } }],
        })
        .to_string()
    };
    node.home
        .write(".kube/config", &kubeconfig("expired"), 0o600);
    broken.found("cluster", "fail", "renew what the kubeconfig holds");
    node.home
        .write(".kube/config", &kubeconfig(token.trim()), 0o600);
    broken.mended_by_its_command("rights", "fail", "patch deployments.apps");
    let (_, found) = findings(node, SCRIPT);
    assert_eq!(finding(&found, "rights")["level"], "ok", "{found:#?}");
    // What the deploy before found in the chart.
    let images = finding(&found, "images")["found"].to_string();
    assert!(images.contains("api ← api.image"), "{found:#?}");
}

/// A helm of somebody else's was killed in the middle of an upgrade.
#[test]
fn a_release_that_is_pending() {
    let (broken, api, web) = deployed("pending");
    let node = &broken.node;
    let name = &node.name;
    node.shell(&format!(
        "helm upgrade {name} oci://ghcr.io/{name}/charts/shop --version 1.0.0 --namespace {name} \
         --reuse-values --set api.image.tag=none --wait & \
         until [ \"$(helm status {name} --namespace {name} --output json | grep -c pending-upgrade)\" = 1 ]; do :; done; kill -9 $!"
    ))
    .exits(0);
    broken.mended_by_its_command("release", "fail", "revision 2 is pending-upgrade");
    node.runs(&[&api.by_tag(), &web.by_tag()]);
}

/// Nobody holds the release.
fn free(node: &Node) {
    let (code, found) = findings(node, SCRIPT);
    assert_eq!(code, Some(0), "{found:#?}");
    let held = |finding: &Value| finding["check"] == "lock" || finding["check"] == "lease";
    assert!(!found.iter().any(held), "{found:#?}");
}

/// A deploy is at work here: told once, though it holds lock and lease, and what
/// its helm has not finished is no fault.
#[test]
fn a_deploy_that_is_at_work() {
    let broken = Broken::new("doctor-lock");
    let node = &broken.node;
    node.shop("0.1.0");
    let running = stuck(node, false);
    until("the lease is taken", || !lease(node).is_null());
    let lock = broken.found("lock", "warn", "wait for it");
    let pid = format!("pid {}", running.pid());
    assert!(lock["found"].as_str().unwrap().contains(&pid), "{lock}");
    let (_, found) = findings(node, SCRIPT);
    assert_eq!(finding(&found, "release")["level"], "ok", "{found:#?}");
    assert!(
        found.iter().all(|finding| finding["check"] != "lease"),
        "{found:#?}"
    );
    running.signal(rustix::process::Signal::TERM);
    running.wait().exits(143);
    free(node);
}

/// A deploy of another machine is at work.
#[test]
fn a_deploy_that_is_at_work_elsewhere() {
    let broken = Broken::new("doctor-lease");
    let node = &broken.node;
    let other = node.elsewhere("node-b");
    node.shop("0.1.0");
    let running = stuck(&other, false);
    until("the lease is taken", || !lease(node).is_null());
    broken.found("lease", "warn", "on host node-b");
    running.signal(rustix::process::Signal::TERM);
    running.wait().exits(143);
    free(node);
}

/// A helm that is older than its cluster works as a rule, so it is only told.
#[test]
fn a_helm_that_is_not_made_for_the_cluster() {
    let mut broken = Broken::new("skewed-helm");
    let helm = "#!/bin/sh\necho v3.14.0\n";
    broken.node.home.write("bin/helm", helm, 0o755);
    let path = "/home/github-runner/bin:/usr/bin:/bin".to_owned();
    broken.node.env.insert("PATH".to_owned(), path);
    broken.found("cluster", "warn", "helm 3.14.0 is made for 1.26 to 1.29");
    broken.settings(HELM);
    broken.mended("cluster");
    let (_, found) = findings(&broken.node, SCRIPT);
    assert_eq!(finding(&found, "cluster")["level"], "ok", "{found:#?}");
}
