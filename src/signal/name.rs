//! Names of applications and of owners on GitHub.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::violation::GrammarError;

/// An application: an RFC 1123 label of at most 53 characters, Helm's limit
/// for the name of a release (`helm.sh/helm`, `pkg/chartutil/validate_name.go`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct App(String);

impl TryFrom<String> for App {
    type Error = GrammarError;

    fn try_from(text: String) -> Result<Self, GrammarError> {
        text.parse()
    }
}

impl From<App> for String {
    fn from(app: App) -> Self {
        app.0
    }
}

impl App {
    /// The most characters of a name.
    pub const MAX: usize = 53;

    /// What a name is, in words.
    pub const EXPECTED: &'static str = "the application's name: at most 53 lower-case letters, \
        digits and '-', a letter or digit first and last";

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for App {
    type Err = GrammarError;

    fn from_str(text: &str) -> Result<Self, GrammarError> {
        if text.len() > Self::MAX || !is_label(text) {
            return Err(GrammarError(Self::EXPECTED));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An owner on GHCR: a GitHub login, lower-cased (OCI names are lower case
/// while logins are not).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner(String);

impl Owner {
    /// What an owner is, in words.
    pub const EXPECTED: &'static str =
        "a GitHub login: at most 39 letters, digits and single hyphens inside";

    /// The login, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Owner {
    type Err = GrammarError;

    /// GitHub's logins: 1 to 39 letters, digits and single hyphens inside; a
    /// managed user's login ends in `_` and the enterprise's short code
    /// (docs.github.com, "Username considerations for external
    /// authentication").
    fn from_str(text: &str) -> Result<Self, GrammarError> {
        let lower = text.to_ascii_lowercase();
        let (login, code) = lower
            .split_once('_')
            .map_or((lower.as_str(), None), |(login, code)| (login, Some(code)));
        let code_fits = code.is_none_or(|code| {
            !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_alphanumeric())
        });
        if !is_label(login) || !code_fits || lower.len() > 39 || lower.contains("--") {
            return Err(GrammarError(Self::EXPECTED));
        }
        Ok(Self(lower))
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// RFC 1123: lower-case letters, digits and hyphens, none of these at an end.
pub(super) fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let bytes = text.as_bytes();
    bytes.iter().copied().all(inner)
        && bytes.first().is_some_and(|byte| *byte != b'-')
        && bytes.last().is_some_and(|byte| *byte != b'-')
}
