//! One deploy per release at a time on this node: flock(2) on a file.
//!
//! The lock belongs to the open file, not to the process: a helm that
//! inherited the descriptor holds it as long as it lives. So it is never
//! unlocked, only closed. Nothing here polls: waiting is done by a thread that
//! the kernel wakes. The lock's file is never removed, since a waiter may have
//! it open; tickets are (see [`queue`]).

mod queue;

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, OFlags, flock};

use tokio::sync::mpsc;

use super::directory::{make_directory, open_file};
use crate::error::{Error, Kind, Result};
use crate::plan::LockName;
use crate::run::{HelmSpan, LockHolder, started};
use crate::{text, units};

/// The most that is read of what a holder wrote, in bytes.
const HOLDER_MAX: u64 = 16 * 1024;

/// How long a free lock may take.
const AT_ONCE: Duration = Duration::from_secs(5);

/// What a waiter knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockWait {
    /// Who holds the lock; none where that is not known.
    pub holder: Option<LockHolder>,
    /// How many others wait before this run.
    pub ahead: usize,
}

impl LockWait {
    /// One line for people.
    pub fn line(&self) -> String {
        let holder = match &self.holder {
            Some(holder) => holder.line(),
            None => "a run that did not say who it is".to_owned(),
        };
        match self.ahead {
            0 => format!("waiting for {holder}"),
            1 => format!("waiting for {holder}; one other waits before this one"),
            more => format!("waiting for {holder}; {more} others wait before this one"),
        }
    }
}

/// A held lock. It ends when this and every inherited descriptor are closed.
#[derive(Debug)]
pub struct Lock {
    file: File,
    warning: Option<String>,
}

impl Lock {
    /// What people should know of it.
    pub fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
    }
}

impl AsFd for Lock {
    /// The descriptor that a child inherits to hold the lock as well. It is
    /// close-on-exec until that is cleared for the child.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

enum LockEvent {
    Waiting(LockWait),
    Held(io::Result<Lock>),
}

/// Takes a release's lock, or that of what is forwarded, waiting for at most `wait`; waiters are served
/// in the order they came. `on_wait` is called with who is waited for, and again when that
/// changes. Dropping the future gives the place up.
///
/// `Kind::Locked` where the wait was too long, `Kind::Node` where the state
/// directory does not serve.
pub async fn acquire(
    state: &Path,
    lock: impl Into<LockName>,
    me: &LockHolder,
    wait: Duration,
    mut on_wait: impl FnMut(&LockWait),
) -> Result<Lock> {
    let lock = lock.into();
    let place = LockPaths::new(state, &lock);
    let (sender, mut news) = mpsc::unbounded_channel();
    let me = me.clone();
    let thread = place.clone();
    // A thread of its own, not one of the runtime's: the runtime would wait
    // for it at its end. When nobody listens any more the lock is dropped.
    std::thread::Builder::new()
        .name("lock".to_owned())
        .spawn(move || {
            let held = thread.take(&me, &sender);
            let _ = sender.send(LockEvent::Held(held));
        })
        .map_err(|error| Error::new(Kind::Node, "no thread can be started").with_source(error))?;
    let mut last = None;
    // A lock that is free is had within some system calls; with no time to
    // wait, the first word of waiting ends it.
    let deadline = tokio::time::sleep(if wait.is_zero() { AT_ONCE } else { wait });
    tokio::pin!(deadline);
    loop {
        tokio::select! {
            biased;
            item = news.recv() => match item {
                Some(LockEvent::Held(Ok(lock))) => return Ok(lock),
                Some(LockEvent::Held(Err(error))) => return Err(place.error(&error)),
                Some(LockEvent::Waiting(waiting)) if wait.is_zero() => {
                    return Err(too_long(&lock, wait, Some(waiting)));
                }
                Some(LockEvent::Waiting(waiting)) => {
                    on_wait(&waiting);
                    last = Some(waiting);
                }
                None => return Err(Error::new(Kind::Internal, "the lock's thread ended early")),
            },
            () = &mut deadline => return Err(too_long(&lock, wait, last)),
        }
    }
}

fn too_long(lock: &LockName, wait: Duration, last: Option<LockWait>) -> Error {
    let waited = if wait.is_zero() {
        "lock_timeout is 0, so this one does not wait".to_owned()
    } else {
        format!("waited {}", units::show(wait))
    };
    let message = format!("another deploy of {lock} holds its lock; {waited}");
    let error = Error::new(Kind::Locked, message).hint(
        "run it again when the other one has ended, or give lock_timeout more in deploy.toml",
    );
    match last {
        Some(LockWait {
            holder: Some(holder),
            ..
        }) => {
            let gone = started(holder.pid) != Some(holder.started);
            let error = error.detail(format!("held by {}", holder.line()));
            if gone {
                // Only what it left can still hold the descriptor.
                error.detail("that process is gone; a helm that it started still runs")
            } else {
                error
            }
        }
        _ => error,
    }
}

/// The paths of a release's lock.
#[derive(Clone, Debug)]
struct LockPaths {
    state: PathBuf,
    directory: PathBuf,
    file: PathBuf,
    queue: PathBuf,
}

impl LockPaths {
    fn new(state: &Path, lock: &LockName) -> Self {
        let directory = state.join("locks");
        Self {
            state: state.to_owned(),
            file: directory.join(format!("{}.lock", lock.file())),
            queue: directory.join(format!("{}.queue", lock.file())),
            directory,
        }
    }

    /// Takes the lock, however long it takes.
    fn take(&self, me: &LockHolder, news: &mpsc::UnboundedSender<LockEvent>) -> io::Result<Lock> {
        let say = |ahead| {
            let holder = self.holder();
            let _ = news.send(LockEvent::Waiting(LockWait { holder, ahead }));
        };
        let (file, warning) = self.open()?;
        let place = queue::enter(&self.state, &self.queue, say)?;
        if !try_lock(&file)? {
            say(0);
            wait_lock(&file)?;
        }
        drop(place);
        let helm = read_holder(&file).and_then(|before| before.helm());
        let me = me.clone().with_helm(helm);
        // A full disk does not matter: without this a recovery waits longer.
        let _ = write_holder(&file, &me);
        Ok(Lock { file, warning })
    }

    /// The file to lock. Where it cannot be made (a full disk, a read-only
    /// directory) the directory itself is locked, for all releases at once.
    fn open(&self) -> io::Result<(File, Option<String>)> {
        let made = make_directory(&self.state, &self.directory)
            .and_then(|()| open_file(&self.state, &self.file, OFlags::RDWR))
            // Another user's file may be readable only; that is enough to lock it.
            .or_else(|_| File::open(&self.file));
        let error = match made {
            Ok(file) => return Ok((file, None)),
            Err(error) => error,
        };
        let parent = [&self.directory, &self.state]
            .into_iter()
            .find_map(|path| File::open(path).ok().filter(is_directory));
        match parent {
            Some(parent) => Ok((parent, Some(self.warning(&error)))),
            None => Err(error),
        }
    }

    /// What it means that the directory is locked instead of the file.
    fn warning(&self, error: &io::Error) -> String {
        let file = text::line(&self.file.to_string_lossy(), 500).into_owned();
        if error.kind() == io::ErrorKind::PermissionDenied {
            let (state, directory) = (
                self.state.to_string_lossy(),
                self.directory.to_string_lossy(),
            );
            return format!(
                "the lock's file {file} cannot be opened ({error}): deploys by the other users of \
                 this node are not excluded by it; as root: chown -R --reference={} {}",
                text::line(&state, 500),
                text::line(&directory, 500),
            );
        }
        format!(
            "the lock's file {file} cannot be made ({error}): until it can, deploys of all \
             releases wait for each other"
        )
    }

    fn holder(&self) -> Option<LockHolder> {
        read_holder(&File::open(&self.file).ok()?)
    }

    fn error(&self, error: &io::Error) -> Error {
        let state = text::line(&self.state.to_string_lossy(), 500).into_owned();
        let message = format!("the state directory {state} cannot hold a lock: {error}");
        Error::new(Kind::Node, message).hint(format!(
            "let the user that runs deploy write there: install -d -m 0750 -o <user> {state}"
        ))
    }
}

/// Who holds the lock of a release now, for whoever only looks; none where
/// nobody does, or that is not known.
pub fn holder(state: &Path, lock: impl Into<LockName>) -> Option<LockHolder> {
    let file = File::open(LockPaths::new(state, &lock.into()).file).ok()?;
    // Shared, and let go at once: nobody is kept waiting.
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Err(rustix::io::Errno::WOULDBLOCK) => read_holder(&file),
        _ => None,
    }
}

/// The last helm of this node for a release, as [`last_helm`] gives it.
pub fn last_helm_of(state: &Path, lock: impl Into<LockName>) -> Option<HelmSpan> {
    read_holder(&File::open(LockPaths::new(state, &lock.into()).file).ok()?)?.helm()
}

fn is_directory(file: &File) -> bool {
    file.metadata().is_ok_and(|found| found.is_dir())
}

/// Whether this process holds the lock now.
fn try_lock(file: &File) -> io::Result<bool> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Waits in the kernel until this process holds the lock.
fn wait_lock(file: &File) -> io::Result<()> {
    Ok(rustix::io::retry_on_intr(|| {
        flock(file, FlockOperation::LockExclusive)
    })?)
}

/// Notes in the lock's file that a helm which may write begins, or has ended:
/// whatever that helm leaves, a later holder of the lock knows whose it is.
/// `lock` is the held lock.
pub fn note_helm(lock: BorrowedFd<'_>, helm: HelmSpan) -> io::Result<()> {
    let file = File::from(lock.try_clone_to_owned()?);
    match read_holder(&file) {
        Some(holder) => write_holder(&file, &holder.with_helm(Some(helm))),
        None => Ok(()),
    }
}

/// The last helm that may write under this lock; none where there was none, or
/// it was not noted.
pub fn last_helm(lock: BorrowedFd<'_>) -> Option<HelmSpan> {
    read_holder(&File::from(lock.try_clone_to_owned().ok()?))?.helm()
}

/// Reads from the start, wherever the descriptor stands.
fn read_holder(file: &File) -> Option<LockHolder> {
    let length = file.metadata().ok()?.len().min(HOLDER_MAX);
    let mut text = vec![0; usize::try_from(length).ok()?];
    file.read_exact_at(&mut text, 0).ok()?;
    // What a longer, older note left behind it does not count.
    let mut notes = serde_json::Deserializer::from_slice(&text).into_iter();
    notes.next()?.ok()
}

/// Overwrites first and cuts then, so that a note is whole at every instant.
fn write_holder(file: &File, holder: &LockHolder) -> io::Result<()> {
    if is_directory(file) {
        return Ok(());
    }
    let mut text = serde_json::to_vec(holder)?;
    text.push(b'\n');
    file.write_all_at(&text, 0)?;
    file.set_len(text.len() as u64)
}

#[cfg(test)]
mod tests;
