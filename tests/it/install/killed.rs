//! Killed between any two of its steps: nothing half there, the old script not
//! lost, and the same command again ends as if nothing had been.
//!
//! strace kills `deploy install` as it enters a system call that changes something:
//! before each of them with `DEPLOY_SOAK` set, else before every third.

use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use testbed::build::{Cache, unpack};
use testbed::progress::Progress;

use super::machine::{Machine, PROGRAMS, Ran, Shell, release};
use super::{BEFORE, BINARY, DOCUMENTS, PREVIOUS, SCRIPT, SETTINGS, STATE};
use crate::harness::soak;

const OLD: &str = "the old script";

/// What changes something.
const CALLS: [&str; 12] = [
    "fchmod",
    "fchown",
    "fsync",
    "linkat",
    "mkdir",
    "mkdirat",
    "rename",
    "renameat",
    "renameat2",
    "symlinkat",
    "unlinkat",
    "write",
];

/// strace, and the libraries that it needs.
static STRACE: LazyLock<[PathBuf; 2]> = LazyLock::new(|| {
    let cache = Cache::open().unwrap();
    ["strace", "libunwind8"].map(|name| unpack(&cache, name, Progress::stderr()).unwrap())
});

/// Runs `deploy install` under strace with these arguments of strace's.
fn traced(machine: &Machine, strace: &[&str], args: &[&str]) -> Ran {
    let [program, libraries] = &*STRACE;
    let mut command = Command::new(program.join("usr/bin/strace"));
    let libraries = libraries.join("usr/lib/x86_64-linux-gnu");
    command.env("LD_LIBRARY_PATH", libraries);
    command.args(strace).args(["--", "unshare"]);
    let line = [&["/built", "install"], args].concat();
    machine.run_by(command, 0, PROGRAMS, &line)
}

/// How often each call is made.
fn calls(machine: &Machine, args: &[&str]) -> Vec<(&'static str, usize)> {
    let log = tempfile::NamedTempFile::new().unwrap();
    let set = format!("trace={}", CALLS.join(","));
    let file = log.path().to_str().unwrap();
    traced(machine, &["-o", file, "-e", &set], args).exits(0);
    let log = std::fs::read_to_string(log.path()).unwrap();
    let count = |call: &str| {
        let begins = format!("{call}(");
        log.lines().filter(|line| line.starts_with(&begins)).count()
    };
    CALLS.map(|call| (call, count(call))).to_vec()
}

/// What must be so at every instant.
fn is_whole(machine: &Machine, when: &str) {
    let versions = [release("1.0.0"), release("2.0.0")];
    let whole = |text: &String| versions.contains(text);
    let (binary, previous) = (machine.read(BINARY), machine.read(PREVIOUS));
    assert!(
        binary.iter().chain(&previous).all(whole),
        "{when}: half a binary"
    );
    match machine.link(SCRIPT) {
        Some(to) => assert!(
            to == BINARY && binary.is_some(),
            "{when}: the link leads nowhere"
        ),
        None => assert!(
            machine.read(SCRIPT).is_none_or(|text| text == OLD),
            "{when}"
        ),
    }
    let kept = [SCRIPT, BEFORE].map(|path| machine.read(path).filter(|text| text == OLD));
    assert!(
        kept.iter().any(Option::is_some),
        "{when}: the old script is lost"
    );
    for document in DOCUMENTS {
        let text = machine.read(document);
        assert!(
            text.is_none_or(|text| text.ends_with(".0.0\n")),
            "{when}: half of {document}"
        );
    }
    let settings = machine.read(SETTINGS);
    assert!(
        settings.is_none_or(|text| text.ends_with("file\n")),
        "{when}"
    );
    if let Some(state) = machine.listing().get(STATE) {
        assert_eq!(state, "750 of 64001", "{when}");
    }
}

/// Kills the command before its calls, each time beginning with the machine as it is
/// now.
fn everywhere(machine: &Machine, args: &[&str]) {
    let start = machine.keep();
    let calls = calls(machine, args);
    let end = machine.listing();
    let every = if soak::is_on() { 1 } else { 3 };
    let all = calls
        .iter()
        .flat_map(|(call, count)| (1..=*count).map(move |at| (call, at)));
    let all: Vec<_> = all.collect();
    assert!(all.len() > 3, "{calls:?}");
    for (call, at) in all.iter().step_by(every) {
        machine.restore(&start);
        let when = format!("{args:?}, killed before {call} {at}");
        let set = format!("trace={call}");
        let inject = format!("inject={call}:signal=KILL:when={at}");
        let strace = ["-o", "/dev/null", "-e", &set, "-e", &inject];
        let ran = traced(machine, &strace, args);
        assert_eq!(ran.status.signal(), Some(9), "{when}: {}", ran.said);
        is_whole(machine, &when);
        let again = [&["/built", "install"], args].concat();
        machine.run(0, PROGRAMS, &again).exits(0);
        is_whole(machine, &when);
        assert_eq!(machine.listing(), end, "{when}");
    }
}

/// From a fresh node to an upgrade, back, and away.
#[test]
fn between_any_two_steps() {
    let machine = Machine::new(Shell::Dash);
    machine.write(SCRIPT, OLD);
    let (old, new) = (machine.release("1.0.0"), machine.release("2.0.0"));
    everywhere(&machine, &["--from", &old]);
    everywhere(&machine, &["--from", &new]);
    everywhere(&machine, &["--rollback"]);
    everywhere(&machine, &["--uninstall"]);
}
