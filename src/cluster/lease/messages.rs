//! What the deploy and the task that keeps its Lease say to each other.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::sync::{mpsc, watch};

use super::{LeaseView, Process};
use crate::error::{Error, Result};
use crate::run::Timestamp;

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
    Helm(Process),
    End { settled: bool },
}

/// Where the task puts what the deploy wants to know.
pub(super) struct Tell {
    /// When the last helm began.
    pub(super) began: watch::Sender<Option<Timestamp>>,
    /// What happens.
    pub(super) news: mpsc::UnboundedSender<LeaseEvent>,
    /// Whether another holds it: nothing must be touched then.
    pub(super) lost: Arc<AtomicBool>,
}
