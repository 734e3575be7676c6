//! The command line: tells a signal from the subcommands, and prints help.
//!
//! clap knows help, the version and the subcommands. A signal's arguments go
//! to [`crate::signal`] as they came: clap stops at its first error, while a
//! signal is told all of its violations at once. Nothing of a signal is
//! decided here, and nothing slow may start here.

pub mod completions;
pub mod doctor;
pub mod history;
pub mod man;
mod panic;
mod runtime;
pub mod show;
pub mod signal;

use std::ffi::OsString;
use std::io::Write as _;
use std::panic::catch_unwind;
use std::process::ExitCode;

use clap::builder::StyledStr;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::error::{Error, Exit, Kind};
use crate::process::shim;
use crate::report::terminal;
use crate::signal::{Flag, QUIET_SHORT, SWITCHES};

/// The subcommands: a first argument that is none of them begins a signal.
pub const SUBCOMMANDS: [&str; 6] = ["history", "show", "doctor", "completions", "man", "help"];

/// What a command line asks for.
#[derive(Debug)]
pub enum Invocation {
    /// Deploy: a signal's arguments, not judged yet.
    Signal(Vec<OsString>),
    /// `deploy history`
    History(history::HistoryArgs),
    /// `deploy show`
    Show(show::ShowArgs),
    /// Helm's own arguments, behind [`shim::ENTRY`].
    ExecHelm(Vec<OsString>),
    /// Another program's, behind [`shim::PROGRAM`].
    ExecProgram(Vec<OsString>),
    /// `deploy doctor`
    Doctor(doctor::DoctorArgs),
    /// `deploy completions`
    Completions(completions::CompletionsArgs),
    /// `deploy man`
    Man,
    /// Help or the version.
    Help(StyledStr),
    /// A subcommand with arguments that it does not have.
    Refused(Error),
}

#[derive(Parser)]
#[command(
    name = "deploy",
    version,
    about = "Deploys what a signal asks for, with Helm, and proves that it runs",
    override_usage = "deploy --app <app> --chart <ref> --chart-version <version> --images <json>\n       \
                      deploy <command>",
    after_help = "Example:\n  deploy --app shop --chart oci://ghcr.io/acme/charts/shop --chart-version 1.4.0 \\\n    \
                  --images '{\"api\":\"ghcr.io/acme/shop/api:1.4.0\",\"web\":\"ghcr.io/acme/shop/web:1.4.0\"}'\n\n\
                  A signal says what to deploy. Where and how is the node's to say: deploy.toml,\n\
                  <app>.values.yaml beside the script.",
    subcommand_help_heading = "Commands",
    subcommand_value_name = "command"
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// List the deploys of this node
    History(history::HistoryArgs),
    /// Show one deploy with the evidence of its failure
    Show(show::ShowArgs),
    /// Try all that a deploy will need, and tell how to mend it
    Doctor(doctor::DoctorArgs),
    /// Print what a shell needs to complete this command line
    Completions(completions::CompletionsArgs),
    /// Print the manual page
    Man,
}

/// Reads a command line: the program's name first (any will do), then its
/// arguments.
pub fn invocation(args: impl IntoIterator<Item = OsString>) -> Invocation {
    let args: Vec<OsString> = args.into_iter().skip(1).collect();
    let first = args.first().and_then(|first| first.to_str());
    match first {
        Some(shim::ENTRY) => Invocation::ExecHelm(args[1..].to_vec()),
        Some(shim::PROGRAM) => Invocation::ExecProgram(args[1..].to_vec()),
        Some("--help" | "-h") => subcommand(&args),
        // With anything behind it, it is a flag with a slip: 0 would say that
        // something was deployed.
        Some("--version" | "-V") if args.len() == 1 => subcommand(&args),
        Some(first) if SUBCOMMANDS.contains(&first) => subcommand(&args),
        _ => Invocation::Signal(args),
    }
}

/// Runs a command line.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    panic::keep_quiet();
    let args: Vec<OsString> = args.into_iter().collect();
    let ran = catch_unwind(|| perform(args));
    ran.unwrap_or_else(|bug| ExitCode::from(fail(&panic::error(&*bug)).code()))
}

fn perform(args: Vec<OsString>) -> ExitCode {
    let invoked_as = args.first().cloned().unwrap_or_default();
    let exit = match invocation(args) {
        Invocation::Signal(args) => signal::run(&invoked_as, &args),
        Invocation::Help(text) => {
            // A pipe that was closed by a pager is no failure.
            let _ = write!(anstream::stdout(), "{}", text.ansi());
            Exit::Deployed
        }
        Invocation::Refused(error) => fail(&error),
        Invocation::History(args) => history::run(&args).unwrap_or_else(|error| fail(&error)),
        Invocation::Show(args) => show::run(&args).unwrap_or_else(|error| fail(&error)),
        Invocation::Doctor(args) => {
            doctor::run(&invoked_as, &args).unwrap_or_else(|error| fail(&error))
        }
        Invocation::Completions(args) => {
            completions::run(&args).unwrap_or_else(|error| fail(&error))
        }
        Invocation::Man => man::run().unwrap_or_else(|error| fail(&error)),
        Invocation::ExecHelm(args) => return ExitCode::from(shim::run(args)),
        Invocation::ExecProgram(args) => return ExitCode::from(shim::run_program(args)),
    };
    ExitCode::from(exit.code())
}

/// Prints a result. A pipe that was closed by its reader is no failure.
fn print(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(bytes).and_then(|()| out.flush());
}

/// Tells an error that came before there was a run to report.
fn fail(error: &Error) -> Exit {
    let _ = terminal::error(&mut anstream::stderr(), error);
    error.exit()
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

/// Lets clap read what is no signal.
fn subcommand(args: &[OsString]) -> Invocation {
    let name = OsString::from("deploy");
    let parsed = command()
        .try_get_matches_from(std::iter::once(&name).chain(args))
        .and_then(|matches| Cli::from_arg_matches(&matches));
    match parsed {
        Ok(Cli {
            command: Some(Command::History(args)),
        }) => Invocation::History(args),
        Ok(Cli {
            command: Some(Command::Show(args)),
        }) => Invocation::Show(args),
        Ok(Cli {
            command: Some(Command::Doctor(args)),
        }) => Invocation::Doctor(args),
        Ok(Cli {
            command: Some(Command::Completions(args)),
        }) => Invocation::Completions(args),
        Ok(Cli {
            command: Some(Command::Man),
        }) => Invocation::Man,
        Ok(Cli { command: None }) => Invocation::Signal(args.to_vec()),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                Invocation::Help(error.render())
            }
            _ => Invocation::Refused(refused(&error)),
        },
    }
}

/// clap's error as ours; whoever shows it escapes it.
fn refused(error: &clap::Error) -> Error {
    let text = error.render().to_string();
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let first = lines.next().unwrap_or_default();
    let message = first.strip_prefix("error: ").unwrap_or(first);
    Error::new(Kind::Request, message).details(lines.map(str::trim))
}

#[cfg(test)]
mod tests;
