//! Names of applications and of owners on GitHub.

use std::fmt;
use std::str::FromStr;

use super::violation::{Mistake, quoted};

/// An application: an RFC 1123 label of at most 53 characters, Helm's limit
/// for the name of a release (`helm.sh/helm`, `pkg/chartutil/validate_name.go`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct App(String);

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

    /// The grammar alone: hints are found with it.
    fn read(text: &str) -> Option<Self> {
        (text.len() <= Self::MAX && is_label(text)).then(|| Self(text.to_owned()))
    }
}

impl FromStr for App {
    type Err = Mistake;

    fn from_str(text: &str) -> Result<Self, Mistake> {
        Self::read(text).ok_or_else(|| Mistake::new(Self::EXPECTED, app_hint(text)))
    }
}

/// What to write in place of what is no name.
fn app_hint(text: &str) -> Option<String> {
    if is_label(text) {
        return Some(format!(
            "it has {} characters; Helm takes 53 for a release's name",
            text.len()
        ));
    }
    // github.repository is owner/name, and an image's path ends in a name.
    let last = text.rsplit('/').next().unwrap_or(text);
    let last = last.split([':', '@']).next().unwrap_or(last);
    let near = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ');
    let odd = last.chars().find(|c| !near(*c));
    if let Some(odd) = odd.or_else(|| last.is_empty().then_some(':')) {
        return Some(format!("it has {} in it", quoted(&odd.to_string())));
    }
    let name = last.to_ascii_lowercase().replace(['_', '.', ' '], "-");
    let name = App::read(name.trim_matches('-'))?;
    Some(format!("write {}", quoted(name.as_str())))
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
    type Err = Mistake;

    /// GitHub's logins: 1 to 39 letters, digits and single hyphens inside; a
    /// managed user's login ends in `_` and the enterprise's short code
    /// (docs.github.com, "Username considerations for external
    /// authentication").
    fn from_str(text: &str) -> Result<Self, Mistake> {
        let lower = text.to_ascii_lowercase();
        let (login, code) = lower
            .split_once('_')
            .map_or((lower.as_str(), None), |(login, code)| (login, Some(code)));
        let code_fits = code.is_none_or(|code| {
            !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_alphanumeric())
        });
        if !is_label(login) || !code_fits || lower.len() > 39 || lower.contains("--") {
            return Err(Mistake::new(Self::EXPECTED, None));
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
