//! `deploy rollback`: goes back to an earlier revision by hand.

use std::ffi::OsStr;

use super::follow::{announce, finish, follow};
use super::{journal_line, load_operated};
use crate::error::{Error, Exit, Kind, Result};
use crate::event::{Event, Events, Report, RunFacts};
use crate::host::Environment;
use crate::node::{self, event_policy};
use crate::operate::goal::{Goal, request, revision, run_of};
use crate::operate::known;
use crate::pipeline;
use crate::plan::Plan;
use crate::report;
use crate::run::{RunId, Sender, Timestamp, Who};
use crate::signal::App;
use crate::state::journal::{Entry, Operation};

/// What `deploy rollback` takes.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct RollbackArgs {
    /// The application
    #[arg(value_name = "app")]
    pub app: App,
    /// A revision, or the run that made it; else the good one before
    #[arg(value_name = "revision|run")]
    pub goal: Option<Goal>,
    /// Tell what would change: nothing is applied
    #[arg(long)]
    pub dry_run: bool,
    /// Print the result as JSON, for scripts
    #[arg(long)]
    pub json: bool,
}

/// Goes back.
pub(super) fn run(invoked_as: &OsStr, args: &RollbackArgs) -> Exit {
    let environment = Environment::of_process();
    report::trace::start(&environment);
    let events = Events::to(report::reporters(&environment, false));
    finish(go_back(invoked_as, args, &environment, &events), &events)
}

fn go_back(
    invoked_as: &OsStr,
    args: &RollbackArgs,
    environment: &Environment,
    events: &Events,
) -> Result<Report> {
    event_policy::refuse_pull_requests(environment)?;
    let node = load_operated(invoked_as, environment)?;
    known(&args.app, &node)?;
    let (mut plan, mut warnings) = {
        let request = node::stand_in(&args.app, &node)?;
        node::plan_unchecked(request, &node, environment)?
    };
    if let (Some(_), Some(goal)) = (&plan.fleet, &args.goal) {
        // It is deployed once more, by what the node allows today.
        let request = request(goal, &plan.release, &plan.state)?;
        (plan, warnings) = node::plan_received(request, &node, environment, None)?;
    }
    plan.dry_run = args.dry_run;
    let at = crate::run::now();
    let id = RunId::new(at);
    let who = Who::of(environment, node.uid, &node.accounts);
    let sees_logs = event_policy::may_show_logs(environment);
    let sender = Sender::of(environment, node.uid, sees_logs);
    announce(&plan, &warnings, events);
    let goal = args.goal.as_ref().filter(|_| plan.fleet.is_none());
    let goal = goal.map(|goal| revision(goal, &plan.release, &plan.state));
    let (result, facts) = match goal.transpose() {
        Ok(goal) => follow(
            &plan,
            &id,
            &who,
            &sender,
            environment,
            events,
            async |run| match &plan.fleet {
                Some(fleet) => pipeline::roll_back_in_waves(run, fleet, args.goal.is_some()).await,
                None => pipeline::roll_back(run, goal).await,
            },
        )?,
        Err(error) => (Err(error), RunFacts::default()),
    };
    events.emit(&Event::RunFacts(&facts));
    let is_request = |error: &Error| error.kind() == Kind::Request;
    if !result.as_ref().is_err_and(is_request) {
        let is_named = plan.fleet.is_some() && args.goal.is_some();
        let entry = entry(&plan, is_named, id, at, who, &facts, &result);
        journal_line::write(&plan.state, &entry, events);
    }
    result.map(|report| Report {
        json: args.json,
        ..report
    })
}

/// The run's line: chart and images are those that the revision was deployed with,
/// where this node knows it; those of the plan where it was named by what it asked for.
fn entry(
    plan: &Plan,
    is_named: bool,
    run: RunId,
    at: Timestamp,
    who: Who,
    facts: &RunFacts,
    result: &Result<Report>,
) -> Entry {
    let exit = result.as_ref().map_or_else(Error::exit, |_| Exit::Deployed);
    let mut entry = Entry {
        release: Some(plan.release.name.clone()),
        namespace: Some(plan.release.namespace.clone()),
        operation: Some(Operation::Rollback),
        dry_run: plan.dry_run,
        ..Entry::new(run, at, who, &plan.request, exit).with_facts(facts)
    };
    let restored = result.as_ref().ok().and_then(|report| report.restored);
    let earlier = restored.and_then(|revision| run_of(&plan.state, &plan.release, revision));
    match earlier {
        Some(earlier) => {
            entry.request = earlier.request;
            entry.chart_digest = earlier.chart_digest;
            entry.digests = earlier.digests;
        }
        None if is_named => {}
        None => {
            (entry.request.chart, entry.request.version) = ("-".to_owned(), "-".to_owned());
        }
    }
    match result {
        Ok(_) => entry,
        Err(error) => entry.with_cause(&error.to_string()),
    }
}
