//! A signal: read and checked before anything else starts, then run.

use std::ffi::{OsStr, OsString};
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;

use super::definition::SUBCOMMANDS;
use super::{explain, journal_line, panic, runtime};
use crate::error::{Error, Exit, Kind, Result};
use crate::event::{Event, Events, Report, RunFacts};
use crate::host::{Environment, EventEnvironment};
use crate::node::{self, Node};
use crate::pipeline::{self, Run};
use crate::plan::Plan;
use crate::process::Cancel;
use crate::process::pause::{self, Pause};
use crate::report;
use crate::run::{RunId, Who};
use crate::signal::{self, App, DeclaredKeys, Signal, nearest};
use crate::state::journal::Entry;

/// How long the reporters may take before the process is stopped.
const BEFORE_STOP: Duration = Duration::from_millis(200);

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
    match deploy(invoked_as, args, &environment, event, &events) {
        Ok(report) => {
            events.emit(&Event::Finished(&report));
            Exit::Deployed
        }
        Err(error) => {
            let error = explain::named(error);
            events.emit(&Event::Failed(&error));
            error.exit()
        }
    }
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
            request: &request,
            dry_run: signal.dry_run,
            error,
        };
        journal_line::refused(&refused, environment, events);
    })?;
    let who = Who::of(environment, node.uid, &node.accounts);
    plan.dry_run = signal.dry_run;
    tracing::debug!(
        release = plan.release.name,
        namespace = plan.release.namespace,
        values = ?plan.values,
        helm = ?plan.helm,
        kubeconfig = ?plan.kubeconfig,
        context = ?plan.kube_context,
        state = %plan.state.display(),
        budget = ?plan.budget,
        "the node's plan"
    );
    for note in &signal.notes {
        events.note(note);
    }
    for warning in warnings {
        events.warn(warning);
    }
    let (result, facts) = follow(&plan, &run, &who, environment, events)?;
    events.emit(&Event::RunFacts(&facts));
    let entry = entry(&plan, run, at, who, &facts, &result);
    journal_line::write(&plan.state, &entry, events);
    result.map(|report| Report {
        json: signal.json,
        ..report
    })
}

fn load(invoked_as: &OsStr, environment: &Environment) -> Result<Node> {
    let cwd = std::env::current_dir().map_err(|error| {
        Error::new(Kind::Node, "the working directory is gone")
            .with_source(error)
            .hint("call the script from a directory that is there")
    })?;
    node::load(invoked_as, environment, &cwd)
}

fn declared_keys(node: &Result<Node>, app: &App) -> DeclaredKeys {
    node.as_ref()
        .map_or(DeclaredKeys::Unreadable, |node| node.declared_keys(app))
}

/// Runs the pipeline, and says what is known of the run however it ended.
fn follow(
    plan: &Plan,
    id: &RunId,
    who: &Who,
    environment: &Environment,
    events: &Events,
) -> Result<(Result<Report>, RunFacts)> {
    runtime::on_this_thread(async {
        let cancel = Cancel::listen(environment.inside_actions())?;
        events.start_queue();
        tell_of_pauses(events)?;
        let mut run = Run::new(plan, id, who, events, &cancel);
        run.show_logs = node::event_policy::may_show_logs(environment);
        let ran = AssertUnwindSafe(pipeline::run(&mut run)).catch_unwind();
        let result = ran.await.unwrap_or_else(|bug| Err(panic::error(&*bug)));
        Ok((result, run.facts))
    })?
}

/// Tells when this process is stopped and goes on.
fn tell_of_pauses(events: &Events) -> Result<()> {
    let Some(queue) = events.queue().cloned() else {
        return Ok(());
    };
    pause::listen(move |pause| match pause {
        Pause::Suspended => {
            queue.emit(&Event::Suspended);
            queue.flush(BEFORE_STOP);
        }
        Pause::Continued(passed) => queue.emit(&Event::Continued(passed)),
    })
}

fn entry(
    plan: &Plan,
    run: RunId,
    at: crate::run::Timestamp,
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
