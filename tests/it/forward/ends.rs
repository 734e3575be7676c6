//! How a forwarded deploy ends before its controller does: time is up, a cancel; and what of its
//! words is shown.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use super::hostile::{self, OPEN, Stream, last, progress, say};
use super::{SOCKET, Site, always, good};

/// Time is up: the controller is told to stop, and what it says then is told.
#[test]
fn a_controller_that_takes_too_long() {
    type Way = fn(&mut dyn Stream);
    let ways: [(Way, &str); 3] = [
        (
            hostile::wait_for_the_end,
            "said nothing within 2s, the timeout",
        ),
        (
            |stream| {
                say(stream, &format!("{OPEN}{}", progress("begun")));
                hostile::wait_for_the_end(stream);
            },
            "begun",
        ),
        (
            |stream| {
                let mut count = 0;
                while say(
                    stream,
                    &if count == 0 {
                        OPEN.to_owned()
                    } else {
                        progress(&count.to_string())
                    },
                ) {
                    count += 1;
                    hostile::pause();
                }
            },
            "was not done within 2s, the timeout, and still reported progress",
        ),
    ];
    for (way, says) in ways {
        let site = Site::new(&format!("\"unix:{SOCKET}\""), "2s");
        let requests = site.controller(Box::new(move |stream, asked| {
            if asked.line.starts_with("POST") {
                way(stream);
            } else {
                hostile::status(stream, 202);
            }
        }));
        let ran = site.run();
        ran.exits(8)
            .says(says)
            .says("it was told to stop and did not say within 5 s that it did");
        assert!(requests.has("DELETE /v1/deploys/2"), "{:?}", requests.all());
        assert!(ran.took < Duration::from_secs(10), "{:?}", ran.took);
    }
}

/// A cancel is passed on, and the last word is waited for.
#[test]
fn a_cancel_is_passed_on() {
    use rustix::process::Signal;
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let site = Site::on_socket();
        let stopped = Arc::new(AtomicU64::new(0));
        site.controller(Box::new(move |stream, asked| {
            if asked.line.starts_with("DELETE") {
                stopped.store(1, Ordering::SeqCst);
                return hostile::status(stream, 202);
            }
            say(stream, &format!("{OPEN}{}", progress("helm works")));
            while stopped.load(Ordering::SeqCst) == 0 {
                hostile::pause();
            }
            let more = json!({ "outcome": "failure", "exit_code": 143, "message": "settled" });
            say(stream, &last(&asked.signal(), &more));
        }));
        let running = site.start();
        running.until_says("helm works");
        running.signal(signal);
        let sent = Instant::now();
        running
            .wait()
            .exits(code)
            .says("it was told to stop; the controller at unix:")
            .says("says: settled");
        assert!(
            sent.elapsed() < Duration::from_secs(7),
            "{:?}",
            sent.elapsed()
        );
        let line = site.journal().pop().unwrap();
        assert_eq!(
            (&line["outcome"], &line["exit"]),
            (&json!("cancelled"), &json!(code))
        );
    }
}

/// A controller that takes no notice, and one that had succeeded already: the
/// run was cancelled all the same.
#[test]
fn a_cancel_that_nobody_heeds() {
    use rustix::process::Signal;
    let site = Site::on_socket();
    site.controller(Box::new(|stream, asked| {
        if asked.line.starts_with("POST") {
            say(stream, &format!("{OPEN}{}", progress("helm works")));
        }
        hostile::wait_for_the_end(stream);
    }));
    for hurried in [false, true] {
        let running = site.start();
        running.until_says("helm works");
        running.signal(Signal::INT);
        if hurried {
            running.signal(Signal::TERM);
        }
        let sent = Instant::now();
        running.wait().exits(130).says("did not say within");
        let most = if hurried { 3 } else { 7 };
        assert!(
            sent.elapsed() < Duration::from_secs(most),
            "{:?}",
            sent.elapsed()
        );
    }

    let site = Site::on_socket();
    site.controller(Box::new(|stream, asked| {
        say(stream, &format!("{OPEN}{}", progress("helm works")));
        if asked.line.starts_with("POST") {
            hostile::pause();
            hostile::pause();
            hostile::pause();
            say(stream, &good(&asked.signal()));
        }
    }));
    let running = site.start();
    running.until_says("helm works");
    running.signal(Signal::INT);
    running.wait().exits(130).says("had deployed already");
}

/// Evidence may hold logs: inside Actions it is shown where the repository is
/// known to be private, and always kept on the node.
#[test]
fn evidence_is_not_for_a_public_log() {
    for (payload, shown) in [("{}", false), ("{\"repository\":{\"private\":true}}", true)] {
        let mut site = Site::on_socket();
        site.in_step(payload);
        site.controller(always(|signal| {
            let more =
                json!({ "outcome": "failure", "exit_code": 7, "details": ["password=hunter2"] });
            format!("{OPEN}{}", last(signal, &more))
        }));
        let ran = site.run();
        ran.exits(7).says("ended with 7");
        let run = site.journal().pop().unwrap()["run"]
            .as_str()
            .unwrap()
            .to_owned();
        if shown {
            ran.says("password=hunter2");
        } else {
            ran.never_says("hunter2")
                .says(&format!("deploy show {run}"));
        }
        // By hand all of it is told.
        site.env.retain(|(key, _)| !key.starts_with("GITHUB_"));
        site.ask(&["show", &run]).exits(0).says("password=hunter2");
    }
}

/// What a controller says is told on, escaped; none of it is a command of the
/// runner's or of a terminal's.
#[test]
fn what_it_says_steers_nothing() {
    let site = Site::on_socket();
    site.controller(always(|signal| {
        let lines = [
            "::error::mine",
            "a\n::set-output name=x::y",
            "##[group]x",
            "\u{1b}[2Jgone",
            &"long ".repeat(10_000),
        ];
        let told: String = lines.iter().map(|line| progress(line)).collect();
        let more = json!({ "outcome": "failure", "exit_code": 8, "message": "x\n::error::mine", "details": ["\n::error::too"] });
        format!("{OPEN}{told}{}", last(signal, &more))
    }));
    let ran = site.run();
    ran.exits(8)
        .says("· ::error::mine")
        .never_says("\u{1b}")
        .never_says("##[");
    let all = format!("{}{}", ran.stdout, ran.stderr);
    assert!(
        all.lines()
            .all(|line| !line.starts_with("::") && line.len() < 3000),
        "{all}"
    );
}
