//! What is wrong with a request, as data, and how people read it.
//!
//! A [`GrammarError`] is what a single value's grammar says; a [`Violation`] puts
//! it where it was seen; [`InvalidRequest`] holds all of a request's violations and
//! becomes the error that reporters show. Nothing from a request is shown
//! unescaped, uncut, or with a credential in it.

use std::borrow::Cow;
use std::fmt;

use crate::error::{Error, Kind};
use crate::text;

/// The most violations that are shown: a hostile request may have thousands.
const SHOWN: usize = 20;

/// How a signal looks, for those who sent something else.
pub(super) const USAGE: &str = "deploy --app <app> --chart oci://ghcr.io/<owner>/charts/<chart> \
    --chart-version <version> --images '{\"api\":\"<image>\",\"web\":\"<image>\"}'";

/// A value that is not of its type's grammar. Shown, it says what is expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct GrammarError(pub(super) &'static str);

impl GrammarError {
    /// What the value should have been; fits behind "expected".
    pub const fn expected(&self) -> &'static str {
        self.0
    }
}

/// What a request had in some place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actual {
    /// Nothing: the flag or key is not there.
    Missing,
    /// The flag, with nothing behind it.
    NoValue,
    /// A value, as it came.
    Value(String),
    /// A flag or key that is there more than once, with its values.
    Repeated(Vec<String>),
    /// What a signal does not have at all: a flag, an argument, a key.
    Unknown(&'static str),
    /// Something other than a string: `null`, `a list`.
    Other(String),
}

impl fmt::Display for Actual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("missing"),
            Self::NoValue => f.write_str("given without a value"),
            Self::Value(value) if value.is_empty() => f.write_str("empty"),
            Self::Value(value) => f.write_str(&quoted(value)),
            Self::Repeated(values) => {
                write!(f, "given {} times: ", values.len())?;
                for (at, value) in values.iter().take(3).enumerate() {
                    let comma = if at > 0 { ", " } else { "" };
                    write!(f, "{comma}{}", quoted(value))?;
                }
                f.write_str(if values.len() > 3 { ", …" } else { "" })
            }
            Self::Unknown(what) => f.write_str(what),
            Self::Other(what) => f.write_str(&text::line(what, text::VALUE)),
        }
    }
}

/// One thing that is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The flag: one of the contract's, or what came instead; empty where it
    /// is about the whole.
    pub flag: String,
    /// The key inside `--images`, where it is about one; as it came.
    pub key: Option<String>,
    /// What was there; as it came.
    pub actual: Actual,
    /// What should have been there.
    pub expected: Cow<'static, str>,
    /// What to do, each safe to show.
    pub hints: Vec<String>,
}

impl Violation {
    pub(super) fn new(
        flag: impl Into<String>,
        actual: Actual,
        expected: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            flag: flag.into(),
            key: None,
            actual,
            expected: expected.into(),
            hints: Vec::new(),
        }
    }

    pub(super) fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    pub(super) fn hint(mut self, hint: impl Into<Option<String>>) -> Self {
        self.hints.extend(hint.into());
        self
    }

    /// Where it is and what was there: `--app: 'Shop'`.
    fn seen(&self) -> String {
        let flag = safe(&self.flag);
        match &self.key {
            None if flag.is_empty() => self.actual.to_string(),
            Some(key) => format!("{flag}, key {}: {}", quoted(key), self.actual),
            None => format!("{flag}: {}", self.actual),
        }
    }
}

/// Everything that is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidRequest {
    /// At least one, in the order of the contract.
    pub violations: Vec<Violation>,
}

impl From<InvalidRequest> for Error {
    /// One violation is the message itself; several are a block each.
    fn from(invalid: InvalidRequest) -> Self {
        if let [only] = invalid.violations.as_slice() {
            let message = format!(
                "invalid request: {}; expected {}",
                only.seen(),
                safe(&only.expected)
            );
            return only
                .hints
                .iter()
                .fold(Self::new(Kind::Request, message), |error, hint| {
                    error.hint(safe(hint))
                });
        }
        let all = invalid.violations.len();
        let mut error = Self::new(
            Kind::Request,
            format!("invalid request: {all} things to correct"),
        );
        for violation in invalid.violations.iter().take(SHOWN) {
            error = error
                .detail(violation.seen())
                .detail(format!("  expected {}", safe(&violation.expected)))
                .details(
                    violation
                        .hints
                        .iter()
                        .map(|hint| format!("  → {}", safe(hint))),
                );
        }
        if all > SHOWN {
            error = error.detail(format!("… and {} more", all - SHOWN));
        }
        error.hint("nothing was run; correct these in the workflow, then send the signal again")
    }
}

/// A value in quotes, without credentials, escaped and cut.
pub(super) fn quoted(value: &str) -> String {
    text::quoted(&without_credentials(value))
}

/// A line of this program with parts of the request in it, safe to show.
fn safe(line: &str) -> String {
    text::line(&without_credentials(line), text::LINE).into_owned()
}

/// Covers what must not stand in a log: GitHub's tokens
/// (docs.github.com, "GitHub's token formats") and `user:password@` in a URL.
fn without_credentials(text: &str) -> Cow<'_, str> {
    const TOKENS: [&str; 6] = ["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"];
    let mut shown = Cow::Borrowed(text);
    for prefix in TOKENS {
        let mut from = 0;
        while let Some(at) = shown[from..].find(prefix) {
            let start = from + at + prefix.len();
            let token = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let length = shown[start..].find(|c| !token(c));
            let end = length.map_or(shown.len(), |length| start + length);
            if end - start > 3 {
                shown.to_mut().replace_range(start..end, "***");
            }
            from = start;
        }
    }
    let mut from = 0;
    while let Some(at) = shown[from..].find('@').map(|at| from + at) {
        let ends = |c: char| matches!(c, '/' | '\'' | '"' | ' ' | ',' | '=');
        let start = shown[..at].rfind(ends).map_or(0, |before| before + 1);
        let host = shown[at + 1..].split(ends).next().unwrap_or_default();
        let user = &shown[start..at];
        // `name:tag@sha256:…` is no credential: no host stands behind it.
        let url = shown[..start].ends_with("//") || user.contains(':');
        from = at + 1;
        if url && !user.is_empty() && (host.contains('.') || host.starts_with("localhost")) {
            shown.to_mut().replace_range(start..at, "***");
            from = start + "***@".len();
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::without_credentials;

    #[test]
    fn credentials_are_covered() {
        for (given, shown) in [
            (
                "oci://ghcr.io/acme/charts/shop@sha256:ab",
                "oci://ghcr.io/acme/charts/shop@sha256:ab",
            ),
            (
                "https://bot:hunter2@ghcr.io/acme",
                "https://***@ghcr.io/acme",
            ),
            ("'bot:hunter2@ghcr.io'", "'***@ghcr.io'"),
            (
                "https://tok@ghcr.io/a b:c@localhost:1/d",
                "https://***@ghcr.io/a ***@localhost:1/d",
            ),
            (
                "ghcr.io/acme/api:1@sha256:ab",
                "ghcr.io/acme/api:1@sha256:ab",
            ),
            ("ghcr.io/acme/api@1.4.0", "ghcr.io/acme/api@1.4.0"),
            ("x ghp_0123456789abcdef y", "x ghp_*** y"),
            ("github_pat_11AA_bb:ghs_1234567", "github_pat_***:ghs_***"),
            ("acme/ghp_", "acme/ghp_"),
        ] {
            assert_eq!(without_credentials(given), shown);
        }
    }
}
