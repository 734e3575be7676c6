//! What was found, as data, and the line that says it. Pure.

use std::fmt;

use serde::Serialize;

use crate::error::Error;
use crate::signal::App;
use crate::text;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// As it should be.
    Ok,
    /// A deploy works, but somebody should know.
    Warn,
    /// A deploy would fail.
    Fail,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at: `helm`, `cluster` …
    pub check: &'static str,
    /// The app that it belongs to, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// How bad it is.
    pub level: Severity,
    /// What was seen.
    pub found: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// The command in it, as it can be typed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

/// The longest cure that is shown, in characters: granting every right that a
/// deploy uses takes a dozen commands.
const FIX: usize = 5000;

impl Finding {
    fn new(check: &'static str, level: Severity, found: impl Into<String>) -> Self {
        Self {
            check,
            app: None,
            level,
            found: found.into(),
            fix: None,
            command: None,
        }
    }

    /// As it should be.
    pub(super) fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self::new(check, Severity::Ok, found)
    }

    /// Worth knowing.
    pub(super) fn warn(check: &'static str, found: impl Into<String>) -> Self {
        Self::new(check, Severity::Warn, found)
    }

    /// In the way.
    pub(super) fn fail(check: &'static str, found: impl Into<String>) -> Self {
        Self::new(check, Severity::Fail, found)
    }

    /// What a deploy would have failed with.
    pub(super) fn failed(check: &'static str, error: &Error) -> Self {
        Self::of_error(check, Severity::Fail, error)
    }

    /// An error's message, with its first line of evidence and its hints.
    pub(super) fn of_error(check: &'static str, level: Severity, error: &Error) -> Self {
        let seen = match error.evidence().first() {
            Some(first) => format!("{error} ({first})"),
            None => error.to_string(),
        };
        let finding = Self::new(check, level, seen);
        match error.hints() {
            [] => finding,
            hints => finding.fix(hints.join("; or ")),
        }
    }

    /// With its cure. A command stands behind a colon: `as root: chmod …`.
    #[must_use]
    pub(super) fn fix(mut self, fix: impl Into<String>) -> Self {
        let fix = fix.into();
        self.command = command(&fix).map(str::to_owned);
        self.fix = Some(fix);
        self
    }

    /// Belonging to an app.
    #[must_use]
    pub(super) fn of(mut self, app: &App) -> Self {
        self.app = Some(app.to_string());
        self
    }
}

/// Programs whose commands are cures.
const PROGRAMS: [&str; 7] = [
    "chmod ",
    "chown ",
    "install ",
    "ln ",
    "kubectl ",
    "helm r",
    "timedatectl ",
];

/// The command in a hint, up to what else could be done.
fn command(hint: &str) -> Option<&str> {
    let begins = |program: &&str| hint.find(&format!(": {program}")).map(|at| at + 2);
    let at = PROGRAMS.iter().filter_map(begins).min()?;
    let rest = &hint[at..];
    let end = [" — ", "; or ", ", docker logout"]
        .iter()
        .filter_map(|end| rest.find(end))
        .min();
    Some(&rest[..end.unwrap_or(rest.len())])
}

/// `fail  helm      what was seen → what to do`, escaped.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Severity::Ok => "ok",
            Severity::Warn => "warn",
            Severity::Fail => "fail",
        };
        write!(f, "{level:<5} {:<12} ", self.check)?;
        if let Some(app) = &self.app {
            write!(f, "{app}: ")?;
        }
        f.write_str(&text::line(&self.found, 800))?;
        match &self.fix {
            Some(fix) => write!(f, " → {}", text::line(fix, FIX)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Finding, command};
    use crate::error::{Error, Kind};

    #[test]
    fn a_command_can_be_typed_as_it_stands() {
        for (hint, expected) in [
            (
                "take the right away: chmod go-w /etc/deploy/deploy.toml",
                Some("chmod go-w /etc/deploy/deploy.toml"),
            ),
            (
                "make it root's: chown root /a — or run deploy as runner",
                Some("chown root /a"),
            ),
            (
                "as root: install -d -m 0750 -o runner /var/lib/deploy",
                Some("install -d -m 0750 -o runner /var/lib/deploy"),
            ),
            (
                "Log in again, or remove them: helm registry logout ghcr.io, docker logout ghcr.io",
                Some("helm registry logout ghcr.io"),
            ),
            ("name it in deploy.toml: helm = \"/path/to/helm\"", None),
            ("see to the file system", None),
        ] {
            assert_eq!(command(hint), expected, "{hint}");
        }
    }

    #[test]
    fn one_line_each() {
        let error = Error::new(Kind::Node, "helm is not in PATH")
            .detail("PATH is /a\n/b")
            .hint("install it");
        assert_eq!(
            Finding::failed("helm", &error).to_string(),
            "fail  helm         helm is not in PATH (PATH is /a\\n/b) → install it"
        );
    }
}
