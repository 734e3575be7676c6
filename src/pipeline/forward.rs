//! Hands the signal to the node's controller instead of Helm: everything that
//! comes before Helm (request, guard, policy, lock) came before this too.

use std::time::Duration;

use super::context::Run;
use super::failure;
use crate::error::{Error, Kind, Result};
use crate::event::{Phase, Report, RunFacts, Summary};
use crate::forward::{self, ForwardCall};
use crate::plan::forward::{Forward, ForwardTarget};

/// A dry run sends nothing: what a controller makes of one is not known.
pub(super) async fn to(run: &mut Run<'_>, forward: &Forward, summary: Summary) -> Result<Report> {
    let plan = run.plan;
    let mut report = Report {
        summary,
        before: None,
        revision: None,
        unchanged: false,
        dry_run: plan.dry_run,
        preview: None,
        restored: None,
        json: false,
        placed: Vec::new(),
        forward: Some(forward.target.to_string()),
        targets: Vec::new(),
        took: Duration::ZERO,
    };
    if !plan.dry_run {
        run.begin(Phase::Forward);
        // A program may keep what it reads; a controller is who the token is for.
        let token = match forward.target {
            ForwardTarget::Command { .. } => None,
            _ => run.sender.token.as_ref(),
        };
        let (document, deploy) =
            forward::document(&plan.request, run.id, run.who, run.left(), token)?;
        let call = ForwardCall {
            forward,
            document,
            deploy,
            budget: plan.budget,
            deadline: run.deadline,
            environment: &plan.environment,
            events: run.events,
            cancel: run.cancel,
        };
        let done = match forward::send(&call).await {
            Ok(done) => done,
            Err(error) => return Err(shown(run, error)),
        };
        if let Some(message) = &done.message {
            run.events.note(message);
        }
        (report.before, report.revision) = (done.facts.before, done.facts.revision);
        run.facts = RunFacts {
            caller: run.facts.caller.take(),
            phases: std::mem::take(&mut run.facts.phases),
            ..done.facts
        };
        run.end();
    }
    Ok(report)
}

/// A controller's evidence may hold logs: it is kept on the node, and shown
/// where logs may be.
fn shown(run: &mut Run<'_>, error: Error) -> Error {
    let evidence = error.evidence();
    // Of a node that is not ready there is nothing but our own words.
    if evidence.is_empty() || error.kind() == Kind::Node {
        return error;
    }
    let lines: Vec<String> = std::iter::once(error.to_string()).chain(evidence).collect();
    let kept = failure::keep(run, lines);
    if run.show_logs {
        return error;
    }
    let error = error.without_details();
    if kept {
        error.hint(format!(
            "what it said besides is kept on the node: deploy show {}",
            run.id
        ))
    } else {
        error
    }
}
