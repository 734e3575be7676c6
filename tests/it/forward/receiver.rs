//! examples/receiver.py, as a team would start from it, with a program in
//! place of a deploy.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use super::{SOCKET, Site};
use crate::harness::until;

/// A node with the receiver's program.
fn site(body: &str) -> Site {
    let site = Site::on_socket();
    site.script("program", body);
    site
}

const PROGRAM: &str = "/home/github-runner/program";

#[test]
fn a_good_deploy_is_in_the_journal() {
    let site = site("echo \"$@\" > /home/github-runner/seen; echo pulling; echo waiting >&2");
    let _receiver = site.receiver(PROGRAM);
    site.run()
        .exits(0)
        .says("· pulling")
        .says("· waiting")
        .says("deployed shop in ")
        .says(&format!("by unix:{SOCKET}"));
    let seen = std::fs::read_to_string(site.home.inside("seen")).unwrap();
    assert_eq!(
        seen,
        "--app shop --chart oci://ghcr.io/acme/charts/shop --chart-version 1.4.2 --images \
         {\"api\": \"ghcr.io/acme/api:1\", \"web\": \"ghcr.io/acme/web:1\"}\n"
    );
    let line = site.journal().pop().unwrap();
    assert_eq!(
        (&line["outcome"], &line["exit"]),
        (&json!("deployed"), &json!(0))
    );
    assert_eq!(line["forward"], format!("unix:{SOCKET}"));
    let run = line["run"].as_str().unwrap();
    site.ask(&["history"]).exits(0).says("deployed").says(run);
    site.ask(&["show", run])
        .exits(0)
        .says(&format!("forward   unix:{SOCKET}"))
        .says("forward ");
}

#[test]
fn a_failed_deploy_keeps_its_code() {
    for code in [2, 4, 5, 6, 7, 8] {
        let site = site(&format!("echo the database is down; exit {code}"));
        let _receiver = site.receiver(PROGRAM);
        site.run()
            .exits(code)
            .says("· the database is down")
            .says(&format!("says: {PROGRAM} ended with {code}"));
        let line = site.journal().pop().unwrap();
        let run = line["run"].as_str().unwrap();
        site.ask(&["show", run]).exits(0).says(&format!("({code})"));
    }
}

#[test]
fn it_stops_or_is_restarted() {
    let site = site("echo working; sleep 60");
    let mut first = site.receiver(PROGRAM);
    let running = site.start();
    running.until_says("working");
    first.kill();
    running
        .wait()
        .exits(8)
        .says("ended its answer without its finished event, and nobody answers there now: it has stopped")
        .says("whether it was deployed is not known");

    // A second one took the socket over meanwhile, as after a restart.
    let mut first = site.receiver(PROGRAM);
    let running = site.start();
    running.until_says("working");
    std::fs::remove_file(site.socket()).unwrap();
    let _second = site.receiver(PROGRAM);
    first.kill();
    running
        .wait()
        .exits(8)
        .says("knows nothing of this deploy now: it was restarted");
}

#[test]
fn a_cancel_reaches_the_program() {
    let site =
        site("trap 'echo settled; exit 143' TERM; echo working; while :; do sleep 0.1; done");
    let _receiver = site.receiver(PROGRAM);
    let running = site.start();
    running.until_says("working");
    running.signal(Signal::INT);
    let sent = Instant::now();
    running
        .wait()
        .exits(130)
        .says("· settled")
        .says(&format!("says: {PROGRAM} ended with 143"));
    assert!(
        sent.elapsed() < Duration::from_secs(7),
        "{:?}",
        sent.elapsed()
    );
}

/// One deploy of an app at a time: on this node by the lock, and by the
/// receiver where another node sends.
#[test]
fn one_at_a_time() {
    let site = site("echo working; while ! [ -e /home/github-runner/go ]; do sleep 0.1; done");
    let _receiver = site.receiver(PROGRAM);
    let away = Site::new(&format!("\"unix:{SOCKET}\""), "1m");
    std::fs::hard_link(site.socket(), away.socket()).unwrap();
    let first = site.start();
    first.until_says("working");
    let second = site.start();
    second.until_says("waiting for run ");
    away.run()
        .exits(9)
        .says("it is busy with another deploy of this app")
        .says("deploys this app now");
    site.home.write("go", "", 0o644);
    first.wait().exits(0);
    second.wait().exits(0);
}

/// Case F2: a client that goes, lies or dawdles holds neither an app nor a
/// thread.
#[test]
fn a_bad_client_holds_nothing() {
    let site = site("echo working");
    let _receiver = site.receiver(PROGRAM);
    let send = |request: &str| {
        let mut stream = UnixStream::connect(site.socket()).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream
    };
    let post = |length: i64, body: &str| {
        format!("POST /v1/deploys HTTP/1.1\r\nContent-Length: {length}\r\n\r\n{body}")
    };
    let slow = send(&post(500, "{"));
    let begun = Instant::now();

    let signal = json!({ "id": "a", "app": "shop", "chart": "c", "chart_version": "1",
        "images": {} })
    .to_string();
    for _ in 0..5 {
        // Gone before the answer.
        drop(send(&post(signal.len().try_into().unwrap(), &signal)));
    }
    for length in [-1, 1 << 30] {
        let mut said = String::new();
        let _ = send(&post(length, "{")).read_to_string(&mut said);
        assert!(said.starts_with("HTTP/1.0 400 "), "{said}");
    }
    until("the app is free again", || {
        site.run().status.code() == Some(0)
    });

    let mut said = String::new();
    let mut slow = slow;
    slow.set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let _ = slow.read_to_string(&mut said);
    assert!(begun.elapsed() < Duration::from_secs(50), "{said}");
}
