//! `demo`, `bench` and `soak`: built when they are asked for, and run in this program's place.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::program;

/// The program that has them.
const NAME: &str = "testbed-bench";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What `--help` behind it tells
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Returns only where that program cannot be had.
pub(super) fn run(subcommand: &str, args: &Args) -> Result<()> {
    // Of the whole workspace, as this program was built: by itself the package has other features
    // of its dependencies, and all of them would be built once more.
    let mut cargo = program::cargo("build")?;
    cargo.args(["--quiet", "--workspace", "--bin", NAME]);
    if program::is_release()? {
        cargo.arg("--release");
    }
    let status = cargo.status().context("cargo cannot be run")?;
    ensure!(
        status.success(),
        "{NAME} could not be built; cargo's message stands above"
    );
    let program = program::folder()?.join(NAME);
    let error = Command::new(&program)
        .arg(subcommand)
        .args(&args.arguments)
        .exec();
    Err(error).with_context(|| format!("{} cannot be run", program.display()))
}
