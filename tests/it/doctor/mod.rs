//! `deploy doctor` on broken nodes: each fault is made for real, it is found,
//! and its cure, carried out as it is printed, makes doctor content.

mod release;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::net::UnixListener;

use serde_json::Value;
use testbed::ghcr::{Access, Policy};

use crate::harness::{Helm, Image, Node, RUNNER, Running, SCRIPT, bed, deploy_binary};

const TOML: &str = "deploy/deploy.toml";
const HELM: &str = "[defaults]\nhelm = \"/usr/local/bin/helm\"\n";

/// A node on which all is well.
fn sound(scenario: &str) -> Node {
    let node = Node::new(scenario, Helm::V4);
    let state = node.home.var_lib("deploy");
    fs::create_dir(&state).unwrap();
    chown(state, Some(RUNNER), Some(RUNNER)).unwrap();
    node
}

/// What doctor finds, called by this name.
fn findings(node: &Node, name: &str) -> (Option<i32>, Vec<Value>) {
    let ran = node.shell(&format!("exec {name} doctor {} --json", node.name));
    (ran.status.code(), ran.json("finding"))
}

/// The one finding of this check.
fn finding(found: &[Value], check: &str) -> Value {
    let of = found.iter().filter(|finding| finding["check"] == check);
    let of: Vec<&Value> = of.collect();
    assert_eq!(of.len(), 1, "{check} in {found:#?}");
    of[0].clone()
}

/// Runs a printed command: as root, with the cluster administrator's rights.
fn by_the_administrator(node: &Node, command: &str) {
    let info = &bed().info;
    let tools = info.kubectl.parent().unwrap().display();
    let mut root = node
        .home
        .command(deploy_binary(), Some(node.helm.path()), 0, "/");
    root.args(["/bin/sh", "-euc", command]).envs(&node.env).env(
        "PATH",
        format!("/usr/local/bin:/usr/bin:/bin:/usr/sbin:{tools}"),
    );
    root.env("KUBECONFIG", &info.kubeconfig);
    Running::spawn(root).wait().exits(0);
}

/// One broken node: the fault is found, and the cure mends it.
struct Broken {
    node: Node,
    script: &'static str,
}

impl Broken {
    fn new(scenario: &str) -> Self {
        Self {
            node: sound(scenario),
            script: SCRIPT,
        }
    }

    /// It is told by this check at this level; gives the finding.
    #[track_caller]
    fn found(&self, check: &str, level: &str, says: &str) -> Value {
        let (code, found) = findings(&self.node, self.script);
        assert_eq!(
            code,
            Some(if level == "fail" { 3 } else { 0 }),
            "{found:#?}"
        );
        let finding = finding(&found, check);
        assert_eq!(finding["level"], level, "{found:#?}");
        let text = format!("{} → {}", finding["found"], finding["fix"]);
        assert!(text.contains(says), "expected {says:?} in {text}");
        finding
    }

    /// Nothing is in a deploy's way any more, and this check is content.
    #[track_caller]
    fn mended(&self, check: &str) {
        let (code, found) = findings(&self.node, self.script);
        assert_eq!(code, Some(0), "{found:#?}");
        let finding = finding(&found, check);
        assert_ne!(finding["level"], "fail", "{finding:#}");
    }

    /// The printed command is run as it stands.
    #[track_caller]
    fn mended_by_its_command(&self, check: &str, level: &str, says: &str) {
        let finding = self.found(check, level, says);
        let command = finding["command"]
            .as_str()
            .unwrap_or_else(|| panic!("no command: {finding}"));
        by_the_administrator(&self.node, command);
        self.mended(check);
        let (_, found) = findings(&self.node, self.script);
        assert!(
            finding["level"] == "fail" || !found.contains(&finding),
            "{found:#?}"
        );
    }

    fn settings(&self, toml: &str) {
        let toml = toml.replace("APP", &self.node.name);
        self.node.home.write_etc(TOML, &toml, 0o644);
    }
}

/// A node with a deployed release of the shop.
fn deployed(scenario: &str) -> (Broken, Image, Image) {
    let broken = Broken::new(scenario);
    let node = &broken.node;
    node.shop("1.0.0");
    let (api, web) = (node.image("api", "t1"), node.image("web", "t1"));
    node.signal("1.0.0")
        .image("api", api.by_tag())
        .image("web", web.by_tag())
        .run()
        .exits(0);
    (broken, api, web)
}

/// A node where all is well: before the first deploy and after.
#[test]
fn a_sound_node() {
    let (broken, _, _) = deployed("sound");
    let (code, found) = findings(&broken.node, SCRIPT);
    assert_eq!(code, Some(0), "{found:#?}");
    assert!(
        found.iter().all(|finding| finding["level"] == "ok"),
        "{found:#?}"
    );
    for check in [
        "script",
        "deploy.toml",
        "values",
        "state",
        "helm",
        "cluster",
        "clock",
        "rights",
        "release",
        "ghcr",
    ] {
        finding(&found, check);
    }
    let ran = broken.node.shell(&format!("exec {SCRIPT} doctor"));
    ran.exits(0)
        .says("deploy.toml lists none")
        .says("name one: deploy doctor <app>");
}

#[test]
fn settings_that_everyone_may_write() {
    let broken = Broken::new("toml-mode");
    broken.node.home.write_etc(TOML, "", 0o666);
    broken.mended_by_its_command("deploy.toml", "fail", "may be written by everyone");
}

#[test]
fn settings_of_a_stranger() {
    let broken = Broken::new("toml-owner");
    broken.settings("");
    chown(broken.node.home.etc(TOML), Some(RUNNER + 1), None).unwrap();
    broken.mended_by_its_command("deploy.toml", "fail", "belongs to");
}

#[test]
fn settings_with_a_slip() {
    let broken = Broken::new("toml-slip");
    broken.settings("[defaults]\ntimeuot = \"10m\"\n");
    broken.found("deploy.toml", "fail", "did you mean timeout?");
    broken.settings("[defaults]\ntimeout = \"10m\"\n");
    broken.mended("deploy.toml");
}

#[test]
fn an_app_that_is_not_listed() {
    let broken = Broken::new("not-listed");
    broken.settings("[apps.other]\n");
    broken.found("app", "fail", "[apps.");
    broken.settings("[apps.APP]\n");
    broken.mended("deploy.toml");
}

#[test]
fn values_that_everyone_may_write() {
    let broken = Broken::new("values-mode");
    let name = format!("{}.values.yaml", broken.node.name);
    broken.node.home.write(&name, "{}\n", 0o666);
    broken.mended_by_its_command("values", "fail", "may be written by everyone");
}

#[test]
fn values_that_are_missing_or_no_yaml() {
    let broken = Broken::new("values-gone");
    broken.settings("[apps.APP]\nvalues = [\"app.yaml\"]\n");
    broken.found("values", "fail", "create it");
    broken.node.home.write_etc("deploy/app.yaml", ": [", 0o644);
    broken.found("values", "fail", "/etc/deploy/app.yaml");
    broken.node.home.write_etc("deploy/app.yaml", "{}\n", 0o644);
    broken.mended("values");
}

#[test]
fn no_state_directory() {
    let broken = Broken::new("no-state");
    fs::remove_dir(broken.node.home.var_lib("deploy")).unwrap();
    broken.mended_by_its_command("state", "warn", "/var/lib/deploy is not there");
}

#[test]
fn no_script() {
    let mut broken = Broken::new("no-script");
    broken.script = "deploy";
    fs::remove_file(broken.node.home.inside("deploy.sh")).unwrap();
    broken.mended_by_its_command("script", "fail", "workflows call it");
}

#[test]
fn a_script_that_leads_nowhere() {
    let mut broken = Broken::new("dangling");
    broken.script = "deploy";
    let script = broken.node.home.inside("deploy.sh");
    fs::remove_file(&script).unwrap();
    std::os::unix::fs::symlink("/opt/gone", &script).unwrap();
    broken.mended_by_its_command("script", "fail", "leads nowhere");
}

#[test]
fn no_helm() {
    let mut broken = Broken::new("no-helm");
    let path = "/usr/bin:/bin".to_owned();
    broken.node.env.insert("PATH".to_owned(), path);
    broken.found("helm", "fail", "name it in deploy.toml: helm = ");
    broken.settings(HELM);
    broken.mended("helm");
}

#[test]
fn a_helm_that_is_too_old() {
    let mut broken = Broken::new("old-helm");
    broken
        .node
        .home
        .write("bin/helm", "#!/bin/sh\necho v3.10.0\n", 0o755);
    let path = "/home/github-runner/bin:/usr/bin:/bin".to_owned();
    broken.node.env.insert("PATH".to_owned(), path);
    broken.found("helm", "fail", "3.14.0 or newer");
    broken.settings(HELM);
    broken.mended("helm");
}

#[test]
fn no_kubeconfig() {
    let broken = Broken::new("no-cluster");
    let kubeconfig = broken.node.home.inside(".kube/config");
    let good = fs::read_to_string(&kubeconfig).unwrap();
    fs::remove_file(kubeconfig).unwrap();
    broken.found("settings", "fail", "[defaults] kubeconfig = ");
    broken.node.home.write("cluster.yaml", &good, 0o600);
    broken.settings("[defaults]\nkubeconfig = \"/home/github-runner/cluster.yaml\"\n");
    broken.mended("cluster");
}

#[test]
fn a_cluster_that_is_not_there() {
    let broken = Broken::new("no-server");
    let good = fs::read_to_string(broken.node.home.inside(".kube/config")).unwrap();
    let server = good.lines().find(|line| line.contains("server:")).unwrap();
    let wrong = good.replace(server, "    server: https://127.0.0.1:1");
    broken.node.home.write(".kube/config", &wrong, 0o600);
    broken.found("cluster", "fail", "its address in the kubeconfig");
    broken.node.home.write(".kube/config", &good, 0o600);
    broken.mended("cluster");
}

#[test]
fn no_way_to_ghcr() {
    let mut broken = Broken::new("no-way");
    let good = broken
        .node
        .env
        .insert("HTTPS_PROXY".to_owned(), "http://127.0.0.1:1".to_owned());
    broken.found("ghcr", "fail", "HTTPS_PROXY");
    broken.settings(&format!("[env]\nHTTPS_PROXY = \"{}\"\n", good.unwrap()));
    broken.mended("ghcr");
}

#[test]
fn an_old_variable_that_is_no_good() {
    let mut broken = Broken::new("old-variable");
    broken
        .node
        .env
        .insert("DEPLOY_TIMEOUT".to_owned(), "600".to_owned());
    broken.found("settings", "fail", "did you mean 10m?");
    broken
        .node
        .env
        .insert("DEPLOY_TIMEOUT".to_owned(), "10m".to_owned());
    broken.mended("cluster");
}

/// Credentials that have expired stand in the way even of public packages.
#[test]
fn dead_credentials() {
    let (broken, _, _) = deployed("dead");
    broken
        .node
        .registry(&Policy::public().user("bot", "pa55", Access::Expired));
    let file = ".config/helm/registry/config.json";
    broken.node.stores(file, "bot", "pa55");
    let finding = broken.found("ghcr", "warn", "are refused");
    let command = finding["command"].as_str().unwrap().to_owned();
    // The credentials are the runner's, so it is the runner who types it.
    broken.node.shell(&command).exits(0);
    let (_, found) = findings(&broken.node, SCRIPT);
    assert_eq!(self::finding(&found, "ghcr")["level"], "ok", "{found:#?}");
}

/// A forwarded app needs its controller, and neither helm nor the cluster.
#[test]
fn a_controller_that_is_away() {
    let broken = Broken::new("doctor-controller");
    let home = &broken.node.home;
    let toml = "[defaults]\nforward = \"unix:/home/github-runner/controller.sock\"\n";
    home.write_etc(TOML, toml, 0o644);
    broken.found("controller", "fail", "No such file");
    let socket = home.inside("controller.sock");
    let _controller = UnixListener::bind(&socket).unwrap();
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).unwrap();
    broken.mended("controller");
    let (_, found) = findings(&broken.node, SCRIPT);
    let not_asked = |finding: &Value| finding["check"] != "helm" && finding["check"] != "cluster";
    assert!(found.iter().all(not_asked), "{found:#?}");
}
