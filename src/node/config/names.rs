//! Small types of deploy.toml; `FromStr` is the only way in.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::host::{Variable, VariableClass};
use crate::plan::OnFailure;
use crate::units::GoDuration;

/// A namespace: an RFC 1123 label (Kubernetes, "Object Names and IDs").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace(String);

impl Namespace {
    pub(super) const EXPECTED: &str =
        "a namespace: at most 63 lower-case letters, digits and '-', none of these at an end";

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Namespace {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > 63 || !is_label(text) {
            return Err(Self::EXPECTED);
        }
        Ok(Self(text.to_owned()))
    }
}

/// A release's name: labels joined by dots, at most 53 characters
/// (`helm.sh/helm`, `pkg/chartutil/validate_name.go`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseName(String);

impl ReleaseName {
    pub(super) const EXPECTED: &str =
        "a release: at most 53 lower-case letters, digits, '-' and '.', none of these at an end";

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ReleaseName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > 53 || !text.split('.').all(is_label) {
            return Err(Self::EXPECTED);
        }
        Ok(Self(text.to_owned()))
    }
}

fn is_label(text: &str) -> bool {
    let end = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.iter().all(|byte| end(*byte) || *byte == b'-')
        && bytes.first().is_some_and(|byte| end(*byte))
        && bytes.last().is_some_and(|byte| end(*byte))
}

/// The path of a file. The shell's `~` is not expanded.
#[derive(Debug)]
pub(super) struct FilePath(pub(super) PathBuf);

impl FilePath {
    pub(super) const EXPECTED: &str =
        "a path, absolute or from this file's directory ('~' is not expanded)";
}

impl FromStr for FilePath {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() || text.starts_with('~') || text.chars().any(char::is_control) {
            return Err(Self::EXPECTED);
        }
        Ok(Self(text.into()))
    }
}

/// A text of one line, not empty.
#[derive(Debug)]
pub(super) struct SingleLine(pub(super) String);

impl FromStr for SingleLine {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() || text.chars().any(char::is_control) {
            return Err("a text of one line");
        }
        Ok(Self(text.to_owned()))
    }
}

/// The name of a variable that may be inherited.
#[derive(Debug)]
pub(super) struct VariableName(pub(super) String);

impl VariableName {
    pub(super) const EXPECTED: &str =
        "the name of a variable such as \"HELM_DEBUG\" (DEPLOY_… cannot be inherited)";
}

impl FromStr for VariableName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let starts = text
            .bytes()
            .next()
            .is_some_and(|byte| !byte.is_ascii_digit());
        let own = |class| matches!(class, VariableClass::Deploy | VariableClass::DeployByHand);
        if !starts
            || !text.bytes().all(inner)
            || Variable::of(text).is_some_and(|variable| own(variable.class))
        {
            return Err(Self::EXPECTED);
        }
        Ok(Self(text.to_owned()))
    }
}

/// A duration above zero.
#[derive(Debug)]
pub(super) struct PositiveDuration(pub(super) Duration);

impl FromStr for PositiveDuration {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse::<GoDuration>()?.0 {
            Duration::ZERO => Err("a duration above zero"),
            duration => Ok(Self(duration)),
        }
    }
}

/// What happens after a failed rollout.
#[derive(Debug)]
pub(super) struct Failure(pub(super) OnFailure);

impl FromStr for Failure {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "rollback" => Ok(Self(OnFailure::Rollback)),
            "keep" => Ok(Self(OnFailure::Keep)),
            _ => Err("\"rollback\" or \"keep\""),
        }
    }
}
