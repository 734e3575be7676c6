//! Hands a signal to a local controller instead of Helm, and believes only a
//! whole and fitting success.
//!
//! `target` and `answer`, `verdict` and `wire` are pure; `http` and `command`
//! carry bytes. The protocol stands in docs/forward-protocol.md. Nothing here
//! decides where a deploy goes, and nothing of the node's (credentials, values,
//! namespace) is sent.

pub mod answer;
pub(crate) mod command;
mod http;
mod proxied;
mod request_body;
pub mod verdict;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

use tokio::time::Instant;

pub use request_body::document;
pub use verdict::ForwardOutcome;

use answer::{DeployIdentity, ProgressEvent};
use verdict::Peer;

use crate::error::{Error, Result, UnixSignal};
use crate::event::Events;
use crate::plan::forward::{Forward, ForwardTarget};
use crate::process::Cancel;
use crate::process::cancel::cancelled;

/// How long a controller may take to settle after a cancel: the runner kills
/// after ten seconds, and the journal comes after this.
const SETTLE: Duration = Duration::from_secs(5);

/// The same once somebody is in a hurry.
const HURRY: Duration = Duration::from_secs(1);

/// How long an answer may stay open after its last word.
const LINGER: Duration = Duration::from_secs(5);

/// A signal to be handed over.
pub struct ForwardCall<'a> {
    /// To whom.
    pub forward: &'a Forward,
    /// The signal as [`document`] writes it.
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
    /// Where the controller's progress is told.
    pub events: &'a Events,
    /// Whether the run was cancelled.
    pub cancel: &'a Cancel,
}

/// Sends the signal and follows it to the controller's last word.
///
/// On a cancel and when time is up the controller is told so, and its last word
/// is waited for a little longer; either way the run does not succeed then.
pub async fn send(call: &ForwardCall<'_>) -> Result<ForwardOutcome> {
    call.cancel.check()?;
    let target = &call.forward.target;
    tracing::debug!(%target, deploy = ?call.deploy, "the signal is handed over");
    let done = match target {
        ForwardTarget::Unix(_) | ForwardTarget::Http(_) => http::send(call).await,
        ForwardTarget::Command { program, args } => command::send(call, program, args).await,
    };
    tracing::debug!(?done, "the controller's end");
    done
}

/// Why a controller was told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StopCause {
    Cancelled(UnixSignal),
    Late,
}

/// When the controller last said something.
#[derive(Debug, Default)]
struct LastActivity(Cell<Option<Instant>>);

impl LastActivity {
    fn now(&self) {
        self.0.set(Some(Instant::now()));
    }

    fn ago(&self) -> Option<Duration> {
        self.0.get().map(|at| at.elapsed())
    }
}

impl ForwardCall<'_> {
    fn who(&self) -> Peer {
        Peer::new(&self.forward.target)
    }

    fn tell(&self, told: Vec<ProgressEvent>) {
        for told in told {
            match told {
                ProgressEvent::Progress(text) => self.events.progress(text),
                ProgressEvent::Note(text) => self.events.note(text),
                ProgressEvent::Warning(text) => self.events.warn(text),
            }
        }
    }

    /// The error of a run that was stopped, `quiet` after the controller last
    /// said something. `ended` is how the controller ended, if it did in time.
    fn stopped(
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
