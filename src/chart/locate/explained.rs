//! What to tell where no place was found: what the names say, the equations as
//! they were read, and the lines that help.

use std::collections::{BTreeMap, BTreeSet};

use super::super::diagnostics::Diagnosis;
use super::super::model::{ImageLocation, Need, ProbeResult, Want};
use super::super::reading::{Reading, Subject};
use super::super::render::Render;
use super::super::suggestions::Refusal;
use super::{attempt, every_key};
use crate::signal::ImageKey;
use crate::{Error, Kind};

/// What was said with the equations that were read, and the lines that may help.
fn explained(
    refusal: Refusal,
    subject: &Subject<'_>,
    missing: &BTreeSet<ImageKey>,
    reading: &Reading,
) -> Refusal {
    let error = &refusal.error;
    let told: Vec<_> = missing
        .iter()
        .map(|key| reading.told(key, subject))
        .collect();
    let mut said: Vec<String> = told
        .iter()
        .filter_map(|told| told.headline.clone())
        .collect();
    // What the names say helps where no render says which containers are meant.
    if told.is_empty() || !told.iter().all(|told| told.is_choice) {
        let at = if told.iter().any(|told| told.headline.is_none()) {
            0
        } else {
            said.len()
        };
        said.insert(at, error.to_string());
        said.extend(error.evidence());
    }
    said.extend(told.iter().flat_map(|told| told.details.iter().cloned()));
    let mut details: Vec<String> = Vec::new();
    for line in said {
        if !details.contains(&line) {
            details.push(line);
        }
    }
    let headline = if details.is_empty() {
        error.to_string()
    } else {
        details.remove(0)
    };
    let hints = error.hints().to_vec();
    let mut said = Error::new(error.kind(), headline).details(details);
    if told.is_empty() {
        for hint in hints {
            said = said.hint(hint);
        }
        return Refusal {
            error: said,
            advice: refusal.advice,
        };
    }
    Refusal {
        error: said,
        advice: told.into_iter().map(|told| told.advice).collect(),
    }
}

/// The chart does not render; where it has no place for some images, that is
/// the likelier cause.
fn without_places(
    subject: &Subject<'_>,
    by_name: &BTreeMap<&ImageKey, Vec<ImageLocation>>,
    error: Error,
) -> Refusal {
    let placeless = |want: &&Want| want.need == Need::Must && by_name[&want.key].is_empty();
    let wants: Vec<Want> = subject.wants.iter().filter(placeless).cloned().collect();
    let result = ProbeResult::default();
    let diagnosis = Diagnosis {
        values: subject.values,
        result: &result,
        wants: &wants,
        rules: subject.rules,
        foreign: subject.foreign,
    };
    match diagnosis.settle(None) {
        Err(missing) if error.kind() == Kind::Chart => {
            let said = missing.refusal.error;
            Refusal {
                error: said.detail(error.to_string()).details(error.evidence()),
                advice: missing.refusal.advice,
            }
        }
        _ => error.into(),
    }
}

/// Why no place was found: what the names say (`said`, or another proof of
/// them), and the equations.
pub(super) async fn refusal<R: Render>(
    subject: &Subject<'_>,
    by_name: &BTreeMap<&ImageKey, Vec<ImageLocation>>,
    reading: &Reading,
    mut missing: BTreeSet<ImageKey>,
    said: Option<Refusal>,
    render: &R,
) -> Refusal {
    if let Some(said) = said {
        return explained(said, subject, &missing, reading);
    }
    // What the names say of those that no render shows either.
    let found: BTreeSet<ImageKey> = reading.found.keys().cloned().collect();
    let mut others = every_key(subject);
    others.retain(|key| !found.contains(key));
    let only = Some(&others);
    let said = match attempt(subject, by_name, &found, Some(reading), only, render).await {
        Ok(Ok(_)) => Error::new(
            Kind::Chart,
            "the chart does not show how it reads its images",
        )
        .into(),
        Ok(Err(unsettled)) => {
            let keys = unsettled.keys.into_iter();
            missing.extend(keys.filter(|key| reading.is_there(key)));
            unsettled.refusal
        }
        Err(error) => without_places(subject, by_name, error),
    };
    explained(said, subject, &missing, reading)
}

/// What the usual names alone say of a chart: the error where nothing else does.
pub(super) async fn by_its_names<R: Render>(
    subject: &Subject<'_>,
    by_name: &BTreeMap<&ImageKey, Vec<ImageLocation>>,
    render: &R,
    otherwise: Error,
) -> Refusal {
    match attempt(subject, by_name, &BTreeSet::new(), None, None, render).await {
        Ok(Ok(_)) => otherwise.into(),
        Ok(Err(unsettled)) => unsettled.refusal,
        Err(error) => without_places(subject, by_name, error),
    }
}
