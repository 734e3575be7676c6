//! `deploy show`: one run, with the evidence of its failure.

use crate::error::{Exit, Result};
use crate::host::Environment;
use crate::report;
use crate::run::RunId;
use crate::state::show;

/// What `deploy show` takes.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct ShowArgs {
    /// The run's id, as a deploy and `deploy history` tell it
    #[arg(value_name = "run")]
    pub run: RunId,
    /// One JSON object, for scripts
    #[arg(long)]
    pub json: bool,
}

/// Shows it. Logs of pods are part of it: whoever may read the state directory
/// may read them, but a workflow's log may be public.
pub(super) fn run(args: &ShowArgs) -> Result<Exit> {
    let environment = Environment::of_process();
    let state = super::state(&environment)?;
    let evidence = crate::node::event_policy::may_show_logs(&environment);
    let lines = show::run(&state.path, &args.run, args.json, evidence)?;
    if args.json {
        report::print(&environment, &lines);
    } else {
        report::print_wrapped(&environment, &lines);
    }
    Ok(Exit::Deployed)
}
