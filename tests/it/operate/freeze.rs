//! Freezes and windows: who is refused, and never two writers.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use crate::harness::{Helm, Node, RUNNER, Ran, Running, Signal};

fn signal(node: &Node) -> Signal<'_> {
    let (api, web) = (node.image("api", "t1"), node.image("web", "t1"));
    node.signal("0.1.0")
        .image("api", api.by_tag())
        .image("web", web.by_tag())
}

/// As an operator would, with sudo.
fn by_root(node: &Node, args: &[&str]) -> Ran {
    node.by_hand(0, args).wait()
}

#[test]
fn a_freeze_refuses_signals() {
    let node = Node::new("freeze", Helm::V4);
    node.shop("0.1.0");
    let name = node.name.as_str();
    for (args, why) in [
        (&["freeze", name][..], "--reason"),
        (&["freeze", name, "--reason", " "], "no reason"),
        (
            &[
                "freeze",
                name,
                "--reason",
                "x",
                "--until",
                "2020-01-01T00:00Z",
            ],
            "--until is over",
        ),
        (
            &["freeze", name, "--reason", "x", "--until", "soon"],
            "expected 2h",
        ),
    ] {
        by_root(&node, args).exits(2).says(why);
    }
    by_root(
        &node,
        &[
            "freeze",
            "--reason",
            "the fair",
            "--until",
            "2h",
            "--allow",
            "octocat,schedule",
        ],
    )
    .exits(0)
    .says("every app is frozen: the fair (by root")
    .says("/etc/deploy/freeze.json");
    signal(&node)
        .run()
        .exits(4)
        .says("every app is frozen: the fair")
        .says("deploy unfreeze");
    // The runner's user cannot take it away, nor can a variable of a workflow's.
    node.subcommand(&["unfreeze"])
        .exits(3)
        .says("cannot be ended")
        .says("sudo");
    signal(&node)
        .in_step()
        .env("DEPLOY_STATE_DIR", "/tmp")
        .env("GITHUB_ACTOR", "mallory")
        .run()
        .exits(4);
    signal(&node)
        .arg("--dry-run")
        .run()
        .exits(0)
        .says("the signal itself would be refused");
    signal(&node)
        .in_step()
        .env("GITHUB_ACTOR", "octocat")
        .run()
        .exits(0)
        .says("let through");
    let refused: Vec<_> = node
        .journal()
        .iter()
        .map(|line| line["exit"].clone())
        .collect();
    assert_eq!(refused, [json!(4), json!(4), json!(0), json!(0)]);

    // What cannot be read forbids.
    std::fs::write(node.home.etc("deploy/freeze.json"), "{").unwrap();
    signal(&node)
        .run()
        .exits(3)
        .says("cannot be read, so nothing is deployed");
    by_root(&node, &["unfreeze"]).exits(0).says("is ended");
    by_root(&node, &["unfreeze"])
        .exits(0)
        .says("there was no freeze");

    // The runner's own, in its state directory: of this app alone.
    node.subcommand(&["freeze", name, "--reason", "mine"])
        .exits(0)
        .says(".local/state/deploy");
    signal(&node).run().exits(4).says("mine");
    node.subcommand(&["unfreeze", name]).exits(0);
    let file = node.home.inside(".local/state/deploy/journal.jsonl");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o077, 0);

    node.home.write_etc(
        "deploy/deploy.toml",
        &format!("[apps.{name}]\nwindows = [\"Mon 00:00-00:01 Europe/Berlin\", \"Mon 00:01-00:02 Europe/Berlin\"]\n"),
        0o644,
    );
    let monday_night = signal(&node).run();
    monday_night
        .exits(4)
        .says("takes signals only Mon 00:00-00:01 Europe/Berlin")
        .says("next from");
    by_root(&node, &["freeze", "other", "--reason", "x"])
        .exits(2)
        .says("is not listed");
}

/// 20 signals, a freeze, rollbacks and an unfreeze at once: each ends, each refused
/// run is in the journal, and the revisions tell of one writer after the other.
#[test]
fn a_freeze_races_with_signals() {
    let node = Node::new("race", Helm::V3);
    node.shop("0.1.0");
    signal(&node).run().exits(0);
    signal(&node).run().exits(0);
    let name = node.name.as_str();
    let first: Vec<Running> = (0..4).map(|_| signal(&node).start()).collect();
    first[0].until_says("lock");
    let frozen = node.by_hand(0, &["freeze", name, "--reason", "race"]);
    let back = node.by_hand(RUNNER, &["rollback", name, "1"]);
    let second: Vec<Running> = (0..16).map(|_| signal(&node).start()).collect();
    frozen.wait().exits(0);
    let back = back.wait();
    back.exits(0);
    let codes: Vec<i32> = first
        .into_iter()
        .chain(second)
        .map(|running| running.wait().status.code().unwrap())
        .collect();
    assert!(codes.iter().all(|code| [0, 4].contains(code)), "{codes:?}");
    let refused = codes.iter().filter(|code| **code == 4).count();
    assert!(refused > 0, "{codes:?}");
    let journal = node.journal();
    let ended = |exit: i32| journal.iter().filter(|line| line["exit"] == exit).count();
    // Two before; and the rollback. What root froze is in root's journal.
    assert_eq!((ended(0), ended(4)), (codes.len() - refused + 3, refused));
    let mut revisions: Vec<_> = journal
        .iter()
        .filter_map(|line| {
            (line["exit"] == 0)
                .then(|| line["revision"].as_u64())
                .flatten()
        })
        .collect();
    revisions.sort_unstable();
    let each: Vec<u64> = (1..=revisions.len() as u64).collect();
    assert_eq!(
        revisions, each,
        "each run that ended well made a revision of its own"
    );
    by_root(&node, &["unfreeze", name]).exits(0);
    signal(&node).run().exits(0);
}
