//! The event guard through the script: which events may deploy, and what the
//! payload changes.
//!
//! A request that is allowed goes on until it finds no kubeconfig (exit 3), so
//! nothing here needs a chart, an image or a pod.

use serde_json::{Value, json};

use crate::harness::{Helm, Node, Ran, Signal};

const REFUSED: i32 = 4;
const ALLOWED: i32 = 3;

#[path = "../data/github_events.rs"]
mod github_events;

use github_events::GITHUB;

/// A node that has no kubeconfig.
fn node(scenario: &str) -> Node {
    let node = Node::new(scenario, Helm::V4);
    std::fs::remove_file(node.home.inside(".kube/config")).unwrap();
    node
}

/// A signal that a workflow of `event` sends.
fn signal<'a>(node: &'a Node, event: &str) -> Signal<'a> {
    let image = |component: &str| format!("ghcr.io/{}/shop/{component}:1", node.name);
    node.signal("1.0.0")
        .arg("--dry-run")
        .image("api", image("api"))
        .image("web", image("web"))
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_EVENT_NAME", event)
        .env("GITHUB_EVENT_PATH", "/home/github-runner/event.json")
        .env("GITHUB_REPOSITORY", "acme/shop")
        .env("GITHUB_REF", "refs/heads/main")
}

fn payload(node: &Node, payload: &Value) {
    node.home.write("event.json", &payload.to_string(), 0o600);
}

/// What a workflow run of `event` in `head` says.
fn run_of(event: &str, head: &str) -> Value {
    json!({
        "repository": { "full_name": "acme/shop" },
        "workflow_run": { "event": event, "head_repository": { "full_name": head } },
    })
}

#[track_caller]
fn decides(ran: &Ran, allowed: bool) {
    if allowed {
        ran.exits(ALLOWED).says("no cluster is known");
    } else {
        ran.exits(REFUSED).never_says("no cluster is known");
    }
}

#[test]
fn every_event_of_github() {
    let node = node("events");
    payload(&node, &run_of("push", "Acme/Shop"));
    for (event, by_default, _) in GITHUB {
        let ran = signal(&node, event).run();
        decides(&ran, by_default);
        if !by_default {
            ran.says(event);
        }
    }
}

#[test]
fn a_node_allows_all_but_what_a_pull_request_does() {
    let node = node("events-allowed");
    payload(&node, &run_of("push", "acme/shop"));
    let can: Vec<&str> = GITHUB
        .iter()
        .filter(|(_, _, can)| *can)
        .map(|(event, ..)| *event)
        .collect();
    let list = format!("[defaults]\nevents = {}\n", json!(can));
    node.home.write_etc("deploy/deploy.toml", &list, 0o644);
    for (event, _, can) in GITHUB {
        decides(&signal(&node, event).run(), can);
    }

    // No node can write a pull request's event into its list.
    for event in ["pull_request", "pull_request_target", "merge_group"] {
        let list = format!("[defaults]\nevents = [\"push\", \"{event}\"]\n");
        node.home.write_etc("deploy/deploy.toml", &list, 0o644);
        signal(&node, "push").run().exits(3).says(event).says(":2:");
        signal(&node, event).run().exits(REFUSED);
    }
}

#[test]
fn a_workflow_run_stands_for_the_event_before_it() {
    let node = node("events-run");
    let list = "[defaults]\nevents = [\"push\", \"workflow_run\"]\n";
    node.home.write_etc("deploy/deploy.toml", list, 0o644);
    for (before, head, allowed) in [
        ("push", "acme/shop", true),
        ("push", "mallory/shop", false),
        ("schedule", "acme/shop", false),
        ("workflow_run", "acme/shop", false),
        ("pull_request", "acme/shop", false),
        ("pull_request_target", "acme/shop", false),
        ("merge_group", "acme/shop", false),
    ] {
        payload(&node, &run_of(before, head));
        decides(&signal(&node, "workflow_run").run(), allowed);
    }
    for strange in [
        json!({ "repository": { "full_name": "acme/shop" } }),
        json!({ "repository": { "full_name": "acme/shop" }, "workflow_run": {} }),
        json!({ "repository": { "full_name": "acme/shop" }, "workflow_run": { "event": "push" } }),
    ] {
        payload(&node, &strange);
        decides(&signal(&node, "workflow_run").run(), false);
    }
}

#[test]
fn what_is_not_known_is_refused() {
    let node = node("events-unknown");
    payload(&node, &json!({}));
    decides(&signal(&node, "push").run(), true);
    let ran = signal(&node, "").run();
    ran.exits(REFUSED)
        .says("GITHUB_EVENT_NAME")
        .never_says("no cluster is known");
    signal(&node, "push_").run().exits(REFUSED).says("push_");
    let path = |path: &str| {
        let ran = signal(&node, "push").env("GITHUB_EVENT_PATH", path).run();
        decides(&ran, false);
        ran
    };
    path("").says("GITHUB_EVENT_PATH");
    path("/home/github-runner/none.json").says("none.json");
    path("/home/github-runner").says("is not a file");
    for broken in ["", "{", "[1]", "\u{1b}[31m{}"] {
        node.home.write("broken.json", broken, 0o600);
        path("/home/github-runner/broken.json").never_says("\u{1b}[31m{}");
    }
    node.home.write("event.json", "{}", 0o600);
    // By hand there is no event, and none is needed.
    let ran = signal(&node, "pull_request")
        .env("GITHUB_ACTIONS", "")
        .run();
    decides(&ran, true);
}

#[test]
fn a_pull_request_is_known_by_more_than_its_event() {
    let node = node("events-refs");
    payload(&node, &json!({}));
    for (name, value) in [
        ("GITHUB_REF", "refs/pull/7/merge"),
        ("GITHUB_REF", "refs/pull/7/head"),
        ("GITHUB_REF", "refs/heads/gh-readonly-queue/main/pr-7-abc"),
        (
            "GITHUB_WORKFLOW_REF",
            "acme/shop/.github/workflows/ci.yml@refs/pull/7/merge",
        ),
        ("GITHUB_HEAD_REF", "feature"),
    ] {
        let ran = signal(&node, "push").env(name, value).run();
        ran.exits(REFUSED).says("pull request").says(name);
    }
    payload(&node, &json!({ "pull_request": { "number": 7 } }));
    signal(&node, "push")
        .run()
        .exits(REFUSED)
        .says("pull request");
    // It holds also where deploy.toml is broken; anything else is told of that.
    node.home.write_etc("deploy/deploy.toml", "[", 0o644);
    signal(&node, "pull_request").run().exits(REFUSED);
    signal(&node, "push").run().exits(3).says("deploy.toml");
}
