//! `deploy receive`: the runner's user holds nothing, and another user deploys for it.
//!
//! Client and receiver are two users of one node, each with a home of its own.

mod attempts;
mod deploys;
mod flood;
mod forged;
mod fuzz;
mod hostile;
pub mod issuer;
mod killed;
mod signed;

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::harness::{Helm, Node, RUNNER, Ran, Running, deploy_binary, until};

/// The receiver's user: one that this machine does not know otherwise.
const RECEIVER: u32 = 41_002;

/// Where the receiver lives, as the node sees it.
const LIVES: &str = "/var/lib/receiver";

/// A node whose runner forwards to a receiver.
pub struct Site {
    node: Node,
}

/// A receiver that runs; it ends with the test.
pub struct Receiver(Child);

/// A path in the receiver's home, as this process sees it.
fn inside(node: &Node, path: &str) -> PathBuf {
    node.home.var_lib("receiver").join(path)
}

/// A file or a folder of the receiver's.
fn give(node: &Node, path: &str, content: Option<&[u8]>, mode: u32) {
    let path = inside(node, path);
    match content {
        Some(content) => std::fs::write(&path, content).unwrap(),
        None => std::fs::create_dir_all(&path).unwrap(),
    }
    std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    chown(&path, Some(RECEIVER), Some(RECEIVER)).unwrap();
}

/// The node forwards this app to a receiver, which gets the kubeconfig; `more` stands
/// in its defaults, `own` in the app's table.
pub fn furnish(node: &Node, app: &str, more: &str, own: &str) {
    let home = &node.home;
    let kubeconfig = std::fs::read(home.inside(".kube/config")).unwrap();
    std::fs::remove_dir_all(home.inside(".kube")).unwrap();
    give(node, "", None, 0o755);
    give(node, ".kube", None, 0o700);
    give(node, ".kube/config", Some(&kubeconfig), 0o440);
    // As systemd hands it over: root's, with a right to read it.
    chown(inside(node, ".kube/config"), Some(0), Some(RECEIVER)).unwrap();
    give(node, "state", None, 0o700);
    let forward = format!("[apps.{app}]\nforward = \"unix:{LIVES}/deploy.sock\"\n");
    home.write_etc("deploy/deploy.toml", &forward, 0o644);
    let receive = format!(
        "[defaults]\ntimeout = \"90s\"\n{more}\n[receive]\nallow_users = [\"{RUNNER}\"]\n[apps.{app}]\n{own}"
    );
    home.write_etc("deploy/receive.toml", &receive, 0o640);
    chown(home.etc("deploy/receive.toml"), Some(0), Some(RECEIVER)).unwrap();
}

/// A command of this user's on the node.
fn command(node: &Node, user: u32, words: &[&str]) -> Command {
    let helm = Some(node.helm.path());
    let cwd = if user == RUNNER {
        "/home/github-runner"
    } else {
        "/"
    };
    let mut command = node.home.command(deploy_binary(), helm, user, cwd);
    command.args(words).envs(&node.env);
    if user != RUNNER {
        command.env("HOME", LIVES);
        command.env("DEPLOY_STATE_DIR", format!("{LIVES}/state"));
    }
    command
}

/// Starts the receiver of a node.
pub fn start(node: &Node) -> Receiver {
    let listen = format!("unix:{LIVES}/deploy.sock");
    let words = ["/usr/local/bin/deploy", "receive", "--listen", &listen];
    let mut command = command(node, RECEIVER, &words);
    let receiver = Receiver(command.stdin(Stdio::null()).spawn().unwrap());
    until("the receiver listens", || {
        UnixStream::connect(inside(node, "deploy.sock")).is_ok()
    });
    receiver
}

/// The journal of a node's receiver.
pub fn journal(node: &Node) -> Vec<Value> {
    std::fs::read_to_string(inside(node, "state/journal.jsonl"))
        .unwrap_or_default()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

impl Site {
    /// A node on which the receiver holds the credentials, with this after its
    /// `[receive]`.
    fn new(scenario: &str, more: &str) -> Self {
        let node = Node::new(scenario, Helm::V3);
        furnish(&node, &node.name, more, "");
        Self { node }
    }

    fn inside(&self, path: &str) -> PathBuf {
        inside(&self.node, path)
    }

    fn give(&self, path: &str, content: Option<&[u8]>, mode: u32) {
        give(&self.node, path, content, mode);
    }

    fn command(&self, user: u32, words: &[&str]) -> Command {
        command(&self.node, user, words)
    }

    /// Starts the receiver.
    fn receiver(&self) -> Receiver {
        start(&self.node)
    }

    fn journal(&self) -> Vec<Value> {
        journal(&self.node)
    }

    /// A subcommand of `deploy` by the receiver's user.
    fn ask(&self, words: &[&str]) -> Ran {
        let words = [&["/usr/local/bin/deploy"], words].concat();
        Running::spawn(self.command(RECEIVER, &words)).wait()
    }

    /// The runs that were taken and have not ended.
    fn open_runs(&self) -> BTreeSet<String> {
        let entries = std::fs::read_dir(self.inside("state/received"));
        let names = entries.into_iter().flatten().flatten();
        names
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect()
    }

    /// What a token has to be for: a signal with this tag of both images, as
    /// [`document`] has them.
    fn audience(&self, tag: &str) -> String {
        let app = &self.node.name;
        let image = |key: &str| format!("ghcr.io/{app}/shop/{key}:{tag}");
        let images = json!({ "api": image("api"), "web": image("web") }).to_string();
        let chart = format!("oci://ghcr.io/{app}/charts/shop");
        let words = ["audience", "--app", app, "--chart", &chart];
        let more = ["--chart-version", "0.1.0", "--images", &images];
        let printed = self.ask(&[&words[..], &more].concat());
        printed.exits(0);
        printed.stdout.trim().to_owned()
    }

    /// A signal that is good, with these tags.
    fn signal(&self, api: &str) -> Running {
        let (api, web) = (self.node.image("api", api), self.node.image("web", "t1"));
        self.node
            .signal("0.1.0")
            .image("api", api.by_tag())
            .image("web", web.by_tag())
            .start()
    }

    /// Sends bytes to the socket as root, and reads what comes within a while.
    fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = UnixStream::connect(self.inside("deploy.sock")).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        // It may answer, and close, before all of it is sent.
        let _ = stream.write_all(bytes);
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said);
        String::from_utf8_lossy(&said).into_owned()
    }
}

impl Receiver {
    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    /// Waits for its end.
    fn ends(mut self) -> Option<i32> {
        self.0.wait().unwrap().code()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A request with this document.
fn post(document: &Value) -> Vec<u8> {
    let body = document.to_string();
    format!(
        "POST /v1/deploys HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A document that is good but for what is changed in it.
fn document(app: &str) -> Value {
    json!({
        "id": "20261124T175106Z-1a2b3c", "app": app,
        "chart": format!("oci://ghcr.io/{app}/charts/shop"), "chart_version": "0.1.0",
        "images": { "api": format!("ghcr.io/{app}/shop/api:t1"), "web": format!("ghcr.io/{app}/shop/web:t1") },
        "timeout_seconds": 60, "who": { "user": "root", "uid": 0 },
    })
}
