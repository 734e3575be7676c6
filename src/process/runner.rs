//! Runs helm: its own directory, its own environment, its own process group,
//! output captured, always ended.
//!
//! Helm gets nothing of this process but what the plan says (environment,
//! working directory, terminal), and nothing of helm's comes out but what is
//! returned. It must never judge what helm says; `helm::failure` does.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustix::process::{Pid, Signal as Kill};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::cancel::Cancel;
use super::capture::{Capture, CaptureLimits};
use super::heartbeat::Heartbeat;
use super::scratch::Scratch;
use super::shim;
use crate::error::{Error, Kind, Result, UnixSignal};

/// How long helm may take to settle a release after SIGTERM; helm 3 and 4 need
/// a tenth of a second for an install or upgrade.
const GRACE: Duration = Duration::from_secs(5);

/// The same once a second signal came.
const HURRY: Duration = Duration::from_secs(1);

/// The most that is kept of what helm says, in bytes.
const WORDS: CaptureLimits = CaptureLimits {
    head: 2 << 20,
    tail: 2 << 20,
};

/// The most that a rendered chart may be, in bytes.
pub const RENDER_MAX: u64 = 64 << 20;

/// A document is whole or of no use.
const DOCUMENT: CaptureLimits = CaptureLimits {
    head: RENDER_MAX,
    tail: 0,
};

/// One call of helm.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Invocation {
    /// The arguments after `helm`.
    pub args: Vec<OsString>,
    /// Set on top of the plan's environment.
    pub env: BTreeMap<OsString, OsString>,
    /// Whether standard output is a document: kept whole, up to [`RENDER_MAX`].
    pub document: bool,
    /// Whether it may write to the release, and so must end with the Lease.
    pub writes: bool,
}

/// Why helm was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// A signal cancelled the run.
    Cancelled(UnixSignal),
    /// The deadline passed.
    Deadline,
    /// The caller asked for it.
    Asked,
    /// Its guard did: the Lease was not renewed for too long.
    Overdue,
}

/// How a call of helm ended.
#[derive(Debug)]
pub struct CommandOutput {
    /// Helm's exit status.
    pub status: ExitStatus,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
    /// Why it was stopped, where it was.
    pub stopped: Option<StopReason>,
    /// Whether it had to be killed: then the release may be left pending.
    pub killed: bool,
    /// Whether a document was longer than is kept.
    pub cut: bool,
}

/// How helm is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StartMode {
    /// Through [`shim`], so that it ends with `deploy`.
    Guarded,
    /// At once: the program of a unit test has no such entry.
    #[cfg(test)]
    Bare,
}

/// Runs helm.
#[derive(Debug)]
pub struct Runner {
    helm: PathBuf,
    environment: BTreeMap<OsString, OsString>,
    private: Scratch,
    lock: Option<OwnedFd>,
    at_work: watch::Sender<Option<u32>>,
    heartbeat: OnceLock<Arc<Heartbeat>>,
    start: StartMode,
}

impl Runner {
    /// A runner of `helm`, an absolute path, that gives it `environment` and
    /// nothing else. `lock` is held open by every helm it starts.
    pub fn new(
        helm: PathBuf,
        environment: &BTreeMap<OsString, OsString>,
        lock: Option<BorrowedFd<'_>>,
    ) -> Result<Self> {
        let unable = |what: &str| Error::new(Kind::Node, what.to_owned());
        let parent = environment
            .get(&OsString::from("TMPDIR"))
            .map_or_else(|| Path::new("/tmp"), Path::new);
        let private = Scratch::make(parent)?;
        let lock = lock
            .map(|lock| lock.try_clone_to_owned())
            .transpose()
            .map_err(|error| unable("the lock cannot be shared with helm").with_source(error))?;
        let mut environment = environment.clone();
        // Plugins run code of the node's user inside a deploy; caches of that
        // user may be unwritable, or hold another chart of the same name.
        environment.insert("HELM_NO_PLUGINS".into(), "1".into());
        environment.insert(
            "HELM_CACHE_HOME".into(),
            private.path().join("cache").into(),
        );
        environment.insert("HELM_DATA_HOME".into(), private.path().join("data").into());
        Ok(Self {
            helm,
            environment,
            private,
            lock,
            at_work: watch::Sender::new(None),
            heartbeat: OnceLock::new(),
            start: StartMode::Guarded,
        })
    }

    /// The binary.
    pub fn helm(&self) -> &Path {
        &self.helm
    }

    /// The lock that every helm holds.
    pub fn lock(&self) -> Option<BorrowedFd<'_>> {
        self.lock.as_ref().map(AsFd::as_fd)
    }

    /// The process of each helm that begins from now on.
    pub fn at_work(&self) -> watch::Receiver<Option<u32>> {
        self.at_work.subscribe()
    }

    /// Bounds every helm that may write to the release from now on.
    pub fn bound(&self, heartbeat: Arc<Heartbeat>) {
        // A run has one Lease.
        let _ = self.heartbeat.set(heartbeat);
    }

    /// A directory of mode 0700 that lives as long as the runner.
    pub fn private(&self) -> &Path {
        self.private.path()
    }

    /// What helm is given.
    pub const fn environment(&self) -> &BTreeMap<OsString, OsString> {
        &self.environment
    }

    /// Runs helm until it ends. On a cancel, at `deadline` or when `stop`
    /// completes it is sent SIGTERM, and is killed where it does not end soon
    /// after; either way its end is waited for.
    ///
    /// A run that is cancelled already begins no helm: [`Kind::Cancelled`].
    ///
    /// The future has to be polled to its end: dropping it leaves helm running
    /// (with the lock, and until this process ends).
    pub async fn run(
        &self,
        call: &Invocation,
        cancel: &Cancel,
        deadline: Instant,
        stop: impl Future<Output = ()>,
    ) -> Result<CommandOutput> {
        cancel.check()?;
        let unable = |error: std::io::Error| {
            Error::new(Kind::Internal, "helm's output cannot be captured").with_source(error)
        };
        let stdout = Capture::new("helm-stdout").map_err(unable)?;
        let stderr = Capture::new("helm-stderr").map_err(unable)?;
        let begun = Instant::now();
        let mut child = self.spawn(
            call,
            stdout.writer().map_err(unable)?,
            stderr.writer().map_err(unable)?,
        )?;

        self.at_work.send_replace(child.id());

        let mut stopped = None;
        let mut killed = false;
        // When the next thing happens by itself: SIGTERM, then SIGKILL.
        let mut next = deadline;
        tokio::pin!(stop);
        let status = loop {
            tokio::select! {
                ended = child.wait() => break ended,
                signal = cancel.cancelled(), if stopped.is_none() => {
                    stopped = Some(StopReason::Cancelled(signal));
                    next = terminate(&child);
                }
                () = &mut stop, if stopped.is_none() => {
                    stopped = Some(StopReason::Asked);
                    next = terminate(&child);
                }
                _ = cancel.hurried(), if stopped.is_some() && next > Instant::now() + HURRY => {
                    next = Instant::now() + HURRY;
                }
                () = sleep_until(next) => if stopped.is_none() {
                    stopped = Some(StopReason::Deadline);
                    next = terminate(&child);
                } else {
                    killed = true;
                    kill(&child);
                    next = Instant::now() + GRACE;
                }
            }
        };
        let status = status.map_err(|error| {
            Error::new(Kind::Internal, "helm's exit status is not known").with_source(error)
        })?;
        tracing::debug!(
            helm = %self.helm.display(),
            args = ?call.args,
            %status,
            took = ?begun.elapsed(),
            ?stopped,
            killed,
            "helm ran"
        );
        if !status.success() && self.guarding(call).is_some_and(Heartbeat::has_ended_helm) {
            stopped = Some(StopReason::Overdue);
        }
        let ends = if call.document { DOCUMENT } else { WORDS };
        let (stdout, cut) = stdout.read(ends).map_err(unable)?;
        let (stderr, _) = stderr.read(WORDS).map_err(unable)?;
        let cut = call.document && cut;
        let ran = CommandOutput {
            status,
            stdout,
            stderr,
            stopped,
            killed,
            cut,
        };
        self.began(&ran)?;
        Ok(ran)
    }

    /// An error where helm itself never ran.
    fn began(&self, ran: &CommandOutput) -> Result<()> {
        let code = ran.status.code().and_then(|code| u8::try_from(code).ok());
        let helm = self.helm.display();
        let because = crate::text::line(ran.stderr.trim(), crate::text::LINE).into_owned();
        match code {
            Some(shim::NOT_FOUND) => Err(Error::new(
                Kind::Node,
                format!("helm is no longer at {helm}"),
            )),
            Some(shim::NOT_EXECUTABLE) => Err(Error::new(
                Kind::Node,
                format!("helm at {helm} cannot be run: {because}"),
            )
            .hint(
                "install the helm built for this machine's architecture, with its executable bit",
            )),
            Some(shim::ORPHANED) => {
                Err(Error::new(Kind::Internal, "helm was not started").detail(because))
            }
            _ => Ok(()),
        }
    }

    fn spawn(&self, call: &Invocation, stdout: Stdio, stderr: Stdio) -> Result<Child> {
        let unable = |error: std::io::Error| {
            Error::new(Kind::Node, "helm cannot be started").with_source(error)
        };
        // The lock travels as standard input, which helm never reads: then no
        // other program that is started meanwhile can get hold of it, and those
        // that helm starts get another standard input from it.
        let stdin = match &self.lock {
            Some(lock) => Stdio::from(lock.try_clone().map_err(unable)?),
            None => Stdio::null(),
        };
        self.command(call)
            .args(&call.args)
            .env_clear()
            .envs(&self.environment)
            .envs(&call.env)
            // A folder `oci:/ghcr.io/…` in the working directory would be taken
            // for the chart (helm's LocateChart looks at files first).
            .current_dir(self.private.path().join("empty"))
            .stdin(stdin)
            .stdout(stdout)
            .stderr(stderr)
            // A terminal's Ctrl-C goes to its foreground group; `deploy` decides
            // what helm gets.
            .process_group(0)
            .spawn()
            .map_err(unable)
    }

    /// What bounds a call of helm.
    fn guarding(&self, call: &Invocation) -> Option<&Heartbeat> {
        let heartbeat = self.heartbeat.get().filter(|_| call.writes);
        heartbeat.map(AsRef::as_ref)
    }

    fn command(&self, call: &Invocation) -> Command {
        match self.start {
            StartMode::Guarded => {
                let mut command = Command::new("/proc/self/exe");
                let deploy = std::process::id().to_string();
                match self.guarding(call) {
                    Some(heartbeat) => command.arg(shim::GUARDED).arg(deploy).arg(heartbeat.path()),
                    None => command.arg(shim::ENTRY).arg(deploy),
                };
                command.arg(&self.helm);
                command
            }
            #[cfg(test)]
            StartMode::Bare => Command::new(&self.helm),
        }
    }
}

/// Asks helm to settle and end; tells when its time is over. Only helm: the
/// programs that it started may hold the credentials it needs for settling.
fn terminate(child: &Child) -> Instant {
    if let Some(pid) = pid(child) {
        // It may have ended at this very moment.
        let _ = rustix::process::kill_process(pid, Kill::TERM);
    }
    Instant::now() + GRACE
}

/// Ends helm and what it started.
fn kill(child: &Child) {
    if let Some(pid) = pid(child) {
        let _ = rustix::process::kill_process_group(pid, Kill::KILL);
    }
}

/// Helm's process id: certain as long as its end was not waited for.
fn pid(child: &Child) -> Option<Pid> {
    Pid::from_raw(i32::try_from(child.id()?).ok()?)
}

#[cfg(test)]
#[path = "runner_tests.rs"]
pub(crate) mod tests;
