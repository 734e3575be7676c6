//! `bench`: figures of `deploy` against what it replaces, each held against its bar.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};

use super::program;
use crate::bench::{self, Figure};
use crate::client::Testbed;
use crate::progress::Progress;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How many pairs of an upgrade by deploy and by bare helm, for each Helm
    #[arg(long, default_value_t = 20)]
    pairs: usize,
    /// How often each mistake is measured
    #[arg(long, default_value_t = 300)]
    rounds: usize,
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
    tell(&mut all, vec![bench::size(&deploy)?]);
    tell(&mut all, bench::refusals(&deploy, PASSES, args.rounds)?);
    if args.pairs > 0 {
        let testbed = Testbed::join_or_start()?;
        tell(
            &mut all,
            bench::good_deploys(&testbed.info, &deploy, args.pairs)?,
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
        super::print(&figure.line());
        all.push(figure);
    }
}
