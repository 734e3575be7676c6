//! The `deploy` program that the demo and the bench run.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use testbed::program::{cargo, folder};
use testbed::progress::Progress;

/// The `deploy` program of these sources, made if it is missing or older than they are.
pub(super) fn deploy(release: bool, progress: Progress) -> Result<PathBuf> {
    let mut cargo = cargo("build")?;
    cargo.args(["--quiet", "--bin", "deploy"]);
    if release {
        // As it is shipped.
        cargo.args(["--release", "--package", "deploy-signal"]);
    } else {
        // As this program was built.
        cargo.arg("--workspace");
    }
    let status = progress
        .during("building deploy", || cargo.status())
        .context("cargo cannot be run to build deploy")?;
    ensure!(
        status.success(),
        "deploy could not be built; cargo's message stands above"
    );
    let profile = if release { "release" } else { "debug" };
    Ok(folder()?.with_file_name(profile).join("deploy"))
}
