//! The `deploy` program that the demo and the bench run.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use testbed::progress::Progress;

/// Whether this program was built for release.
pub(super) fn is_release() -> Result<bool> {
    Ok(folder()?.ends_with("release"))
}

/// The folder of this program: `debug` or `release` in the target folder.
fn folder() -> Result<PathBuf> {
    let own = std::env::current_exe().context("this program has no path")?;
    let folder = own.parent().context("this program lies in no folder")?;
    Ok(folder.to_owned())
}

/// The `deploy` program of these sources, made if it is missing or older than they are.
pub(super) fn deploy(release: bool, progress: Progress) -> Result<PathBuf> {
    let folder = folder()?;
    let target = folder
        .parent()
        .context("this program lies in no target folder")?;
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--bin", "deploy"]);
    cargo
        .args(["--manifest-path", manifest, "--target-dir"])
        .arg(target);
    if release {
        // As it is shipped.
        cargo.args(["--release", "--package", "deploy-signal"]);
    } else {
        // As `cargo test` builds it.
        cargo.arg("--workspace");
    }
    let status = progress
        .during("building deploy", || cargo.stdin(Stdio::null()).status())
        .context("cargo cannot be run to build deploy")?;
    ensure!(
        status.success(),
        "deploy could not be built; cargo's message stands above"
    );
    let profile = if release { "release" } else { "debug" };
    Ok(target.join(profile).join("deploy"))
}
