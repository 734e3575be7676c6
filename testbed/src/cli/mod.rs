//! The command line: one module for each subcommand. The only part of the testbed that prints.

mod bench;
mod build;
mod down;
mod env;
mod status;
mod up;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::supervisor;

/// A real Kubernetes cluster of one node, and a ghcr.io to go with it, on this machine.
#[derive(Debug, Parser)]
#[command(
    name = "testbed",
    bin_name = "cargo testbed",
    disable_help_subcommand = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build all programs into the cache
    Build,
    /// Start a testbed and keep it up until `down`
    Up(up::Args),
    /// Take every testbed down, and remove what dead ones left
    Down,
    /// Tell which testbeds are up
    Status,
    /// Deploy the example to a real cluster, and look at what came of it
    #[command(disable_help_flag = true)]
    Demo(bench::Args),
    /// Measure deploy side by side with what it replaces; fails where a figure is over its bar
    #[command(disable_help_flag = true)]
    Bench(bench::Args),
    /// Run the long forms of the scenarios
    #[command(disable_help_flag = true)]
    Soak(bench::Args),
    /// Print exports for a shell: eval "$(cargo testbed env)"
    Env(env::Args),
    #[command(name = supervisor::JANITOR, hide = true)]
    Janitor { entry: PathBuf },
    #[command(name = supervisor::ENTER, hide = true)]
    Enter { entry: PathBuf },
    #[command(name = supervisor::SUPERVISE, hide = true)]
    Supervise,
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
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
        Command::Build => build::run(),
        Command::Up(args) => up::run(&args),
        Command::Down => down::run(),
        Command::Status => status::run(),
        Command::Demo(args) => bench::run("demo", &args),
        Command::Bench(args) => bench::run("bench", &args),
        Command::Soak(args) => bench::run("soak", &args),
        Command::Env(args) => env::run(&args),
        Command::Janitor { entry } => supervisor::janitor(&entry),
        Command::Enter { entry } => supervisor::enter(&entry),
        Command::Supervise => supervisor::supervise(),
    }
}

/// Prints a result. A reader that has gone wants no more.
fn print(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{text}");
}
