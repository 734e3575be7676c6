//! Whose signals a node takes, as deploy.toml names them: what GitHub's token of
//! a signal has to say.
//!
//! Pure. What a claim means is judged elsewhere; here is only what is expected.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::time::Duration;

/// GitHub's own issuer of tokens for jobs.
pub const GITHUB: &str = "https://token.actions.githubusercontent.com";

/// How long a token of a hosted runner is taken, where the node says nothing: a
/// job waits for its runner, and a deploy for the one before it.
pub const TOKEN_AGE: Duration = Duration::from_secs(30 * 60);

/// Whose signals are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerPolicy {
    /// The callers: a token has to fit one of them in all that it names.
    pub callers: Vec<Caller>,
    /// Events that may deploy.
    pub events: BTreeSet<String>,
    /// How old a token of a hosted runner may be.
    pub token_age: Duration,
    /// Who has to have issued it.
    pub issuer: Issuer,
}

/// A caller: what is absent is not asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// The repository's number, which no other repository ever gets.
    pub repository_id: String,
    /// The branch or tag; with `*` at its end, all that begin so.
    pub reference: Option<String>,
    /// The environment of the job that asked for the token.
    pub environment: Option<String>,
    /// The called workflow with its ref: `job_workflow_ref`.
    pub called: Option<String>,
    /// The called workflow's commit: `job_workflow_sha`.
    pub called_sha: Option<String>,
    /// The calling workflow with its ref: `workflow_ref`.
    pub workflow: Option<String>,
    /// Where the job ran that asked for the token.
    pub runner: RunnerKind,
}

/// Where a job runs, as the claim `runner_environment` names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RunnerKind {
    /// On a runner of GitHub's.
    #[default]
    Hosted,
    /// On one of the owner's: what else runs there can ask for a token too.
    SelfHosted,
}

impl RunnerKind {
    /// The claim's word for it.
    pub const fn claim(self) -> &'static str {
        match self {
            Self::Hosted => "github-hosted",
            Self::SelfHosted => "self-hosted",
        }
    }
}

impl FromStr for RunnerKind {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Hosted, Self::SelfHosted]
            .into_iter()
            .find(|kind| kind.claim() == text)
            .ok_or("\"github-hosted\" or \"self-hosted\"")
    }
}

/// Who issues tokens: GitHub, or an enterprise's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer(String);

impl Issuer {
    /// What is expected of one.
    pub const EXPECTED: &str = "the https URL of an issuer of tokens, without a slash at its end";

    /// The claim `iss`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where its keys are.
    pub fn keys(&self) -> String {
        format!("{}/.well-known/jwks", self.0)
    }
}

impl Default for Issuer {
    fn default() -> Self {
        Self(GITHUB.to_owned())
    }
}

impl FromStr for Issuer {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"\"'\\<>?#@".contains(&byte);
        let rest = text.strip_prefix("https://").ok_or(Self::EXPECTED)?;
        if rest.is_empty() || rest.ends_with('/') || !rest.bytes().all(plain) {
            return Err(Self::EXPECTED);
        }
        Ok(Self(text.to_owned()))
    }
}
