//! What is printed for people and shells, on stdout and with exit 0.

use std::io::Read as _;
use std::process::{Command, Stdio};

use deploy::error::Exit;
use predicates::prelude::*;
use predicates::str::{contains, is_empty};

use crate::{GOOD, NOWHERE, Node, binary};

const SUBCOMMANDS: [&str; 13] = [
    "history",
    "show",
    "status",
    "rollback",
    "freeze",
    "unfreeze",
    "doctor",
    "explain",
    "install",
    "receive",
    "audience",
    "completions",
    "man",
];

/// A node whose settings nobody can read: what is tried on it reads none.
fn broken() -> Node {
    let node = Node::new();
    node.write("deploy.toml", "[");
    node
}

#[test]
fn help_names_the_flags_and_the_commands() {
    let node = broken();
    for line in [&["--help"][..], &["-h"], &["help"]] {
        let mut told = node.deploy().args(line).assert().code(0).stderr("");
        for word in [
            "--app",
            "--chart",
            "--chart-version",
            "--images",
            "--dry-run",
            "--quiet",
        ] {
            told = told.stdout(contains(word));
        }
        for word in SUBCOMMANDS {
            told = told.stdout(contains(format!("\n  {word} ")));
        }
        told.stdout(predicate::function(narrow));
    }
}

fn narrow(text: &str) -> bool {
    text.lines().all(|line| line.chars().count() <= 80)
}

/// Each subcommand's help, at 80 columns.
#[test]
fn each_subcommand_has_its_help() {
    let node = broken();
    for name in SUBCOMMANDS {
        for line in [[name, "--help"], ["help", name]] {
            node.deploy()
                .env("COLUMNS", "80")
                .args(line)
                .assert()
                .code(0)
                .stderr("")
                .stdout(contains(format!("Usage: deploy {name}")))
                .stdout(contains("\n\nExamples:\n  "))
                .stdout(predicate::function(narrow));
        }
    }
}

#[test]
fn the_version() {
    let node = broken();
    for flag in ["--version", "-V"] {
        node.deploy()
            .arg(flag)
            .assert()
            .code(0)
            .stderr("")
            .stdout(concat!("deploy ", env!("CARGO_PKG_VERSION"), "\n"));
    }
}

#[test]
fn completions_for_each_shell() {
    let node = broken();
    for (shell, begins) in [
        ("bash", "complete -F _deploy"),
        ("zsh", "#compdef deploy deploy.sh"),
        ("fish", "complete -c deploy"),
        ("elvish", "edit:completion"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let mut told = node.deploy().args(["completions", shell]).assert().code(0);
        told = told.stderr("").stdout(contains(begins));
        for word in SUBCOMMANDS.into_iter().chain(["chart-version", "dry-run"]) {
            told = told.stdout(contains(word));
        }
    }
}

/// The page has every exit code with its meaning.
#[test]
fn the_manual_page() {
    let output = broken().deploy().arg("man").output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty());
    let page = String::from_utf8(output.stdout).unwrap();
    let page = page.replace("\\-", "-").replace("\\*(Aq", "'");
    assert!(page.contains(".TH deploy 1"), "{page}");
    for exit in Exit::ALL {
        let entry = format!("\\fB{}\\fR\n{}", exit.code(), exit.meaning());
        assert!(page.contains(&entry), "{entry} in {page}");
    }
}

/// The entry that a failed run names.
fn named(command: &mut assert_cmd::Command) -> String {
    let output = command.output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    let line = told.lines().last().unwrap_or_default();
    let (_, entry) = line
        .split_once("more about it: deploy explain ")
        .unwrap_or_else(|| panic!("{told}"));
    entry.to_owned()
}

/// A request with one value replaced, or one flag left out.
fn request(flag: &str, value: Option<&str>) -> Vec<String> {
    let pairs = GOOD.chunks(2).map(|pair| (pair[0], pair[1]));
    pairs
        .filter_map(|(name, given)| {
            let value = if name == flag { value } else { Some(given) };
            value.map(|value| [name.to_owned(), value.to_owned()])
        })
        .flatten()
        .collect()
}

/// Each kind of invalid request names its entry.
#[test]
fn an_invalid_request_names_its_entry() {
    let node = Node::new();
    let image = r#"{"api":"nginx","web":"ghcr.io/acme/shop/web:1"}"#;
    let with = |more: &[&str]| {
        let good = GOOD.iter().chain(more);
        good.map(|word| (*word).to_owned()).collect::<Vec<_>>()
    };
    for (args, entry) in [
        (request("--app", Some("Shop")), "invalid-app"),
        (request("--app", None), "missing-flag"),
        (request("--chart", Some("acme/shop")), "invalid-chart"),
        (
            request("--chart-version", Some("latest")),
            "invalid-version",
        ),
        (request("--images", Some("{api: x}")), "invalid-images"),
        (request("--images", Some(image)), "invalid-image"),
        (with(&["--app", "other"]), "flag-twice"),
        (with(&["--wait"]), "unknown-flag"),
        (with(&["more"]), "unknown-argument"),
        (
            [&request("--images", None)[..], &["--images".to_owned()]].concat(),
            "flag-without-value",
        ),
        (
            vec!["--app".to_owned(), "shop".to_owned()],
            "several-mistakes",
        ),
    ] {
        assert_eq!(named(node.deploy().args(&args)), entry, "{args:?}");
    }
}

/// What the node is not ready for, or refuses, names its entry.
#[test]
fn a_failed_run_names_its_entry() {
    let deploy = |settings: &str| {
        let node = Node::new();
        node.write("deploy.toml", settings);
        named(node.deploy().args(GOOD))
    };
    let with = |line: &str| format!("{NOWHERE}{line}\n");
    for (settings, entry) in [
        (NOWHERE, "no-helm"),
        ("", "no-kubeconfig"),
        (&with("helm = \"/nowhere\""), "no-helm"),
        ("[defaults]\ntiemout = 1\n", "invalid-configuration"),
        ("[apps.shop]\nvalues = [\"none.yaml\"]\n", "file-unreadable"),
        ("[apps.other]\n", "app-not-listed"),
        ("[defaults]\nowners = [\"globex\"]\n", "owner-not-trusted"),
        (
            "[apps.shop]\nchart = \"oci://ghcr.io/acme/charts/other\"\n",
            "chart-pinned",
        ),
        (
            "[defaults]\nforward = \"unix:/nowhere\"\n",
            "controller-unreachable",
        ),
    ] {
        assert_eq!(deploy(settings), entry, "{settings}");
    }
    let node = Node::new();
    let actions = [("GITHUB_ACTIONS", "true")];
    let event = |name| [("GITHUB_ACTIONS", "true"), ("GITHUB_EVENT_NAME", name)];
    let by_hand = |variables: &[(&str, &str)]| {
        named(node.deploy().envs(variables.iter().copied()).args(GOOD))
    };
    assert_eq!(by_hand(&[("DEPLOY_TIMEOUT", "5")]), "old-variable");
    assert_eq!(
        by_hand(&[("HELM_KUBEAPISERVER", "x")]),
        "environment-points-elsewhere"
    );
    let inside = |variables: &[(&str, &str)]| {
        let output = node
            .script()
            .envs(variables.iter().copied())
            .args(GOOD)
            .output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    for (told, entry) in [
        (inside(&actions), "event-unknown"),
        (inside(&event("pull_request")), "pull-request"),
        (inside(&event("issues")), "event-unknown"),
    ] {
        let hint = format!("more about it: deploy explain {entry}");
        assert!(told.contains(&hint), "{entry}: {told}");
    }
    node.chmod("deploy.toml", 0o666);
    assert_eq!(named(node.deploy().args(GOOD)), "file-permissions");
}

/// What a failed run names can be asked for; the nearest is told where it cannot.
#[test]
fn an_entry_is_explained() {
    let node = broken();
    let told = node.deploy().args(["explain", "no-helm"]).assert();
    told.code(0)
        .stderr("")
        .stdout(contains("  helm is not in PATH\n"));
    let told = node.deploy().args(["explain", "no-hlem"]).assert();
    told.code(2)
        .stdout("")
        .stderr(contains("did you mean deploy explain no-helm?"));
    let told = node.deploy().args(["explain", "7"]).assert();
    told.code(0)
        .stdout(contains("Exit code 7: rollout failed"))
        .stdout(contains("\n  crash-loop\n"));
}

/// A node without deploys has a history without lines.
#[test]
fn history_and_show_of_a_new_node() {
    let node = Node::new();
    node.deploy()
        .arg("history")
        .assert()
        .code(0)
        .stdout(contains("no deploys yet"));
    node.deploy()
        .args(["history", "--json"])
        .assert()
        .code(0)
        .stdout(is_empty().or(predicate::eq("[]\n")));
    node.deploy()
        .args(["show", "20260101T000000Z-000000"])
        .assert()
        .failure()
        .stdout("");
}

/// A deploy that ended at the node is in its history, and can be shown.
#[test]
fn a_failed_deploy_is_shown() {
    let node = Node::new();
    node.deploy().args(GOOD).assert().code(3);
    let listed = node.deploy().args(["history", "--json"]).output().unwrap();
    let line = String::from_utf8(listed.stdout).unwrap();
    let line: serde_json::Value = serde_json::from_str(line.lines().next().unwrap()).unwrap();
    let run = line["run"].as_str().unwrap();
    node.deploy()
        .args(["show", run])
        .assert()
        .code(0)
        .stdout(contains("helm is not in PATH"));
}

/// A reader that has gone is no failure, and no panic.
#[test]
fn a_closed_pipe() {
    let node = broken();
    for line in [
        &["--help"][..],
        &["man"],
        &["completions", "bash"],
        &["history"],
    ] {
        let mut child = Command::new(binary())
            .args(line)
            .env_clear()
            .env("HOME", node.path(""))
            .env("DEPLOY_STATE_DIR", node.path("state"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let mut told = String::new();
        child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut told)
            .unwrap();
        let status = child.wait().unwrap();
        assert_eq!((status.code(), told.as_str()), (Some(0), ""), "{line:?}");
    }
}

/// No escapes where nobody asked for them, and none against `NO_COLOR`.
#[test]
fn colours_are_asked_for() {
    let node = Node::new();
    let escape = "\u{1b}[";
    for (line, code) in [("histroy", 2), ("--help", 0)] {
        let told = |variables: &[(&str, &str)], coloured: bool| {
            let mut deploy = node.deploy();
            let output = deploy
                .envs(variables.iter().copied())
                .arg(line)
                .assert()
                .code(code);
            let output = output.get_output();
            let text = [&output.stdout[..], &output.stderr].concat();
            let text = String::from_utf8(text).unwrap();
            assert_eq!(
                contains(escape).eval(&text),
                coloured,
                "{variables:?}: {text}"
            );
        };
        told(&[], false);
        told(&[("CLICOLOR_FORCE", "1")], true);
        told(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false);
        told(&[("TERM", "xterm-256color"), ("NO_COLOR", "1")], false);
    }
}
