//! clap's definition of the command line: help, completions and the manual page
//! come from it.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, ArgAction, CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

use super::{doctor, explain, freeze, history, install, rollback, show, status};
use crate::node;
use crate::plan::ForwardTarget;
use crate::signal::{Flag, QUIET_SHORT, SWITCHES};

/// The subcommands: a first argument that is none of them begins a signal.
pub const SUBCOMMANDS: [&str; 14] = [
    "history",
    "show",
    "status",
    "rollback",
    "freeze",
    "unfreeze",
    "doctor",
    "explain",
    "install",
    "receive",
    "audience",
    "completions",
    "man",
    "help",
];

/// How a page of help is laid out: what a command is for, then how it is called.
const PAGE: &str =
    "{about-with-newline}\n{before-help}{usage-heading} {usage}\n\n{all-args}{after-help}";

const EXAMPLES: &str = "Examples:
  deploy --app shop --chart oci://ghcr.io/acme/charts/shop \\
    --chart-version 1.4.0 \\
    --images '{\"api\":\"ghcr.io/acme/shop/api:1\",\"web\":\"ghcr.io/acme/shop/web:1\"}'
  deploy doctor shop           is this node ready for it?
  deploy history shop          what was deployed, and how did it end?
  deploy explain 7             what does an exit code mean?";

/// Examples of each subcommand.
const EXAMPLES_OF: [(&str, &str); 13] = [
    (
        "history",
        "  deploy history               the newest of this node
  deploy history shop          those of one application
  deploy history --json        a line each, for scripts",
    ),
    (
        "show",
        "  deploy show 20261124T175106Z-a1b2c3
  deploy show 20261124T175106Z-a1b2c3 --json",
    ),
    (
        "status",
        "  deploy status                a line for each application
  deploy status shop           what runs, and whether it drifted
  deploy status shop --json    for scripts",
    ),
    (
        "rollback",
        "  deploy rollback shop         to the good revision before
  deploy rollback shop 4       to that one",
    ),
    (
        "freeze",
        "  deploy freeze shop --reason 'load test' --until 3d
  deploy freeze --reason 'holidays'",
    ),
    ("unfreeze", "  deploy unfreeze shop"),
    (
        "doctor",
        "  deploy doctor shop           as the user that deploys
  sudo -u github-runner /home/github-runner/deploy.sh doctor shop",
    ),
    (
        "explain",
        "  deploy explain               every exit code
  deploy explain 7             one, and the causes behind it
  deploy explain image-not-found",
    ),
    (
        "install",
        "  sudo ./deploy install        this program, and the link that workflows call
  sudo deploy install --rollback
  sudo deploy install --uninstall --dry-run",
    ),
    (
        "receive",
        "  deploy receive               on the socket that systemd passes
  deploy receive --listen unix:/run/deploy/deploy.sock",
    ),
    (
        "audience",
        "  deploy audience --app shop --chart oci://ghcr.io/acme/charts/shop \\
    --chart-version 1.4.0 \\
    --images '{\"api\":\"ghcr.io/acme/shop/api:1\",\"web\":\"ghcr.io/acme/shop/web:1\"}'",
    ),
    (
        "completions",
        "  deploy completions bash > /etc/bash_completion.d/deploy",
    ),
    ("man", "  deploy man | man -l -"),
];

#[derive(Parser)]
#[command(
    name = "deploy",
    version,
    about = "Deploys what a signal asks for, with Helm, and proves that it runs",
    help_template = PAGE,
    before_help = EXAMPLES,
    override_usage = "deploy --app <app> --chart <ref> --chart-version <version> \\\n         \
                      --images <json>\n       \
                      deploy <command>",
    after_help = "A signal says what to deploy. The node decides where and how: deploy.toml,\n\
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
    /// Show what runs, and whether it drifted
    Status(status::StatusArgs),
    /// Go back to an earlier revision
    Rollback(rollback::RollbackArgs),
    /// Take no signals for a while, of one app or all
    Freeze(freeze::FreezeArgs),
    /// Take signals again
    Unfreeze(freeze::UnfreezeArgs),
    /// Check all that a deploy needs, and say how to fix it
    Doctor(doctor::DoctorArgs),
    /// Say what an exit code or a cause means, and what to do
    Explain(explain::ExplainArgs),
    /// Install this program on a node, or take it away again
    Install(install::InstallArgs),
    /// Take signals over a socket, as the user with the credentials
    Receive(ReceiveArgs),
    /// Print what GitHub's token for a signal has to be for
    Audience(AudienceArgs),
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
            .help(match flag {
                Flag::App => "its name: lower-case letters, digits and '-'",
                Flag::Chart => "oci://ghcr.io/<owner>/charts/<chart>",
                Flag::ChartVersion => "one exact SemVer 2 version, such as 1.4.0",
                Flag::Images => "JSON: {\"api\":\"<image>\",\"web\":\"<image>\"}",
            })
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
    let page = |sub: clap::Command| {
        let examples = EXAMPLES_OF.iter().find(|(name, _)| *name == sub.get_name());
        match examples {
            Some((_, examples)) => sub
                .help_template(PAGE)
                .before_help(format!("Examples:\n{examples}")),
            None => sub,
        }
    };
    Cli::command()
        .args(flags)
        .args(switches)
        .mut_arg("quiet", quiet)
        .mut_subcommands(page)
}

/// What `deploy completions` takes.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "shell")]
    pub shell: Shell,
}

/// What `deploy receive` takes.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct ReceiveArgs {
    /// The socket to make, instead of systemd's
    #[arg(long, value_name = "unix:/path", value_parser = socket)]
    pub listen: Option<PathBuf>,
    /// Its settings
    #[arg(long, value_name = "path", default_value = node::RECEIVER)]
    pub config: PathBuf,
}

fn socket(text: &str) -> Result<PathBuf, &'static str> {
    match text.parse::<ForwardTarget>() {
        Ok(ForwardTarget::Unix(path)) => Ok(path),
        _ => Err("expected unix: and the absolute path of a socket, at most 107 bytes"),
    }
}

/// What `deploy audience` takes: a signal's flags, judged as a signal's are.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct AudienceArgs {
    /// Its flags: --app, --chart, --chart-version, --images
    #[arg(
        value_name = "signal",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub signal: Vec<OsString>,
}
