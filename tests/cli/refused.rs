//! Runs that end before there is a plan: what they leave, and what they never
//! wait for.

use predicates::str::contains;
use rustix::fs::{CWD, Mode, mkfifoat};
use serde_json::Value;

use crate::{GOOD, Node};

fn journal(node: &Node) -> Vec<Value> {
    let journal = std::fs::read_to_string(node.path("state/journal.jsonl"));
    let journal = journal.unwrap_or_default();
    let lines = journal.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().unwrap()
}

/// Case E7: one line each of who, what and why.
#[test]
fn a_refused_run_is_in_the_journal() {
    for (settings, code, why) in [
        ("[apps.other]\n", 4, "shop is not listed"),
        ("[defaults]\ntiemout = 1\n", 3, "unknown key 'tiemout'"),
    ] {
        let node = Node::new();
        node.write("deploy.toml", settings);
        node.deploy().args(GOOD).assert().code(code);
        let lines = journal(&node);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert_eq!(lines[0]["exit"], code);
        assert_eq!(lines[0]["request"]["app"], "shop");
        assert!(lines[0]["who"]["user"].is_string());
        assert!(
            lines[0]["cause"].as_str().unwrap().contains(why),
            "{lines:?}"
        );
    }
    let node = Node::new();
    node.deploy().args(&GOOD[2..]).assert().code(2);
    assert_eq!(journal(&node).len(), 0, "no request, no line");
    // A state directory that cannot be written is a warning.
    let node = Node::new();
    node.write("deploy.toml", "[apps.other]\n");
    node.write("state", "");
    node.deploy()
        .args(GOOD)
        .assert()
        .code(4)
        .stderr(contains("warning: the journal in "));
}

/// Case F4: a FIFO is told at once.
#[test]
fn a_fifo_is_never_waited_for() {
    let fifo = |node: &Node, name: &str| mkfifoat(CWD, node.path(name), Mode::RUSR).unwrap();
    let seen = "is not a file: it is a FIFO";
    let node = Node::new();
    std::fs::remove_file(node.path("deploy.toml")).unwrap();
    fifo(&node, "deploy.toml");
    node.deploy()
        .args(GOOD)
        .assert()
        .code(3)
        .stderr(contains(seen));
    let node = Node::new();
    fifo(&node, "shop.values.yaml");
    node.write(
        "deploy.toml",
        "[defaults]\nkubeconfig = \"/nowhere\"\n[apps.shop]\nvalues = [\"shop.values.yaml\"]\n",
    );
    node.deploy()
        .args(GOOD)
        .assert()
        .code(3)
        .stderr(contains(seen));
}
