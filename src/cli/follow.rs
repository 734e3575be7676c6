//! A run on its way: told of when it begins, listened to while it works, and its
//! facts kept however it ends.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;

use super::{explain, panic, runtime};
use crate::error::{Exit, Result};
use crate::event::{Event, Events, Report, RunFacts};
use crate::host::Environment;
use crate::pipeline::Run;
use crate::plan::Plan;
use crate::process::Cancel;
use crate::process::pause::{self, Pause};
use crate::run::{RunId, Sender, Who};

/// How long the reporters may take before the process is stopped.
const BEFORE_STOP: Duration = Duration::from_millis(200);

/// Tells of the node's plan, and of what is to be warned of.
pub(super) fn announce(plan: &Plan, warnings: &[String], events: &Events) {
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
    for warning in warnings {
        events.warn(warning);
    }
}

/// Does the work of a run, and says what is known of the run however it ended.
pub(super) fn follow(
    plan: &Plan,
    id: &RunId,
    who: &Who,
    sender: &Sender,
    environment: &Environment,
    events: &Events,
    work: impl AsyncFnOnce(&mut Run<'_>) -> Result<Report>,
) -> Result<(Result<Report>, RunFacts)> {
    runtime::on_this_thread(async {
        let cancel = Cancel::listen(environment.inside_actions())?;
        events.start_queue();
        tell_of_pauses(events)?;
        let mut run = Run::new(plan, id, who, events, &cancel).sent_by(sender);
        let ran = AssertUnwindSafe(work(&mut run)).catch_unwind();
        let result = ran.await.unwrap_or_else(|bug| Err(panic::error(&*bug)));
        Ok((result, run.into_facts()))
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

/// Tells how a run ended; its exit code.
pub(super) fn finish(result: Result<Report>, events: &Events) -> Exit {
    match result {
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
