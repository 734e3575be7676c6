//! Until when helm may work: a time in memory that the Lease's keeper moves on
//! with each renewal, and that helm's guard looks at ([`super::guard`]).
//!
//! Not a pipe: nobody has to read it, several helms can look at it, and writing
//! it never waits. It must not depend on any thread but the keeper's: whatever
//! stops that (a stopped `deploy`, a paused machine) stops the time from moving
//! on, and that ends helm.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::path::PathBuf;
use std::time::Duration;

use rustix::io::{pread, pwrite};
use rustix::time::{ClockId, clock_gettime};

/// Where it stands that a guard ended helm; the time stands before it.
const ENDED_AT: u64 = 16;

/// The time since the machine was booted, which goes on while it sleeps.
pub fn since_boot() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or_default())
}

/// Until when helm may work.
#[derive(Debug)]
pub struct Heartbeat(File);

impl Heartbeat {
    /// One that does not bound helm yet.
    pub fn new() -> io::Result<Self> {
        let memory = rustix::fs::memfd_create("helm-heartbeat", rustix::fs::MemfdFlags::CLOEXEC)?;
        let new = Self(File::from(memory));
        new.write(u64::MAX);
        Ok(new)
    }

    /// Where another process of this user finds it, as long as this one lives.
    pub(super) fn path(&self) -> PathBuf {
        let (process, descriptor) = (std::process::id(), self.0.as_raw_fd());
        format!("/proc/{process}/fd/{descriptor}").into()
    }

    /// Helm may work until then, in time since boot.
    pub fn allow_until(&self, until: Duration) {
        self.write(u64::try_from(until.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Helm is not bounded: there is no Lease that could run out.
    pub fn allow_always(&self) {
        self.write(u64::MAX);
    }

    /// Until when helm may work, in time since boot; none where it is not bounded.
    pub fn until(&self) -> Option<Duration> {
        until(self.0.as_fd())
    }

    /// Whether helm may not work any more.
    pub fn is_over(&self) -> bool {
        self.until().is_some_and(|until| since_boot() >= until)
    }

    /// Whether a guard ended helm.
    pub fn has_ended_helm(&self) -> bool {
        let mut mark = [0];
        matches!(pread(&self.0, &mut mark, ENDED_AT), Ok(1)) && mark != [0]
    }

    fn write(&self, nanoseconds: u64) {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&nanoseconds.to_ne_bytes());
        bytes[8..].copy_from_slice(&(!nanoseconds).to_ne_bytes());
        // Memory of 16 bytes is written at once, or the machine has none left.
        let _ = pwrite(&self.0, &bytes, 0);
    }
}

/// Until when helm may work, by the memory that a guard was given; none where it
/// is not bounded, or just being written.
pub(super) fn until(memory: BorrowedFd<'_>) -> Option<Duration> {
    let mut bytes = [0; 16];
    if !matches!(pread(memory, &mut bytes, 0), Ok(16)) {
        return None;
    }
    let (value, check) = bytes.split_at(8);
    let value = u64::from_ne_bytes(value.try_into().ok()?);
    let whole = u64::from_ne_bytes(check.try_into().ok()?) == !value;
    (whole && value != u64::MAX).then(|| Duration::from_nanos(value))
}

/// Notes that helm was ended.
pub(super) fn note_end(memory: BorrowedFd<'_>) {
    let _ = pwrite(memory, &[1], ENDED_AT);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::fd::AsFd as _;
    use std::time::Duration;

    use super::{Heartbeat, note_end, since_boot, until};

    #[test]
    fn the_time_moves_on_and_the_end_is_noted() {
        let heartbeat = Heartbeat::new().unwrap();
        let other = std::fs::File::options()
            .read(true)
            .write(true)
            .open(heartbeat.path())
            .unwrap();
        assert_eq!(until(other.as_fd()), None);
        assert!(!heartbeat.is_over());
        let later = since_boot() + Duration::from_secs(60);
        heartbeat.allow_until(later);
        assert_eq!(until(other.as_fd()), Some(later));
        assert!(!heartbeat.is_over());
        heartbeat.allow_until(since_boot());
        assert!(heartbeat.is_over());
        assert!(!heartbeat.has_ended_helm());
        note_end(other.as_fd());
        assert!(heartbeat.has_ended_helm());
        heartbeat.allow_always();
        assert!(!heartbeat.is_over());
    }
}
