//! `up`: a testbed that stays.

use anyhow::Result;

use crate::client::{Options, Testbed};
use crate::supervisor::Ask;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Testbeds of different names run side by side
    #[arg(long)]
    name: Option<String>,
    /// Three clusters, and Argo CD that knows them
    #[arg(long)]
    fleet: bool,
    /// Go down by itself, this many seconds after the last user has gone
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    idle: Option<u64>,
    /// Use it until this command is interrupted, instead of returning
    #[arg(long)]
    hold: bool,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let defaults = if args.fleet {
        Options::fleet()
    } else {
        Options::default()
    };
    let testbed = Testbed::join_or_start_with(&Options {
        name: args.name.clone().unwrap_or(defaults.name),
        idle_seconds: args.idle.unwrap_or(defaults.idle_seconds),
        ..defaults
    })?;
    if args.idle.is_none() && !args.hold {
        testbed.ask(&Ask::Pin)?;
    }
    let flag = if args.fleet { " --fleet" } else { "" };
    super::print(&format!(
        "up, in {}\nfor a shell: eval \"$(cargo testbed env{flag})\"",
        testbed.info.run.display()
    ));
    if args.hold {
        // What ends it is a signal; the connection closes with this process.
        loop {
            std::thread::park();
        }
    }
    Ok(())
}
