//! The one error type of the pipeline: a kind, a message, details and hints.
//!
//! The kind decides the exit code and nothing else does. The message says what
//! was seen and what was expected in one line; details are further lines of
//! evidence; hints say what to do next. Whoever prints one escapes and cuts it
//! (`text`): an error may quote outside text as it came.

use std::error::Error as StdError;

use crate::exit::Exit;

/// A result with this crate's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, as far as the caller must tell failures apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A bug of ours.
    Internal,
    /// The request is invalid.
    Request,
    /// Configuration, helm, cluster or credentials are not ready.
    Node,
    /// The node's policy refuses.
    Policy,
    /// Chart or image cannot be had from the registry.
    Registry,
    /// The chart does not render, or the images would not take effect.
    Chart,
    /// The rollout failed; the last good revision serves.
    RolledBack,
    /// The rollout failed; the release needs hands.
    Broken,
    /// Another deploy holds the release.
    Locked,
    /// A signal ended the run.
    Cancelled(Signal),
}

/// The signals that cancel a deploy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGHUP
    Hangup,
    /// SIGINT
    Interrupt,
    /// SIGTERM
    Terminate,
}

impl Signal {
    /// The name as people write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hangup => "SIGHUP",
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
        }
    }
}

impl Kind {
    /// How a run with this error ends.
    pub const fn exit(self) -> Exit {
        match self {
            Self::Internal => Exit::Internal,
            Self::Request => Exit::Request,
            Self::Node => Exit::Node,
            Self::Policy => Exit::Policy,
            Self::Registry => Exit::Registry,
            Self::Chart => Exit::Chart,
            Self::RolledBack => Exit::RolledBack,
            Self::Broken => Exit::Broken,
            Self::Locked => Exit::Locked,
            Self::Cancelled(Signal::Hangup) => Exit::Hangup,
            Self::Cancelled(Signal::Interrupt) => Exit::Interrupted,
            Self::Cancelled(Signal::Terminate) => Exit::Terminated,
        }
    }
}

/// Why a deploy ended without success.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: Kind,
    message: String,
    details: Vec<String>,
    hints: Vec<String>,
    #[source]
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind` whose `message` says in one line what was seen and
    /// what was expected.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            details: Vec::new(),
            hints: Vec::new(),
            source: None,
        }
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

    /// Adds something to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Says what became of it, before what to do next.
    #[must_use]
    pub fn outcome(mut self, outcome: impl Into<String>) -> Self {
        self.hints.insert(0, outcome.into());
        self
    }

    /// The same failure, of another kind: what it means is known only once it
    /// was answered.
    #[must_use]
    pub const fn as_kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// The same without its lines of evidence: for a log that others read.
    #[must_use]
    pub fn without_details(mut self) -> Self {
        self.details.clear();
        self
    }

    /// Adds the error beneath this one.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What went wrong.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// How the run ends.
    pub const fn exit(&self) -> Exit {
        self.kind.exit()
    }

    /// The lines of evidence, most telling first, then the chain of causes.
    pub fn evidence(&self) -> Vec<String> {
        let mut lines = self.details.clone();
        let mut next = StdError::source(self);
        while let Some(cause) = next {
            lines.push(cause.to_string());
            next = cause.source();
        }
        lines
    }

    /// What to do next.
    pub fn hints(&self) -> &[String] {
        &self.hints
    }
}
