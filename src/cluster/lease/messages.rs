//! What the deploy and the task that keeps its Lease say to each other.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::sync::{mpsc, watch};

use super::{LeaseView, Process};
use crate::error::{Error, Result};
use crate::process::Heartbeat;
use crate::run::HelmSpan;

/// What became of the attempt to take it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acquisition {
    /// It is held, or will be once helm has made the namespace.
    Held,
    /// The cluster refuses it: a missing right, a quota, a webhook; why.
    Denied(String),
}

/// What the task reports.
pub(super) enum LeaseEvent {
    Waiting(LeaseView),
    Taken(Result<Acquisition>),
    Lost(Error),
}

/// What the task is asked to do.
pub(super) enum Order {
    /// A helm is at work: the process.
    Helm(Process),
    /// A helm that may write begins, or has ended.
    Note(HelmSpan),
    /// The run is over; whether a helm left nothing to settle.
    End { settled: bool },
}

/// Where the task puts what the deploy wants to know.
pub(super) struct Tell {
    /// When the last helm worked, be it a dead holder's.
    pub(super) last_helm: watch::Sender<Option<HelmSpan>>,
    /// What happens.
    pub(super) news: mpsc::UnboundedSender<LeaseEvent>,
    /// Whether another holds it: nothing must be touched then.
    pub(super) lost: Arc<AtomicBool>,
    /// Until when helm may work.
    pub(super) heartbeat: Arc<Heartbeat>,
}
