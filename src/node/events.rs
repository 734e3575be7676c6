//! GitHub's events by name, and which of them a node may allow.

use std::fmt;
use std::str::FromStr;

/// The events that may deploy where deploy.toml says nothing.
pub const EVENTS: [&str; 6] = [
    "push",
    "workflow_dispatch",
    "release",
    "schedule",
    "repository_dispatch",
    "deployment",
];

/// Whether an event is a pull request's, and so can never be allowed.
pub(super) fn is_pull_request(event: &str) -> bool {
    event.starts_with("pull_request") || event == "merge_group"
}

/// A GitHub event that a node may allow: never one of a pull request's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventName(String);

impl EventName {
    pub(super) const EXPECTED: &str =
        "a GitHub event such as \"push\"; pull_request… and merge_group can never deploy";

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EventName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
        if text.is_empty() || !text.bytes().all(inner) || is_pull_request(text) {
            return Err(Self::EXPECTED);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
