//! `deploy doctor`: prints what was found, and ends with 3 where a deploy would
//! fail.

use std::ffi::OsStr;

use anstyle::{AnsiColor, Style};
use anyhow::Context as _;

use super::{output, runtime};
use crate::doctor::{self, Finding, Options, Severity};
use crate::error::{Exit, Kind, Result};
use crate::host::Environment;
use crate::report;

/// What `deploy doctor` takes.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct DoctorArgs {
    /// The application; without it, each that deploy.toml lists
    #[arg(value_name = "app")]
    pub app: Option<crate::signal::App>,
    /// One JSON object per finding, for scripts
    #[arg(long)]
    pub json: bool,
}

/// Examines the node and prints the findings.
pub(super) fn run(invoked_as: &OsStr, args: &DoctorArgs) -> Result<Exit> {
    let environment = Environment::of_process();
    report::trace::start(&environment);
    let asked = Options {
        invoked_as,
        app: args.app.as_ref(),
    };
    let found = runtime::on_this_thread(doctor::examine(&asked, &environment))??;
    let lines: anyhow::Result<Vec<String>> = found
        .iter()
        .map(|finding| line(finding, args.json))
        .collect();
    let lines = lines.map_err(|error| output::bug(&error))?;
    if args.json {
        report::print(&environment, &lines);
    } else {
        report::print_wrapped(&environment, &lines);
    }
    let failed = found.iter().any(|finding| finding.level == Severity::Fail);
    Ok(if failed {
        Exit::Failed(Kind::Node)
    } else {
        Exit::Deployed
    })
}

fn line(finding: &Finding, json: bool) -> anyhow::Result<String> {
    if json {
        return serde_json::to_string(finding).context("a finding cannot be written as JSON");
    }
    let colour: Style = match finding.level {
        Severity::Ok => AnsiColor::Green.on_default(),
        Severity::Warn => AnsiColor::Yellow.on_default().bold(),
        Severity::Fail => AnsiColor::Red.on_default().bold(),
    };
    let line = finding.to_string();
    let (level, rest) = line.split_at(line.find(' ').unwrap_or(0));
    Ok(format!("{colour}{level}{colour:#}{rest}"))
}
