//! `soak`: the long forms of the scenarios of which `cargo test` runs a part.

use anyhow::{Context as _, Result, bail};
use testbed::program::cargo;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How many random kills, and how many random cancels, with each Helm
    #[arg(long, default_value_t = 50)]
    rounds: u32,
    /// Repeats the kills and cancels of an earlier run, which told its seed
    #[arg(long)]
    seed: Option<u64>,
}

/// The scenarios with a long form.
const LONG: [&str; 5] = [
    "chaos::",
    "crowd::",
    "corpus::",
    "bumpy::",
    "install::killed::",
];

pub(super) fn run(args: &Args) -> Result<()> {
    let mut cargo = cargo("test")?;
    cargo
        .args(["--test", "it", "--"])
        .args(LONG)
        .env("DEPLOY_SOAK", args.rounds.to_string());
    if let Some(seed) = args.seed {
        cargo.env("DEPLOY_SOAK_SEED", seed.to_string());
    }
    let status = cargo.status().context("cargo cannot be run")?;
    if !status.success() {
        bail!("the soak failed: see above");
    }
    Ok(())
}
