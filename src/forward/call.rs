//! A signal on its way to a controller, and what is common to every way there.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

use tokio::time::Instant;

use super::answer::{DeployIdentity, ProgressEvent};
use super::verdict::{ForwardOutcome, Peer};
use crate::error::{Error, Kind, Result, UnixSignal};
use crate::event::Events;
use crate::plan::forward::Forward;
use crate::process::Cancel;
use crate::process::cancel::cancelled;
use crate::units;

/// How long a controller may take to settle after a cancel: the runner kills
/// after ten seconds, and the journal comes after this.
pub(super) const SETTLE: Duration = Duration::from_secs(5);

/// The same once a second signal came.
pub(super) const HURRY: Duration = Duration::from_secs(1);

/// How long an answer may stay open after its final event.
pub(super) const LINGER: Duration = Duration::from_secs(5);

/// A signal to be sent.
pub struct ForwardCall<'a> {
    /// The controller.
    pub forward: &'a Forward,
    /// The signal as [`super::document`] writes it.
    pub document: String,
    /// What the answer has to be about.
    pub deploy: DeployIdentity,
    /// The deploy's budget, for messages.
    pub budget: Duration,
    /// When it is over.
    pub deadline: Instant,
    /// The plan's environment: given to a command, and where roots of trust
    /// are looked for.
    pub environment: &'a BTreeMap<OsString, OsString>,
    /// Where the controller's progress goes.
    pub events: &'a Events,
    /// Whether the run was cancelled.
    pub cancel: &'a Cancel,
}

/// Why a controller was asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StopCause {
    Cancelled(UnixSignal),
    Late,
}

/// When the controller last said something.
#[derive(Debug, Default)]
pub(super) struct LastActivity(Cell<Option<Instant>>);

impl LastActivity {
    pub(super) fn now(&self) {
        self.0.set(Some(Instant::now()));
    }

    pub(super) fn ago(&self) -> Option<Duration> {
        self.0.get().map(|at| at.elapsed())
    }
}

impl ForwardCall<'_> {
    pub(super) fn who(&self) -> Peer {
        Peer::new(&self.forward.target)
    }

    pub(super) fn tell(&self, told: Vec<ProgressEvent>) {
        for told in told {
            match told {
                ProgressEvent::Progress(text) => self.events.progress(text),
                ProgressEvent::Note(text) => self.events.note(text),
                ProgressEvent::Warning(text) => self.events.warn(text),
            }
        }
    }

    /// The deadline passed before anything was sent, and so nothing will be.
    pub(super) fn too_late(&self) -> Error {
        let budget = units::show(self.budget);
        let what = format!("was not reached within {budget}, the timeout");
        let error = self.who().error(Kind::Node, &what);
        error.outcome("nothing was sent")
    }

    /// The error of a run that was stopped, `quiet` after the controller last
    /// said something. `ended` is how the controller ended, if it did in time.
    pub(super) fn stopped(
        &self,
        stop: StopCause,
        quiet: Option<Duration>,
        ended: Option<Result<ForwardOutcome>>,
    ) -> Error {
        let error = match stop {
            StopCause::Cancelled(signal) => cancelled(signal),
            StopCause::Late => self.who().late(self.budget, quiet),
        };
        match ended {
            None => error.outcome(format!(
                "it was told to stop and did not say within {} s that it did: see what runs",
                SETTLE.as_secs()
            )),
            Some(Ok(_)) => error.outcome("it was told to stop, but had deployed already"),
            Some(Err(last)) => error.outcome(format!("it was told to stop; {last}")),
        }
    }
}
