//! Everything that a controller can do wrong: never 0, and each with its own
//! words.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;

use super::hostile::{self, CHUNKED, OPEN, chunk, last, progress, say};
use super::{SOCKET, Site, always, good};

/// A controller answers with this; the run ends with `code` and says `words`.
#[track_caller]
fn ends(
    text: impl Fn(&serde_json::Value) -> String + Send + Sync + 'static,
    code: i32,
    words: &str,
) {
    let site = Site::on_socket();
    site.controller(always(text));
    site.run().exits(code).says(words);
    let line = site.journal().pop().unwrap();
    assert_eq!(line["exit"], code, "{line}");
}

#[test]
fn a_good_answer_in_each_form_is_a_success() {
    let body = |signal: &_| format!("{}{}", progress("helm works"), good(signal));
    ends(
        move |signal| format!("{OPEN}{}", body(signal)),
        0,
        "helm works",
    );
    ends(
        move |signal| format!("{CHUNKED}{}0\r\n\r\n", chunk(&body(signal))),
        0,
        "deployed shop revision 7",
    );
    ends(
        move |signal| {
            let body = body(signal);
            format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
        },
        0,
        "(before: 6)",
    );
}

#[test]
fn a_controller_that_is_not_there() {
    let site = Site::on_socket();
    let own = format!("the controller at unix:{SOCKET}");
    site.run()
        .exits(3)
        .says(&format!("{own} is not there"))
        .says("nothing was sent");

    drop(UnixListener::bind(site.socket()).unwrap());
    std::fs::set_permissions(site.socket(), Permissions::from_mode(0o666)).unwrap();
    site.run()
        .exits(3)
        .says(&format!("{own} refuses: nothing listens there"));

    std::fs::set_permissions(site.socket(), Permissions::from_mode(0o600)).unwrap();
    site.run().exits(3).says("cannot be reached by this user");

    let site = Site::new("\"http://127.0.0.1:1\"", "1m");
    site.run()
        .exits(3)
        .says("the controller at http://127.0.0.1:1 refuses: nothing listens there");
}

#[test]
fn an_answer_that_breaks_off() {
    ends(|_| String::new(), 8, "gave no answer");
    ends(|_| "SSH-2.0-x\r\n\r\n".to_owned(), 8, "gave no answer");
    ends(
        |_| format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(1 << 21)),
        8,
        "gave no answer",
    );
    ends(
        |_| format!("{CHUNKED}{}", chunk(&progress("on its way"))),
        8,
        "broke off before its finished event, but it is there and knows this deploy",
    );
    ends(
        |_| format!("{OPEN}{}", progress("on its way")),
        8,
        "ended its answer without its finished event, but it is there",
    );
    ends(
        |signal| format!("{OPEN}{}", &good(signal)[..40]),
        8,
        "broke off inside a line",
    );
    ends(
        |signal| format!("{OPEN}{}", good(signal).trim_end()),
        8,
        "broke off inside a line",
    );
    ends(
        |signal| format!("{CHUNKED}{}", chunk(&good(signal))),
        8,
        "broke off after its finished event",
    );
    ends(
        |signal| {
            let body = good(signal);
            format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
                body.len() + 1
            )
        },
        8,
        "broke off after its finished event",
    );
}

#[test]
fn a_last_word_that_leaves_a_doubt() {
    let open = |more: serde_json::Value| move |signal: &_| format!("{OPEN}{}", last(signal, &more));
    let success = json!({ "outcome": "success", "exit_code": 0 });
    let two = success.clone();
    ends(
        move |signal| format!("{OPEN}{0}{0}", last(signal, &two)),
        8,
        "sent two finished events",
    );
    ends(
        |signal| format!("{OPEN}{}{}", good(signal), progress("one more thing")),
        8,
        "went on after its finished event",
    );
    ends(
        |signal| format!("{OPEN}{}x", good(signal)),
        8,
        "broke off inside a line",
    );
    ends(
        open(json!({ "outcome": "success", "exit_code": 7 })),
        8,
        "contradicts itself",
    );
    ends(
        open(json!({ "outcome": "success" })),
        8,
        "success without an exit code",
    );
    ends(
        open(json!({ "outcome": "failure", "exit_code": 0 })),
        8,
        "failure with exit code 0",
    );
    let other = |key: &str, value: &str| {
        let mut more = success.clone();
        more[key] = value.into();
        open(more)
    };
    ends(
        other("id", "20200101T000000Z-000000"),
        8,
        "answered for another deploy",
    );
    ends(
        other("chart_version", "1.4.1"),
        8,
        "the chart version is '1.4.1', expected 1.4.2",
    );
    ends(
        other("app", "shop2"),
        8,
        "the app is 'shop2', expected shop",
    );
    ends(
        other("outcome", "SUCCESS"),
        8,
        "sent something other than an event as line 1",
    );
}

#[test]
fn a_controller_that_fails_a_deploy_decides_the_code() {
    for (more, code, says) in [
        (
            json!({ "exit_code": 7, "message": "api cannot pull its image", "details": ["pull: denied"] }),
            7,
            "says: api cannot pull its image",
        ),
        (
            json!({ "exit_code": 4, "message": "frozen" }),
            4,
            "says: frozen",
        ),
        (json!({ "exit_code": 5 }), 5, "ended with 5"),
        (
            json!({ "exit_code": 77, "release": "serves" }),
            7,
            "the last good revision serves",
        ),
        (
            json!({ "exit_code": 77, "release": "broken" }),
            8,
            "ended with 77",
        ),
        (json!({ "message": "no idea" }), 8, "says: no idea"),
        (json!({ "exit_code": 143 }), 143, "ended with 143"),
    ] {
        let mut event = more.clone();
        event["outcome"] = "failure".into();
        ends(
            move |signal| format!("{OPEN}{}", last(signal, &event)),
            code,
            says,
        );
    }
}

#[test]
fn answers_that_are_no_stream() {
    let status = |status: u16, more: &str| {
        let text = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n{more}\r\n");
        move |_: &_| text.clone()
    };
    ends(
        status(302, "Location: http://127.0.0.1:9/\r\n"),
        3,
        "answers 302, a redirect, which is not followed",
    );
    ends(status(401, ""), 3, "answers 401: it refuses access");
    ends(status(404, ""), 3, "it has no POST /v1/deploys there");
    ends(
        status(409, ""),
        9,
        "it is busy with another deploy of this app",
    );
    ends(status(503, ""), 3, "it takes no deploys now");
    ends(status(500, ""), 8, "answers 500, expected 200");
    ends(
        |signal| {
            let body = last(
                signal,
                &json!({ "outcome": "failure", "exit_code": 4, "message": "frozen until Monday" }),
            );
            format!(
                "HTTP/1.1 409 X\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
        },
        4,
        "says: frozen until Monday",
    );
}

#[test]
fn lines_that_are_no_events() {
    ends(
        |_| format!("{OPEN}{}Deploying…\n", progress("a")),
        8,
        "sent something other than an event as line 2",
    );
    ends(
        |_| format!("{OPEN}[\"finished\"]\n"),
        8,
        "sent something other than an event as line 1",
    );
}

/// However much it sends, little of it is taken.
#[test]
fn an_answer_without_an_end() {
    for (line, says, most) in [
        (
            progress("again"),
            "does not come to an end: more than 16 MiB",
            24 << 20,
        ),
        (
            "x".repeat(4096),
            "without an end: more than 64 KiB",
            4 << 20,
        ),
        (
            "\n".repeat(4096),
            "does not come to an end: more than 16 MiB",
            24 << 20,
        ),
    ] {
        let site = Site::on_socket();
        let sent = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&sent);
        site.controller(Box::new(move |stream, _| {
            say(stream, OPEN);
            let lines = line.repeat(64);
            while say(stream, &lines) {
                counted.fetch_add(lines.len() as u64, Ordering::Relaxed);
            }
        }));
        let ran = site.run();
        ran.exits(8).says(says);
        assert!(
            ran.stderr.len() < 200_000,
            "{} bytes were shown",
            ran.stderr.len()
        );
        assert!(sent.load(Ordering::Relaxed) < most);
    }
}

#[test]
fn a_last_word_behind_which_nothing_ends() {
    let site = Site::on_socket();
    site.controller(Box::new(|stream, asked| {
        say(stream, &format!("{OPEN}{}", good(&asked.signal())));
        hostile::wait_for_the_end(stream);
    }));
    site.run()
        .exits(8)
        .says("did not end its answer after its finished event");
}
