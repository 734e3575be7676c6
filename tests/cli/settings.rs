//! deploy.toml's mistakes: exit 3, each with its line and what was meant, and
//! nothing done.

use predicates::prelude::*;
use predicates::str::contains;

use crate::{GOOD, NO_HELM, Node};

/// Mistakes are told with file, line and column, all at once.
#[test]
fn mistakes_are_told_with_their_place() {
    let node = Node::new();
    node.write(
        "deploy.toml",
        "[defaults]\ntiemout = \"5m\"\ntimeout = 10\n\n[aps.shop]\n",
    );
    let before = node.listing();
    node.deploy()
        .args(GOOD)
        .assert()
        .code(3)
        .stdout("")
        .stderr(contains(
            "deploy.toml:2:1: unknown key 'tiemout' in [defaults]; did you mean timeout?",
        ))
        .stderr(contains(
            "deploy.toml:3:11: defaults.timeout is the number 10, expected a duration",
        ))
        .stderr(contains(
            "deploy.toml:5:2: unknown key 'aps' in the file; did you mean apps?",
        ));
    let journal = node.path("state/journal.jsonl");
    let written = node.listing().into_iter().filter(|it| !before.contains(it));
    let written: Vec<_> = written.map(|(path, _)| path).collect();
    assert_eq!(
        written,
        [node.path("state"), journal],
        "a line in the journal alone"
    );
    // doctor says the same.
    node.deploy()
        .arg("doctor")
        .assert()
        .code(3)
        .stdout(contains("did you mean timeout?"));
}

#[test]
fn what_is_no_toml_is_told() {
    let node = Node::new();
    for (text, place) in [
        ("[defaults\n", "deploy.toml:1:"),
        ("\n\na = = 1\n", "deploy.toml:3:"),
    ] {
        node.write("deploy.toml", text);
        node.deploy()
            .args(GOOD)
            .assert()
            .code(3)
            .stderr(contains(place));
    }
    std::fs::write(node.path("deploy.toml"), b"# \xff\n").unwrap();
    node.deploy()
        .args(GOOD)
        .assert()
        .code(3)
        .stderr(contains("is not UTF-8"));
}

/// Whoever may write it decides what is deployed where.
#[test]
fn a_file_that_others_may_write_is_refused() {
    let node = Node::new();
    node.chmod("deploy.toml", 0o666);
    node.deploy()
        .args(GOOD)
        .assert()
        .code(3)
        .stderr(contains("may be written by everyone (mode 0666)"))
        .stderr(contains("chmod go-w"));
    node.chmod("deploy.toml", 0o644);
    node.deploy()
        .args(GOOD)
        .assert()
        .code(3)
        .stderr(contains(NO_HELM))
        .stderr(contains("written by").not());
}

/// A file that is named must be there.
#[test]
fn a_missing_file_is_told() {
    let node = Node::new();
    node.deploy()
        .env("DEPLOY_CONFIG", "none.toml")
        .args(GOOD)
        .assert()
        .code(3)
        .stderr(contains("none.toml"));
}

/// What the node's policy refuses has a code of its own.
#[test]
fn what_the_policy_refuses() {
    let node = Node::new();
    for (settings, said) in [
        ("[apps.other]\n", "is not listed"),
        (
            "[apps.shop]\nchart = \"oci://ghcr.io/acme/charts/other\"\n",
            "pinned",
        ),
        (
            "[apps.shop]\nowners = [\"globex\"]\n",
            "this node trusts globex",
        ),
        ("[defaults]\nowners = []\n", "no owner is trusted"),
    ] {
        node.write("deploy.toml", settings);
        node.deploy()
            .args(GOOD)
            .assert()
            .code(4)
            .stderr(contains(said));
    }
}
