//! Forwarding: the signal goes to a local controller instead of Helm, and only
//! a whole and fitting success is one.
//!
//! The controllers are real: examples/receiver.py, programs, and a hostile one.
//! Most need no cluster, since the controller is where Helm would be.

mod command;
mod deploys;
mod ends;
mod failures;
mod fuzz;
pub mod hostile;
mod protocol;
mod receiver;
mod token;

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::harness::{Home, RUNNER, Ran, Running, SCRIPT, deploy_binary, until};
use hostile::{Answer, Requests, last, say};

/// The socket, as the node sees it.
const SOCKET: &str = "/home/github-runner/controller.sock";

/// A node that forwards the app `shop`.
struct Site {
    home: Home,
    env: Vec<(String, String)>,
}

impl Site {
    /// A node with this `forward`, and a timeout.
    fn new(forward: &str, timeout: &str) -> Self {
        let home = Home::new();
        let toml =
            format!("[defaults]\ntimeout = \"{timeout}\"\n\n[apps.shop]\nforward = {forward}\n");
        home.write_etc("deploy/deploy.toml", &toml, 0o644);
        let env = [("HOME", "/home/github-runner"), ("PATH", "/usr/bin:/bin")];
        let env = env.map(|(key, value)| (key.to_owned(), value.to_owned()));
        Self {
            home,
            env: env.to_vec(),
        }
    }

    /// A node that forwards to the socket in the runner's home.
    fn on_socket() -> Self {
        Self::new(&format!("\"unix:{SOCKET}\""), "1m")
    }

    /// In a step of a workflow that ran on a push to `main`, with this payload.
    fn in_step(&mut self, payload: &str) {
        self.home.write("event.json", payload, 0o644);
        let step = [
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_EVENT_NAME", "push"),
            ("GITHUB_EVENT_PATH", "/home/github-runner/event.json"),
            ("GITHUB_REF", "refs/heads/main"),
        ];
        self.env
            .extend(step.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }

    /// The socket, as this process sees it.
    fn socket(&self) -> PathBuf {
        self.home.inside("controller.sock")
    }

    /// A controller of the test's at the socket.
    fn controller(&self, answer: Box<Answer>) -> Requests {
        hostile::on_socket(&self.socket(), answer)
    }

    /// A program of the runner's.
    fn script(&self, name: &str, body: &str) {
        self.home
            .write(name, &format!("#!/bin/sh\n{body}\n"), 0o755);
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = self
            .home
            .command(deploy_binary(), None, RUNNER, "/home/github-runner");
        command
            .args(words)
            .envs(self.env.iter().map(|(key, value)| (key, value)));
        command
    }

    /// Sends the signal, with further arguments.
    fn start_with(&self, more: &[&str]) -> Running {
        let images =
            json!({ "api": "ghcr.io/acme/api:1", "web": "ghcr.io/acme/web:1" }).to_string();
        let mut words = vec![
            SCRIPT,
            "--app",
            "shop",
            "--chart",
            "oci://ghcr.io/acme/charts/shop",
            "--chart-version",
            "1.4.2",
            "--images",
            &images,
        ];
        words.extend(more);
        Running::spawn(self.command(&words))
    }

    fn start(&self) -> Running {
        self.start_with(&[])
    }

    fn run(&self) -> Ran {
        self.start().wait()
    }

    /// A subcommand of `deploy`.
    fn ask(&self, words: &[&str]) -> Ran {
        Running::spawn(self.command(&[&[SCRIPT], words].concat())).wait()
    }

    /// The journal's lines.
    fn journal(&self) -> Vec<Value> {
        let path = self.home.inside(".local/state/deploy/journal.jsonl");
        std::fs::read_to_string(path)
            .unwrap_or_default()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Starts examples/receiver.py, which calls this program of the node's.
    fn receiver(&self, program: &str) -> Receiver {
        self.home.write("receiver.py", RECEIVER, 0o755);
        Receiver::start(
            self.command(&["/home/github-runner/receiver.py", SOCKET, program]),
            &self.socket(),
        )
    }
}

/// What a team starts from.
const RECEIVER: &str = include_str!("../../../examples/receiver.py");

/// A receiver that runs; it ends with the test.
struct Receiver(Child);

impl Receiver {
    fn start(mut command: Command, socket: &Path) -> Self {
        let child = Self(command.stdin(Stdio::null()).spawn().unwrap());
        until("the receiver listens", || {
            UnixStream::connect(socket).is_ok()
        });
        child
    }

    fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Answers every signal with this, from the head to the end.
fn always(text: impl Fn(&Value) -> String + Send + Sync + 'static) -> Box<Answer> {
    Box::new(move |stream, asked| {
        if asked.line.starts_with("POST") {
            say(stream, &text(&asked.signal()));
        } else {
            hostile::status(stream, 200);
        }
    })
}

/// The last word of a good deploy.
fn good(signal: &Value) -> String {
    last(
        signal,
        &json!({ "outcome": "success", "exit_code": 0, "revision": 7, "previous_revision": 6 }),
    )
}
