//! Stopping and going on: Ctrl-Z, `kill -STOP`, a machine that was paused. Told,
//! so that people know what the time went to; [`super::guard`] sees to helm.

use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use super::heartbeat::since_boot;
use crate::error::{Error, Kind, Result};

/// How often it is noted that the process runs.
const TICK: Duration = Duration::from_secs(1);

/// After what time without a tick the machine was paused, though no signal came.
const PAUSED: Duration = Duration::from_secs(20);

/// What happened to this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// It is stopped by its terminal, right after this is told.
    Suspended,
    /// It goes on, after this time.
    Continued(Duration),
}

/// Listens from now on, inside the runtime; `told` is called with what happens.
pub fn listen(told: impl Fn(Pause) + Send + 'static) -> Result<()> {
    let failed = |error: std::io::Error| {
        Error::new(Kind::Internal, "signals cannot be listened to").with_source(error)
    };
    let kind = |signal: Signal| SignalKind::from_raw(signal.as_raw());
    let mut stop = signal(kind(Signal::TSTP)).map_err(failed)?;
    let mut go_on = signal(kind(Signal::CONT)).map_err(failed)?;
    tokio::spawn(async move {
        let mut runs = interval(TICK);
        runs.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut seen = Seen::at(since_boot());
        loop {
            let pause = tokio::select! {
                biased;
                Some(()) = stop.recv() => Some(seen.stops(since_boot())),
                Some(()) = go_on.recv() => seen.goes_on(since_boot()),
                _ = runs.tick() => seen.runs(since_boot()),
            };
            if let Some(pause) = pause {
                told(pause);
            }
            if pause == Some(Pause::Suspended) {
                // What the terminal asked for; listening took it away.
                let _ = kill_process(getpid(), Signal::STOP);
            }
        }
    });
    Ok(())
}

/// When the process was last seen to run. Pure.
#[derive(Clone, Copy, Debug)]
struct Seen {
    last: Duration,
    stopped: bool,
}

impl Seen {
    const fn at(now: Duration) -> Self {
        Self {
            last: now,
            stopped: false,
        }
    }

    fn stops(&mut self, now: Duration) -> Pause {
        *self = Self {
            last: now,
            stopped: true,
        };
        Pause::Suspended
    }

    fn goes_on(&mut self, now: Duration) -> Option<Pause> {
        let before = std::mem::replace(self, Self::at(now));
        let passed = now.saturating_sub(before.last);
        (before.stopped || passed > TICK).then_some(Pause::Continued(passed))
    }

    fn runs(&mut self, now: Duration) -> Option<Pause> {
        let passed = now.saturating_sub(self.last);
        if self.stopped {
            // The signal that lets it go on is on its way.
            return None;
        }
        self.last = now;
        (passed >= PAUSED).then_some(Pause::Continued(passed))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Pause, Seen};

    #[test]
    fn the_time_that_passed_is_told_once() {
        let at = Duration::from_secs;
        let continued = |seconds| Some(Pause::Continued(at(seconds)));
        let mut seen = Seen::at(at(0));
        assert_eq!(seen.runs(at(1)), None);
        // Ctrl-Z and fg.
        assert_eq!(seen.stops(at(2)), Pause::Suspended);
        assert_eq!(seen.runs(at(72)), None);
        assert_eq!(seen.goes_on(at(72)), continued(70));
        assert_eq!(seen.runs(at(73)), None);
        // kill -STOP, of which only the end is seen.
        assert_eq!(seen.goes_on(at(80)), continued(7));
        // A signal that came though nothing was stopped.
        assert_eq!(seen.goes_on(at(81)), None);
        // A machine that was paused.
        assert_eq!(seen.runs(at(141)), continued(60));
        assert_eq!(seen.runs(at(142)), None);
    }
}
