//! The flags of a signal, and what stands behind each.

use super::chart::{ChartRef, ChartVersion};
use super::name::App;

/// What `--images` is, in words.
const IMAGES_EXPECTED: &str =
    "a JSON object: {\"api\":\"<image>\",\"web\":\"<image>\"}, and \"worker\" where it has one";

/// A flag of the contract: each is required, once, with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flag {
    /// `--app`
    App,
    /// `--chart`
    Chart,
    /// `--chart-version`
    ChartVersion,
    /// `--images`
    Images,
}

/// The flags without a value, for people at the node, and what they do.
pub const SWITCHES: [(&str, &str); 3] = [
    (
        DRY_RUN,
        "Plan, prove and tell what would change: nothing is applied",
    ),
    (QUIET, "Print the result only"),
    (JSON, "Print the result as JSON, for scripts"),
];

/// `--dry-run`
pub(super) const DRY_RUN: &str = "--dry-run";
/// `--quiet`
pub(super) const QUIET: &str = "--quiet";

/// `--json`
pub(super) const JSON: &str = "--json";

/// `--quiet`, in short.
pub const QUIET_SHORT: char = 'q';

impl Flag {
    /// All of them, in the order of the contract.
    pub const ALL: [Self; 4] = [Self::App, Self::Chart, Self::ChartVersion, Self::Images];

    /// The flag as it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::App => "--app",
            Self::Chart => "--chart",
            Self::ChartVersion => "--chart-version",
            Self::Images => "--images",
        }
    }

    /// What stands behind it, in words.
    pub const fn expected(self) -> &'static str {
        match self {
            Self::App => App::EXPECTED,
            Self::Chart => ChartRef::EXPECTED,
            Self::ChartVersion => ChartVersion::EXPECTED,
            Self::Images => IMAGES_EXPECTED,
        }
    }
}
