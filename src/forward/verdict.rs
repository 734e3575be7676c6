//! What a controller's end means for the run: done, or an error of the kind
//! that its code stands for.
//!
//! Pure. Whatever is not a whole and fitting success is an error; what leaves
//! the release's state unknown is [`Kind::Broken`].

use std::time::Duration;

use super::answer::{
    Answer, AnswerError, AnswerFormat, DeployIdentity, FinalEvent, LINE_MAX, TOTAL_MAX,
};
use crate::error::{Error, Exit, Kind, Result};
use crate::event::RunFacts;
use crate::{text, units};

/// How many lines of a controller's evidence are shown.
const DETAILS: usize = 50;

/// What a controller says that it did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForwardOutcome {
    /// What it did, as far as it tells and it fits.
    pub facts: RunFacts,
    /// What it has to say besides.
    pub message: Option<String>,
}

impl From<FinalEvent> for ForwardOutcome {
    fn from(last: FinalEvent) -> Self {
        let digests = last.image_digests.iter();
        Self {
            facts: RunFacts {
                before: last.previous_revision,
                revision: last.revision,
                chart_digest: last.chart_digest.and_then(|text| text.parse().ok()),
                digests: digests
                    .filter_map(|(key, digest)| Some((key.parse().ok()?, digest.parse().ok()?)))
                    .collect(),
                layout: Vec::new(),
                phases: Vec::new(),
            },
            message: last.message.filter(|message| !message.trim().is_empty()),
        }
    }
}

/// Who answers, for messages: `the controller at unix:/…`.
#[derive(Clone, Debug)]
pub struct Peer(String);

impl Peer {
    /// A controller, by its target.
    pub fn new(target: &crate::plan::forward::ForwardTarget) -> Self {
        let shown = text::line(&target.to_string(), 300).into_owned();
        Self(match target {
            crate::plan::forward::ForwardTarget::Command { .. } => shown,
            _ => format!("the controller at {shown}"),
        })
    }

    /// An error of this kind: `the controller at … <what>`.
    pub fn error(&self, kind: Kind, what: &str) -> Error {
        Error::new(kind, format!("{} {what}", self.0))
    }

    /// An error that leaves open what became of the release.
    pub fn unknown(&self, what: &str) -> Error {
        self.error(Kind::Broken, what).hint(
            "whether it was deployed is not known: see the controller's own log and what runs, \
             then send the signal again",
        )
    }

    /// What a controller's final event means.
    pub fn last(&self, last: FinalEvent) -> Result<ForwardOutcome> {
        if last.success {
            return Ok(last.into());
        }
        let kind = last.code.and_then(kind).unwrap_or_else(|| served(&last));
        Err(self.failed(kind, last))
    }

    /// What the end of a program means. Its exit status decides; `1` says of
    /// most programs only that they failed, and nothing of the release.
    pub fn exited(
        &self,
        status: ProgramExit,
        last: Option<FinalEvent>,
        said: Vec<String>,
    ) -> Result<ForwardOutcome> {
        let code = match status {
            ProgramExit::Killed(signal) => {
                return Err(self
                    .unknown(&format!("was ended by signal {signal}"))
                    .details(said));
            }
            ProgramExit::Code(code) => i64::from(code),
        };
        match (code, last) {
            (0, None) => Ok(ForwardOutcome::default()),
            (0, Some(last)) if last.success => Ok(last.into()),
            (0, Some(last)) => {
                let code = last
                    .code
                    .map_or("failure".to_owned(), |code| code.to_string());
                Err(self
                    .unknown(&format!("ended with 0, but its finished event says {code}"))
                    .details(last.message)
                    .details(said))
            }
            (code, last) => {
                let last = last.unwrap_or_default();
                let own = kind(code).filter(|kind| *kind != Kind::Internal);
                let told = || last.code.filter(|_| !last.success).and_then(kind);
                let kind = own.or_else(told).unwrap_or_else(|| served(&last));
                let last = FinalEvent {
                    code: Some(code),
                    ..last
                };
                Err(self.failed(kind, last).details(said))
            }
        }
    }

    fn failed(&self, kind: Kind, last: FinalEvent) -> Error {
        let what = match (last.message, last.code) {
            (Some(message), _) if !last.success && !message.trim().is_empty() => {
                format!("says: {message}")
            }
            (_, Some(code)) => format!("ended with {code}"),
            (_, None) => "says that the deploy failed".to_owned(),
        };
        let details = last.details.into_iter().take(DETAILS);
        let error = self.error(kind, &what).details(details);
        match kind {
            Kind::RolledBack => error.hint("the last good revision serves"),
            Kind::Broken if last.serves.is_none() => {
                error.hint("see what runs: it does not say that the last good revision serves")
            }
            Kind::Internal => error.hint("it reports a bug in itself: see its log"),
            _ => error,
        }
    }

    /// The error of an answer that is not accepted.
    pub fn fault(&self, fault: &AnswerError) -> Error {
        let (what, detail) = match fault {
            AnswerError::Malformed(line, shown) => (
                format!(
                    "sent something other than an event as line {line}, expected a JSON object as in the protocol"
                ),
                Some(shown),
            ),
            AnswerError::LongLine(line) => (
                format!(
                    "sent line {line} without an end: more than {} KiB",
                    LINE_MAX >> 10
                ),
                None,
            ),
            AnswerError::Endless => (
                format!("does not come to an end: more than {} MiB", TOTAL_MAX >> 20),
                None,
            ),
            AnswerError::Torn(shown) => ("broke off inside a line".to_owned(), Some(shown)),
            AnswerError::NoLast => (
                "ended its answer without its finished event".to_owned(),
                None,
            ),
            AnswerError::TwoLast => ("sent two finished events".to_owned(), None),
            AnswerError::Behind(shown) => {
                ("went on after its finished event".to_owned(), Some(shown))
            }
            AnswerError::Other(what) => ("answered for another deploy".to_owned(), Some(what)),
            AnswerError::Contradiction(what) => ("contradicts itself".to_owned(), Some(what)),
            AnswerError::Unended => (
                "did not end its answer after its finished event".to_owned(),
                None,
            ),
        };
        self.unknown(&what).details(detail)
    }

    /// What an HTTP status other than 200 means. Where its body is the one
    /// event of a deploy that failed, that is its final event.
    pub fn status(&self, status: u16, body: &[u8], deploy: &DeployIdentity) -> Error {
        let mut answer = Answer::new(deploy.clone(), AnswerFormat::Events);
        answer.take(body);
        if !body.ends_with(b"\n") {
            answer.take(b"\n");
        }
        if let Ok(Some(last)) = answer.end()
            && !last.success
            && let Err(error) = self.last(last)
        {
            return error;
        }
        let said = text::tail(&String::from_utf8_lossy(body), 5);
        let what = format!("answers {status}");
        let error = match status {
            300..=399 => self
                .error(
                    Kind::Node,
                    &format!("{what}, a redirect, which is not followed"),
                )
                .hint("put the final address into deploy.toml: forward"),
            401 | 403 => self
                .error(Kind::Node, &format!("{what}: it refuses access"))
                .hint("see the token in token_file, and whom the controller allows"),
            404 | 405 | 501 => self
                .error(
                    Kind::Node,
                    &format!("{what}: it has no POST /v1/deploys there"),
                )
                .hint("see forward in deploy.toml, and that the controller speaks this protocol"),
            409 => self
                .error(
                    Kind::Locked,
                    &format!("{what}: it is busy with another deploy of this app"),
                )
                .hint("send the signal again when that one has ended"),
            429 | 503 => self
                .error(Kind::Node, &format!("{what}: it takes no deploys now"))
                .hint("see the controller's own log, then send the signal again"),
            400..=499 => self
                .error(Kind::Node, &format!("{what}: it does not take the signal"))
                .hint("see its words and its own log; docs/forward-protocol.md says what is sent"),
            _ => self.unknown(&format!("{what}, expected 200")),
        };
        error.details(said.into_iter().filter(|line| !line.trim().is_empty()))
    }

    /// Time is up, `quiet` after it last said anything (if it ever did).
    pub fn late(&self, budget: Duration, quiet: Option<Duration>) -> Error {
        let budget = units::show(whole(budget));
        let what = match quiet {
            None => format!("said nothing within {budget}, the timeout"),
            Some(quiet) if quiet > Duration::from_secs(2) => format!(
                "was not done within {budget}, the timeout; it last said something {} before",
                units::show(whole(quiet))
            ),
            Some(_) => {
                format!("was not done within {budget}, the timeout, and still reported progress")
            }
        };
        self.unknown(&what)
    }
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgramExit {
    /// With this exit status.
    Code(i32),
    /// By this signal.
    Killed(i32),
}

/// Seconds are enough for people.
fn whole(duration: Duration) -> Duration {
    if duration < Duration::from_secs(10) {
        return Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(0) / 100 * 100);
    }
    Duration::from_secs(duration.as_secs())
}

/// The kind that an exit code stands for; none for success and unknown ones.
fn kind(code: i64) -> Option<Kind> {
    Exit::ALL.into_iter().find_map(|exit| match exit {
        Exit::Failed(kind) if i64::from(kind.code()) == code => Some(kind),
        _ => None,
    })
}

fn served(last: &FinalEvent) -> Kind {
    if last.serves == Some(true) && !last.success {
        Kind::RolledBack
    } else {
        Kind::Broken
    }
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
