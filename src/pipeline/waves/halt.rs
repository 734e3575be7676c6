//! The work on targets, and what ends it early: a cancel, the loss of the Lease, or the
//! work itself.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::cluster::lease::Lease;
use crate::error::{Error, UnixSignal};
use crate::pipeline::context::Run;

/// How long what was being asked of a target may take after a cancel: of what is dropped
/// in the middle nobody knows how to end it.
const ASKED: Duration = Duration::from_secs(2);

/// Why the work on targets ended early.
#[derive(Debug)]
pub(super) enum Halt {
    /// The run was cancelled.
    Cancelled(UnixSignal),
    /// The Lease is lost: another deploy can be at work.
    Lost(Error),
}

/// Tells whoever waits for a target that nobody does any more.
#[derive(Debug)]
pub(super) struct Stopper(watch::Sender<bool>);

impl Stopper {
    /// Nobody waits any more.
    pub(super) fn stop(&self) {
        self.0.send_replace(true);
    }

    /// Ends once nobody waits any more.
    pub(super) async fn stopped(&self) {
        let mut seen = self.0.subscribe();
        if seen.wait_for(|stopped| *stopped).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Does the work on targets beside what can end it early.
pub(super) async fn beside(run: &Run<'_>, work: impl AsyncFnOnce(&Stopper)) -> Result<(), Halt> {
    let stopper = Stopper(watch::channel(false).0);
    let work = work(&stopper);
    tokio::pin!(work);
    tokio::select! {
        biased;
        error = lost(run) => return Err(Halt::Lost(error)),
        signal = run.cancel.cancelled() => {
            stopper.stop();
            let _ = timeout(ASKED, &mut work).await;
            return Err(Halt::Cancelled(signal));
        }
        () = &mut work => {}
    }
    // Stopped meanwhile, for longer than the Lease lasts: another can be at work.
    match run.lease.get() {
        Some(lease) => match lease.loss().await {
            Some(error) => Err(Halt::Lost(error)),
            None => Ok(()),
        },
        None => Ok(()),
    }
}

/// The same of one thing that changes nothing: it is dropped in the middle.
pub(super) async fn beside_one<T>(run: &Run<'_>, work: impl Future<Output = T>) -> Result<T, Halt> {
    tokio::select! {
        biased;
        error = lost(run) => Err(Halt::Lost(error)),
        signal = run.cancel.cancelled() => Err(Halt::Cancelled(signal)),
        done = work => Ok(done),
    }
}

/// Ends with the reason when the Lease is lost, where the run has one.
async fn lost(run: &Run<'_>) -> Error {
    match run.lease.get() {
        Some(lease) => guard(lease).await,
        None => std::future::pending().await,
    }
}

/// No program works under this Lease: requests alone do.
async fn guard(lease: &Lease) -> Error {
    let (_, idle) = watch::channel(None);
    lease.guard(idle).await
}
