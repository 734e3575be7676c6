//! One deploy of a release at a time: the node's lock is taken first and given
//! back last, the Lease in between ([`super::preflight`]).

use std::time::Duration;

use tokio::time::Instant;

use super::context::Run;
use crate::error::Result;
use crate::event::Phase;
use crate::run::LockHolder;
use crate::state::lock;

/// How long the Lease may take to be given back; else it runs out.
const PATIENCE: Duration = Duration::from_secs(2);

/// The same in a run that was cancelled: it has seven seconds in all.
const HURRY: Duration = Duration::from_millis(300);

/// One deploy of a release at a time. A dry run changes nothing and takes no
/// lock.
pub(super) async fn take(run: &mut Run<'_>) -> Result<()> {
    if run.plan.dry_run {
        return Ok(());
    }
    let begun = Instant::now();
    run.begin(Phase::Lock);
    let plan = run.plan;
    let me = LockHolder::this_process(run.id, run.who);
    let waiting = lock::acquire(
        &plan.state,
        plan.lock(),
        &me,
        plan.lock_timeout,
        |waiting| run.events.progress(waiting.line()),
    );
    let lock = run.unless_cancelled(waiting).await?;
    if let Some(warning) = lock.warning() {
        run.events.warn(warning);
    }
    run.end();
    run.patience = plan.lock_timeout.saturating_sub(begun.elapsed());
    // The wait for others is not this deploy's own time.
    run.begun = Instant::now();
    run.deadline = run.begun + plan.budget;
    run.lock = Some(lock);
    Ok(())
}

/// Gives the Lease back, then the lock: who waits for that finds the Lease free.
pub(super) async fn give_back(run: &mut Run<'_>) {
    let within = if run.cancel.signal().is_some() {
        HURRY
    } else {
        PATIENCE
    };
    if let Some(lease) = run.lease.take() {
        lease.end(run.settled, within).await;
    }
    run.lock = None;
}
