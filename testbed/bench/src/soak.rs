//! `soak`: the long forms of the scenarios of which `cargo test` runs a part.

use std::hash::{BuildHasher as _, RandomState};

use anyhow::{Context as _, Result, bail};
use testbed::program::cargo;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How many random kills, and how many random cancels, with each Helm; also of the receiver
    #[arg(long, default_value_t = 50)]
    rounds: u32,
    /// Repeats the random choices of an earlier run, which told its seed
    #[arg(long)]
    seed: Option<u64>,
    /// Send the signals of the scenarios through `deploy receive`, as many as `cargo test` sends
    #[arg(long)]
    through_receiver: bool,
    /// Only what these words are part of the name of; all of it where nothing is named
    #[arg(value_name = "SCENARIO")]
    only: Vec<String>,
}

/// The scenarios with a long form.
const LONG: [&str; 11] = [
    "argocd::",
    "chaos::",
    "crowd::",
    "corpus::",
    "bumpy::",
    "paused::",
    "install::killed::",
    "receive::killed::",
    "receive::fuzz::",
    "hosted::cosign::",
    "hosted::key_run::",
];

/// The scenarios of the Helm path: good deploys and those that fail, are cancelled,
/// refused or killed.
const HELM_PATH: [&str; 13] = [
    "deploys::",
    "failures::",
    "cancel::",
    "crash::",
    "chaos::",
    "verdict::",
    "rollback::",
    "images::",
    "registry::",
    "rights::",
    "lease::",
    "journal::",
    "contract::",
];

pub(super) fn run(args: &Args) -> Result<()> {
    let seed = args
        .seed
        .unwrap_or_else(|| RandomState::new().hash_one(std::process::id()) >> 1);
    crate::print(&format!(
        "the same again: cargo testbed soak --rounds {} --seed {seed}",
        args.rounds
    ));
    let scenarios: &[&str] = if args.through_receiver {
        &HELM_PATH
    } else {
        &LONG
    };
    let mut cargo = cargo("test")?;
    cargo
        .args(["--test", "it", "--"])
        .args(scenarios.iter().filter(|_| args.only.is_empty()))
        .args(&args.only)
        .env("DEPLOY_SOAK_SEED", seed.to_string())
        .env("PROPTEST_RNG_SEED", seed.to_string());
    if args.through_receiver {
        cargo.env("DEPLOY_THROUGH_RECEIVER", "1");
    } else {
        cargo.env("DEPLOY_SOAK", args.rounds.to_string());
    }
    let status = cargo.status().context("cargo cannot be run")?;
    if !status.success() {
        bail!("the soak failed: see above");
    }
    Ok(())
}
