//! What a line of the journal holds of a run, in types of its own: those of the run can
//! change, a line stays.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::event::waves::TargetReport;
use crate::event::{Origin, PhaseTiming, Proven};
use crate::run::field;
use crate::signal::{ImageKey, Request};
use crate::text;

/// A request, as it was validated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedRequest {
    /// The app.
    pub app: String,
    /// The chart.
    pub chart: String,
    /// Its version.
    pub version: String,
    /// The images by key.
    pub images: BTreeMap<String, String>,
}

/// By what an origin was proven: `key sha256:…`, `workflow <file>@<ref>`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedOrigins {
    /// The chart's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chart: Option<String>,
    /// Each image's, by its key.
    #[serde(default)]
    pub images: BTreeMap<String, String>,
    /// The commit that the chart was built from, where the proof tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chart_commit: Option<String>,
    /// The same of each image, by its key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub image_commits: BTreeMap<String, String>,
}

impl RecordedOrigins {
    pub(super) fn is_empty(&self) -> bool {
        self.chart.is_none() && self.images.is_empty()
    }
}

impl From<&Proven> for RecordedOrigins {
    fn from(proven: &Proven) -> Self {
        let images = || proven.images.iter();
        let commit =
            |(key, origin): (&ImageKey, &Origin)| Some((key.to_string(), origin.commit.clone()?));
        Self {
            chart: proven.chart.as_ref().map(|origin| origin.by.clone()),
            images: images()
                .map(|(key, origin)| (key.to_string(), origin.by.clone()))
                .collect(),
            chart_commit: proven.chart.as_ref().and_then(|it| it.commit.clone()),
            image_commits: images().filter_map(commit).collect(),
        }
    }
}

/// A phase and how long it took, as a line holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedPhase {
    /// Its name ([`crate::event::Phase::name`]).
    pub phase: String,
    /// In milliseconds.
    pub ms: u64,
}

impl From<&PhaseTiming> for RecordedPhase {
    fn from(timing: &PhaseTiming) -> Self {
        Self {
            phase: timing.phase.name().to_owned(),
            ms: millis(timing.took),
        }
    }
}

/// What became of a target, as a line holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedTarget {
    /// Its name.
    pub name: String,
    /// Its wave, from 1.
    pub wave: usize,
    /// Its cluster, for people.
    pub cluster: String,
    /// The word for it ([`crate::event::waves::TargetOutcome::name`]).
    pub outcome: String,
    /// The chart's version that it held then; none where that was not known.
    pub version: Option<String>,
    /// Why, in one line, where something went wrong there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

impl From<&TargetReport> for RecordedTarget {
    fn from(target: &TargetReport) -> Self {
        Self {
            name: field(&target.name),
            wave: target.wave,
            cluster: field(&target.cluster),
            outcome: target.outcome.name().to_owned(),
            version: target.version.as_deref().map(field),
            cause: target.cause.as_deref().map(field),
        }
    }
}

impl RecordedRequest {
    /// The request that was recorded, held against the contract's types again: others
    /// can write to a journal. The error says what is no request.
    pub fn request(&self) -> Result<Request, String> {
        fn read<T: FromStr>(what: &str, value: &str) -> Result<T, String> {
            let wrong = |_| format!("{what} is {}", text::quoted(value));
            value.parse().map_err(wrong)
        }
        let images = self.images.iter();
        let images = images.map(|(key, image)| Ok((read("a key", key)?, read(key, image)?)));
        Ok(Request {
            app: read("the app", &self.app)?,
            chart: read("the chart", &self.chart)?,
            version: read("the version", &self.version)?,
            images: images.collect::<Result<_, String>>()?,
        })
    }
}

impl From<&Request> for RecordedRequest {
    fn from(request: &Request) -> Self {
        Self {
            app: request.app.to_string(),
            chart: request.chart.to_string(),
            version: request.version.to_string(),
            images: request
                .images
                .iter()
                .map(|(key, image)| (key.to_string(), image.to_string()))
                .collect(),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
