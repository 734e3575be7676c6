//! Which version a program of helm is, kept by the file's identity: asking it costs a
//! process in each deploy.
//!
//! Only of a program that is helm itself: behind a script, or behind one program with
//! many names, another helm can lie tomorrow. What is kept is never believed of another
//! file.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::directory::{prepare, replace_file};
use crate::host::file::open_regular;

/// What begins a program of Linux.
const ELF: [u8; 4] = *b"\x7fELF";

/// The most that is read, in bytes.
const MAX: u64 = 4096;

/// A program's file, as the kernel tells it from every other and from what it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    path: PathBuf,
    device: u64,
    inode: u64,
    size: u64,
    /// Both in seconds and nanoseconds. The second cannot be set by hand.
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Program {
    /// The program behind this path; none where it may not be helm itself.
    pub fn of(helm: &Path) -> Option<Self> {
        let path = fs::canonicalize(helm).ok()?;
        let name = path.file_name()?.to_str()?;
        let mut file = File::open(&path).ok()?;
        let about = file.metadata().ok()?;
        let mut begin = [0; ELF.len()];
        file.read_exact(&mut begin).ok()?;
        (name.starts_with("helm") && begin == ELF).then_some(Self {
            device: about.dev(),
            inode: about.ino(),
            size: about.size(),
            modified: (about.mtime(), about.mtime_nsec()),
            changed: (about.ctime(), about.ctime_nsec()),
            path,
        })
    }
}

#[derive(Serialize, Deserialize)]
struct Kept {
    program: Program,
    version: semver::Version,
}

fn file(state: &Path) -> PathBuf {
    state.join("helm-version.json")
}

/// The version of this very program, where it was kept.
pub fn known(state: &Path, program: &Program) -> Option<semver::Version> {
    let mut text = Vec::new();
    let kept = open_regular(&file(state)).ok()?;
    kept.take(MAX).read_to_end(&mut text).ok()?;
    let kept: Kept = serde_json::from_slice(&text).ok()?;
    (kept.program == *program).then_some(kept.version)
}

/// Keeps the version of a program, in place of the one before, whole or not at all.
pub fn keep(state: &Path, program: Program, version: &semver::Version) -> io::Result<()> {
    prepare(state)?;
    let text = serde_json::to_vec(&Kept {
        program,
        version: version.clone(),
    })?;
    replace_file(state, &file(state), &text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;
    use std::os::unix::fs::symlink;

    use super::{Program, keep, known};

    #[test]
    fn a_version_is_that_of_the_very_file() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let helm = folder.path().join("helm");
        fs::write(&helm, b"\x7fELF four").unwrap();
        let program = Program::of(&helm).unwrap();
        assert_eq!(known(&state, &program), None);
        let version = semver::Version::new(4, 3, 1);
        keep(&state, program.clone(), &version).unwrap();
        assert_eq!(known(&state, &program), Some(version));

        fs::remove_file(&helm).unwrap();
        fs::write(&helm, b"\x7fELF 3.19").unwrap();
        let another = Program::of(&helm).unwrap();
        assert_ne!(another, program);
        assert_eq!(known(&state, &another), None);
    }

    #[test]
    fn what_may_be_another_helm_tomorrow_is_asked_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let (script, shim, helm) = (
            folder.path().join("helm"),
            folder.path().join("mise"),
            folder.path().join("bin-helm"),
        );
        fs::write(&script, b"#!/bin/sh\nexec /opt/helm4 \"$@\"\n").unwrap();
        fs::write(&shim, b"\x7fELF many names").unwrap();
        symlink(&shim, &helm).unwrap();
        assert_eq!(Program::of(&script), None);
        assert_eq!(Program::of(&helm), None);
        assert_eq!(Program::of(&folder.path().join("none")), None);
    }
}
