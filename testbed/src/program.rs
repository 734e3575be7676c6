//! Finds the `testbed` program. A test's own program cannot be the janitor: it is another one,
//! with libtest's main.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result, bail};

use crate::progress::Progress;

const NAME: &str = "testbed";

/// This program if it is it, else the one of the same build, brought up to date if it is older
/// than its sources.
pub(crate) fn find(progress: Progress) -> Result<PathBuf> {
    let own = std::env::current_exe().context("this program has no path")?;
    if own.file_name().is_some_and(|name| name == NAME) {
        return Ok(own);
    }
    // target/debug/deps/it-0123 belongs to target/debug/testbed.
    let folder = own
        .parent()
        .filter(|folder| folder.ends_with("deps"))
        .and_then(Path::parent);
    let Some(folder) = folder else {
        bail!(
            "{} is not a cargo test program, so there is no {NAME} beside it",
            own.display()
        );
    };
    let program = folder.join(NAME);
    if !is_current(&program) {
        rebuild(folder, progress)?;
    }
    Ok(program)
}

/// Whether the program is newer than all of its sources.
fn is_current(program: &Path) -> bool {
    let Ok(built) = fs::metadata(program).and_then(|meta| meta.modified()) else {
        return false;
    };
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    if !package.is_dir() {
        return true;
    }
    let older = |folder: &str| newest(&package.join(folder)).is_none_or(|time| time <= built);
    ["src", "go"].iter().all(|folder| older(folder))
}

fn newest(folder: &Path) -> Option<SystemTime> {
    let entries = fs::read_dir(folder).ok()?;
    let times = entries.filter_map(|entry| {
        let entry = entry.ok()?;
        let kind = entry.file_type().ok()?;
        if kind.is_dir() {
            newest(&entry.path())
        } else {
            entry.metadata().ok()?.modified().ok()
        }
    });
    times.max()
}

/// Cargo holds no lock while it runs tests.
fn rebuild(folder: &Path, progress: Progress) -> Result<()> {
    // Of the whole workspace, as `cargo test` builds it: by itself the package has other features
    // of its dependencies, and all of them would be built once more.
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let target = folder
        .parent()
        .context("the program lies in no target folder")?;
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args([
            "build",
            "--quiet",
            "--workspace",
            "--bin",
            NAME,
            "--manifest-path",
            manifest,
            "--target-dir",
        ])
        .arg(target);
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    let output = progress
        .during("building the program testbed", || cargo.output())
        .context("cargo cannot be run to build the program testbed")?;
    if !output.status.success() {
        bail!(
            "the program testbed could not be built:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    // What cargo found fresh keeps its time; the next one need not ask again.
    let now = fs::File::options().append(true).open(folder.join(NAME));
    now.and_then(|file| file.set_modified(SystemTime::now()))
        .with_context(|| format!("cargo left no program {NAME} in {}", folder.display()))
}

/// What tells testbeds apart: one that runs an older program is not joined, it goes by itself.
pub(crate) fn key(program: &Path, name: &str) -> Result<String> {
    let meta = fs::metadata(program)?;
    let user = rustix::process::geteuid().as_raw();
    Ok(format!(
        "{name}-{user}-{:x}-{:x}-{:x}",
        meta.ino(),
        meta.size(),
        meta.mtime_nsec() ^ meta.mtime()
    ))
}
