//! Where a signal goes whose app an engine carries out in several clusters: the
//! targets in their waves, and what the node has of each.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// The name of a target: an Application of Argo CD's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetName(String);

impl TargetName {
    /// What is expected of one (RFC 1123, as the API server checks it).
    pub const EXPECTED: &str = "the name of an Application: at most 253 of a-z, 0-9, - and ., beginning and ending with a letter or digit";

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TargetName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let is_label = |label: &str| {
            let bytes = label.as_bytes();
            bytes.first().copied().is_some_and(is_alphanumeric)
                && bytes.last().copied().is_some_and(is_alphanumeric)
                && bytes
                    .iter()
                    .all(|byte| is_alphanumeric(*byte) || *byte == b'-')
        };
        if text.len() <= 253 && text.split('.').all(is_label) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Self::EXPECTED)
        }
    }
}

impl fmt::Display for TargetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A cluster by a kubeconfig of the node's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClusterAccess {
    /// The file, absolute.
    pub kubeconfig: PathBuf,
    /// Its context, where the node names one.
    pub context: Option<String>,
}

/// What carries a signal out in several clusters, and in which order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fleet {
    /// The cluster that Argo CD runs in.
    pub hub: ClusterAccess,
    /// The namespace of its Applications.
    pub namespace: String,
    /// The targets: at least one wave, each of at least one, none twice.
    pub waves: Vec<Vec<TargetName>>,
    /// The clusters that the node may look into, to name causes from their pods.
    pub clusters: BTreeMap<TargetName, ClusterAccess>,
    /// How long a wave has to stay good before the next begins.
    pub bake: Duration,
    /// The manifest that an Application is made of where it is not there: absolute.
    pub template: Option<PathBuf>,
}

impl Fleet {
    /// Every target, in the order of the waves.
    pub fn targets(&self) -> impl Iterator<Item = &TargetName> {
        self.waves.iter().flatten()
    }
}
