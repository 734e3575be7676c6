//! The four flags: what is refused, in which words, and that refusing does
//! nothing else.

use std::path::Path;
use std::sync::Mutex;
use std::thread;

use predicates::prelude::*;
use predicates::str::contains;

use crate::{GOOD, NO_HELM, Node};

#[allow(
    dead_code,
    unreachable_pub,
    reason = "others read it too, and more of a case than these"
)]
#[path = "../data/bad_requests.rs"]
mod bad_requests;

/// How many programs run at once.
const SIDE_BY_SIDE: usize = 4;

/// Every bad request: exit 2, each mistake in its own words on stderr, and
/// nothing written.
#[test]
fn bad_requests_are_told_and_do_nothing() {
    let node = Node::new();
    let before = node.listing();
    let cases = bad_requests::cases();
    assert!(cases.len() >= 200, "{}", cases.len());
    let cases = Mutex::new(cases.into_iter());
    thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                while let Some(case) = { cases.lock().unwrap().next() } {
                    let mut told = node.deploy().args(case.args()).assert();
                    told = told.code(2).stdout("");
                    for words in case.expect {
                        told = told.stderr(contains(words));
                    }
                }
            });
        }
    });
    assert_eq!(node.listing(), before);
}

/// All mistakes are told in one go.
#[test]
fn every_violation_at_once() {
    let node = Node::new();
    let request = [
        "--app",
        "Shop",
        "--chart",
        "acme/shop",
        "--chart-version",
        "latest",
        "--images",
        r#"{"api":"nginx"}"#,
        "--wait",
    ];
    let told = node.deploy().args(request).assert().code(2);
    let mistakes = [
        "--app: ",
        "--chart: ",
        "--chart-version: ",
        "--images, key 'api': ",
        "--images, key 'web': missing",
        "--wait: ",
    ];
    mistakes
        .iter()
        .fold(told, |told, mistake| told.stderr(contains(*mistake)))
        .stderr(contains("nothing was run"));
}

/// A good request gets past the contract, to what this node lacks; so does a
/// dry run.
#[test]
fn a_good_request_meets_the_node() {
    let node = Node::new();
    for more in [&[][..], &["--dry-run"], &["--quiet"], &["-q", "--dry-run"]] {
        node.deploy()
            .args(GOOD)
            .args(more)
            .assert()
            .code(3)
            .stderr(contains(NO_HELM));
    }
}

/// The request is judged before the node: the workflow's mistake is told even
/// where the node has one too, and a good request then meets the node's.
#[test]
fn a_bad_request_outranks_a_broken_node() {
    let node = Node::new();
    node.write("deploy.toml", "[defaults\ntimeout = 10\n");
    let mut bad = GOOD;
    bad[5] = "latest";
    node.deploy()
        .args(bad)
        .assert()
        .code(2)
        .stderr(contains("--chart-version"));
    node.deploy()
        .args(GOOD)
        .assert()
        .code(3)
        .stderr(contains("deploy.toml:1:"));
}

/// A slip in a word or a flag: nothing is deployed, and the nearest one is
/// named.
#[test]
fn the_nearest_word_is_named() {
    let node = Node::new();
    for (line, nearest) in [
        (&["histroy"][..], "did you mean deploy history?"),
        (&["doctr"], "did you mean deploy doctor?"),
        (&["completion", "bash"], "did you mean deploy completions?"),
        (
            &["--chart-verison", "1.4.0"],
            "did you mean --chart-version?",
        ),
        (&["--dry-runn"], "did you mean --dry-run?"),
        (&["history", "--josn"], "'--json'"),
        (&["completions", "basj"], "'bash'"),
    ] {
        node.deploy()
            .args(line)
            .assert()
            .code(2)
            .stdout("")
            .stderr(contains(nearest));
    }
    // A word that resembles none gets no guess.
    node.deploy()
        .arg("rollout")
        .assert()
        .code(2)
        .stderr(contains("did you mean").not());
}

/// Whatever the program is called, it reads the same flags in any order and
/// form, and finds the deploy.toml beside the script as it was invoked.
#[test]
fn any_name_and_any_way_to_call_it() {
    let node = Node::new();
    node.write("deploy.toml", "[defaults\n");
    let home = node.path("");
    let above = home.parent().unwrap();
    let folder = home.file_name().unwrap().to_str().unwrap();
    let joined: Vec<String> = GOOD.chunks(2).rev().map(|pair| pair.join("=")).collect();
    for (name, cwd) in [
        (node.path("deploy.sh"), Path::new("/")),
        ("./deploy.sh".into(), &home),
        (format!("{folder}/deploy.sh").into(), above),
        // On its PATH.
        ("deploy.sh".into(), Path::new("/")),
    ] {
        for flags in [&GOOD.map(str::to_owned)[..], &joined] {
            // The script's own deploy.toml was read, so the request was good.
            node.called(&name)
                .current_dir(cwd)
                .args(flags)
                .assert()
                .code(3)
                .stderr(contains(format!("{folder}/deploy.toml:1:")));
        }
        node.called(&name)
            .current_dir(cwd)
            .args(["--app", "Shop"])
            .assert()
            .code(2)
            .stderr(contains("--app: 'Shop'"))
            .stderr(contains("--images: missing"));
    }
}
