//! Cancelling: the first signal decides how the run ends, a second one hurries.
//!
//! It must never end the process by itself: whoever waits settles first.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, poll};
use tokio::signal::unix::{SignalKind, signal};
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
    /// With `with_parent`, the death of the process that started this one
    /// counts as SIGHUP: GitHub's runner signals only a step's entry process,
    /// and a shell that dies of it leaves its children running. (The signal
    /// that the kernel offers for this, `PR_SET_PDEATHSIG`, follows the parent's
    /// thread and would fire falsely under a runtime that forks from a pool.)
    pub fn listen(with_parent: bool) -> Result<Self> {
        let (cancel, trigger) = Self::manual();
        let failed = |error: std::io::Error| {
            Error::new(Kind::Internal, "signals cannot be listened to").with_source(error)
        };
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let mut hangup = signal(SignalKind::hangup()).map_err(failed)?;
        if let Some(parent) = with_parent.then(parent).flatten() {
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
                    Some(()) = interrupt.recv() => UnixSignal::Interrupt,
                    Some(()) = terminate.recv() => UnixSignal::Terminate,
                    Some(()) = hangup.recv() => UnixSignal::Hangup,
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
    #![allow(clippy::unwrap_used)]

    use super::Cancel;
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
}
