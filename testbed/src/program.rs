//! The programs beside this one: `testbed`, and the `deploy` that the scenarios run.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};

use crate::progress::Progress;

/// The workspace.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The folder of this build's programs: `debug` or `release` in the target folder. A test program
/// lies in `deps` below it.
pub fn folder() -> Result<PathBuf> {
    let own = std::env::current_exe().context("this program has no path")?;
    let folder = own.parent().context("this program lies in no folder")?;
    let above = folder
        .parent()
        .context("this program lies in no target folder")?;
    let folder = if folder.ends_with("deps") {
        above
    } else {
        folder
    };
    Ok(folder.to_owned())
}

/// Finds the `testbed` program: a test's own cannot be the janitor, it has libtest's main. Cargo
/// builds it before the tests of this package.
pub(crate) fn find() -> Result<PathBuf> {
    let program = folder()?.join("testbed");
    ensure!(
        program.is_file(),
        "{} is not there: run this through cargo, which builds it",
        program.display()
    );
    Ok(program)
}

/// The `deploy` program of this build, brought up to date if it is older than its sources. Cargo
/// builds it for the tests of its own package only, and no package can ask for another's program.
///
/// Errors: cargo cannot be run, or `deploy` does not compile.
pub fn deploy(progress: Progress) -> Result<PathBuf> {
    let program = folder()?.join("deploy");
    if is_current(&program) {
        return Ok(program);
    }
    // With the tests that bring it along: `cargo build` leaves out what dev-dependencies ask of
    // shared dependencies, and all of them would be built once more.
    let mut cargo = cargo("test")?;
    cargo.args(["--quiet", "--no-run", "--test", "cli"]);
    if is_release()? {
        cargo.arg("--release");
    }
    let output = progress
        .during("building deploy", || cargo.output())
        .context("cargo cannot be run to build deploy")?;
    ensure!(
        output.status.success(),
        "deploy could not be built:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    // What cargo found fresh keeps its time; the next one need not ask again.
    let file = fs::File::options().append(true).open(&program);
    file.and_then(|file| file.set_modified(SystemTime::now()))
        .with_context(|| format!("cargo left no {}", program.display()))?;
    Ok(program)
}

/// Cargo for a subcommand of the workspace, with this build's target folder. It holds no lock while
/// it runs tests or programs.
pub fn cargo(subcommand: &str) -> Result<Command> {
    let folder = folder()?;
    let target = folder
        .parent()
        .context("this program lies in no target folder")?;
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args([subcommand, "--manifest-path"])
        .arg(Path::new(ROOT).join("Cargo.toml"))
        .arg("--target-dir")
        .arg(target)
        .stdin(Stdio::null());
    // Cargo tells what it runs whose it is. To the build scripts of a cargo inside these are other
    // values than before: ring, and all that depends on it, would be built once more.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_"]
            .iter()
            .any(|own| name.starts_with(own))
        {
            cargo.env_remove(&*name);
        }
    }
    Ok(cargo)
}

/// Whether this program was built for release.
pub fn is_release() -> Result<bool> {
    Ok(folder()?.ends_with("release"))
}

/// Whether the program was made of these sources, and is newer than all of them. A target folder
/// can serve more than one clone: cargo notes beside a program where its sources lie.
fn is_current(program: &Path) -> bool {
    let Ok(built) = fs::metadata(program).and_then(|meta| meta.modified()) else {
        return false;
    };
    let Ok(root) = Path::new(ROOT).canonicalize() else {
        return true;
    };
    let note = fs::read_to_string(program.with_extension("d")).unwrap_or_default();
    if !note.contains(&format!(" {}/src/", root.display())) {
        return false;
    }
    ["src", "Cargo.toml", "Cargo.lock"]
        .iter()
        .all(|path| newest(&root.join(path)).is_none_or(|time| time <= built))
}

/// When the newest file of a folder was changed, or a file itself.
fn newest(path: &Path) -> Option<SystemTime> {
    let meta = path.metadata().ok()?;
    if !meta.is_dir() {
        return meta.modified().ok();
    }
    let entries = fs::read_dir(path).ok()?;
    entries
        .filter_map(|entry| newest(&entry.ok()?.path()))
        .max()
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
