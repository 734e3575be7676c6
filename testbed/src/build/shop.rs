//! The example's programs, compiled by the script that its workflow runs.

use std::ffi::OsString;
use std::path::Path;

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use super::run::{run, tool};
use super::{Cache, hosted};
use crate::progress::Progress;

/// A copy of the example at `sources` in which `build.sh` has run; the checkout stays as it is.
pub fn shop(sources: &Path, cache: &Cache, progress: Progress) -> Result<TempDir> {
    let folder = tempfile::tempdir().context("no folder for the example's programs")?;
    let mut copy = tool("cp");
    copy.args(["-R", "-T", "--"])
        .arg(sources)
        .arg(folder.path());
    run(copy, "copying the example", progress)?;
    let mut path = OsString::from(hosted::go_root(cache, progress)?.join("bin"));
    path.push(":/usr/local/bin:/usr/bin:/bin");
    let mut build = tool("sh");
    build
        .arg(folder.path().join("build.sh"))
        .env("PATH", path)
        .env("GOTOOLCHAIN", "local");
    run(build, "compiling the shop's three programs", progress)?;
    Ok(folder)
}
