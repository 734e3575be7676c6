//! 10,000 requests and tokens made wrong by a seed, from the runner's user: none of
//! them deploys, and the receiver's memory stays small. `cargo test` sends a part of
//! them, fixed; with `DEPLOY_SOAK` all are, and `DEPLOY_SOAK_SEED` repeats a run.

#![expect(clippy::print_stdout, reason = "the figures of a soak")]

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};

use super::flood::as_runner;
use super::issuer::{Issuer, encoded, head, signed};
use super::{Site, document, post};
use crate::harness::soak::{self, Dice};
use crate::harness::{Helm, until};

const CASES: u64 = 10_000;

/// Of so many, one is sent in `cargo test`.
const PART: u64 = 100;

/// How many are sent at once.
const AT_ONCE: usize = 4;

/// The most that the receiver may ever have had in memory, in KiB.
const MEMORY: u64 = 96 << 10;

/// What makes requests that must not deploy.
struct Maker<'a> {
    issuer: &'a Issuer,
    app: &'a str,
    audience: &'a str,
    dice: Dice,
}

impl Maker<'_> {
    fn below(&mut self, limit: usize) -> usize {
        self.dice.index(limit)
    }

    fn of<T: Clone>(&mut self, some: &[T]) -> T {
        some[self.below(some.len())].clone()
    }

    /// A request that is wrong in its bytes, its document or its token.
    fn request(&mut self, number: u64) -> Vec<u8> {
        let mut sent = document(self.app);
        sent["id"] = format!("20261124T175106Z-{number:06x}").into();
        // A workflow's, as of the runner's user; and what it claims is no proof.
        sent["who"] = json!({ "user": "root", "uid": 0, "workflow": { "event": "push" } });
        if self.below(10) > 0 {
            sent["token"] = self.token().into();
        }
        match self.below(10) {
            0 => self.document(&mut sent),
            1 => {
                let mut bytes = post(&sent);
                for _ in 0..=self.below(6) {
                    self.spoil(&mut bytes);
                }
                return bytes;
            }
            2 => {
                let length = self.below(2000);
                return (0..length)
                    .map(|_| u8::try_from(self.below(256)).unwrap())
                    .collect();
            }
            _ => {}
        }
        post(&sent)
    }

    fn document(&mut self, sent: &mut Value) {
        let key = self.of(&[
            "id",
            "app",
            "chart",
            "chart_version",
            "images",
            "token",
            "who",
            "x",
        ]);
        let length = self.of(&[10, 1000, 300_000]);
        sent[key] = self.of(&[
            Value::Null,
            json!(0),
            json!(""),
            json!("../../etc/passwd"),
            json!("--dry-run"),
            json!("x".repeat(length)),
            json!([["x"], {}]),
            json!({ "workflow": { "event": "push", "ref": "refs/heads/main" } }),
        ]);
    }

    fn spoil(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len());
        let any = u8::try_from(self.below(256)).unwrap();
        match self.below(5) {
            0 => bytes.truncate(at),
            1 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
            2 => {
                let end = bytes.len().min(at + 1 + self.below(9));
                drop(bytes.drain(at..end));
            }
            3 => bytes.insert(at, any),
            _ => {
                let again: Vec<u8> = bytes[at..bytes.len().min(at + 40)].to_vec();
                let _ = bytes.splice(at..at, again);
            }
        }
    }

    /// A token that proves nothing for the signal.
    fn token(&mut self) -> String {
        let jti = format!("j{}", self.dice.below(1 << 40));
        let good = self.issuer.claims(self.audience, &jti);
        match self.below(4) {
            // A good one, but for its bytes.
            0 => {
                let good = signed(&head(), &good);
                let mut bytes = good.clone().into_bytes();
                while bytes == good.as_bytes() {
                    self.spoil(&mut bytes);
                }
                String::from_utf8_lossy(&bytes).into_owned()
            }
            // A good signature over another head.
            1 => {
                let mut other = head();
                let key = self.of(&["alg", "alg", "kid", "kid"]);
                other[key] = self.of(&[
                    json!("none"),
                    json!("HS256"),
                    json!("RS512"),
                    json!("../../../etc/passwd"),
                    json!("https://evil.test/keys"),
                    json!("k1\u{0}"),
                    json!("k".repeat(9000)),
                    json!(["k1"]),
                    Value::Null,
                ]);
                signed(&other, &good)
            }
            // A good head and good claims, and no signature of the issuer's.
            2 => {
                let parts = [head(), good].map(|part| encoded(part.to_string().as_bytes()));
                let signature: Vec<u8> = (0..self.below(300))
                    .map(|_| u8::try_from(self.below(256)).unwrap())
                    .collect();
                format!("{}.{}.{}", parts[0], parts[1], encoded(&signature))
            }
            // The issuer's own, for something else.
            _ => {
                let mut other = good;
                let (key, value) = self.claim();
                other[key] = value;
                signed(&head(), &other)
            }
        }
    }

    /// A claim, and a value for which no token may be taken.
    fn claim(&mut self) -> (&'static str, Value) {
        let now = jiff::Timestamp::now().as_second();
        let digit = self.below(16);
        let mut near = self.audience.to_owned();
        near.replace_range(20..21, &format!("{digit:x}"));
        let near = if near == self.audience {
            "deploy:".to_owned()
        } else {
            near
        };
        let of_type = self.of(&[
            Value::Null,
            json!(74),
            json!([self.audience]),
            json!({}),
            json!(""),
        ]);
        let wrong = [
            ("aud", json!(near)),
            ("aud", json!([self.audience])),
            ("iss", json!("https://token.actions.githubusercontent.com")),
            ("repository_id", json!("75")),
            ("ref", json!("refs/pull/1/merge")),
            ("event_name", json!("pull_request")),
            ("event_name", json!("issue_comment")),
            ("event_name", json!("pull_request_target")),
            ("runner_environment", json!("self-hosted")),
            ("iat", json!(now - 2000)),
            ("iat", json!(now + 2000)),
            ("iat", json!(i64::MAX)),
            ("iat", json!(i64::MIN)),
            ("iat", json!("1")),
            ("aud", of_type.clone()),
            ("iss", of_type.clone()),
            ("repository_id", of_type.clone()),
            ("event_name", of_type.clone()),
            (
                "jti",
                if of_type.is_string() {
                    json!("")
                } else {
                    of_type
                },
            ),
        ];
        self.of(&wrong)
    }
}

/// Sends it, and gives what comes back. What is never whole is closed at once.
fn send(socket: &Path, bytes: &[u8]) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream
        .set_write_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    let _ = stream.write_all(bytes);
    let mut said = Vec::new();
    let mut some = [0; 4096];
    for patience in [400, 30_000] {
        stream
            .set_read_timeout(Some(Duration::from_millis(patience)))
            .unwrap();
        loop {
            match stream.read(&mut some) {
                Ok(0) => return String::from_utf8_lossy(&said).into_owned(),
                Ok(length) => said.extend_from_slice(&some[..length]),
                Err(_) => break,
            }
        }
        if said.is_empty() {
            let _ = stream.shutdown(Shutdown::Write);
        }
    }
    panic!("no end within 30 s: {}", String::from_utf8_lossy(&said));
}

/// The most that a process ever had in memory, in KiB.
fn memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn none_of_them_deploys() {
    let issuer = Issuer::start();
    let callers = format!(
        "callers = [{{ repository_id = \"74\" }}]\ntoken_issuer = \"{}\"",
        issuer.url
    );
    let site = Site::new("fuzzed-receiver", &callers);
    let node = &site.node;
    issuer.is_trusted_on(&node.home);
    node.shop("0.1.0");
    for component in ["api", "web"] {
        node.image(component, "t1");
    }
    let audience = site.audience("t1");
    let step = if soak::is_on() { 1 } else { PART };
    let mut maker = Maker {
        issuer: &issuer,
        app: &node.name,
        audience: &audience,
        dice: Dice::new("a fuzzed receiver", Helm::V3),
    };
    let cases: Vec<Vec<u8>> = (0..CASES / step)
        .map(|number| maker.request(number))
        .collect();
    let count = cases.len();

    let receiver = site.receiver();
    let asked = node.asked().len();
    let before = memory(receiver.0.id());
    let socket = site.inside("deploy.sock");
    let cases = Mutex::new(cases.into_iter());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                as_runner(|| {
                    loop {
                        let Some(case) = cases.lock().unwrap().next() else {
                            return;
                        };
                        let said = send(&socket, &case);
                        assert!(
                            !said.contains("\"exit_code\":0"),
                            "{}\n{said}",
                            String::from_utf8_lossy(&case)
                        );
                    }
                });
            });
        }
    });
    until("no run is open", || site.open_runs().is_empty());
    let most = memory(receiver.0.id());
    println!("{count} requests: {before} KiB at the start, {most} KiB at the most");
    assert!(most < MEMORY, "{before} KiB, then {most} KiB");

    // Most of them came as far as the token, or this would prove nothing.
    let refused = site.journal();
    assert!(refused.len() > count / 2, "{} of {count}", refused.len());
    assert!(refused.iter().all(|line| line["exit"] == 4));
    assert_eq!(node.namespaces(), "", "nothing was deployed");
    assert_eq!(node.asked().len(), asked, "nothing was fetched");

    let token = issuer.token(&audience, "valid");
    let signal = node.signal("0.1.0").env("DEPLOY_TOKEN", &token);
    let images = ["api", "web"].map(|key| (key, format!("ghcr.io/{}/shop/{key}:t1", node.name)));
    let signal = images
        .into_iter()
        .fold(signal, |signal, (key, image)| signal.image(key, image));
    signal.run().exits(0);
}
