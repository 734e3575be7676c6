//! Who asked for a deploy, as GitHub itself has signed it.

use serde::{Deserialize, Serialize};

/// What a token of GitHub's says of the job that asked for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProvenCaller {
    /// The repository.
    pub repository: String,
    /// The repository's number.
    pub repository_id: String,
    /// The branch or tag.
    #[serde(rename = "ref")]
    pub reference: String,
    /// The commit.
    pub sha: String,
    /// The event.
    pub event: String,
    /// Whose doing it was.
    pub actor: String,
    /// The calling workflow, with its ref.
    pub workflow: String,
    /// The called workflow, with its ref.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub called: Option<String>,
    /// The job's environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Where the job ran.
    pub runner: String,
    /// The workflow run.
    pub run_id: String,
    /// Whether nobody but those with a right to it can read the repository.
    #[serde(skip)]
    pub is_private: bool,
}

impl ProvenCaller {
    /// One line for people.
    pub fn line(&self) -> String {
        format!(
            "GitHub signed it for {} at {} ({} by {}, run {})",
            self.repository, self.reference, self.event, self.actor, self.run_id
        )
    }
}
