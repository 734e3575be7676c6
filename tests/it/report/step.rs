//! A step of a workflow that deploys: what the runner hands to it, and what it left.

use std::path::Path;

use super::page::rendered;
use super::runner::Step;
use crate::harness::{Node, RUNNER, Ran, Signal};

pub const FOLDER: &str = "/home/github-runner/work";

/// A step of a push's workflow, with the files that the runner hands to it.
pub fn step<'a>(node: &Node, signal: Signal<'a>, private: bool) -> Signal<'a> {
    let payload = format!(r#"{{"repository":{{"private":{private}}}}}"#);
    node.home.write("work/event.json", &payload, 0o644);
    node.home
        .write("work/summary", "# of an earlier step", 0o644);
    node.home.write("work/output", "", 0o644);
    let path = |name: &str| format!("{FOLDER}/{name}");
    signal
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_EVENT_NAME", "push")
        .env("GITHUB_REF", "refs/heads/main")
        .env("GITHUB_EVENT_PATH", &path("event.json"))
        .env("GITHUB_STEP_SUMMARY", &path("summary"))
        .env("GITHUB_OUTPUT", &path("output"))
}

/// What a step left behind.
pub struct Left {
    pub step: Step,
    pub summary: String,
    pub outputs: Vec<(String, String)>,
}

impl Left {
    /// All of it came through stdout.
    pub fn of(node: &Node, ran: &Ran) -> Self {
        assert_eq!(ran.stderr, "", "the runner reads stderr before stdout");
        let read = |name: &str| {
            std::fs::read_to_string(node.home.inside(&format!("work/{name}"))).unwrap()
        };
        let summary = read("summary");
        let ours = summary.strip_prefix("# of an earlier step\n");
        let pairs = read("output");
        let pairs = pairs.lines().map(|line| line.split_once('=').unwrap());
        Self {
            step: Step::of(ran.stdout.as_bytes(), ran.stderr.as_bytes()),
            summary: ours.unwrap_or_default().to_owned(),
            outputs: pairs
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        }
    }

    /// The data of the commands of this name.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let commands = self
            .step
            .commands
            .iter()
            .filter(|command| command.name == name);
        commands.map(|command| command.data.as_str()).collect()
    }

    pub fn output(&self, name: &str) -> &str {
        let found = self.outputs.iter().find(|(of, _)| of == name);
        found.map_or("", |(_, value)| value.as_str())
    }
}

/// With `DEPLOY_TEST_PAGES=<folder>` what people see goes there, to be looked
/// at, under names that mean something to them.
pub fn keep(name: &str, node: &Node, left: &Left, ran: &Ran) {
    let Some(folder) = std::env::var_os("DEPLOY_TEST_PAGES") else {
        return;
    };
    let named = |text: &str| {
        let text = text.replace(&format!("ghcr.io/{}/", node.name), "ghcr.io/acme/");
        text.replace(&node.name, "shop")
    };
    let path = |ending: &str| Path::new(&folder).join(format!("{name}.{ending}"));
    let annotation = left
        .step
        .commands
        .iter()
        .find(|command| command.name == "error");
    let annotation = annotation.map_or_else(String::new, |annotation| {
        let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;");
        let (title, data) = (
            escaped(&annotation.properties["title"]),
            escaped(&annotation.data),
        );
        format!("<div class=annotation><b>{title}</b>\n{data}</div>\n")
    });
    std::fs::write(path("md"), named(&left.summary)).unwrap();
    let page = annotation + &rendered(&left.summary);
    std::fs::write(path("html"), named(&page)).unwrap();
    std::fs::write(path("log"), named(&ran.stdout)).unwrap();
}

pub fn signal<'a>(node: &'a Node, version: &str, api: &str) -> Signal<'a> {
    let web = format!("ghcr.io/{}/shop/web:t1", node.name);
    node.signal(version).image("api", api).image("web", web)
}

/// A first release, told as a step tells it. The node's state lies where it
/// should.
pub fn first(node: &Node) {
    let state = node.home.var_lib("deploy");
    std::fs::create_dir(&state).unwrap();
    std::os::unix::fs::chown(&state, Some(RUNNER), Some(RUNNER)).unwrap();
    node.shop("0.1.0");
    let api = node.image("api", "t1");
    node.image("web", "t1");
    let ran = step(node, signal(node, "0.1.0", &api.by_tag()), false).run();
    ran.exits(0).says("::group::rollout: ");
    let left = Left::of(node, &ran);
    keep("good", node, &left, &ran);
    assert_eq!(
        (left.output("outcome"), left.output("revision")),
        ("deployed", "1")
    );
    let run = left.output("run-id");
    node.subcommand(&["show", run])
        .exits(0)
        .says(run)
        .says("deployed (0)");
    assert!(left.all("error").is_empty());
    for part in [
        run,
        &api.digest,
        "revision 1 deployed and verified",
        "first install",
    ] {
        assert!(left.summary.contains(part), "{part}: {}", left.summary);
    }
}
