//! The hidden entries that `deploy` starts programs with: `__exec-helm <parent>
//! <helm> <argument>…` becomes helm, `__exec-guarded-helm <parent> <heartbeat>
//! <helm> <argument>…` too, with a guard beside it, and `__exec-program` becomes
//! any other program.
//!
//! It asks the kernel to end helm when `deploy` ends, and then replaces itself
//! by helm. Doing this in a program of its own needs no code between fork and
//! exec. It must do nothing else but start the guard ([`super::guard`]), before
//! helm can begin: no runtime, no output but its own failure.

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};
use rustix::process::{
    Pid, Resource, Signal, getppid, getrlimit, set_parent_process_death_signal, setrlimit,
};

use super::guard;

/// The first argument that asks for this entry.
pub const ENTRY: &str = "__exec-helm";

/// The first argument that asks for helm with a guard beside it.
pub const GUARDED: &str = "__exec-guarded-helm";

/// The first argument that asks for any other program.
pub const PROGRAM: &str = "__exec-program";

/// `deploy` ended before helm began.
pub const ORPHANED: u8 = 125;
/// Helm is there but cannot be run.
pub const NOT_EXECUTABLE: u8 = 126;
/// Helm is not there. (The shell's codes; helm itself ends with 0 or 1.)
pub const NOT_FOUND: u8 = 127;

/// The most that helm may write to one file, in bytes.
const FILE_MAX: u64 = 256 << 20;

/// Becomes helm; returns the exit code only where that failed. `arguments` are
/// those after [`ENTRY`].
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    end(become_helm(arguments))
}

/// Becomes helm, with a guard beside it; the arguments are those after
/// [`GUARDED`]. Returns as [`run`] does.
pub fn run_guarded(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    end(become_guarded(arguments))
}

/// Becomes another program, with the arguments after [`PROGRAM`]; returns as
/// [`run`] does.
pub fn run_program(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    end(become_program(arguments, |_| {}))
}

/// Why a program was not started: the exit code that tells it, and the words.
#[derive(Debug)]
struct ExecFailure {
    code: u8,
    error: anyhow::Error,
}

impl ExecFailure {
    /// `deploy` is not there, or not as the shim needs it.
    const fn orphaned(error: anyhow::Error) -> Self {
        Self {
            code: ORPHANED,
            error,
        }
    }
}

fn end(became: Result<Infallible, ExecFailure>) -> u8 {
    let failure = match became {
        Ok(never) => match never {},
        Err(failure) => failure,
    };
    // Captured by `deploy`; where nobody reads it there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "{:#}", failure.error);
    failure.code
}

fn become_helm(arguments: impl IntoIterator<Item = OsString>) -> Result<Infallible, ExecFailure> {
    become_program(arguments, |command| {
        limit_files();
        // A link can lead to a program that looks at the name it was called by
        // (/snap/bin/microk8s.helm3 leads to snap), so that is never another.
        if let Some(name) = Path::new(command.get_program()).file_name() {
            let name = name.to_owned();
            command.arg0(name);
        }
    })
}

fn become_guarded(
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Infallible, ExecFailure> {
    let mut arguments = arguments.into_iter();
    let (parent, heartbeat) = (arguments.next(), arguments.next());
    // First, so that no helm is ever without: it sees helm's end by itself.
    start_guard(heartbeat).map_err(ExecFailure::orphaned)?;
    become_helm(parent.into_iter().chain(arguments))
}

/// Starts the guard of this process, which will be helm.
fn start_guard(heartbeat: Option<OsString>) -> anyhow::Result<()> {
    let Some(heartbeat) = heartbeat else {
        bail!("{GUARDED} is how deploy starts helm; it is of no use by hand");
    };
    let heartbeat = File::options()
        .read(true)
        .write(true)
        .open(heartbeat)
        .context("deploy ended before helm began")?;
    Command::new("/proc/self/exe")
        .arg(guard::ENTRY)
        .arg(std::process::id().to_string())
        .env_clear()
        .current_dir("/")
        .stdin(heartbeat)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("helm's guard cannot be started")?;
    Ok(())
}

/// Becomes the program that the arguments name, after `prepare`.
fn become_program(
    arguments: impl IntoIterator<Item = OsString>,
    prepare: impl FnOnce(&mut Command),
) -> Result<Infallible, ExecFailure> {
    let mut arguments = arguments.into_iter();
    let program = begin(&mut arguments).map_err(ExecFailure::orphaned)?;
    let mut command = Command::new(&program);
    prepare(&mut command);
    let error = command.args(arguments).exec();
    let code = match error.kind() {
        std::io::ErrorKind::NotFound => NOT_FOUND,
        _ => NOT_EXECUTABLE,
    };
    Err(ExecFailure {
        code,
        error: error.into(),
    })
}

/// Reads the parent and the program off the arguments, and ties this process's
/// life to the parent's.
fn begin(arguments: &mut impl Iterator<Item = OsString>) -> anyhow::Result<OsString> {
    let parent = arguments.next().and_then(|text| pid(&text));
    let (Some(parent), Some(program)) = (parent, arguments.next()) else {
        bail!("{ENTRY} is how deploy starts helm; it is of no use by hand");
    };
    // SIGTERM, since helm settles an install or upgrade on it (status failed,
    // not pending) within a tenth of a second.
    set_parent_process_death_signal(Some(Signal::TERM))
        .context("the kernel refused a death signal")?;
    // The parent may have ended before that call; then no signal ever comes.
    ensure!(getppid() == Some(parent), "deploy ended before helm began");
    Ok(program)
}

/// Bounds what helm and its plugins can write to each file, their output (which
/// is kept in memory) among them.
fn limit_files() {
    let mut limit = getrlimit(Resource::Fsize);
    limit.current = Some(
        limit
            .current
            .map_or(FILE_MAX, |current| current.min(FILE_MAX)),
    );
    // Only lowered, which nobody can be refused.
    let _ = setrlimit(Resource::Fsize, limit);
}

fn pid(text: &OsStr) -> Option<Pid> {
    Pid::from_raw(text.to_str()?.parse().ok()?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::print_stdout)]

    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};

    use super::{NOT_FOUND, ORPHANED, become_helm};

    /// Says which part a copy of this test program plays.
    const PART: &str = "DEPLOY_TEST_EXEC_PART";

    fn arguments(words: &[&str]) -> Vec<std::ffi::OsString> {
        words.iter().map(Into::into).collect()
    }

    /// This test program again, running only `plays_a_part`.
    fn copy(part: &str) -> Command {
        let mut command = Command::new("/proc/self/exe");
        command
            .args([
                "--exact",
                "process::shim::tests::plays_a_part",
                "--nocapture",
            ])
            .env(PART, part);
        command
    }

    #[test]
    fn plays_a_part() {
        match std::env::var(PART).as_deref() {
            Ok("deploy") => {
                let mut child = copy("entry").spawn().unwrap();
                child.wait().unwrap();
            }
            Ok("entry") => {
                let parent = std::os::unix::process::parent_id().to_string();
                let script = "echo \"pid $$\"; exec sleep 60";
                let failure =
                    become_helm(arguments(&[&parent, "/bin/sh", "-c", script])).unwrap_err();
                println!("{:#}", failure.error);
            }
            Ok("named") => {
                let parent = std::os::unix::process::parent_id().to_string();
                let link = std::env::var("DEPLOY_TEST_LINK").unwrap();
                let failure = become_helm(arguments(&[&parent, &link, "-c", "echo \"name $0\""]))
                    .unwrap_err();
                println!("{}", failure.error);
            }
            Ok("missing") => {
                let parent = std::os::unix::process::parent_id().to_string();
                let failure = become_helm(arguments(&[&parent, "/nowhere/helm"])).unwrap_err();
                println!("code {}", failure.code);
            }
            Ok("orphan") => {
                let failure = become_helm(arguments(&["1999999999", "/bin/true"])).unwrap_err();
                println!("code {}", failure.code);
            }
            _ => {}
        }
    }

    #[test]
    fn helm_ends_with_deploy() {
        let mut deploy = copy("deploy").stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(deploy.stdout.take().unwrap()).lines();
        let started = lines.find(|line| line.as_ref().is_ok_and(|line| line.starts_with("pid ")));
        assert!(started.is_some());
        deploy.kill().unwrap();
        deploy.wait().unwrap();
        // The pipe ends when the last process that holds it has ended.
        assert_eq!(lines.map_while(Result::ok).count(), 0);
    }

    /// Case D6: a link to a program that does what its name says.
    #[test]
    fn helm_is_called_by_the_name_it_has() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["helm", "microk8s.helm3"] {
            let link = folder.path().join(name);
            std::os::unix::fs::symlink("/bin/sh", &link).unwrap();
            let mut named = copy("named");
            let output = named.env("DEPLOY_TEST_LINK", &link).output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(said.contains(&format!("name {name}\n")), "{said}");
        }
    }

    #[test]
    fn what_cannot_be_run_is_told_apart() {
        for (part, code) in [("missing", NOT_FOUND), ("orphan", ORPHANED)] {
            let output = copy(part).output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(said.contains(&format!("code {code}\n")), "{part}: {said}");
        }
        for given in [vec![], vec!["x", "/bin/true"]] {
            assert_eq!(become_helm(arguments(&given)).unwrap_err().code, ORPHANED);
        }
    }
}
