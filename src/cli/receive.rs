//! `deploy receive`: the controller of this machine, and the deploy of one signal
//! that it received.

use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

use super::definition::ReceiveArgs;
use super::follow::finish;
use super::signal::{PlannedRun, carry_out, parse};
use super::{journal_line, runtime};
use crate::error::{Error, Exit, Kind, Result};
use crate::event::{Events, Report};
use crate::host::Environment;
use crate::node::{self, Node};
use crate::process::Cancel;
use crate::receive::{self, Order, Receiver};
use crate::report::{self, events};
use crate::run::{Sender, SignedToken};
use crate::state;

/// The largest order, in bytes: a document with its escapes.
const ORDER_MAX: u64 = 1 << 20;

/// Receives signals until it is told to stop.
pub(super) fn run(args: &ReceiveArgs) -> Result<Exit> {
    let environment = Environment::of_process();
    report::trace::start(&environment);
    let node = load(&args.config)?;
    let state = state::directory(&environment, node.uid, &node.accounts, &node.cwd)?;
    let allowed = node.config.receive.clone().unwrap_or_default();
    let shared = !allowed.allow_users.is_empty() || !allowed.allow_groups.is_empty();
    let listener = receive::listener(args.listen.as_deref(), shared)?;
    let file = node.file.clone().unwrap_or_default();
    let receiver = Receiver::new(file, state.path, allowed, node.accounts);
    runtime::on_this_thread(async {
        let cancel = Cancel::listen(false)?;
        receive::serve(Arc::new(receiver), listener, &cancel).await
    })??;
    Ok(Exit::Deployed)
}

fn load(config: &Path) -> Result<Node> {
    node::load_receiver(config, &super::working_directory()?)
}

/// Deploys one received signal: the order is on standard input, what happens goes
/// to standard output.
pub(super) fn deploy_received(config: &Path) -> Exit {
    let environment = Environment::of_process();
    report::trace::start(&environment);
    let order = match order() {
        Ok(order) => order,
        Err(error) => return super::output::fail(&error),
    };
    let name = events::DeployName {
        id: order.signal.id.to_string(),
        app: order.signal.app.clone(),
        chart_version: order.signal.chart_version.clone(),
    };
    let lines = events::EventLines::new(name, io::stdout());
    let events = Events::to(vec![Box::new(lines)]);
    finish(deploy(config, &order, &environment, &events), &events)
}

fn order() -> Result<Order> {
    let mut order = Vec::new();
    let read = io::stdin().take(ORDER_MAX).read_to_end(&mut order);
    read.and_then(|_| serde_json::from_slice(&order).map_err(io::Error::from))
        .map_err(|error| {
            Error::new(Kind::Internal, "the order of the receiver cannot be read")
                .with_source(error)
        })
}

fn deploy(
    config: &Path,
    order: &Order,
    environment: &Environment,
    events: &Events,
) -> Result<Report> {
    let node = load(config);
    let signal = parse(&order.signal.arguments(), |app| match &node {
        Ok(node) => node.declared_keys(app),
        Err(_) => crate::signal::DeclaredKeys::Unreadable,
    })?;
    let at = crate::run::now();
    let run = order.signal.id.clone();
    let request = signal.request.clone();
    let claimed = order.claimed();
    let planned = node.and_then(|node| {
        let plan = node::plan_received(signal.request, &node, environment, claimed.as_ref())?;
        Ok((node, plan))
    });
    let accounts = crate::host::Accounts::of_machine();
    let who = order.who(&accounts);
    let (_, (plan, warnings)) = planned.inspect_err(|error| {
        let refused = journal_line::RefusedRun {
            run: &run,
            at,
            who: Some(who.clone()),
            request: &request,
            dry_run: false,
            error,
        };
        journal_line::refused(&refused, environment, events);
    })?;
    let is_root_by_hand = order.peer.uid == 0 && who.workflow.is_none();
    let sender = Sender {
        token: order.signal.token.clone().map(SignedToken::new),
        asks: None,
        is_root_by_hand,
        sees_logs: is_root_by_hand,
    };
    let planned = PlannedRun {
        plan: &plan,
        warnings: &warnings,
        notes: &signal.notes,
        run,
        at,
        who,
        sender,
    };
    carry_out(planned, environment, events)
}
