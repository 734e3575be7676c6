//! A failure in words, without what it means for the release.

use std::error::Error as StdError;

use super::{Error, Kind};

/// What went wrong, in words, before it is known what that means for the release
/// and so which [`Kind`] it is.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    pub(super) message: String,
    pub(super) log: Vec<String>,
    pub(super) details: Vec<String>,
    pub(super) hints: Vec<String>,
    #[source]
    pub(super) source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Problem {
    /// A problem whose `message` says in one line what was seen and what was
    /// expected.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            log: Vec::new(),
            details: Vec::new(),
            hints: Vec::new(),
            source: None,
        }
    }

    /// Adds to the one line what lies behind it.
    #[must_use]
    pub fn because(mut self, why: &str) -> Self {
        self.message = format!("{}; {why}", self.message);
        self
    }

    /// Says first of what it is, or what it means.
    #[must_use]
    pub fn headed(mut self, head: &str) -> Self {
        self.message = format!("{head}: {}", self.message);
        self
    }

    /// Takes the lines of a log out: they can hold secrets.
    pub fn take_log(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }

    /// Adds a line of evidence.
    #[must_use]
    pub fn detail(mut self, line: impl Into<String>) -> Self {
        self.details.push(line.into());
        self
    }

    /// Adds lines of evidence.
    #[must_use]
    pub fn details<S: Into<String>>(mut self, lines: impl IntoIterator<Item = S>) -> Self {
        self.details.extend(lines.into_iter().map(Into::into));
        self
    }

    /// Adds lines of a log: what most people look for, so they come before all
    /// other evidence.
    #[must_use]
    pub fn log(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.log.extend(lines);
        self
    }

    /// Adds something to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Adds what is to be done before everything else; what was said already is not
    /// said again.
    #[must_use]
    pub fn first_do<S: Into<String>>(mut self, hints: impl IntoIterator<Item = S>) -> Self {
        let mut first: Vec<String> = hints.into_iter().map(Into::into).collect();
        self.hints.retain(|hint| !first.contains(hint));
        first.append(&mut self.hints);
        self.hints = first;
        self
    }

    /// What to do next, most urgent first.
    pub fn hints(&self) -> &[String] {
        &self.hints
    }

    /// The lines of evidence, most telling first: the log, what was said, then
    /// the chain of causes.
    pub fn evidence(&self) -> Vec<String> {
        [self.log.clone(), self.said()].concat()
    }

    /// The lines of evidence without the log.
    pub(super) fn said(&self) -> Vec<String> {
        let mut lines = self.details.clone();
        let mut next = StdError::source(self);
        while let Some(cause) = next {
            lines.push(cause.to_string());
            next = cause.source();
        }
        lines
    }

    /// The error that it is.
    pub const fn of_kind(self, kind: Kind) -> Error {
        Error::of(kind, self)
    }
}
