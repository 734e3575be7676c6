//! Where a chart lies and which version of it is meant.

use std::fmt;
use std::str::FromStr;

use super::Owner;
use super::image::is_component;

/// `oci://ghcr.io/<owner>/charts/<chart>`, lower-cased.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ChartRef {
    owner: Owner,
    name: String,
}

impl ChartRef {
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
}

impl FromStr for ChartRef {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const SHAPE: &str = "oci://ghcr.io/<owner>/charts/<chart>";
        let path = text.strip_prefix("oci://ghcr.io/").ok_or(SHAPE)?;
        let mut segments = path.split('/');
        let (Some(owner), Some("charts"), Some(name), None) = (
            segments.next(),
            segments.next(),
            segments.next(),
            segments.next(),
        ) else {
            return Err(SHAPE);
        };
        let name = name.to_ascii_lowercase();
        if !is_component(&name) {
            return Err(SHAPE);
        }
        Ok(Self {
            owner: owner.parse().map_err(|_| SHAPE)?,
            name,
        })
    }
}

impl fmt::Display for ChartRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "oci://ghcr.io/{}/charts/{}", self.owner, self.name)
    }
}

/// One exact `SemVer` 2 version (semver.org): no range, no `v`, no `latest`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ChartVersion(semver::Version);

impl ChartVersion {
    /// The tag that stands for it in a registry: `+` becomes `_`
    /// (helm.sh/docs/topics/registries).
    pub fn tag(&self) -> String {
        self.0.to_string().replace('+', "_")
    }

    /// The version.
    pub const fn semver(&self) -> &semver::Version {
        &self.0
    }
}

impl FromStr for ChartVersion {
    type Err = semver::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        semver::Version::parse(text).map(Self)
    }
}

impl fmt::Display for ChartVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
