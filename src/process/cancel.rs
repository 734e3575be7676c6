//! Cancelling: the first signal decides how the run ends, a second one hurries.
//!
//! It must never end the process by itself: whoever waits settles first.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, poll};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::error::{Error, Kind, Result, UnixSignal};

/// What was received so far.
#[derive(Clone, Copy, Debug, Default)]
struct CancelState {
    first: Option<UnixSignal>,
    since: Option<Instant>,
    count: u32,
}

/// Tells whether the run was cancelled. Clones see the same.
#[derive(Clone, Debug)]
pub struct Cancel {
    seen: watch::Receiver<CancelState>,
}

/// Cancels by hand: for tests, and for a controller that cancels a deploy.
#[derive(Clone, Debug)]
pub struct CancelTrigger(Arc<watch::Sender<CancelState>>);

impl CancelTrigger {
    /// Does what the arrival of `signal` does.
    pub fn fire(&self, signal: UnixSignal) {
        self.0.send_modify(|seen| {
            seen.first.get_or_insert(signal);
            seen.since.get_or_insert_with(Instant::now);
            seen.count = seen.count.saturating_add(1);
        });
    }
}

impl Cancel {
    /// Listens to SIGINT, SIGTERM and SIGHUP from now on. Call it once, inside
    /// the runtime.
    ///
    /// What this process was started with as ignored (SIGHUP under nohup, SIGINT
    /// behind a shell's `&`) stays ignored; `in_step`, a workflow's step, SIGINT
    /// and SIGTERM count all the same, since a runner that was itself started so
    /// hands that on to each step.
    ///
    /// `in_step`, the death of the process that started this one
    /// counts as SIGHUP: GitHub's runner signals only a step's entry process,
    /// and a shell that dies of it leaves its children running. (The signal
    /// that the kernel offers for this, `PR_SET_PDEATHSIG`, follows the parent's
    /// thread and would fire falsely under a runtime that forks from a pool.)
    pub fn listen(in_step: bool) -> Result<Self> {
        let (cancel, trigger) = Self::manual();
        let failed = |error: std::io::Error| {
            Error::new(Kind::Internal, "signals cannot be listened to").with_source(error)
        };
        let ignored = Ignored::at_start();
        let listen = |kind: SignalKind, always: bool| {
            let listens = always || !ignored.has(kind);
            listens.then(|| signal(kind)).transpose().map_err(failed)
        };
        let mut interrupt = listen(SignalKind::interrupt(), in_step)?;
        let mut terminate = listen(SignalKind::terminate(), in_step)?;
        let mut hangup = listen(SignalKind::hangup(), false)?;
        if let Some(parent) = in_step.then(parent).flatten() {
            let trigger = trigger.clone();
            // A thread of its own, since it has to outlast nothing and nobody
            // waits for it: it ends with the process.
            std::thread::spawn(move || {
                if ends(&parent) {
                    trigger.fire(UnixSignal::Hangup);
                }
            });
        }
        tokio::spawn(async move {
            loop {
                let seen = tokio::select! {
                    // Of signals that arrive together the gentler came first.
                    biased;
                    Some(()) = next(&mut interrupt) => UnixSignal::Interrupt,
                    Some(()) = next(&mut terminate) => UnixSignal::Terminate,
                    Some(()) = next(&mut hangup) => UnixSignal::Hangup,
                    else => return,
                };
                trigger.fire(seen);
            }
        });
        Ok(cancel)
    }

    /// A cancel that only its trigger fires.
    pub fn manual() -> (Self, CancelTrigger) {
        let (sender, seen) = watch::channel(CancelState::default());
        (Self { seen }, CancelTrigger(Arc::new(sender)))
    }

    /// The first signal, once there was one.
    pub fn signal(&self) -> Option<UnixSignal> {
        self.seen.borrow().first
    }

    /// When the first signal came.
    pub fn since(&self) -> Option<Instant> {
        self.seen.borrow().since
    }

    /// Waits for the first signal.
    pub async fn cancelled(&self) -> UnixSignal {
        self.at_least(1).await
    }

    /// Waits for a second signal, which asks for less patience.
    pub async fn hurried(&self) -> UnixSignal {
        self.at_least(2).await
    }

    /// An error once the run was cancelled.
    pub fn check(&self) -> Result<()> {
        self.signal()
            .map_or(Ok(()), |signal| Err(cancelled(signal)))
    }

    async fn at_least(&self, count: u32) -> UnixSignal {
        let mut seen = self.seen.clone();
        let first = match seen.wait_for(|seen| seen.count >= count).await {
            Ok(seen) => seen.first,
            Err(_) => None,
        };
        match first {
            Some(signal) => signal,
            // Whoever could fire is gone, so nothing ever will.
            None => std::future::pending().await,
        }
    }
}

/// The next arrival; never where the signal is not listened to.
async fn next(signal: &mut Option<Signal>) -> Option<()> {
    match signal {
        Some(signal) => signal.recv().await,
        None => std::future::pending().await,
    }
}

/// The signals that are ignored, a bit for each (`SigIgn`, `proc_pid_status(5)`).
#[derive(Clone, Copy, Debug)]
struct Ignored(u64);

impl Ignored {
    /// Those of this process before it listens to any. Where /proc says nothing,
    /// none: then every signal counts.
    fn at_start() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        Self::read(&status)
    }

    fn read(status: &str) -> Self {
        let mask = status
            .lines()
            .find_map(|line| line.strip_prefix("SigIgn:"))
            .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        Self(mask.unwrap_or(0))
    }

    fn has(self, kind: SignalKind) -> bool {
        let bit = kind.as_raw_value() - 1;
        u32::try_from(bit).is_ok_and(|bit| (self.0 >> bit) & 1 == 1)
    }
}

/// The error of a run that `signal` ended.
pub fn cancelled(signal: UnixSignal) -> Error {
    Error::new(
        Kind::Cancelled(signal),
        format!("cancelled by {}", signal.name()),
    )
}

/// A handle that becomes readable when the parent ends; none where the kernel
/// has no such handles or the parent is init already.
fn parent() -> Option<OwnedFd> {
    let pid = rustix::process::getppid().filter(|pid| !pid.is_init())?;
    let handle = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok()?;
    // The parent may have died, and its id been given away, before that call.
    (rustix::process::getppid() == Some(pid)).then_some(handle)
}

/// Waits for the end of the process.
fn ends(process: &OwnedFd) -> bool {
    loop {
        let mut waited = [PollFd::new(process, PollFlags::IN)];
        match poll(&mut waited, None) {
            Ok(_) => return true,
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::print_stdout)]

    use std::process::Command;

    use rustix::process::{Signal, getpid, kill_process};
    use tokio::signal::unix::SignalKind;

    use super::{Cancel, Ignored};
    use crate::error::{Kind, UnixSignal};

    #[tokio::test]
    async fn the_first_signal_decides_and_the_second_hurries() {
        let (cancel, trigger) = Cancel::manual();
        assert!(cancel.check().is_ok());
        trigger.fire(UnixSignal::Interrupt);
        assert_eq!(cancel.cancelled().await, UnixSignal::Interrupt);
        let hurried = cancel.clone();
        let waiting = tokio::spawn(async move { hurried.hurried().await });
        trigger.fire(UnixSignal::Terminate);
        assert_eq!(waiting.await.unwrap(), UnixSignal::Interrupt);
        let error = cancel.check().unwrap_err();
        assert_eq!(error.kind(), Kind::Cancelled(UnixSignal::Interrupt));
    }

    #[test]
    fn the_end_of_a_process_is_seen() {
        let mut child = std::process::Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let pid = rustix::process::Pid::from_child(&child);
        let handle =
            rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap();
        drop(child.stdin.take());
        assert!(super::ends(&handle));
        assert!(child.wait().unwrap().success());
    }

    #[tokio::test]
    async fn a_signal_to_the_process_is_seen() {
        let cancel = Cancel::listen(false).unwrap();
        let own = rustix::process::getpid();
        rustix::process::kill_process(own, rustix::process::Signal::HUP).unwrap();
        assert_eq!(cancel.cancelled().await, UnixSignal::Hangup);
    }

    #[test]
    fn ignored_signals_are_read() {
        for (status, hangup, interrupt, terminate) in [
            ("Name:\tx\nSigIgn:\t0000000000000000\n", false, false, false),
            ("SigIgn:\t0000000000000001\n", true, false, false),
            ("SigIgn:\t0000000000000006\n", false, true, false),
            ("SigIgn:\t0000000000005000\n", false, false, true),
            ("SigIgn:\tnonsense\n", false, false, false),
            ("", false, false, false),
        ] {
            let ignored = Ignored::read(status);
            let seen = [
                SignalKind::hangup(),
                SignalKind::interrupt(),
                SignalKind::terminate(),
            ]
            .map(|kind| ignored.has(kind));
            assert_eq!(seen, [hangup, interrupt, terminate], "{status}");
        }
    }

    /// Says which part a copy of this test program plays.
    const PART: &str = "DEPLOY_TEST_CANCEL_PART";

    /// Sends itself the three signals, and prints which came first.
    #[tokio::test]
    async fn plays_a_part() {
        let Ok(part) = std::env::var(PART) else {
            return;
        };
        let cancel = Cancel::listen(part == "step").unwrap();
        for signal in [Signal::HUP, Signal::INT, Signal::TERM] {
            kill_process(getpid(), signal).unwrap();
            let soon = std::time::Duration::from_millis(200);
            if let Ok(seen) = tokio::time::timeout(soon, cancel.cancelled()).await {
                println!("first {}", seen.name());
                return;
            }
        }
        println!("first none");
    }

    /// Case E6: what was ignored at the start stays ignored, but in a step.
    #[test]
    fn what_was_ignored_stays_ignored() {
        for (ignored, part, first) in [
            ("", "hand", "SIGHUP"),
            ("HUP", "hand", "SIGINT"),
            ("HUP INT", "hand", "SIGTERM"),
            ("HUP INT TERM", "hand", "none"),
            ("HUP", "step", "SIGINT"),
            ("HUP INT", "step", "SIGINT"),
        ] {
            let script = "for signal in $1; do trap '' $signal; done; \
                          exec \"$0\" --exact process::cancel::tests::plays_a_part --nocapture";
            let program = std::env::current_exe().unwrap();
            let output = Command::new("/bin/sh")
                .args(["-c", script])
                .arg(program)
                .arg(ignored)
                .env(PART, part)
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(
                said.contains(&format!("first {first}\n")),
                "{ignored} {part}: {said}"
            );
        }
    }
}
