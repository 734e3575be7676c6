//! `deploy history`: the deploys of this node.

use crate::error::{Exit, Result};
use crate::host::Environment;
use crate::report;
use crate::state::history;

/// What `deploy history` takes.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct HistoryArgs {
    /// Only this application's
    #[arg(value_name = "app")]
    pub app: Option<crate::signal::App>,
    /// One JSON object per line, for scripts
    #[arg(long)]
    pub json: bool,
}

/// How many deploys are listed, the newest.
const LIMIT: usize = 20;

/// Lists them.
pub(super) fn run(args: &HistoryArgs) -> Result<Exit> {
    let environment = Environment::of_process();
    let state = super::state(&environment)?;
    let args = history::HistoryQuery {
        app: args.app.clone(),
        json: args.json,
        limit: LIMIT,
        width: report::columns(&environment),
    };
    report::print(&environment, &history::run(&args, &state.path)?);
    Ok(Exit::Deployed)
}
