//! Waiters in the order they came.
//!
//! Each waiter makes a file with the next number, a ticket, and holds a lock
//! on it until it has the release's own lock. It waits for every lower ticket
//! in turn. The kernel ends the lock of a waiter that dies, so nothing has to
//! be cleaned up for the queue to go on.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::retry_on_intr;

use super::super::directory::{make_directory, open_file};

/// A ticket: the place in the queue until it is dropped.
#[derive(Debug)]
pub(super) struct Ticket {
    path: PathBuf,
    _locked: File,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // Removed before its lock ends: who sees it gone need not wait for it.
        let _ = fs::remove_file(&self.path);
    }
}

/// Waits until everybody who came before has been served. `say` hears how many
/// they are, where there are any. None where the queue cannot be kept (a full
/// disk): the lock alone still excludes, only the order is the kernel's.
pub(super) fn enter(state: &Path, queue: &Path, say: impl Fn(usize)) -> io::Result<Option<Ticket>> {
    let Ok((ticket, before)) = draw(state, queue) else {
        return Ok(None);
    };
    for (at, path) in before.iter().enumerate() {
        let Ok(other) = File::open(path) else {
            continue;
        };
        if flock(&other, FlockOperation::NonBlockingLockShared).is_err() {
            say(before.len() - at);
            retry_on_intr(|| flock(&other, FlockOperation::LockShared))?;
        }
        // Its owner is served or dead; where dead, the file is still there.
        let _ = fs::remove_file(path);
    }
    Ok(Some(ticket))
}

/// Draws a ticket: the ticket, and those before it in their order.
fn draw(state: &Path, queue: &Path) -> io::Result<(Ticket, Vec<PathBuf>)> {
    make_directory(state, &state.join("locks"))?;
    make_directory(state, queue)?;
    // One at a time, for some system calls only.
    let turn = File::open(queue)?;
    retry_on_intr(|| flock(&turn, FlockOperation::LockExclusive))?;
    let mut numbers: Vec<u64> = fs::read_dir(queue)?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    numbers.sort_unstable();
    let mine = numbers.last().map_or(1, |last| last.saturating_add(1));
    let path = queue.join(mine.to_string());
    let locked = open_file(state, &path, OFlags::RDWR)?;
    flock(&locked, FlockOperation::NonBlockingLockExclusive)?;
    let before = numbers
        .iter()
        .map(|number| queue.join(number.to_string()))
        .collect();
    Ok((
        Ticket {
            path,
            _locked: locked,
        },
        before,
    ))
}
