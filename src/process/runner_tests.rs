//! Programs that behave as helm may: they are run for real.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use super::super::cancel::Cancel;
use super::{CommandOutput, Invocation, Runner, StartMode, StopReason};
use crate::error::{Kind, UnixSignal};

/// An executable script named `helm`.
pub(crate) fn script(folder: &Path, body: &str) -> PathBuf {
    let path = folder.join("helm");
    executable(&path, body);
    path
}

/// An executable script. It is written by another process: were it written
/// here, a program that another test starts at this moment could hold it open,
/// and running it would fail (ETXTBSY).
pub(crate) fn executable(path: &Path, body: &str) {
    let mut shell = std::process::Command::new("/bin/sh")
        .args(["-c", "cat > \"$0\" && chmod 755 \"$0\""])
        .arg(path)
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = shell.stdin.take().unwrap();
    write!(stdin, "#!/bin/sh\n{body}\n").unwrap();
    drop(stdin);
    assert!(shell.wait().unwrap().success());
}

/// A runner that starts helm without the guard.
pub(crate) fn bare(helm: PathBuf, environment: &[(&str, &str)]) -> Runner {
    let environment: BTreeMap<OsString, OsString> = environment
        .iter()
        .map(|(name, value)| (OsString::from(name), OsString::from(value)))
        .collect();
    let mut runner = Runner::new(helm, &environment, None).unwrap();
    runner.start = StartMode::Bare;
    runner
}

fn soon(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds)
}

async fn run(body: &str, environment: &[(&str, &str)], call: &Invocation) -> CommandOutput {
    let folder = tempfile::tempdir().unwrap();
    let runner = bare(script(folder.path(), body), environment);
    let (cancel, _trigger) = Cancel::manual();
    runner
        .run(call, &cancel, soon(30), std::future::pending())
        .await
        .unwrap()
}

#[tokio::test]
async fn helm_gets_its_environment_an_empty_directory_and_nothing_else() {
    let call = Invocation {
        env: BTreeMap::from([("B".into(), "2".into())]),
        ..Invocation::default()
    };
    let ran = run(
        "env; ls -A; pwd; cat; echo oops >&2; exit 1",
        &[("A", "1"), ("PATH", "/usr/bin:/bin")],
        &call,
    )
    .await;
    assert_eq!(ran.status.code(), Some(1));
    assert_eq!(ran.stderr, "oops\n");
    let mut names: Vec<&str> = ran
        .stdout
        .lines()
        .filter_map(|line| Some(line.split_once('=')?.0))
        .collect();
    names.retain(|name| !matches!(*name, "PWD" | "OLDPWD" | "_" | "SHLVL"));
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "A",
            "B",
            "HELM_CACHE_HOME",
            "HELM_DATA_HOME",
            "HELM_NO_PLUGINS",
            "PATH"
        ]
    );
    assert!(ran.stdout.ends_with("/empty\n"), "{}", ran.stdout);
}

#[tokio::test]
async fn a_document_is_whole_or_said_to_be_cut_and_other_output_keeps_its_ends() {
    let many = "printf first; head -c 9000000 /dev/zero | tr '\\0' x; printf last";
    let ran = run(
        many,
        &[],
        &Invocation {
            document: true,
            ..Invocation::default()
        },
    )
    .await;
    assert!(!ran.cut);
    assert_eq!(ran.stdout.len(), 9_000_009);
    let ran = run(many, &[], &Invocation::default()).await;
    assert!(ran.stdout.starts_with("firstx") && ran.stdout.ends_with("xlast"));
    assert!(ran.stdout.len() < 5_000_000);
    let ran = run(
        "head -c 70000000 /dev/zero",
        &[],
        &Invocation {
            document: true,
            ..Invocation::default()
        },
    )
    .await;
    assert!(ran.cut);
}

#[tokio::test]
async fn a_cancel_lets_helm_settle() {
    let folder = tempfile::tempdir().unwrap();
    let body = "trap 'echo settled; exit 1' TERM; echo ready > ready; while :; do sleep 0.01; done";
    let runner = bare(script(folder.path(), body), &[("PATH", "/usr/bin:/bin")]);
    let (cancel, trigger) = Cancel::manual();
    let ready = runner.private().join("empty/ready");
    let call = Invocation::default();
    let (ran, ()) = tokio::join!(
        runner.run(&call, &cancel, soon(30), std::future::pending()),
        async {
            while !ready.exists() {
                tokio::task::yield_now().await;
            }
            trigger.fire(UnixSignal::Terminate);
        }
    );
    let ran = ran.unwrap();
    assert_eq!(
        ran.stopped,
        Some(StopReason::Cancelled(UnixSignal::Terminate))
    );
    assert_eq!((ran.stdout.as_str(), ran.killed), ("settled\n", false));
}

#[tokio::test]
async fn a_deadline_and_a_wish_stop_helm_too() {
    let folder = tempfile::tempdir().unwrap();
    let runner = bare(
        script(folder.path(), "exec sleep 60"),
        &[("PATH", "/usr/bin:/bin")],
    );
    let (cancel, _trigger) = Cancel::manual();
    let now = Instant::now();
    let ran = runner
        .run(&Invocation::default(), &cancel, now, std::future::pending())
        .await
        .unwrap();
    assert_eq!(ran.stopped, Some(StopReason::Deadline));
    let ran = runner
        .run(&Invocation::default(), &cancel, soon(60), async {})
        .await
        .unwrap();
    assert_eq!(ran.stopped, Some(StopReason::Asked));
}

#[tokio::test]
async fn a_second_signal_hurries_a_helm_that_does_not_end() {
    let folder = tempfile::tempdir().unwrap();
    // Its child holds the pipes and ignores SIGTERM as well.
    let body = "trap '' TERM; echo > ready; (sleep 60; true); sleep 60";
    let runner = bare(script(folder.path(), body), &[("PATH", "/usr/bin:/bin")]);
    let (cancel, trigger) = Cancel::manual();
    let ready = runner.private().join("empty/ready");
    let started = Instant::now();
    let call = Invocation::default();
    let (ran, ()) = tokio::join!(
        runner.run(&call, &cancel, soon(60), std::future::pending()),
        async {
            while !ready.exists() {
                tokio::task::yield_now().await;
            }
            trigger.fire(UnixSignal::Interrupt);
            trigger.fire(UnixSignal::Interrupt);
        }
    );
    let ran = ran.unwrap();
    assert!(ran.killed);
    assert_eq!(
        ran.stopped,
        Some(StopReason::Cancelled(UnixSignal::Interrupt))
    );
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_program_left_behind_does_not_hold_us() {
    let started = Instant::now();
    let ran = run(
        "sleep 20 & echo done",
        &[("PATH", "/usr/bin:/bin")],
        &Invocation::default(),
    )
    .await;
    assert_eq!(ran.stdout, "done\n");
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn the_lock_lasts_as_long_as_helm_but_not_in_what_helm_starts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lock");
    let lock = std::fs::File::create(&path).unwrap();
    lock.lock().unwrap();
    // A shell gives its standard input to what it starts; helm, a Go program,
    // does not.
    let body = "echo > ready; until [ -e go ]; do sleep 0.01; done";
    let environment = BTreeMap::from([("PATH".into(), "/usr/bin:/bin".into())]);
    let mut runner = Runner::new(
        script(folder.path(), body),
        &environment,
        Some(lock.as_fd()),
    )
    .unwrap();
    runner.start = StartMode::Bare;
    let (cancel, _trigger) = Cancel::manual();
    let empty = runner.private().join("empty");
    let call = Invocation::default();
    let (ran, ()) = tokio::join!(
        runner.run(&call, &cancel, soon(30), std::future::pending()),
        async {
            while !empty.join("ready").exists() {
                tokio::task::yield_now().await;
            }
            drop(lock);
            let other = std::fs::File::open(&path).unwrap();
            assert!(other.try_lock().is_err(), "helm holds it");
            std::fs::write(empty.join("go"), "").unwrap();
        }
    );
    assert!(ran.unwrap().status.success());
    drop(runner);
    // What another test starts has a copy between its fork and its exec.
    let deadline = soon(10);
    let free = std::fs::File::open(&path).unwrap();
    while free.try_lock().is_err() {
        assert!(Instant::now() < deadline, "somebody still holds it");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_helm_that_cannot_be_run_is_the_nodes_matter() {
    for (body, said) in [
        ("exit 127", "no longer"),
        ("echo odd >&2; exit 126", "cannot be run: odd"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let runner = bare(script(folder.path(), body), &[]);
        let (cancel, _trigger) = Cancel::manual();
        let error = runner
            .run(
                &Invocation::default(),
                &cancel,
                soon(30),
                std::future::pending(),
            )
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Node);
        assert!(error.to_string().contains(said), "{error}");
    }
}
