//! What `cargo testbed` runs for `demo`, `bench` and `soak`: a package of its own, so that neither
//! the tests nor the testbed wait for it to be compiled.

#![allow(
    unreachable_pub,
    reason = "modules of one binary; nobody else reads them"
)]

mod bench;
mod demo;
mod figures;
mod program;
mod soak;

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Runs `deploy` on the testbed: for people, and for figures.
#[derive(Debug, Parser)]
#[command(
    name = "testbed-bench",
    bin_name = "cargo testbed",
    disable_help_subcommand = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Deploy the example to a real cluster, and look at what came of it
    Demo(demo::Args),
    /// Measure deploy side by side with what it replaces; fails where a figure is over its bar
    Bench(bench::Args),
    /// Run the long forms of the scenarios
    Soak(soak::Args),
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "testbed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Demo(args) => demo::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Soak(args) => soak::run(&args),
    }
}

/// Prints a result. A reader that has gone wants no more.
fn print(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{text}");
}
