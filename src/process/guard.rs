//! The hidden entry `deploy __guard-helm <helm's process>`: ends helm when its
//! time is over.
//!
//! A child of helm in helm's process group, which [`super::shim`] starts before
//! it becomes helm, with the [`Heartbeat`](super::heartbeat::Heartbeat) as its
//! standard input. So it works where `deploy` does not: stopped, killed, waiting
//! for a disk or a terminal. It must never end anything but that group, and it
//! ends with helm.

use std::ffi::OsString;
use std::os::fd::AsFd as _;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, PidfdFlags, Signal, getpgrp, getppid, kill_process, kill_process_group, pidfd_open,
};

use super::heartbeat::{note_end, since_boot, until};

/// The first argument that asks for this entry.
pub const ENTRY: &str = "__guard-helm";

/// How often it looks.
const LOOK: Duration = Duration::from_millis(200);

/// How long helm has between SIGTERM and SIGKILL; it settles a release within a
/// tenth of a second.
const GRACE: Duration = Duration::from_secs(1);

/// What is to be done about helm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Its time is not over.
    Wait,
    /// It shall settle and end.
    Terminate,
    /// It must not write any more, as after a pause of the machine, when another
    /// node may be at work already.
    Kill,
}

/// Decides, by the time until which helm may work.
fn step(now: Duration, until: Option<Duration>) -> Step {
    match until {
        Some(until) if now >= until + GRACE => Step::Kill,
        Some(until) if now >= until => Step::Terminate,
        _ => Step::Wait,
    }
}

/// Guards helm, the parent process, until it ends. The exit code is for nobody.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let helm = arguments
        .into_iter()
        .next()
        .and_then(|text| Pid::from_raw(text.to_str()?.parse().ok()?));
    let Some(helm) = helm.filter(|helm| getppid() == Some(*helm)) else {
        return 1;
    };
    let Ok(handle) = pidfd_open(helm, PidfdFlags::empty()) else {
        return 1;
    };
    // It can have ended before that call; then the handle is another's.
    if getppid() != Some(helm) {
        return 0;
    }
    let stdin = std::io::stdin();
    let mut terminated = false;
    loop {
        match step(since_boot(), until(stdin.as_fd())) {
            Step::Wait => terminated = false,
            Step::Terminate if terminated => {}
            Step::Terminate => {
                note_end(stdin.as_fd());
                let _ = kill_process(helm, Signal::TERM);
                terminated = true;
            }
            Step::Kill => {
                note_end(stdin.as_fd());
                // This process is one of the group, so that id is certain.
                let _ = if getpgrp() == helm {
                    kill_process_group(helm, Signal::KILL)
                } else {
                    kill_process(helm, Signal::KILL)
                };
                return 0;
            }
        }
        let mut waited = [PollFd::new(&handle, PollFlags::IN)];
        let pause = Timespec {
            tv_sec: 0,
            tv_nsec: LOOK.subsec_nanos().into(),
        };
        if matches!(poll(&mut waited, Some(&pause)), Ok(ended) if ended > 0) {
            return 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Step, step};

    #[test]
    fn helm_is_ended_when_its_time_is_over() {
        let at = Duration::from_millis;
        // until, now, what is done
        for (until, now, expected) in [
            (None, 99_000, Step::Wait),
            (Some(50_000), 0, Step::Wait),
            (Some(50_000), 49_999, Step::Wait),
            (Some(50_000), 50_000, Step::Terminate),
            (Some(50_000), 50_999, Step::Terminate),
            (Some(50_000), 51_000, Step::Kill),
            // The machine was paused: no time for helm to write anything.
            (Some(50_000), 120_000, Step::Kill),
        ] {
            let until = until.map(at);
            assert_eq!(step(at(now), until), expected, "{until:?} at {now}");
        }
    }
}
