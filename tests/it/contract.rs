//! That refusing a request does nothing else, as the kernel sees it. No cluster
//! is needed. What is said is held by tests/cli.rs.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Mutex;

use crate::harness::deploy_binary;

#[allow(dead_code, reason = "the unit tests read more of a case than these")]
#[path = "../data/bad_requests.rs"]
mod bad_requests;

/// How many traced programs run at once.
const SIDE_BY_SIDE: usize = 3;

/// Every bad request through the real program, under strace: nothing is begun,
/// written or connected to.
#[test]
fn bad_requests_do_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("deploy.toml");
    fs::write(&config, "").unwrap();
    let cases = Mutex::new(bad_requests::cases().into_iter());
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for worker in 0..SIDE_BY_SIDE {
            let (cases, wrong, config) = (&cases, &wrong, &config);
            let trace = folder.path().join(format!("trace-{worker}"));
            scope.spawn(move || {
                while let Some(case) = { cases.lock().unwrap().next() } {
                    let output = traced(&case.args(), config, &trace);
                    let found = acted(&output, &trace);
                    if !found.is_empty() {
                        let found = found.join("\n  ");
                        wrong
                            .lock()
                            .unwrap()
                            .push(format!("{}:\n  {found}", case.name));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The program with these arguments, its system calls told in the file `trace`.
fn traced(args: &[String], config: &Path, trace: &Path) -> Output {
    Command::new("strace")
        .args(["--follow-forks", "--quiet=all", "--seccomp-bpf"])
        .args(["--trace=%process,%network,%file,%desc", "--output"])
        .arg(trace)
        .arg(deploy_binary())
        .args(args)
        .env_clear()
        .env("DEPLOY_CONFIG", config)
        .current_dir(config.parent().unwrap())
        .output()
        .expect("this scenario needs strace on PATH (Debian: strace)")
}

/// What it did beyond refusing.
fn acted(output: &Output, trace: &Path) -> Vec<String> {
    let mut wrong = Vec::new();
    if output.status.code() != Some(2) {
        let told = String::from_utf8_lossy(&output.stderr);
        wrong.push(format!("{}:\n{told}", output.status));
    }
    let calls = fs::read_to_string(trace).unwrap();
    if !calls.contains("execve(") {
        wrong.push(format!("not traced: {calls}"));
    }
    wrong.extend(calls.lines().filter(|call| acts(call)).map(str::to_owned));
    wrong
}

/// Calls that begin a process, change a file or reach for the network.
const ACTS: [&str; 24] = [
    "fork",
    "vfork",
    "clone",
    "clone3",
    "execveat",
    "socket",
    "socketpair",
    "connect",
    "creat",
    "mkdir",
    "mkdirat",
    "mknodat",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "link",
    "linkat",
    "symlink",
    "symlinkat",
    "truncate",
    "ftruncate",
    "memfd_create",
];

/// Whether a line of strace tells of a call that does more than look. Its first
/// word is the process.
fn acts(line: &str) -> bool {
    let call = line
        .split_once(' ')
        .map_or(line, |(_, call)| call.trim_start());
    let Some((name, rest)) = call.split_once('(') else {
        return false;
    };
    match name {
        // The program itself; strace's own child begins it.
        "execve" => !rest.contains(&deploy_binary().display().to_string()),
        "open" | "openat" | "openat2" => ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC"]
            .iter()
            .any(|flag| rest.contains(flag)),
        _ => ACTS.contains(&name),
    }
}

#[test]
fn what_acts_is_seen() {
    for (line, expected) in [
        (
            r#"12 openat(AT_FDCWD, "/etc/passwd", O_RDONLY|O_CLOEXEC) = 3"#,
            false,
        ),
        (
            r#"12 openat(AT_FDCWD, "/tmp/x", O_RDWR|O_CREAT, 0600) = 3"#,
            true,
        ),
        (r#"12 execve("/bin/sh", ["sh"], 0x1) = 0"#, true),
        ("12 clone3({flags=CLONE_VM}, 88) = 13", true),
        ("12 socket(AF_UNIX, SOCK_STREAM, 0) = 3", true),
        (r#"12 mkdir("/tmp/x", 0777) = 0"#, true),
        ("12 +++ exited with 2 +++", false),
        ("12 fstat(3, {st_mode=S_IFREG}) = 0", false),
    ] {
        assert_eq!(acts(line), expected, "{line}");
    }
    let distinct: BTreeSet<_> = bad_requests::cases()
        .iter()
        .map(bad_requests::Case::args)
        .collect();
    assert!(distinct.len() >= 200, "{}", distinct.len());
}
