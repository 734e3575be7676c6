//! Failed rollouts: the cause is named within seconds, and what served before
//! serves again.

use std::time::Duration;

use testbed::chart::{Chart, Hook, Shop};
use testbed::ghcr::{Access, Policy, Visibility};
use testbed::image::{Platform, Spec};

use crate::harness::{Helm, Node, Ran, on_both_helms};

/// Far below the ten minutes that a deploy may take, far above what it takes on a
/// machine that does nothing else.
const SOON: Duration = Duration::from_secs(60);

const API: &str = "templates/api.yaml";
const CONTAINER: &str = "        - name: api\n";

/// The example's chart, a later version.
fn next() -> Chart {
    Shop::new("shop", "0.2.0").chart()
}

/// The chart with a text of the api's template replaced.
fn edited(from: &str, to: &str) -> Chart {
    let chart = next();
    let text = chart.file(API).unwrap().to_owned();
    assert!(text.contains(from), "{API} does not hold {from:?}");
    chart.with(API, &text.replace(from, to))
}

/// With more in the api's container, each line with its own indentation.
pub fn with_container(more: &str) -> Chart {
    edited(CONTAINER, &format!("{CONTAINER}{more}"))
}

/// With more in the api's pod.
fn with_pod(more: &str) -> Chart {
    let containers = "      containers:\n";
    edited(containers, &format!("{more}{containers}"))
}

/// The first release, which serves.
fn first(node: &Node) -> [String; 2] {
    node.shop("0.1.0");
    let images = ["api", "web"].map(|key| node.image(key, "t1").by_tag());
    let [api, web] = images.clone();
    node.signal("0.1.0")
        .image("api", api)
        .image("web", web)
        .run()
        .exits(0);
    images
}

/// An upgrade to this chart and this api image, by hand.
fn upgrade(node: &Node, chart: &Chart, api: &str, env: &[(&str, &str)]) -> Ran {
    node.push(chart);
    let web = format!("ghcr.io/{}/shop/web:t1", node.name);
    let mut signal = node.signal("0.2.0").image("api", api).image("web", web);
    for (key, value) in env {
        signal = signal.env(key, value);
    }
    signal.run()
}

/// The line that names the cause.
fn cause(ran: &Ran) -> &str {
    let mut lines = ran.stderr.lines();
    lines
        .find_map(|line| line.strip_prefix("error: "))
        .unwrap_or_else(|| panic!("no error in\n{}", ran.stderr))
}

#[track_caller]
fn names(ran: &Ran, parts: &[&str]) {
    let cause = cause(ran);
    for part in parts {
        assert!(
            cause.contains(part),
            "expected {part:?} in {cause:?}\n{}",
            ran.stderr
        );
    }
}

/// What `deploy show` says of the last run, as JSON.
fn shown(node: &Node) -> serde_json::Value {
    let journal = node.journal();
    let run = journal.last().unwrap()["run"].as_str().unwrap();
    let ran = node.subcommand(&["show", run, "--json"]);
    ran.exits(0).json("shown").remove(0)
}

/// The revisions' states, the oldest first.
fn states(node: &Node) -> Vec<String> {
    let secrets = node.kubectl(&["get", "secrets", "-l", "owner=helm", "-o", "json"]);
    let secrets: serde_json::Value = serde_json::from_str(&secrets).unwrap();
    let mut states: Vec<(u32, String)> = secrets["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|secret| {
            let labels = &secret["metadata"]["labels"];
            let version = labels["version"].as_str().unwrap().parse().unwrap();
            (version, labels["status"].as_str().unwrap().to_owned())
        })
        .collect();
    states.sort();
    states.into_iter().map(|(_, state)| state).collect()
}

on_both_helms! {
    /// The old pods serve again, the log of the crash is kept and shown by hand.
    /// Case A14: a container that only the failed version had is gone.
    fn a_crash_loop_is_rolled_back(node) {
        let before = first(&node);
        let crash = Spec::behaving("print no database at db:5432\nexit 3");
        let api = node.image_with("api", "t2", crash).by_tag();
        // It hangs: both would listen on one port.
        let beside = "        - {name: beside, args: [hang], image: {{ include \"image\" .Values.web.image | quote }}}\n";
        let chart = next();
        let more = format!("{}{beside}", chart.file(API).unwrap());
        let ran = upgrade(&node, &chart.with(API, &more), &api, &[]);
        ran.exits(7).says("no database at db:5432").says("revision 3 serves, a copy of revision 1");
        let path = "jsonpath={.spec.template.spec.containers[*].name}";
        let deployment = format!("deployment/{}-api", node.name);
        assert_eq!(node.kubectl(&["get", &deployment, "-o", path]), "api");
        names(&ran, &["-api: container api of ", "ended 3 times, last with exit code 3"]);
        assert!(ran.took < SOON, "{:?}", ran.took);
        node.runs(&before);
        assert_eq!(states(&node), ["superseded", "failed", "deployed"]);
        let shown = shown(&node);
        assert_eq!((&shown["exit"], &shown["revision"]), (&7.into(), &3.into()));
        assert!(shown["evidence"].to_string().contains("no database at db:5432"), "{shown}");
    }
}

on_both_helms! {
    /// Only the hook ran: nothing is rolled back, its log outlives its pod, and
    /// the migration runs once.
    fn a_failed_hook_changes_no_workload(node) {
        let before = first(&node);
        let hook = Hook {
            args: ["once", "print column users.mail is missing", "once-exit 5"].map(str::to_owned).to_vec(),
            delete_policy: "before-hook-creation,hook-failed".to_owned(),
            ..Hook::default()
        };
        let chart = Shop::new("shop", "0.2.0").hook(hook).chart();
        let api = node.image("api", "t2").by_tag();
        let ran = upgrade(&node, &chart, &api, &[("GITHUB_ACTIONS", "false")]);
        ran.exits(7).says("column users.mail is missing").says("revision 1 still serves");
        names(&ran, &["hook ", "-migrate: the Job failed"]);
        assert!(ran.took < SOON, "{:?}", ran.took);
        node.runs(&before);
        assert_eq!(states(&node), ["deployed", "failed"]);
        assert!(shown(&node)["evidence"].to_string().contains("column users.mail is missing"));
    }
}

on_both_helms! {
    /// A rollback runs no migration: the hook of the good revision, which would
    /// fail now, is not run again.
    fn a_rollback_runs_no_migration(node) {
        let hook = Hook::default();
        node.push(&Shop::new("shop", "0.1.0").hook(hook.clone()).chart());
        let images = ["api", "web"].map(|key| node.image(key, "t1").by_tag());
        node.signal("0.1.0").image("api", &images[0]).image("web", &images[1]).run().exits(0);
        let chart = Shop::new("shop", "0.2.0").hook(hook).chart();
        let api = node.image_with("api", "t2", Spec::behaving("exit 3;once-exit 0")).by_tag();
        let job = |node: &Node| node.kubectl(&["get", "jobs", "-o", "jsonpath={.items[*].metadata.uid} {.items[*].spec.template.spec.containers[0].image}"]);
        let ran = upgrade(&node, &chart, &api, &[]);
        ran.exits(7);
        assert!(job(&node).ends_with(&api), "the last migration is the failed revision's: {}", job(&node));
        node.runs(&images);
    }
}

/// An upgrade that fails for a cause which the cluster names: it is rolled back
/// soon.
#[track_caller]
fn is_named(name: &str, helm: Helm, chart: &Chart, api: Option<Spec>, cause: &[&str]) {
    let node = Node::new(name, helm);
    let before = first(&node);
    rolls_back(&node, chart, api, cause, &before);
}

#[track_caller]
fn rolls_back(node: &Node, chart: &Chart, api: Option<Spec>, cause: &[&str], before: &[String]) {
    let api = match api {
        Some(spec) => node.image_with("api", "t2", spec).by_tag(),
        None => node.image("api", "t2").by_tag(),
    };
    let ran = upgrade(node, chart, &api, &[]);
    ran.exits(7).says("revision 3 serves, a copy of revision 1");
    names(&ran, cause);
    assert!(ran.took < SOON, "{:?}", ran.took);
    node.runs(before);
}

#[test]
fn a_missing_secret_is_named() {
    let chart = with_container("          envFrom: [{secretRef: {name: mail}}]\n");
    let cause = [
        "container api of ",
        "needs Secret mail, which does not exist",
    ];
    is_named("missing-secret", Helm::V4, &chart, None, &cause);
}

#[test]
fn what_fits_no_node_is_named() {
    let chart = with_pod("      nodeSelector: {disk: golden}\n");
    let cause = ["-api: no node can take pod "];
    is_named("unschedulable", Helm::V3, &chart, None, &cause);
}

#[test]
fn too_little_memory_is_named() {
    let chart = with_container("          resources: {limits: {memory: 32Mi}}\n");
    let eats = Spec::behaving("eat-memory 256Mi;hang");
    let cause = ["container api of ", "using more memory than its limit"];
    is_named("oom", Helm::V4, &chart, Some(eats), &cause);
}

#[test]
fn a_quota_is_named() {
    let node = Node::new("quota", Helm::V3);
    let before = first(&node);
    node.kubectl(&["create", "quota", "small", "--hard=requests.cpu=1"]);
    let chart = with_container("          resources: {requests: {cpu: 2}}\n");
    let cause = [
        "-api: a quota leaves no room for its pods",
        "exceeded quota: small",
    ];
    rolls_back(&node, &chart, None, &cause, &before);
}

const PULL_SECRET: &str = "      imagePullSecrets: [{name: ghcr}]\n";

/// From now on the registry denies the api to us, and only the kubelet, which
/// holds a pull secret, can tell what is wrong with it.
fn only_the_kubelet_may_pull(node: &Node) {
    let (user, password) = ("kubelet", "a-made-up-word");
    node.registry(
        &Policy::public()
            .package("shop/api", Visibility::Private)
            .user(user, password, Access::Read),
    );
    let (user, password) = (
        format!("--docker-username={user}"),
        format!("--docker-password={password}"),
    );
    let server = "--docker-server=ghcr.io";
    let secret = ["create", "secret", "docker-registry", "ghcr"];
    node.kubectl(&[&secret[..], &[server, &user, &password]].concat());
}

#[test]
fn an_image_that_is_not_there_is_named() {
    let node = Node::new("not-found", Helm::V4);
    let before = first(&node);
    only_the_kubelet_may_pull(&node);
    let api = format!("ghcr.io/{}/shop/api:t9", node.name);
    let ran = upgrade(&node, &with_pod(PULL_SECRET), &api, &[]);
    ran.exits(7);
    names(
        &ran,
        &["container api of ", "cannot pull", ":t9: not found"],
    );
    assert!(ran.took < SOON, "{:?}", ran.took);
    node.runs(&before);
}

/// By its manifest it is for another platform; the runtime tells.
#[test]
fn an_image_for_another_platform_is_named() {
    let node = Node::new("wrong-arch", Helm::V3);
    let before = first(&node);
    only_the_kubelet_may_pull(&node);
    let other = Spec {
        platforms: vec![other_platform()],
        ..Spec::default()
    };
    let cause = [
        "container api of ",
        "it is not built for the platform of the cluster's node",
    ];
    rolls_back(&node, &with_pod(PULL_SECRET), Some(other), &cause, &before);
}

/// By its manifest it is for this one; the kernel tells.
#[test]
fn a_program_for_another_platform_is_named() {
    let lying = Spec {
        binary: Some(other_platform()),
        ..Spec::default()
    };
    let cause = [
        "container api of ",
        "it is not built for the platform of the cluster's node",
    ];
    is_named("wrong-program", Helm::V4, &next(), Some(lying), &cause);
}

fn other_platform() -> Platform {
    match Platform::here() {
        Platform::Amd64 => Platform::Arm64,
        Platform::Arm64 => Platform::Amd64,
    }
}

/// The deadline is the only judge of it; the probe and its answer are told.
#[test]
fn readiness_that_never_comes_names_the_probe() {
    let node = Node::new("unready", Helm::V4);
    let before = first(&node);
    let spec = Spec::behaving("unready migrations are pending");
    let api = node.image_with("api", "t2", spec).by_tag();
    let ran = upgrade(&node, &next(), &api, &[("DEPLOY_TIMEOUT", "25s")]);
    ran.exits(7);
    let cause = [
        "not ready after 25s: container api of ",
        "readiness probe",
        "statuscode: 503",
    ];
    names(&ran, &cause);
    node.runs(&before);
}

/// `DEPLOY_ATOMIC=0`: all stays for people to look at.
#[test]
fn what_is_kept_needs_hands() {
    let node = Node::new("keep", Helm::V3);
    first(&node);
    let crash = Spec::behaving("exit 3");
    let api = node.image_with("api", "t2", crash).by_tag();
    let ran = upgrade(&node, &next(), &api, &[("DEPLOY_ATOMIC", "0")]);
    ran.exits(8)
        .says("helm rollback")
        .says("nothing was deleted");
    assert_eq!(states(&node), ["deployed", "failed"]);
}

/// There is nothing to go back to, and nothing is deleted.
#[test]
fn a_first_install_is_kept() {
    let node = Node::new("first", Helm::V4);
    let api = node.image("api", "t2").by_tag();
    node.image("web", "t1");
    // In a namespace that this deploy makes, something might still copy a Secret.
    node.kubectl(&["create", "namespace", &node.name]);
    let chart = with_container("          envFrom: [{secretRef: {name: mail}}]\n");
    let ran = upgrade(&node, &chart, &api, &[]);
    ran.exits(8).says("nothing was deleted");
    names(&ran, &["-api: container api of ", "needs Secret mail"]);
    assert!(ran.took < SOON, "{:?}", ran.took);
    assert_eq!(states(&node), ["failed"]);
    let deployments = node.kubectl(&["get", "deployments", "-o", "name"]);
    assert_eq!(deployments.lines().count(), 2, "{deployments}");
}

/// A public repository's log is public: pods' logs stay on the node.
#[test]
fn a_public_log_shows_no_pods_log() {
    let node = Node::new("public", Helm::V3);
    first(&node);
    let crash = Spec::behaving("print password=hunter2\nexit 3");
    let api = node.image_with("api", "t2", crash).by_tag();
    node.home
        .write("event.json", r#"{"repository":{"private":false}}"#, 0o600);
    let inside = [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_EVENT_NAME", "push"),
        ("GITHUB_REF", "refs/heads/main"),
        ("GITHUB_EVENT_PATH", "/home/github-runner/event.json"),
    ];
    let ran = upgrade(&node, &next(), &api, &inside);
    ran.exits(7).says("deploy show ").never_says("hunter2");
    assert!(shown(&node)["evidence"].to_string().contains("hunter2"));
}
