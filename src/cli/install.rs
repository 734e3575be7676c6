//! `deploy install`: what install.sh hands over to, once it has fetched a program.

use std::path::{Path, PathBuf};

use super::output;
use crate::error::{Exit, Result};
use crate::install::{Action, Places};

/// What `deploy install` takes.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
pub struct InstallArgs {
    /// The program; else the one that is called
    #[arg(long, value_name = "file", conflicts_with_all = ["rollback", "uninstall"])]
    pub from: Option<PathBuf>,
    /// Go back to the program before
    #[arg(long, conflicts_with = "uninstall")]
    pub rollback: bool,
    /// Take program and link away; settings and journal stay
    #[arg(long)]
    pub uninstall: bool,
    /// bin/deploy lies below it
    #[arg(long, value_name = "dir", default_value = "/usr/local")]
    pub prefix: PathBuf,
    /// What workflows call [default: /home/github-runner/deploy.sh]
    ///
    /// A symlink to the program; what stands there is kept beside it.
    #[arg(
        long,
        value_name = "path",
        default_value = "/home/github-runner/deploy.sh",
        hide_default_value = true
    )]
    pub link: PathBuf,
    /// The runner's user; else the owner of the link's directory
    #[arg(long, value_name = "user")]
    pub user: Option<String>,
    /// Set up `deploy receive` too: user, settings and units
    #[arg(long, conflicts_with_all = ["rollback", "uninstall"])]
    pub receive: bool,
    /// Tell every step, take none
    #[arg(long)]
    pub dry_run: bool,
}

/// Installs.
pub(super) fn run(args: &InstallArgs) -> Result<Exit> {
    let cwd = super::working_directory()?;
    let absolute = |path: &Path| cwd.join(path);
    let action = if args.rollback {
        Action::RollBack
    } else if args.uninstall {
        Action::Uninstall
    } else {
        Action::Install(args.from.as_deref().map(absolute))
    };
    let places = Places {
        prefix: absolute(&args.prefix),
        link: absolute(&args.link),
        user: args.user.clone(),
        receive: args.receive,
    };
    let mut tell = |line: &str| output::print(format!("{line}\n").as_bytes());
    crate::install::run(&action, &places, args.dry_run, &mut tell)?;
    Ok(Exit::Deployed)
}
