//! docs/forward-protocol.md and its schema, held against what is really said;
//! and what a token needs.

use std::process::Command;

use deploy::forward::answer::{Answer, AnswerFormat, DeployIdentity};
use serde_json::{Value, json};

use super::hostile::{self, Asked, OPEN, say};
use super::{RECEIVER, SOCKET, Site, good};
use crate::harness::{Running, root};
use crate::readme::{block_in, blocks_of};

const DOC: &str = "docs/forward-protocol.md";

/// Judges documents by the schema in the tree.
struct Schema(boon::Schemas, [boon::SchemaIndex; 2]);

impl Schema {
    fn new() -> Self {
        let text = include_str!("../../../docs/forward.schema.json");
        let mut compiler = boon::Compiler::new();
        let url = "https://example.invalid/forward.schema.json";
        compiler
            .add_resource(url, serde_json::from_str(text).unwrap())
            .unwrap();
        let mut schemas = boon::Schemas::new();
        let parts = ["signal", "event"].map(|part| {
            let part = format!("{url}#/$defs/{part}");
            compiler.compile(&part, &mut schemas).unwrap()
        });
        Self(schemas, parts)
    }

    fn signal(&self, document: &Value) -> Result<(), String> {
        let judged = self.0.validate(document, self.1[0]);
        judged.map_err(|error| error.to_string())
    }

    fn event(&self, document: &Value) -> Result<(), String> {
        let judged = self.0.validate(document, self.1[1]);
        judged.map_err(|error| error.to_string())
    }
}

/// What `deploy` sends for a signal, and the request's head.
fn sent(site: &Site) -> Asked {
    let requests = site.controller(super::always(|signal| format!("{OPEN}{}", good(signal))));
    site.run().exits(0);
    requests.all().remove(0)
}

#[test]
fn what_is_sent_keeps_the_schema() {
    let schema = Schema::new();
    let site = Site::on_socket();
    let asked = sent(&site);
    assert_eq!(asked.line, "POST /v1/deploys HTTP/1.1");
    assert!(
        asked
            .head
            .to_lowercase()
            .contains("content-type: application/json")
    );
    schema.signal(&asked.signal()).unwrap();

    let mut site = Site::on_socket();
    site.in_step("{}");
    site.env
        .push(("GITHUB_ACTOR".to_owned(), "mona".to_owned()));
    let signal = sent(&site).signal();
    schema.signal(&signal).unwrap();
    assert_eq!(signal["who"]["workflow"]["actor"], "mona");
    // Nothing of the node's own goes along.
    let keys: Vec<&String> = signal.as_object().unwrap().keys().collect();
    let expected = [
        "app",
        "chart",
        "chart_version",
        "id",
        "images",
        "timeout_seconds",
        "who",
    ];
    assert_eq!(keys, expected);

    for (key, value) in [
        ("id", json!(7)),
        ("app", json!("Shop")),
        ("images", json!({})),
    ] {
        let mut wrong = signal.clone();
        wrong[key] = value;
        schema.signal(&wrong).unwrap_err();
    }
}

#[test]
fn the_schema_and_the_code_agree_on_events() {
    let schema = Schema::new();
    let signal = json!({ "id": "i", "app": "shop", "chart_version": "1.4.2" });
    let last = |more: Value| serde_json::from_str::<Value>(&hostile::last(&signal, &more)).unwrap();
    for (event, fine) in [
        (json!({ "event": "progress", "message": "a" }), true),
        (json!({ "event": "progress" }), false),
        (json!({ "event": "later", "message": {} }), true),
        (json!({}), false),
        (json!([]), false),
        (last(json!({ "outcome": "success", "exit_code": 0 })), true),
        (
            last(
                json!({ "outcome": "success", "exit_code": 0, "release": "serves", "revision": 7 }),
            ),
            true,
        ),
        (last(json!({ "outcome": "success" })), false),
        (last(json!({ "outcome": "success", "exit_code": 1 })), false),
        (
            last(json!({ "outcome": "success", "exit_code": 0, "release": "broken" })),
            false,
        ),
        (last(json!({ "outcome": "failure" })), true),
        (last(json!({ "outcome": "failure", "exit_code": 0 })), false),
        (
            last(
                json!({ "outcome": "failure", "exit_code": 77, "release": "serves", "details": ["a"] }),
            ),
            true,
        ),
        (last(json!({ "outcome": "failure", "details": "a" })), false),
        (last(json!({ "outcome": "maybe", "exit_code": 0 })), false),
        (last(json!({ "outcome": "failure", "revision": -1 })), false),
    ] {
        assert_eq!(schema.event(&event).is_ok(), fine, "schema: {event}");
        let deploy = DeployIdentity {
            id: "i".into(),
            app: "shop".into(),
            chart_version: "1.4.2".into(),
        };
        let mut answer = Answer::new(deploy, AnswerFormat::Events);
        answer.take(format!("{event}\n").as_bytes());
        assert_eq!(
            answer.fault().is_none(),
            fine,
            "code: {event}: {:?}",
            answer.fault()
        );
    }
}

#[test]
fn what_the_document_shows_keeps_the_schema() {
    let schema = Schema::new();
    let mut shown = 0;
    for (language, text) in blocks_of(DOC) {
        if language == "json" {
            schema
                .signal(&serde_json::from_str(&text).unwrap())
                .unwrap();
            shown += 1;
        }
        if language == "jsonl" {
            for line in text.lines() {
                schema.event(&serde_json::from_str(line).unwrap()).unwrap();
                shown += 1;
            }
        }
    }
    assert!(shown >= 4, "{shown} documents are shown");
}

/// The examples with curl, word for word, against the receiver.
#[test]
fn the_examples_with_curl() {
    let site = Site::on_socket();
    site.script(
        "program",
        "trap 'exit 143' TERM; echo working; while :; do sleep 0.1; done",
    );
    let _receiver = site.receiver("/home/github-runner/program");
    let curl = |name: &str| {
        let script = block_in(DOC, name).replace("/run/deploy/deploy.sock", SOCKET);
        let mut command = site.command(&["/bin/sh", "-ec", &script]);
        command.stdin(std::process::Stdio::null());
        command
    };
    let mut posted = curl("forward-post");
    posted.stdout(std::process::Stdio::piped());
    let mut posted = posted.spawn().unwrap();
    let mut answer = std::io::BufReader::new(posted.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut answer, &mut line).unwrap();
    assert!(line.contains("working"), "{line}");
    let said = |mut command: Command| String::from_utf8(command.output().unwrap().stdout).unwrap();
    assert!(said(curl("forward-get")).starts_with("200"));
    assert!(said(curl("forward-delete")).contains("told to stop"));
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut answer, &mut rest).unwrap();
    assert!(posted.wait().unwrap().success());
    let schema = Schema::new();
    let last = rest.lines().last().unwrap();
    for line in std::iter::once(line.as_str()).chain(rest.lines()) {
        schema.event(&serde_json::from_str(line).unwrap()).unwrap();
    }
    let last: Value = serde_json::from_str(last).unwrap();
    assert_eq!(
        (&last["outcome"], &last["exit_code"]),
        (&json!("failure"), &json!(143))
    );
}

/// The audience that the document shows is that of the signal that it shows.
#[test]
fn the_audience_is_the_documents() {
    let site = Site::on_socket();
    let script = block_in(DOC, "forward-audience");
    let script = script.replacen("deploy ", "/usr/local/bin/deploy ", 1);
    let ran = Running::spawn(site.command(&["/bin/sh", "-ec", &script])).wait();
    ran.exits(0);
    let text = std::fs::read_to_string(root().join("docs/forward-protocol.md")).unwrap();
    assert!(
        text.contains(&format!("`{}`", ran.stdout.trim())),
        "{}",
        ran.stdout
    );
}

#[test]
fn every_command_of_the_document_is_run() {
    let text = std::fs::read_to_string(root().join("docs/forward-protocol.md")).unwrap();
    assert_eq!(
        text.matches("```sh").count(),
        text.matches("<!-- test: forward-").count()
    );
    let lines = RECEIVER
        .lines()
        .filter(|line| !line.trim().is_empty())
        .count();
    assert!(lines < 120, "a receiver to start from has {lines} lines");
}

/// Off the machine a signal goes over TLS and with a token, which is shown
/// nowhere.
#[test]
fn a_token_opens_a_controller_elsewhere() {
    const TOKEN: &str = "s3cret-of-the-controller";
    let answer: Box<hostile::Answer> = Box::new(|stream, asked| {
        if asked
            .head
            .contains(&format!("authorization: Bearer {TOKEN}\r\n"))
        {
            say(stream, &format!("{OPEN}{}", good(&asked.signal())));
        } else {
            hostile::status(stream, 401);
        }
    });
    let (port, requests, certificate) = hostile::on_tls(answer);
    let site = |more: &str| {
        let forward =
            format!("{{ url = \"https://127.0.0.1:{port}/controller\", token_file = \"token\" }}");
        let mut site = Site::new(&forward, "1m");
        site.home.write_etc("ca.pem", &certificate, 0o644);
        site.home.write_etc("deploy/token", more, 0o640);
        std::os::unix::fs::chown(
            site.home.etc("deploy/token"),
            Some(0),
            Some(crate::harness::RUNNER),
        )
        .unwrap();
        site.env.push(("DEPLOY_LOG".to_owned(), "trace".to_owned()));
        site
    };
    let mut trusting = site(TOKEN);
    trusting
        .env
        .push(("SSL_CERT_FILE".to_owned(), "/etc/ca.pem".to_owned()));
    trusting
        .run()
        .exits(0)
        .says("by https://127.0.0.1")
        .never_says(TOKEN);
    assert_eq!(
        requests.all()[0].line,
        "POST /controller/v1/deploys HTTP/1.1"
    );
    assert!(!trusting.journal()[0].to_string().contains(TOKEN));

    let strange = site(TOKEN);
    strange
        .run()
        .exits(3)
        .says("shows a certificate that is not trusted here")
        .never_says(TOKEN);

    let mut wrong = site("another");
    wrong
        .env
        .push(("SSL_CERT_FILE".to_owned(), "/etc/ca.pem".to_owned()));
    wrong
        .run()
        .exits(3)
        .says("answers 401: it refuses access")
        .never_says("another");

    let open = site(TOKEN);
    std::fs::set_permissions(
        open.home.etc("deploy/token"),
        std::os::unix::fs::PermissionsExt::from_mode(0o644),
    )
    .unwrap();
    open.run()
        .exits(3)
        .says("may be read by everyone")
        .never_says(TOKEN);
}

/// The node's proxy leads to a controller elsewhere, and sees nothing of what
/// goes there.
#[test]
fn a_proxy_leads_to_a_controller_elsewhere() {
    let (port, requests, certificate) =
        hostile::on_tls(super::always(|signal| format!("{OPEN}{}", good(signal))));
    let (proxy, tunnels) = hostile::proxy(port);
    let there = format!("{}:{port}", hostile::ELSEWHERE);
    let site = |proxy: &str| {
        let forward = format!("{{ url = \"https://{there}\", token_file = \"token\" }}");
        let mut site = Site::new(&forward, "1m");
        site.home.write_etc("ca.pem", &certificate, 0o644);
        site.home.write_etc("deploy/token", "s3cret", 0o600);
        let token = site.home.etc("deploy/token");
        std::os::unix::fs::chown(token, Some(crate::harness::RUNNER), None).unwrap();
        for (name, value) in [("SSL_CERT_FILE", "/etc/ca.pem"), ("HTTPS_PROXY", proxy)] {
            site.env.push((name.to_owned(), value.to_owned()));
        }
        site
    };
    site(&format!("http://runner:pa55word@127.0.0.1:{proxy}"))
        .run()
        .exits(0);
    assert_eq!(requests.all()[0].line, "POST /v1/deploys HTTP/1.1");
    let asked = &tunnels.all()[0];
    assert_eq!(asked.line, format!("CONNECT {there} HTTP/1.1"));
    let sent = asked.head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("proxy-authorization")
            .then_some(value)
    });
    assert_eq!(sent, Some("Basic cnVubmVyOnBhNTV3b3Jk"), "{}", asked.head);
    assert!(!asked.head.contains("s3cret"), "{}", asked.head);

    site("http://runner:pa55word@127.0.0.1:1")
        .run()
        .exits(3)
        .says("the proxy did not lead there")
        .says("NO_PROXY")
        .never_says("pa55word");
}

#[test]
fn over_the_loopback() {
    let (port, requests) =
        hostile::on_loopback(super::always(|signal| format!("{OPEN}{}", good(signal))));
    let site = Site::new(&format!("\"http://127.0.0.1:{port}\""), "1m");
    site.run()
        .exits(0)
        .says(&format!("by http://127.0.0.1:{port}"));
    assert_eq!(requests.all()[0].line, "POST /v1/deploys HTTP/1.1");
    let site = Site::new(&format!("\"http://localhost:{port}\""), "1m");
    site.run().exits(0);

    let site = Site::new("\"http://192.0.2.1:80\"", "1m");
    site.run()
        .exits(3)
        .says("a signal leaves the machine only as");
}
