//! Where a chart lies and which version of it is meant.

use std::fmt;
use std::str::FromStr;

use super::image::{MAX_NAME, MAX_TAG, is_component};
use super::name::Owner;
use super::violation::GrammarError;

/// `oci://ghcr.io/<owner>/charts/<chart>`, lower-cased.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ChartRef {
    owner: Owner,
    name: String,
}

impl ChartRef {
    /// What a chart's reference is, in words.
    pub const EXPECTED: &'static str = "oci://ghcr.io/<owner>/charts/<chart>";

    /// Who owns the chart.
    pub const fn owner(&self) -> &Owner {
        &self.owner
    }

    /// The chart's name: the last segment.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `<owner>/charts/<chart>`, as the registry's API wants it.
    pub fn repository(&self) -> String {
        format!("{}/charts/{}", self.owner, self.name)
    }

    /// The grammar alone: hints are found with it.
    pub(super) fn read(text: &str) -> Option<Self> {
        let path = text.strip_prefix("oci://ghcr.io/")?;
        let (owner, rest) = path.split_once('/')?;
        // All of an OCI name is lower case: Charts is charts.
        let rest = rest.to_ascii_lowercase();
        let name = rest.strip_prefix("charts/")?;
        if !is_component(name) || "ghcr.io/".len() + path.len() > MAX_NAME {
            return None;
        }
        Some(Self {
            owner: owner.parse().ok()?,
            name: name.to_owned(),
        })
    }
}

impl FromStr for ChartRef {
    type Err = GrammarError;

    fn from_str(text: &str) -> Result<Self, GrammarError> {
        Self::read(text).ok_or(GrammarError(Self::EXPECTED))
    }
}

impl fmt::Display for ChartRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "oci://ghcr.io/{}/charts/{}", self.owner, self.name)
    }
}

/// One exact `SemVer` 2 version (semver.org): no range, no `v`, no `latest`;
/// as a tag at most 128 characters (OCI distribution spec).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ChartVersion(semver::Version);

impl ChartVersion {
    /// What a version is, in words.
    pub const EXPECTED: &'static str =
        "one exact SemVer 2 version, such as 1.4.0 or 1.4.0-rc.1+build.7";

    /// The tag that stands for it in a registry: `+` becomes `_`
    /// (helm.sh/docs/topics/registries).
    pub fn tag(&self) -> String {
        self.0.to_string().replace('+', "_")
    }

    /// The version.
    pub const fn semver(&self) -> &semver::Version {
        &self.0
    }

    /// The grammar alone: hints are found with it.
    pub(super) fn read(text: &str) -> Option<Self> {
        let version = semver::Version::parse(text).ok()?;
        (text.len() <= MAX_TAG).then_some(Self(version))
    }
}

impl FromStr for ChartVersion {
    type Err = GrammarError;

    fn from_str(text: &str) -> Result<Self, GrammarError> {
        Self::read(text).ok_or(GrammarError(Self::EXPECTED))
    }
}

impl fmt::Display for ChartVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
