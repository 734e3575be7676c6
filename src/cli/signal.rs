//! A signal: read and checked before anything else starts, then run.

use std::ffi::{OsStr, OsString};

use super::definition::SUBCOMMANDS;
use super::follow::{announce, finish, follow};
use super::{journal_line, load};
use crate::error::{Error, Exit, Result};
use crate::event::{Event, Events, Report, RunFacts};
use crate::host::{Environment, EventEnvironment};
use crate::node::{self, Node};
use crate::pipeline;
use crate::plan::Plan;
use crate::report;
use crate::run::{RunId, Sender, Timestamp, Who};
use crate::signal::{self, App, DeclaredKeys, Signal, nearest};
use crate::state::journal::Entry;

/// Reads a signal's arguments, as [`signal::parse`] does; where a subcommand
/// was meant, the error says so.
pub fn parse(args: &[OsString], declared: impl FnOnce(&App) -> DeclaredKeys) -> Result<Signal> {
    signal::parse(args, declared).map_err(|invalid| {
        let error = Error::from(invalid);
        let meant = args
            .first()
            .and_then(|first| nearest(first.to_str()?, SUBCOMMANDS));
        match meant {
            Some(meant) => error.hint(format!("did you mean deploy {meant}?")),
            None => error,
        }
    })
}

/// Runs a signal that came to a program of this name.
pub(super) fn run(invoked_as: &OsStr, args: &[OsString]) -> Exit {
    let own = Environment::of_process();
    report::trace::start(&own);
    let (environment, event) = match EventEnvironment::of_process(own.clone()) {
        EventEnvironment::Known(environment) => (environment, Ok(())),
        EventEnvironment::Hidden => (own, Err(node::event_policy::hidden())),
    };
    let events = Events::to(report::reporters(&environment, signal::is_quiet(args)));
    finish(
        deploy(invoked_as, args, &environment, event, &events),
        &events,
    )
}

/// `event` is an error where the event that a workflow runs for cannot be known.
fn deploy(
    invoked_as: &OsStr,
    args: &[OsString],
    environment: &Environment,
    event: Result<()>,
    events: &Events,
) -> Result<Report> {
    let mut node = None;
    let signal = parse(args, |app| {
        declared_keys(node.insert(load(invoked_as, environment)), app)
    })?;
    let node = node.unwrap_or_else(|| load(invoked_as, environment));
    let at = crate::run::now();
    let run = RunId::new(at);
    let request = signal.request.clone();
    let planned = event
        .and_then(|()| node::event_policy::refuse_pull_requests(environment))
        .and(node)
        .and_then(|node| {
            let (plan, warnings) = node::plan(signal.request, &node, environment)?;
            Ok((node, plan, warnings))
        });
    let (node, mut plan, warnings) = planned.inspect_err(|error| {
        let refused = journal_line::RefusedRun {
            run: &run,
            at,
            who: None,
            request: &request,
            dry_run: signal.dry_run,
            error,
        };
        journal_line::refused(&refused, environment, events);
    })?;
    let who = Who::of(environment, node.uid, &node.accounts);
    plan.dry_run = signal.dry_run;
    let sees_logs = node::event_policy::may_show_logs(environment);
    let planned = PlannedRun {
        plan: &plan,
        warnings: &warnings,
        notes: &signal.notes,
        run,
        at,
        who,
        sender: Sender::of(environment, node.uid, sees_logs),
    };
    carry_out(planned, environment, events).map(|report| Report {
        json: signal.json,
        ..report
    })
}

/// A signal that has a plan, here or from elsewhere.
pub(super) struct PlannedRun<'a> {
    pub(super) plan: &'a Plan,
    pub(super) warnings: &'a [String],
    /// What was read otherwise than it was written.
    pub(super) notes: &'a [String],
    pub(super) run: RunId,
    pub(super) at: Timestamp,
    pub(super) who: Who,
    pub(super) sender: Sender,
}

/// Deploys it, and writes its line into the journal however it ended.
pub(super) fn carry_out(
    planned: PlannedRun<'_>,
    environment: &Environment,
    events: &Events,
) -> Result<Report> {
    let PlannedRun {
        plan,
        warnings,
        notes,
        run,
        at,
        who,
        sender,
    } = planned;
    for note in notes {
        events.note(note);
    }
    announce(plan, warnings, events);
    let (result, facts) = follow(
        plan,
        &run,
        &who,
        &sender,
        environment,
        events,
        async |run| pipeline::run(run).await,
    )?;
    events.emit(&Event::RunFacts(&facts));
    let entry = entry(plan, run, at, who, &facts, &result);
    journal_line::write(&plan.state, &entry, events);
    result
}

fn declared_keys(node: &Result<Node>, app: &App) -> DeclaredKeys {
    node.as_ref()
        .map_or(DeclaredKeys::Unreadable, |node| node.declared_keys(app))
}

fn entry(
    plan: &Plan,
    run: RunId,
    at: Timestamp,
    who: Who,
    facts: &RunFacts,
    result: &Result<Report>,
) -> Entry {
    let exit = result.as_ref().map_or_else(Error::exit, |_| Exit::Deployed);
    let entry = Entry {
        release: Some(plan.release.name.clone()),
        namespace: Some(plan.release.namespace.clone()),
        forward: plan.forward.as_ref().map(|to| to.target.to_string()),
        dry_run: plan.dry_run,
        ..Entry::new(run, at, who, &plan.request, exit).with_facts(facts)
    };
    match result {
        Ok(_) => entry,
        Err(error) => entry.with_cause(&error.to_string()),
    }
}
