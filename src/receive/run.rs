//! Runs a received signal in a process of its own: this program again, with the
//! order on its standard input and its events on its standard output.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};

use super::ENTRY;
use super::deploys::Deploy;
use super::document::Order;
use crate::error::Kind;
use crate::process::Cancel;
use crate::report::events::finished;
use crate::run::TOKEN_VARIABLE;

/// Starts the deploy of an order.
pub(super) fn start(config: &Path, order: &Order) -> io::Result<(Child, Vec<u8>)> {
    let order = serde_json::to_vec(order)?;
    let child = Command::new("/proc/self/exe")
        .arg0("deploy")
        .arg(ENTRY)
        .arg(config)
        .env_clear()
        .envs(environment(std::env::vars_os()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // A terminal's Ctrl-C is for the receiver, which lets its deploys end.
        .process_group(0)
        .spawn()?;
    Ok((child, order))
}

/// How a deploy's process ended.
pub(super) struct Followed {
    /// Its last event.
    pub(super) last: Value,
    /// Whether it told none itself.
    pub(super) is_lost: bool,
}

/// Follows it to its end, and keeps what it says.
pub(super) async fn follow(
    mut child: Child,
    order: Vec<u8>,
    deploy: &Deploy,
    cancel: &Cancel,
) -> Followed {
    let input = child.stdin.take();
    tokio::spawn(async move {
        if let Some(mut input) = input {
            // Where it ended before it read this, its exit tells.
            let _ = input.write_all(&order).await;
        }
    });
    let pid = child
        .id()
        .and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
    let stdout = child.stdout.take();
    let reading = async {
        match stdout {
            Some(stdout) => events(stdout, deploy).await,
            None => None,
        }
    };
    tokio::pin!(reading);
    let mut last = None;
    let mut read = false;
    let mut told = false;
    let mut hurried = false;
    // Its output ends with it: helm never has it.
    let status = loop {
        tokio::select! {
            said = &mut reading, if !read => (last, read) = (said, true),
            status = child.wait(), if read => break status,
            _ = cancel.cancelled(), if !told => told = ask(pid),
            _ = cancel.hurried(), if told && !hurried => hurried = ask(pid),
        }
    };
    Followed {
        is_lost: last.is_none(),
        last: last.unwrap_or_else(|| lost(deploy, &status)),
    }
}

/// Its events; gives the last.
async fn events(stdout: ChildStdout, deploy: &Deploy) -> Option<Value> {
    let mut lines = BufReader::new(stdout).lines();
    let mut last = None;
    while let Ok(Some(line)) = lines.next_line().await {
        match serde_json::from_str::<Value>(&line) {
            Ok(event) if event["event"] == "finished" => last = Some(event),
            Ok(_) => deploy.say(line),
            Err(_) => {}
        }
    }
    last
}

/// Asks it to stop.
fn ask(pid: Option<Pid>) -> bool {
    if let Some(pid) = pid {
        let _ = kill_process(pid, Signal::TERM);
    }
    true
}

/// The last event of a deploy that ended without one: what became of the release
/// is not known.
fn lost(deploy: &Deploy, status: &io::Result<ExitStatus>) -> Value {
    let how = match status {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    };
    let mut last = finished(&deploy.name, "failure", Kind::Broken.code());
    last["message"] = format!("the deploy's process ended without a result ({how})").into();
    last
}

/// What of the receiver's environment a deploy gets: nothing of a workflow's, in
/// which somebody may have started it, and nothing of systemd's socket.
fn environment(
    own: impl Iterator<Item = (OsString, OsString)>,
) -> impl Iterator<Item = (OsString, OsString)> {
    let starts = |name: &OsStr, with: &str| name.as_encoded_bytes().starts_with(with.as_bytes());
    own.filter(move |(name, _)| {
        let foreign = ["GITHUB_", "ACTIONS_", "RUNNER_", "LISTEN_"];
        !foreign.iter().any(|with| starts(name, with))
            && ![TOKEN_VARIABLE, "NOTIFY_SOCKET", "DEPLOY_CONFIG"]
                .contains(&&*name.to_string_lossy())
    })
}
