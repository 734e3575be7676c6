//! A program that is started for each signal.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use super::Site;
use crate::harness::process::descendants;
use crate::harness::{Ran, until};

/// What a program needs to say its last word.
const LAST: &str = r#"
last() {
    id=$(sed 's/.*"id":"\([^"]*\)".*/\1/' /home/github-runner/signal.json)
    echo "{\"event\":\"finished\",\"id\":\"$id\",\"app\":\"shop\",\"chart_version\":\"1.4.2\",$1}"
}
"#;

/// A node with a program that keeps the signal and then does this.
fn site(body: &str) -> Site {
    let site = Site::new(
        "{ command = [\"/home/github-runner/apply\", \"--now\"] }",
        "1m",
    );
    let keep = "cat > /home/github-runner/signal.json";
    site.script("apply", &format!("{LAST}\n{keep}\n{body}"));
    site
}

fn runs(body: &str) -> Ran {
    site(body).run()
}

#[test]
fn the_signal_comes_on_standard_input() {
    let site = site(
        "echo \"$0 $*; $PWD; $(env | sort | tr '\\n' ' ')\" > /home/github-runner/seen; echo starting; echo '{\"event\":\"note\",\"message\":\"by hand\"}'",
    );
    site.run()
        .exits(0)
        .says("· starting")
        .says("note: by hand")
        .says("deployed shop in ")
        .says("by the command /home/github-runner/apply");
    let document = std::fs::read_to_string(site.home.inside("signal.json")).unwrap();
    let signal: Value = serde_json::from_str(&document).unwrap();
    assert_eq!(signal["app"], "shop");
    assert_eq!(signal["chart"], "oci://ghcr.io/acme/charts/shop");
    assert_eq!(signal["images"]["web"], "ghcr.io/acme/web:1");
    assert_eq!(signal["timeout_seconds"], 59);
    let line = site.journal().pop().unwrap();
    assert_eq!(signal["id"], line["run"]);
    assert_eq!(line["forward"], "the command /home/github-runner/apply");
    let seen = std::fs::read_to_string(site.home.inside("seen")).unwrap();
    assert!(
        seen.starts_with(
            "/home/github-runner/apply --now; /; HELM_NO_PLUGINS=1 HOME=/home/github-runner "
        ),
        "{seen}"
    );
}

#[test]
fn its_exit_status_decides() {
    for (body, code, says) in [
        ("exit 4", 4, "ended with 4"),
        ("echo broken >&2; exit 7", 7, "| broken"),
        ("exit 1", 8, "ended with 1"),
        (
            "exit 42",
            8,
            "does not say that the last good revision serves",
        ),
        ("kill -9 $$", 8, "was ended by signal 9"),
        (
            "last '\"outcome\":\"failure\",\"release\":\"serves\",\"message\":\"rolled back\"'; exit 1",
            7,
            "says: rolled back",
        ),
        (
            "last '\"outcome\":\"success\",\"exit_code\":0,\"revision\":3'; exit 0",
            0,
            "revision 3",
        ),
        (
            "last '\"outcome\":\"success\",\"exit_code\":0'; exit 8",
            8,
            "ended with 8",
        ),
        (
            "last '\"outcome\":\"failure\",\"exit_code\":7'; exit 0",
            8,
            "ended with 0, but its finished event says 7",
        ),
        (
            "last '\"outcome\":\"success\",\"exit_code\":0'; echo bye",
            8,
            "went on after its finished event",
        ),
        (
            "last '\"outcome\":\"success\",\"exit_code\":0' | sed s/1.4.2/1.4.1/",
            8,
            "answered for another deploy",
        ),
    ] {
        runs(body).exits(code).says(says);
    }
    // It need not read the signal.
    let site = site("");
    site.script("apply", "exit 0");
    site.run().exits(0);
}

#[test]
fn a_program_that_is_not_there() {
    let site = Site::new("{ command = [\"lightwayctl\", \"apply\"] }", "1m");
    site.run()
        .exits(3)
        .says("the command lightwayctl cannot be run: it is not in PATH")
        .says("nothing was sent");
    let site = Site::new("{ command = [\"/home/github-runner/none\"] }", "1m");
    site.run().exits(3).says("cannot be run: it is not there");
}

#[test]
fn output_without_an_end_and_output_that_outlives_it() {
    let ran = runs("yes '{\"event\":\"progress\",\"message\":\"again and again\"}'");
    ran.exits(8)
        .says("does not come to an end: more than 16 MiB");
    let ran =
        runs("head -c 1000000 /dev/zero | tr '\\0' x; echo; yes | head -c 100000 >&2; echo done");
    ran.exits(0).says("· done");
    let ran = runs("sleep 300 & exit 0");
    ran.exits(8)
        .says("something that it started still holds its output");
    assert!(ran.took < Duration::from_secs(20), "{:?}", ran.took);
}

#[test]
fn it_is_told_to_stop_and_waited_for() {
    let settles = "trap 'echo settled; exit 143' TERM; echo working; while :; do sleep 0.1; done";
    for (body, most, says) in [
        (settles, 3, "· settled"),
        (
            "trap '' TERM; echo working; while :; do sleep 0.1; done",
            7,
            "was ended by signal 9",
        ),
    ] {
        let site = site(body);
        let running = site.start();
        running.until_says("working");
        running.signal(Signal::INT);
        let sent = Instant::now();
        running
            .wait()
            .exits(130)
            .says("it was told to stop; ")
            .says(says);
        assert!(
            sent.elapsed() < Duration::from_secs(most),
            "{:?}",
            sent.elapsed()
        );
        assert_eq!(site.journal().pop().unwrap()["exit"], 130);
    }

    let site = Site::new("{ command = [\"/home/github-runner/apply\"] }", "1s");
    site.script("apply", settles);
    site.run()
        .exits(8)
        .says("was not done within 1s, the timeout")
        .says("it was told to stop; the command /home/github-runner/apply ended with 143")
        .says("settled");
}

/// A `deploy` that is killed takes the program along.
#[test]
fn it_ends_with_deploy() {
    let site = site(
        "trap 'echo > /home/github-runner/ended; exit 0' TERM; echo working; while :; do sleep 0.1; done",
    );
    let running = site.start();
    running.until_says("working");
    assert!(!descendants(running.pid()).is_empty());
    running.signal(Signal::KILL);
    until("the program has settled", || {
        site.home.inside("ended").exists()
    });
    running.wait();
}

#[test]
fn a_dry_run_sends_nothing() {
    let site = site("echo > /home/github-runner/began");
    site.start_with(&["--dry-run"])
        .wait()
        .exits(0)
        .says("would forward shop to the command /home/github-runner/apply: nothing was sent, so nothing is proven");
    assert!(!site.home.inside("began").exists());
    let line = site.journal().pop().unwrap();
    assert_eq!((&line["dry_run"], &line["exit"]), (&json!(true), &json!(0)));
}

/// What comes before Helm comes before this.
#[test]
fn the_guard_and_the_policy_come_first() {
    let mut site = site("echo > /home/github-runner/began");
    site.env.extend(
        [
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_EVENT_NAME", "pull_request"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned())),
    );
    site.run().exits(4).says("pull_request");
    assert!(!site.home.inside("began").exists());
}
