//! clap's definition of the command line: help, completions and the manual page
//! come from it.

use clap::{Arg, ArgAction, CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

use super::{doctor, history, show};
use crate::signal::{Flag, QUIET_SHORT, SWITCHES};

/// The subcommands: a first argument that is none of them begins a signal.
pub const SUBCOMMANDS: [&str; 6] = ["history", "show", "doctor", "completions", "man", "help"];

#[derive(Parser)]
#[command(
    name = "deploy",
    version,
    about = "Deploys what a signal asks for, with Helm, and proves that it runs",
    override_usage = "deploy --app <app> --chart <ref> --chart-version <version> --images <json>\n       \
                      deploy <command>",
    after_help = "Example:\n  deploy --app shop --chart oci://ghcr.io/acme/charts/shop --chart-version 1.4.0 \\\n    \
                  --images '{\"api\":\"ghcr.io/acme/shop/api:1.4.0\",\"web\":\"ghcr.io/acme/shop/web:1.4.0\"}'\n\n\
                  A signal says what to deploy. The node decides where and how: deploy.toml,\n\
                  <app>.values.yaml beside the script.",
    subcommand_help_heading = "Commands",
    subcommand_value_name = "command"
)]
/// The command line, but for a signal's flags.
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

#[derive(Subcommand)]
/// The subcommands.
pub(super) enum Command {
    /// List the deploys of this node
    History(history::HistoryArgs),
    /// Show one deploy with the evidence of its failure
    Show(show::ShowArgs),
    /// Check all that a deploy needs, and say how to fix it
    Doctor(doctor::DoctorArgs),
    /// Print what a shell needs to complete this command line
    Completions(CompletionsArgs),
    /// Print the manual page
    Man,
}

/// clap's whole definition: help, completions and the man page come from it.
pub fn command() -> clap::Command {
    let flags = Flag::ALL.map(|flag| {
        let name = flag.name().trim_start_matches('-');
        Arg::new(name)
            .long(name)
            .value_name(match flag {
                Flag::App => "app",
                Flag::Chart => "ref",
                Flag::ChartVersion => "version",
                Flag::Images => "json",
            })
            .help(flag.expected())
            .help_heading("Signal (all four are required)")
    });
    let switches = SWITCHES.map(|(switch, help)| {
        let name = switch.trim_start_matches('-');
        Arg::new(name)
            .long(name)
            .action(ArgAction::SetTrue)
            .help(help)
    });
    let quiet = |arg: Arg| arg.short(QUIET_SHORT);
    Cli::command()
        .args(flags)
        .args(switches)
        .mut_arg("quiet", quiet)
}

/// What `deploy completions` takes.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "shell")]
    pub shell: Shell,
}
