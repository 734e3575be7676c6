//! A workflow behind sudo, which takes the workflow's variables away: the event
//! would be unknown, and a pull request's step would pass for a person.
//!
//! They are read from the nearest parent that still has them, which root may.
//! Only what tells of the event is taken: sudo took the rest away for a reason,
//! and a path that root writes to is not for the workflow to say.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use super::Environment;

/// What is taken of the workflow's environment: what the event policy and the
/// journal read.
const TAKEN: [&str; 11] = [
    "GITHUB_ACTIONS",
    "GITHUB_ACTOR",
    "GITHUB_EVENT_NAME",
    "GITHUB_EVENT_PATH",
    "GITHUB_HEAD_REF",
    "GITHUB_REF",
    "GITHUB_REPOSITORY",
    "GITHUB_RUN_ID",
    "GITHUB_SERVER_URL",
    "GITHUB_SHA",
    "GITHUB_WORKFLOW_REF",
];

/// The processes of GitHub's runner by their names (`proc_pid_comm(5)`: the first
/// 15 characters).
const RUNNER: [&str; 2] = ["Runner.Listener", "Runner.Worker"];

/// A parent, or a parent's parent and so on.
struct Parent {
    /// Its name, where that can be read.
    name: Option<String>,
    /// Its environment.
    environment: io::Result<Environment>,
}

/// Whether a workflow called, as far as it can be known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventEnvironment {
    /// This is the environment to judge by: this process's, with the workflow's
    /// event where one called through sudo.
    Known(Environment),
    /// A workflow may have called through sudo, and its event cannot be read.
    Hidden,
}

impl EventEnvironment {
    /// The caller of this process, whose environment is `own`.
    pub fn of_process(own: Environment) -> Self {
        if own.inside_actions() || own.get("SUDO_USER").is_none() {
            return Self::Known(own);
        }
        Self::judge(own, parents(), has_terminal())
    }

    /// `parents` begins with the nearest one.
    fn judge(own: Environment, parents: impl Iterator<Item = Parent>, has_terminal: bool) -> Self {
        let (mut hidden, mut runner) = (false, false);
        for parent in parents {
            match parent.environment {
                Ok(environment) if environment.inside_actions() => {
                    return Self::Known(own.with(&environment, &TAKEN));
                }
                Ok(_) => {}
                Err(_) => hidden = true,
            }
            runner |= parent
                .name
                .is_some_and(|name| RUNNER.contains(&name.as_str()));
        }
        // No step has a terminal, but where somebody started the runner in one.
        if hidden && (runner || !has_terminal) {
            Self::Hidden
        } else {
            Self::Known(own)
        }
    }
}

/// The parents of this process, up to the first one of this pid namespace.
fn parents() -> impl Iterator<Item = Parent> {
    let above = |pid: &i32| stat(*pid).map(|stat| stat.parent).filter(|pid| *pid > 0);
    let own = rustix::process::getpid().as_raw_nonzero().get();
    std::iter::successors(above(&own), above)
        // Ids are given anew: a chain that changes meanwhile could have no end.
        .take(256)
        .map(|pid| Parent {
            name: stat(pid).map(|stat| stat.name),
            environment: std::fs::read(format!("/proc/{pid}/environ"))
                .map(|block| environment(&block)),
        })
}

/// Whether this process has a controlling terminal.
fn has_terminal() -> bool {
    let own = rustix::process::getpid().as_raw_nonzero().get();
    stat(own).is_some_and(|stat| stat.terminal != 0)
}

/// What of /proc/PID/stat counts (`proc_pid_stat(5)`).
struct Stat {
    name: String,
    parent: i32,
    terminal: i32,
}

fn stat(pid: i32) -> Option<Stat> {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    // The name is in parentheses and may hold anything.
    let (before, after) = stat.rsplit_once(')')?;
    let mut fields = after.split_whitespace().skip(1);
    let parent = fields.next()?.parse().ok()?;
    let terminal = fields.nth(2)?.parse().ok()?;
    Some(Stat {
        name: before.split_once('(')?.1.to_owned(),
        parent,
        terminal,
    })
}

/// `NAME=value`, each with a NUL at its end (`proc_pid_environ(5)`).
fn environment(block: &[u8]) -> Environment {
    block
        .split(|byte| *byte == 0)
        .filter_map(|pair| {
            let at = pair.iter().position(|byte| *byte == b'=')?;
            let value = OsString::from_vec(pair[at + 1..].to_owned());
            Some((OsStr::from_bytes(&pair[..at]).to_owned(), value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io;

    use super::{Environment, EventEnvironment, Parent, environment, parents, stat};

    fn parent(name: &str, variables: &[(&str, &str)]) -> Parent {
        Parent {
            name: Some(name.to_owned()),
            environment: Ok(variables.iter().copied().collect()),
        }
    }

    fn closed(name: &str) -> Parent {
        Parent {
            name: Some(name.to_owned()),
            environment: Err(io::ErrorKind::PermissionDenied.into()),
        }
    }

    fn own() -> Environment {
        Environment::from_iter([("SUDO_USER", "runner"), ("PATH", "/bin")])
    }

    /// Case D7: the nearest parent that a workflow runs says the event.
    #[test]
    fn the_event_is_read_from_a_parent() {
        let step = [
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_EVENT_NAME", "pull_request"),
            ("GITHUB_STEP_SUMMARY", "/etc/passwd"),
            ("HELM_NAMESPACE", "x"),
            ("PATH", "/elsewhere"),
        ];
        let outer = [("GITHUB_ACTIONS", "true"), ("GITHUB_EVENT_NAME", "push")];
        let chain = [
            parent("sudo", &[]),
            parent("bash", &step),
            parent("node", &outer),
        ];
        let EventEnvironment::Known(seen) =
            EventEnvironment::judge(own(), chain.into_iter(), false)
        else {
            panic!("it can be read");
        };
        assert!(seen.inside_actions());
        assert_eq!(seen.text("GITHUB_EVENT_NAME"), Some("pull_request"));
        assert_eq!(seen.text("PATH"), Some("/bin"));
        for never in ["GITHUB_STEP_SUMMARY", "HELM_NAMESPACE"] {
            assert_eq!(seen.get(never), None, "{never}");
        }
    }

    /// Case D7: what cannot be read is a person only where one sits there.
    #[test]
    fn a_parent_that_cannot_be_read_may_be_a_step() {
        let runner = || vec![closed("sudo"), closed("bash"), closed("Runner.Worker")];
        let other = || vec![closed("sudo"), closed("bash"), closed("sshd")];
        let open = || vec![parent("sudo", &[]), parent("bash", &[])];
        for (parents, terminal, known) in [
            (runner(), false, false),
            (runner(), true, false),
            (other(), false, false),
            (other(), true, true),
            (open(), false, true),
            (open(), true, true),
        ] {
            let seen = EventEnvironment::judge(own(), parents.into_iter(), terminal);
            let expected = if known {
                EventEnvironment::Known(own())
            } else {
                EventEnvironment::Hidden
            };
            assert_eq!(seen, expected);
        }
    }

    #[test]
    fn without_sudo_nothing_is_looked_up() {
        let own = Environment::from_iter([("PATH", "/bin")]);
        assert_eq!(
            EventEnvironment::of_process(own.clone()),
            EventEnvironment::Known(own)
        );
    }

    #[test]
    fn proc_is_read() {
        let block = b"A=1\0EMPTY=\0no pair\0B=x=y\0";
        let expected = Environment::from_iter([("A", "1"), ("EMPTY", ""), ("B", "x=y")]);
        assert_eq!(environment(block), expected);
        let own = stat(rustix::process::getpid().as_raw_nonzero().get()).unwrap();
        let parent = rustix::process::getppid().unwrap();
        assert_eq!(own.parent, parent.as_raw_nonzero().get());
        let nearest = parents().next().unwrap();
        assert!(nearest.name.is_some_and(|name| !name.is_empty()));
    }
}
