//! `bench`: figures of `deploy` against what it replaces, each held against its bar.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::figures::{self, Figure};
use crate::program;
use testbed::client::{Options, Testbed};
use testbed::progress::Progress;

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// The program's size, and requests that are refused
    Requests,
    /// Good deploys, beside bare helm
    Deploys,
    /// Failed deploys until their cause is named, beside bare helm, which takes five minutes
    Causes,
    /// Namespaces with up to 5,000 pods of others
    Scale,
    /// Releases of up to 1,000 pods of their own, and of 200 workloads, beside bare helm
    Own,
    /// Forward, receive and a token, beside a direct deploy
    Receive,
    /// Proofs of origin, beside a deploy without them
    Verify,
    /// Deploys through three waves, beside Argo CD alone, and a wave of many Applications
    Fleet,
}

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What to measure; all of it where nothing is named
    what: Vec<What>,
    /// How many pairs of an upgrade by deploy and by bare helm, for each Helm
    #[arg(long, default_value_t = 20)]
    pairs: usize,
    /// How often each mistake is measured
    #[arg(long, default_value_t = 300)]
    rounds: usize,
    /// How long a bare helm, or Argo CD's command, may wait for what cannot be, in seconds
    #[arg(long, default_value_t = 300)]
    limit: u64,
    /// How many pods of others there are, for each namespace
    #[arg(long, value_delimiter = ',', default_values_t = [10, 100, 1000, 5000])]
    pods: Vec<usize>,
    /// How many pods the releases have
    #[arg(long, value_delimiter = ',', default_values_t = [10, 100, 1000])]
    own: Vec<usize>,
    /// How many workloads a release has
    #[arg(long, default_value_t = 200)]
    workloads: usize,
    /// How many deploys go through three waves
    #[arg(long, default_value_t = 5)]
    fleet_rounds: usize,
    /// How many Applications a wave has
    #[arg(long, default_value_t = 20)]
    applications: usize,
    /// Write the figures into this file as JSON, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measure this program instead of one that is built for release
    #[arg(long, value_name = "PROGRAM")]
    deploy: Option<PathBuf>,
}

/// How often the table of bad requests is gone through.
const PASSES: usize = 2;

pub(super) fn run(args: &Args) -> Result<()> {
    let deploy = match &args.deploy {
        Some(path) => path
            .canonicalize()
            .with_context(|| path.display().to_string())?,
        None => program::deploy(true, Progress::stderr())?,
    };
    let mut all = Vec::new();
    let wants = |what| args.what.is_empty() || args.what.contains(&what);
    if wants(What::Requests) {
        tell(&mut all, vec![figures::size(&deploy)?]);
        tell(&mut all, figures::refusals(&deploy, PASSES, args.rounds)?);
    }
    if wants(What::Deploys) && args.pairs > 0 {
        let testbed = Testbed::join_or_start()?;
        let pairs = args.pairs;
        tell(
            &mut all,
            figures::good_deploys(&testbed.info, &deploy, pairs)?,
        );
    }
    if wants(What::Causes) {
        let testbed = Testbed::join_or_start()?;
        let limit = Duration::from_secs(args.limit);
        tell(&mut all, figures::causes(&testbed.info, &deploy, limit)?);
    }
    if wants(What::Scale) {
        let testbed = Testbed::join_or_start()?;
        tell(
            &mut all,
            figures::scale(&testbed.info, &deploy, &args.pods)?,
        );
    }
    if wants(What::Own) {
        let testbed = Testbed::join_or_start()?;
        tell(
            &mut all,
            figures::own(&testbed.info, &deploy, &args.own, args.workloads)?,
        );
    }
    if wants(What::Receive) && args.pairs > 0 {
        let testbed = Testbed::join_or_start()?;
        let pairs = args.pairs;
        tell(&mut all, figures::received(&testbed.info, &deploy, pairs)?);
    }
    if wants(What::Verify) && args.pairs > 0 {
        let testbed = Testbed::join_or_start()?;
        let pairs = args.pairs;
        tell(&mut all, figures::verified(&testbed.info, &deploy, pairs)?);
    }
    if wants(What::Fleet) {
        let testbed = Testbed::join_or_start_with(&Options::fleet())?;
        let (rounds, many) = (args.fleet_rounds, args.applications);
        let limit = Duration::from_secs(args.limit);
        tell(
            &mut all,
            figures::fleet(&testbed.info, &deploy, rounds, many, limit)?,
        );
    }
    if let Some(path) = &args.json {
        let json = serde_json::to_string_pretty(&all)? + "\n";
        fs::write(path, json).with_context(|| path.display().to_string())?;
    }
    let over = all.iter().filter(|figure| !figure.is_ok()).count();
    ensure!(over == 0, "{over} of {} figures are over", all.len());
    Ok(())
}

fn tell(all: &mut Vec<Figure>, figures: Vec<Figure>) {
    for figure in figures {
        crate::print(&figure.line());
        all.push(figure);
    }
}
