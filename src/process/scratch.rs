//! The private directory of a run: what helm is given, and what it writes.
//!
//! It goes with the run. One that a killed run left is removed by a later one:
//! only a directory made here, of the same user, whose owner is dead, which
//! its lock proves.

use std::fs::{self, File, OpenOptions, Permissions};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::{FlockOperation, OFlags, flock};
use tempfile::TempDir;

use crate::error::{Error, Kind, Result};

/// How its name begins.
const PREFIX: &str = "deploy-helm-";

/// The file in it that is locked as long as its owner lives.
const OWNER: &str = "owner";

/// A private directory, of mode 0700.
#[derive(Debug)]
pub(super) struct Scratch {
    folder: TempDir,
    _owner: File,
}

impl Scratch {
    /// Makes one in `parent`, with an empty folder for each use.
    pub(super) fn make(parent: &Path) -> Result<Self> {
        let unable = |error: std::io::Error| {
            let parent = parent.display();
            let message = format!("no private directory can be made in {parent}");
            Error::new(Kind::Node, message)
                .with_source(error)
                .hint(format!(
                    "see that {parent} exists, can be written and has room"
                ))
        };
        let folder = tempfile::Builder::new()
            .prefix(PREFIX)
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(parent)
            .map_err(unable)?;
        let owner = own(folder.path()).map_err(unable)?;
        for name in ["empty", "cache", "data", "chart"] {
            fs::create_dir(folder.path().join(name)).map_err(unable)?;
        }
        let parent = parent.to_owned();
        // Nobody waits for it; it ends with the process.
        let _ = std::thread::Builder::new()
            .name("sweep".to_owned())
            .spawn(move || sweep(&parent));
        Ok(Self {
            folder,
            _owner: owner,
        })
    }

    /// Its path.
    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Marks a directory as owned: the mark has its name only once it is locked.
fn own(folder: &Path) -> std::io::Result<File> {
    let new = folder.join("owner.new");
    let owner = File::create_new(&new)?;
    flock(&owner, FlockOperation::NonBlockingLockExclusive)?;
    fs::rename(new, folder.join(OWNER))?;
    Ok(owner)
}

/// Removes what dead runs of this user left in `parent`.
fn sweep(parent: &Path) {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    for entry in entries {
        if !entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(PREFIX.as_bytes())
        {
            continue;
        }
        let path = entry.path();
        // The lock is kept until all of it is gone: one removes it, not two.
        if let Some(_owner) = abandoned(&path) {
            let removed = fs::remove_dir_all(&path);
            tracing::debug!(path = %path.display(), ?removed, "swept what a dead run left");
        }
    }
}

/// The lock of a directory whose owner is dead.
fn abandoned(path: &Path) -> Option<File> {
    let found = path.symlink_metadata().ok()?;
    let mine = found.is_dir()
        && found.uid() == rustix::process::geteuid().as_raw()
        && found.mode() & 0o777 == 0o700;
    if !mine {
        return None;
    }
    let owner = OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
        .open(path.join(OWNER))
        .ok()?;
    flock(&owner, FlockOperation::NonBlockingLockExclusive).ok()?;
    Some(owner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::{OWNER, PREFIX, Scratch, sweep};

    #[test]
    fn only_what_a_dead_run_left_is_removed() {
        let parent = tempfile::tempdir().unwrap();
        let at = |name: &str| parent.path().join(format!("{PREFIX}{name}"));
        let make = |name: &str, mode: u32, owner: bool| {
            fs::create_dir_all(at(name).join("chart/deeper")).unwrap();
            if owner {
                fs::write(at(name).join(OWNER), "").unwrap();
            }
            fs::set_permissions(at(name), Permissions::from_mode(mode)).unwrap();
        };
        make("dead", 0o700, true);
        make("open", 0o755, true);
        make("unmarked", 0o700, false);
        fs::create_dir(parent.path().join("other")).unwrap();
        fs::write(parent.path().join("other").join(OWNER), "").unwrap();
        std::os::unix::fs::symlink(parent.path().join("other"), at("link")).unwrap();
        let alive = Scratch::make(parent.path()).unwrap();
        let mode = alive.path().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        sweep(parent.path());
        // The run that was begun sweeps as well, at the same time.
        let begun = std::time::Instant::now();
        while at("dead").exists() {
            assert!(begun.elapsed().as_secs() < 20);
            std::thread::yield_now();
        }
        for kept in [
            at("open"),
            at("unmarked"),
            at("link"),
            parent.path().join("other").join(OWNER),
        ] {
            assert!(kept.symlink_metadata().is_ok(), "{}", kept.display());
        }
        assert!(alive.path().join("empty").is_dir());
        let path = alive.path().to_owned();
        drop(alive);
        assert!(!path.exists());
    }
}
