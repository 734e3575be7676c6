//! The contract to the letter: what is refused, that refusing does nothing
//! else, and the ways in which a runner calls the script. No cluster is needed.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Mutex;

use crate::harness::{Home, RUNNER, Ran, Running, SCRIPT, deploy_binary};

#[allow(dead_code, reason = "the unit tests read more of a case than these")]
#[path = "../data/bad_requests.rs"]
mod bad_requests;

/// How many traced programs run at once.
const SIDE_BY_SIDE: usize = 3;

/// A deploy.toml that no deploy gets past.
const BROKEN: &str = "[defaults\ntimeout = 10\n";

/// A request that is right.
const GOOD: [&str; 8] = [
    "--app",
    "shop",
    "--chart",
    "oci://ghcr.io/acme/charts/shop",
    "--chart-version",
    "1.4.0",
    "--images",
    r#"{"api":"ghcr.io/acme/shop/api:1.4.0","web":"ghcr.io/acme/shop/web:1.4.0"}"#,
];

/// Every bad request through the real program, under strace: exit 2, each
/// mistake in its own words, and nothing begun, written or connected to.
#[test]
fn bad_requests_are_told_and_do_nothing() {
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
                    let found = mistakes(&case.expect, &output, &trace);
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

fn mistakes(expect: &[String], output: &Output, trace: &Path) -> Vec<String> {
    let told = String::from_utf8_lossy(&output.stderr);
    let mut wrong = Vec::new();
    if output.status.code() != Some(2) {
        wrong.push(format!("{}:\n{told}", output.status));
    }
    for words in expect {
        if !told.contains(words) {
            wrong.push(format!("not told: {words:?} in\n{told}"));
        }
    }
    if !output.stdout.is_empty() {
        wrong.push("something on stdout".to_owned());
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

/// Runs a command line on a node, as its runner's user.
fn on(home: &Home, path: &str, cwd: &str, line: &[&str]) -> Ran {
    let mut command = home.command(deploy_binary(), None, RUNNER, cwd);
    command
        .args(line)
        .env("PATH", path)
        .env("HOME", "/home/github-runner");
    Running::spawn(command).wait()
}

const PATH: &str = "/usr/local/bin:/usr/bin:/bin";
const HOME: &str = "/home/github-runner";

/// The request is judged before the node: the workflow's mistake is told even
/// where the node has one too, and a good request then meets the node's.
#[test]
fn a_bad_request_outranks_a_broken_node() {
    let home = Home::new();
    home.write_etc("deploy/deploy.toml", BROKEN, 0o644);
    let mut bad = vec![SCRIPT];
    bad.extend(GOOD);
    bad[6] = "latest";
    on(&home, PATH, HOME, &bad).exits(2).says("--chart-version");
    let mut good = vec![SCRIPT];
    good.extend(GOOD);
    on(&home, PATH, HOME, &good)
        .exits(3)
        .says("/etc/deploy/deploy.toml");
}

/// Whatever the program is called, it reads the same flags, and finds the
/// deploy.toml beside the script as it was invoked.
#[test]
fn any_name_and_any_way_to_call_it() {
    let home = Home::new();
    home.write("deploy.toml", BROKEN, 0o644);
    let searched = format!("{HOME}:{PATH}");
    let joined: Vec<String> = GOOD
        .chunks(2)
        .map(|pair| format!("{}={}", pair[0], pair[1]))
        .collect();
    let joined: Vec<&str> = joined.iter().map(String::as_str).rev().collect();
    for (name, path, cwd) in [
        (SCRIPT, PATH, "/"),
        ("./deploy.sh", PATH, HOME),
        ("github-runner/deploy.sh", PATH, "/home"),
        ("deploy.sh", searched.as_str(), "/"),
    ] {
        for flags in [&GOOD[..], &joined] {
            let line: Vec<&str> = [name].into_iter().chain(flags.iter().copied()).collect();
            // The script's own deploy.toml was read, so the request was good.
            on(&home, path, cwd, &line)
                .exits(3)
                .says("/home/github-runner/deploy.toml");
        }
        on(&home, path, cwd, &[name, "--app", "Shop"])
            .exits(2)
            .says("--app")
            .says("--images: missing");
    }
}

/// Help and version need no node, and stand on stdout.
#[test]
fn help_and_version() {
    let home = Home::new();
    home.write_etc("deploy/deploy.toml", BROKEN, 0o644);
    let help = on(&home, PATH, HOME, &[SCRIPT, "--help"]);
    help.exits(0);
    for said in ["--app", "--chart", "--chart-version", "--images", "history"] {
        assert!(help.stdout.contains(said), "{said}: {}", help.stdout);
    }
    let version = on(&home, PATH, HOME, &[SCRIPT, "--version"]);
    version.exits(0);
    assert_eq!(
        version.stdout,
        format!("deploy {}\n", env!("CARGO_PKG_VERSION"))
    );
}
