//! The command line: tells a signal from the subcommands, and prints help.
//!
//! clap knows help, the version and the subcommands. A signal's arguments go
//! to [`crate::signal`] as they came: clap stops at its first error, while all
//! violations of a signal are reported at once. Nothing of a signal is
//! decided here, and nothing slow may start here.

mod audience;
mod completions;
mod definition;
pub mod doctor;
pub mod explain;
mod follow;
pub mod freeze;
pub mod history;
pub mod install;
mod journal_line;
mod man;
mod output;
mod panic;
mod receive;
pub mod rollback;
mod runtime;
pub mod show;
pub mod signal;
pub mod status;

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::panic::catch_unwind;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::FromArgMatches as _;
use clap::builder::StyledStr;
use clap::error::ErrorKind;

pub use definition::{AudienceArgs, CompletionsArgs, ReceiveArgs, SUBCOMMANDS, command};

use definition::{Cli, Command};
use output::fail;

use crate::error::{Error, Exit, Kind, Result};
use crate::host::{Accounts, Environment, working_directory};
use crate::node::{self, Node};
use crate::process::{guard, shim};
use crate::state;

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
    /// The same with a guard, behind [`shim::GUARDED`].
    ExecGuardedHelm(Vec<OsString>),
    /// A guard of helm, behind [`guard::ENTRY`].
    GuardHelm(Vec<OsString>),
    /// Another program's, behind [`shim::PROGRAM`].
    ExecProgram(Vec<OsString>),
    /// `deploy doctor`
    Doctor(doctor::DoctorArgs),
    /// `deploy explain`
    Explain(explain::ExplainArgs),
    /// `deploy status`
    Status(status::StatusArgs),
    /// `deploy rollback`
    Rollback(rollback::RollbackArgs),
    /// `deploy freeze`
    Freeze(freeze::FreezeArgs),
    /// `deploy unfreeze`
    Unfreeze(freeze::UnfreezeArgs),
    /// `deploy install`
    Install(install::InstallArgs),
    /// `deploy receive`
    Receive(ReceiveArgs),
    /// The deploy of one received signal, behind [`crate::receive::ENTRY`].
    DeployReceived(PathBuf),
    /// `deploy audience`
    Audience(AudienceArgs),
    /// `deploy completions`
    Completions(CompletionsArgs),
    /// `deploy man`
    Man,
    /// Help or the version.
    Help(StyledStr),
    /// A subcommand with arguments that it does not have.
    Refused(Error),
}

/// Reads a command line: the program's name first (any will do), then its
/// arguments.
pub fn invocation(args: impl IntoIterator<Item = OsString>) -> Invocation {
    let args: Vec<OsString> = args.into_iter().skip(1).collect();
    let first = args.first().and_then(|first| first.to_str());
    match first {
        Some(shim::ENTRY) => Invocation::ExecHelm(args[1..].to_vec()),
        Some(shim::GUARDED) => Invocation::ExecGuardedHelm(args[1..].to_vec()),
        Some(guard::ENTRY) => Invocation::GuardHelm(args[1..].to_vec()),
        Some(shim::PROGRAM) => Invocation::ExecProgram(args[1..].to_vec()),
        Some(crate::receive::ENTRY) => {
            Invocation::DeployReceived(args.get(1).map(PathBuf::from).unwrap_or_default())
        }
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
        Invocation::Explain(args) => explain::run(&args).unwrap_or_else(|error| fail(&error)),
        Invocation::Status(args) => {
            status::run(&invoked_as, &args).unwrap_or_else(|error| fail(&error))
        }
        Invocation::Rollback(args) => rollback::run(&invoked_as, &args),
        Invocation::Freeze(args) => {
            freeze::freeze_now(&invoked_as, &args).unwrap_or_else(|error| fail(&error))
        }
        Invocation::Unfreeze(args) => {
            freeze::unfreeze(&invoked_as, &args).unwrap_or_else(|error| fail(&error))
        }
        Invocation::Install(args) => install::run(&args).unwrap_or_else(|error| fail(&error)),
        Invocation::Audience(args) => audience::run(&args).unwrap_or_else(|error| fail(&error)),
        Invocation::Receive(args) => receive::run(&args).unwrap_or_else(|error| fail(&error)),
        Invocation::DeployReceived(config) => receive::deploy_received(&config),
        Invocation::Completions(args) => {
            completions::run(&args).unwrap_or_else(|error| fail(&error))
        }
        Invocation::Man => man::run().unwrap_or_else(|error| fail(&error)),
        Invocation::ExecHelm(args) => return ExitCode::from(shim::run(args)),
        Invocation::ExecGuardedHelm(args) => return ExitCode::from(shim::run_guarded(args)),
        Invocation::GuardHelm(args) => return ExitCode::from(guard::run(args)),
        Invocation::ExecProgram(args) => return ExitCode::from(shim::run_program(args)),
    };
    ExitCode::from(exit.code())
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
            command: Some(Command::Explain(args)),
        }) => Invocation::Explain(args),
        Ok(Cli {
            command: Some(Command::Status(args)),
        }) => Invocation::Status(args),
        Ok(Cli {
            command: Some(Command::Rollback(args)),
        }) => Invocation::Rollback(args),
        Ok(Cli {
            command: Some(Command::Freeze(args)),
        }) => Invocation::Freeze(args),
        Ok(Cli {
            command: Some(Command::Unfreeze(args)),
        }) => Invocation::Unfreeze(args),
        Ok(Cli {
            command: Some(Command::Install(args)),
        }) => Invocation::Install(args),
        Ok(Cli {
            command: Some(Command::Receive(args)),
        }) => Invocation::Receive(args),
        Ok(Cli {
            command: Some(Command::Audience(args)),
        }) => Invocation::Audience(args),
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

/// The node, for a program of this name.
fn load(invoked_as: &OsStr, environment: &Environment) -> Result<Node> {
    node::load(invoked_as, environment, &working_directory()?)
}

/// The same for what operators ask for.
fn load_operated(invoked_as: &OsStr, environment: &Environment) -> Result<Node> {
    node::load_operated(invoked_as, environment, &working_directory()?)
}

/// Where journal and locks of this process's user lie.
fn state(environment: &Environment) -> Result<state::Directory> {
    let uid = rustix::process::geteuid().as_raw();
    state::directory(
        environment,
        uid,
        &Accounts::of_machine(),
        &working_directory()?,
    )
}

/// clap's error as this crate's; whoever shows it escapes it.
fn refused(error: &clap::Error) -> Error {
    let text = error.render().to_string();
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let first = lines.next().unwrap_or_default();
    let message = first.strip_prefix("error: ").unwrap_or(first);
    Error::new(Kind::Request, message).details(lines.map(str::trim))
}

#[cfg(test)]
mod tests;
