//! What time it is for the keeper: a parameter, so that tests let it jump.

use std::time::Duration;

use crate::process::since_boot;
use crate::run::{self, Timestamp};

/// What the time is.
pub(super) trait Clock {
    /// The time since boot, which goes on while the machine sleeps.
    fn since_boot(&self) -> Duration;

    /// The time of the day, which can be wrong, and be set.
    fn now(&self) -> Timestamp;
}

/// This machine's.
pub(super) struct MachineClock;

impl Clock for MachineClock {
    fn since_boot(&self) -> Duration {
        since_boot()
    }

    fn now(&self) -> Timestamp {
        run::now()
    }
}
