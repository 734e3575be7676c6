//! The event guard through the script: which events may deploy, and what the
//! payload changes.
//!
//! The node lists another app only, so that a request which is allowed is
//! refused for that, and nothing here needs a chart, an image or a cluster.

use std::path::Path;

use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::{Value, json};

use crate::{GOOD, Node};

#[path = "../data/github_events.rs"]
mod github_events;

use github_events::GITHUB;

const REFUSED: i32 = 4;
const BAD_NODE: i32 = 3;

/// What an event that may deploy comes to.
const ALLOWED: &str = "shop is not listed";

/// A node that does not know the app, with these lines of defaults.
fn settings(node: &Node, defaults: &str) {
    node.write(
        "deploy.toml",
        &format!("[defaults]\n{defaults}\n[apps.other]\n"),
    );
}

fn node() -> Node {
    let node = Node::new();
    settings(&node, "");
    payload(&node, &json!({}));
    node
}

/// A signal that a workflow of `event` sends.
fn signal(node: &Node, event: &str) -> Command {
    let mut signal = node.script();
    signal
        .args(GOOD)
        .arg("--dry-run")
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_EVENT_NAME", event)
        .env("GITHUB_EVENT_PATH", node.path("event.json"))
        .env("GITHUB_REPOSITORY", "acme/shop")
        .env("GITHUB_REF", "refs/heads/main");
    signal
}

fn payload(node: &Node, payload: &Value) {
    node.write("event.json", &payload.to_string());
}

/// What a workflow run of `event` in `head` says.
fn run_of(event: &str, head: &str) -> Value {
    json!({
        "repository": { "full_name": "acme/shop" },
        "workflow_run": { "event": event, "head_repository": { "full_name": head } },
    })
}

/// Sends it: the code, and all that is said on both streams.
fn sent(signal: &mut Command) -> (Option<i32>, String) {
    let output = signal.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

/// The guard lets it pass, or refuses it; gives what is said.
#[track_caller]
fn decides(signal: &mut Command, allowed: bool) -> String {
    let (code, said) = sent(signal);
    assert_eq!(code, Some(REFUSED), "{said}");
    assert_eq!(contains(ALLOWED).eval(&said), allowed, "{said}");
    said
}

/// The guard refuses it, and says this.
#[track_caller]
fn refuses(signal: &mut Command, words: &[&str]) {
    let said = decides(signal, false);
    for word in words {
        assert!(said.contains(word), "expected {word:?} in {said}");
    }
}

/// The node is told to be wrong before the guard has anything to judge by.
#[track_caller]
fn breaks(signal: &mut Command, words: &[&str]) {
    let (code, said) = sent(signal);
    assert_eq!(code, Some(BAD_NODE), "{said}");
    for word in words {
        assert!(said.contains(word), "expected {word:?} in {said}");
    }
}

#[test]
fn every_event_of_github() {
    let node = node();
    payload(&node, &run_of("push", "Acme/Shop"));
    for (event, by_default, _) in GITHUB {
        let said = decides(&mut signal(&node, event), by_default);
        assert!(by_default || said.contains(event), "{event}: {said}");
    }
}

#[test]
fn a_node_allows_all_but_what_a_pull_request_does() {
    let node = node();
    payload(&node, &run_of("push", "acme/shop"));
    let can: Vec<&str> = GITHUB
        .iter()
        .filter(|(_, _, can)| *can)
        .map(|(event, ..)| *event)
        .collect();
    settings(&node, &format!("events = {}", json!(can)));
    for (event, _, can) in GITHUB {
        decides(&mut signal(&node, event), can);
    }

    // No node can write a pull request's event into its list.
    for event in ["pull_request", "pull_request_target", "merge_group"] {
        settings(&node, &format!("events = [\"push\", \"{event}\"]"));
        breaks(&mut signal(&node, "push"), &[event, ":2:"]);
        refuses(&mut signal(&node, event), &[]);
    }
}

#[test]
fn a_workflow_run_stands_for_the_event_before_it() {
    let node = node();
    settings(&node, "events = [\"push\", \"workflow_run\"]");
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
        decides(&mut signal(&node, "workflow_run"), allowed);
    }
    for strange in [
        json!({ "repository": { "full_name": "acme/shop" } }),
        json!({ "repository": { "full_name": "acme/shop" }, "workflow_run": {} }),
        json!({ "repository": { "full_name": "acme/shop" }, "workflow_run": { "event": "push" } }),
    ] {
        payload(&node, &strange);
        decides(&mut signal(&node, "workflow_run"), false);
    }
}

#[test]
fn what_is_not_known_is_refused() {
    let node = node();
    decides(&mut signal(&node, "push"), true);
    refuses(&mut signal(&node, ""), &["GITHUB_EVENT_NAME"]);
    refuses(&mut signal(&node, "push_"), &["push_"]);
    let reading = |path: &Path| {
        let mut signal = signal(&node, "push");
        decides(signal.env("GITHUB_EVENT_PATH", path), false)
    };
    for (path, word) in [
        (Path::new(""), "GITHUB_EVENT_PATH"),
        (&node.path("none.json"), "none.json"),
        (&node.path("."), "is not a file"),
    ] {
        let said = reading(path);
        assert!(said.contains(word), "{said}");
    }
    for broken in ["", "{", "[1]", "\u{1b}[31m{}"] {
        node.write("broken.json", broken);
        let said = reading(&node.path("broken.json"));
        assert!(!said.contains("\u{1b}[31m{}"), "{said}");
    }
    // By hand there is no event, and none is needed.
    let mut by_hand = signal(&node, "pull_request");
    decides(by_hand.env("GITHUB_ACTIONS", ""), true);
}

#[test]
fn a_pull_request_is_known_by_more_than_its_event() {
    let node = node();
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
        let mut signal = signal(&node, "push");
        refuses(signal.env(name, value), &["pull request", name]);
    }
    payload(&node, &json!({ "pull_request": { "number": 7 } }));
    refuses(&mut signal(&node, "push"), &["pull request"]);
    // It holds also where deploy.toml is broken; anything else is told of that.
    node.write("deploy.toml", "[");
    refuses(&mut signal(&node, "pull_request"), &[]);
    breaks(&mut signal(&node, "push"), &["deploy.toml"]);
}
