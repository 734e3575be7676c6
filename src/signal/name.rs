//! Names of applications and of owners on GitHub.

use std::fmt;
use std::str::FromStr;

/// An application: an RFC 1123 label of at most 53 characters, Helm's limit
/// for the name of a release (`helm.sh/helm`, `pkg/chartutil/validate_name.go`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct App(String);

impl App {
    /// The most characters of a name.
    pub const MAX: usize = 53;

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for App {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > Self::MAX {
            return Err("at most 53 characters");
        }
        if !is_label(text) {
            return Err("lower-case letters, digits and '-', a letter or digit first and last");
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
    /// The login, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Owner {
    type Err = &'static str;

    /// GitHub's logins: 1 to 39 letters, digits and single hyphens inside.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let lower = text.to_ascii_lowercase();
        if !is_label(&lower) || lower.len() > 39 || lower.contains("--") {
            return Err("a GitHub login: at most 39 letters, digits and single hyphens");
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
fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let bytes = text.as_bytes();
    bytes.iter().copied().all(inner)
        && bytes.first().is_some_and(|byte| *byte != b'-')
        && bytes.last().is_some_and(|byte| *byte != b'-')
}
