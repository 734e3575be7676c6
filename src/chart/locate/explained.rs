//! What to tell where no place was found: what the names say, the equations as
//! they were read, and the lines that help.

use std::collections::{BTreeMap, BTreeSet};

use super::super::diagnostics::Diagnosis;
use super::super::model::{ImageLocation, Need, ProbeResult, Want};
use super::super::reading::{Reading, Subject};
use crate::signal::ImageKey;
use crate::{Error, Kind};

/// `error` with the equations that were read, and the lines that help.
pub(super) fn explained(
    error: &Error,
    subject: &Subject<'_>,
    missing: &BTreeSet<ImageKey>,
    reading: &Reading,
) -> Error {
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
    // One place takes one image: a line for each key, or none of them helps.
    let places: BTreeSet<&String> = told.iter().flat_map(|told| &told.values).collect();
    let is_short =
        told.len() > 1 && places.len() < told.iter().filter(|told| !told.values.is_empty()).count();
    let mut hints: Vec<String> = told
        .iter()
        .flat_map(|told| {
            if is_short {
                vec![told.otherwise.clone()]
            } else {
                told.hints.clone()
            }
        })
        .collect();
    if hints.is_empty() {
        hints = error.hints().to_vec();
    }
    let said = Error::new(error.kind(), headline).details(details);
    hints.into_iter().fold(said, Error::hint)
}

/// The chart does not render; where it has no place for some images, that is
/// the likelier cause.
pub(super) fn without_places(
    subject: &Subject<'_>,
    by_name: &BTreeMap<&ImageKey, Vec<ImageLocation>>,
    error: Error,
) -> Error {
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
        Err(missing) if error.kind() == Kind::Chart => missing
            .error
            .detail(error.to_string())
            .details(error.evidence()),
        _ => error,
    }
}
