//! The one error type of the pipeline: a kind, a message, details and hints.
//!
//! The kind decides the exit code and nothing else does. The message says what
//! was seen and what was expected in one line; details are further lines of
//! evidence; hints say what to do next. Whoever prints one escapes and cuts it
//! (`text`): an error may quote outside text as it came.

mod problem;

use std::error::Error as StdError;

pub use problem::Problem;

/// A result with this crate's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, as far as the caller must tell failures apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A bug in `deploy`.
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
    /// The rollout failed, or the records stand in the way: manual action is required.
    Broken,
    /// Another deploy holds the release.
    Locked,
    /// A signal ended the run.
    Cancelled(UnixSignal),
}

/// The signals that cancel a deploy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnixSignal {
    /// SIGHUP
    Hangup,
    /// SIGINT
    Interrupt,
    /// SIGTERM
    Terminate,
}

impl UnixSignal {
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
    /// The exit code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Internal => 1,
            Self::Request => 2,
            Self::Node => 3,
            Self::Policy => 4,
            Self::Registry => 5,
            Self::Chart => 6,
            Self::RolledBack => 7,
            Self::Broken => 8,
            Self::Locked => 9,
            Self::Cancelled(UnixSignal::Hangup) => 129,
            Self::Cancelled(UnixSignal::Interrupt) => 130,
            Self::Cancelled(UnixSignal::Terminate) => 143,
        }
    }

    /// What it means, as the README says it.
    const fn meaning(self) -> &'static str {
        match self {
            Self::Internal => "internal error: a bug",
            Self::Request => "invalid request",
            Self::Node => "node not ready: configuration, helm, cluster or credentials",
            Self::Policy => "refused by the node's policy: event, app, owner, chart, freeze",
            Self::Registry => "chart or image not available in the registry",
            Self::Chart => "the chart does not render, or the images would not take effect",
            Self::RolledBack => "rollout failed; the last good revision serves",
            Self::Broken => {
                "rollout failed, or the release's records stand in the way; manual action required"
            }
            Self::Locked => "another deploy of this release holds the lock for too long",
            Self::Cancelled(UnixSignal::Hangup) => "cancelled by HUP, settled first",
            Self::Cancelled(UnixSignal::Interrupt) => "cancelled by INT, settled first",
            Self::Cancelled(UnixSignal::Terminate) => "cancelled by TERM, settled first",
        }
    }

    /// What the caller does next, as the README says it.
    const fn cure(self) -> &'static str {
        match self {
            Self::Internal => "report it",
            Self::Request => "fix the workflow",
            Self::Node => "fix the node",
            Self::Policy => "ask its operators",
            Self::Registry => "push it; check access",
            Self::Chart => "fix the chart or the mapping",
            Self::RolledBack => "fix the release",
            Self::Broken => "the operators",
            Self::Locked | Self::Cancelled(_) => "retry",
        }
    }

    /// The word for it in the journal and in `--json`.
    const fn outcome(self) -> &'static str {
        match self {
            Self::Internal => "internal-error",
            Self::Request => "invalid-request",
            Self::Node => "node-not-ready",
            Self::Policy => "refused",
            Self::Registry => "not-in-registry",
            Self::Chart => "chart-not-usable",
            Self::RolledBack => "failed-last-good-serves",
            Self::Broken => "failed-needs-hands",
            Self::Locked => "locked",
            Self::Cancelled(_) => "cancelled",
        }
    }
}

/// How a run ends, as its caller sees it. The README's table is tested against
/// [`Exit::ALL`]. A code is never given another meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Deployed and verified; a subcommand did what it is for.
    Deployed,
    /// It failed.
    Failed(Kind),
}

impl Exit {
    /// Every way to end, in the order of the codes.
    pub const ALL: [Self; 13] = [
        Self::Deployed,
        Self::Failed(Kind::Internal),
        Self::Failed(Kind::Request),
        Self::Failed(Kind::Node),
        Self::Failed(Kind::Policy),
        Self::Failed(Kind::Registry),
        Self::Failed(Kind::Chart),
        Self::Failed(Kind::RolledBack),
        Self::Failed(Kind::Broken),
        Self::Failed(Kind::Locked),
        Self::Failed(Kind::Cancelled(UnixSignal::Hangup)),
        Self::Failed(Kind::Cancelled(UnixSignal::Interrupt)),
        Self::Failed(Kind::Cancelled(UnixSignal::Terminate)),
    ];

    /// The process's exit code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Deployed => 0,
            Self::Failed(kind) => kind.code(),
        }
    }

    /// What it means, as the README says it.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Deployed => "deployed and verified",
            Self::Failed(kind) => kind.meaning(),
        }
    }

    /// What the caller does next, as the README says it.
    pub const fn cure(self) -> &'static str {
        match self {
            Self::Deployed => "",
            Self::Failed(kind) => kind.cure(),
        }
    }

    /// The word for it in the journal and in `--json`.
    pub const fn outcome(self) -> &'static str {
        match self {
            Self::Deployed => "deployed",
            Self::Failed(kind) => kind.outcome(),
        }
    }
}

/// Why a run ended without success: a kind, which decides the exit code, and
/// the problem in words.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    problem: Problem,
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.problem.fmt(f)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.problem.source()
    }
}

impl Error {
    const fn of(kind: Kind, problem: Problem) -> Self {
        Self { kind, problem }
    }

    /// An error of `kind` whose `message` says in one line what was seen and
    /// what was expected.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Problem::new(message).of_kind(kind)
    }

    /// Adds a line of evidence.
    #[must_use]
    pub fn detail(mut self, line: impl Into<String>) -> Self {
        self.problem = self.problem.detail(line);
        self
    }

    /// Adds lines of evidence.
    #[must_use]
    pub fn details<S: Into<String>>(mut self, lines: impl IntoIterator<Item = S>) -> Self {
        self.problem = self.problem.details(lines);
        self
    }

    /// Adds something to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.problem = self.problem.hint(hint);
        self
    }

    /// Says what became of it, before what to do next.
    #[must_use]
    pub fn outcome(mut self, outcome: impl Into<String>) -> Self {
        self.problem.hints.insert(0, outcome.into());
        self
    }

    /// The same in words alone, as whoever shows it needs: the causes are lines of
    /// evidence.
    #[must_use]
    pub fn retold(&self) -> Self {
        let problem = Problem {
            message: self.to_string(),
            log: self.problem.log.clone(),
            details: self.said(),
            hints: self.hints().to_vec(),
            source: None,
        };
        problem.of_kind(self.kind)
    }

    /// The same without its lines of evidence: for a log that others read.
    #[must_use]
    pub fn without_details(mut self) -> Self {
        self.problem.log.clear();
        self.problem.details.clear();
        self
    }

    /// Adds the error beneath this one.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.problem.source = Some(source.into());
        self
    }

    /// What went wrong.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The problem alone, for whoever knows better what it means.
    pub fn into_problem(self) -> Problem {
        self.problem
    }

    /// How the run ends.
    pub const fn exit(&self) -> Exit {
        Exit::Failed(self.kind)
    }

    /// The lines of evidence, most telling first: the log, what was said, then
    /// the chain of causes.
    pub fn evidence(&self) -> Vec<String> {
        self.problem.evidence()
    }

    /// The lines of a log alone.
    pub fn log(&self) -> &[String] {
        &self.problem.log
    }

    /// The lines of evidence without the log.
    pub fn said(&self) -> Vec<String> {
        self.problem.said()
    }

    /// What to do next.
    pub fn hints(&self) -> &[String] {
        &self.problem.hints
    }
}

#[cfg(test)]
mod tests {
    use super::Exit;

    #[test]
    fn codes_are_distinct_and_in_order() {
        let codes: Vec<u8> = Exit::ALL.iter().map(|exit| exit.code()).collect();
        let mut sorted = codes.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(codes, sorted);
    }
}
