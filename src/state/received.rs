//! What `deploy receive` took and has not seen end: a note for each, named by its
//! run. What a note holds is the receiver's; no token is in it.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::directory::{make_directory, open_file};
use crate::host::file::open_regular;
use crate::run::RunId;

/// The largest note, in bytes: a document with its escapes.
const NOTE_MAX: u64 = 1 << 20;

fn folder(state: &Path) -> PathBuf {
    state.join("received")
}

/// Keeps a run's note.
pub fn keep(state: &Path, run: &RunId, note: &[u8]) -> io::Result<()> {
    make_directory(state, &folder(state))?;
    let path = folder(state).join(run.as_str());
    let mut file = open_file(state, &path, OFlags::WRONLY | OFlags::TRUNC)?;
    file.write_all(note)
}

/// Removes a run's note. One that stays is looked at once more after a restart.
pub fn forget(state: &Path, run: &RunId) {
    let _ = fs::remove_file(folder(state).join(run.as_str()));
}

/// The notes that are there.
pub fn all(state: &Path) -> Vec<(RunId, Vec<u8>)> {
    let entries = fs::read_dir(folder(state)).into_iter().flatten().flatten();
    let read = |entry: fs::DirEntry| {
        let run: RunId = entry.file_name().to_str()?.parse().ok()?;
        let mut note = Vec::new();
        let file = open_regular(&entry.path()).ok()?;
        file.take(NOTE_MAX).read_to_end(&mut note).ok()?;
        Some((run, note))
    };
    entries.filter_map(read).collect()
}
