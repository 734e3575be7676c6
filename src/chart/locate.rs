//! Where each image stands: by the usual names first, then as a render shows
//! it. A place found by name that the chart does not read is read, too.

use std::collections::{BTreeMap, BTreeSet};

use super::diagnostics::{Diagnosis, Unsettled};
use super::model::{Candidate, ImageLocation, Need, ProbeResult, Want};
use super::probe;
use super::reading::{self, Reading, Subject};
use super::render::Render;
use super::search::Search;
use crate::manifest::Object;
use crate::plan::ValuePath;
use crate::signal::ImageKey;
use crate::{Error, Kind, Result};

/// The most times that keys are handed on from their names to the render.
const MAX_ATTEMPTS: usize = 3;

/// Where the images stand, proved by made-up references.
pub(super) struct Located {
    pub(super) result: ProbeResult,
    pub(super) notes: Vec<String>,
    /// What decided for each key, for people; by its name where it is not here.
    pub(super) how: BTreeMap<ImageKey, String>,
    /// The objects without overrides, where the chart renders so.
    pub(super) untouched: Option<Vec<Object>>,
}

/// Finds every key's places. Fails with [`Kind::Chart`], with all reasons at
/// once, where one has none or more than one.
pub(super) async fn locate<R: Render>(subject: &Subject<'_>, render: &R) -> Result<Located> {
    let mut by_name: BTreeMap<&ImageKey, Vec<ImageLocation>> = BTreeMap::new();
    let mut unnamed: Option<Error> = None;
    for want in subject.wants {
        let found = by_names(subject, want).unwrap_or_else(|error| {
            unnamed.get_or_insert(error);
            Vec::new()
        });
        by_name.insert(&want.key, found);
    }
    let placeless = |want: &&Want| {
        matches!(want.need, Need::Must | Need::IfRendered) && by_name[&want.key].is_empty()
    };
    let mut read: BTreeSet<ImageKey> = subject
        .wants
        .iter()
        .filter(placeless)
        .map(|want| want.key.clone())
        .collect();
    let mut looked = None;
    if read.is_empty() {
        let attempt = attempt(subject, &by_name, &read, None, None, render);
        let (untouched, first) = tokio::join!(untouched(render), attempt);
        let untouched = untouched.ok();
        match first? {
            Ok(found) => return Ok(found.located(BTreeMap::new(), untouched)),
            Err(unsettled) if !unsettled.may_be_read => return Err(unsettled.error),
            Err(unsettled) => {
                read.extend(unsettled.keys);
                looked = Some((untouched, unsettled.error));
            }
        }
    }
    let (untouched, mut before) = match looked {
        Some((untouched, error)) => (untouched, Some(error)),
        None => (rendered(untouched(render).await)?, None),
    };
    let reading =
        match reading::read(subject, &every_key(subject), untouched.as_deref(), render).await {
            Ok(reading) => reading,
            Err(error) => {
                return Err(before.unwrap_or(by_its_names(subject, &by_name, render, error).await));
            }
        };
    for _ in 0..MAX_ATTEMPTS {
        if !missing(subject, &read, &reading).is_empty() {
            break;
        }
        match attempt(subject, &by_name, &read, Some(&reading), None, render).await? {
            Ok(found) => {
                let how = reading.found.iter().filter(|(key, _)| read.contains(*key));
                let how = how
                    .map(|(key, (how, _))| (key.clone(), how.to_string()))
                    .collect();
                return Ok(found.located(how, untouched));
            }
            Err(unsettled) => {
                let more: Vec<ImageKey> = unsettled
                    .keys
                    .iter()
                    .filter(|key| !read.contains(*key))
                    .cloned()
                    .collect();
                let error = before.get_or_insert(unsettled.error);
                if !unsettled.may_be_read || more.is_empty() {
                    break;
                }
                let _ = error;
                read.extend(more);
                before = None;
            }
        }
    }
    let missing = missing(subject, &read, &reading);
    if let (true, Some(error)) = (missing.is_empty(), before.take()) {
        return Err(error);
    }
    // What the names say of those that no render shows either.
    let error = match (before, unnamed) {
        (Some(error), _) | (None, Some(error)) => error,
        (None, None) => {
            let found: BTreeSet<ImageKey> = read.difference(&missing).cloned().collect();
            let none = Error::new(
                Kind::Chart,
                "the chart does not show how it reads its images",
            );
            let mut others = every_key(subject);
            others.retain(|key| !found.contains(key));
            let only = Some(&others);
            match attempt(subject, &by_name, &found, Some(&reading), only, render).await {
                Ok(Ok(_)) => none,
                Ok(Err(unsettled)) => unsettled.error,
                Err(error) => without_places(subject, &by_name, error),
            }
        }
    };
    Err(explained(&error, subject, &missing, &reading))
}

/// The keys that must be read from the render and were not.
fn missing(
    subject: &Subject<'_>,
    read: &BTreeSet<ImageKey>,
    reading: &Reading,
) -> BTreeSet<ImageKey> {
    let is_missing = |want: &&Want| {
        read.contains(&want.key)
            && !reading.found.contains_key(&want.key)
            && match want.need {
                Need::Must => true,
                // No such component, or one that no line is known for.
                Need::IfRendered => reading.is_there(&want.key),
                Need::Absent | Need::Follows => false,
            }
    };
    let wants = subject.wants.iter().filter(is_missing);
    wants.map(|want| want.key.clone()).collect()
}

/// The places that deploy.toml names, or those under the usual names, without
/// those in somebody else's subcharts.
fn by_names(subject: &Subject<'_>, want: &Want) -> Result<Vec<ImageLocation>> {
    let search = Search {
        values: subject.values,
        subcharts: subject.subcharts,
        image: &want.image,
    };
    if subject.rules.parts.contains_key(&want.key) {
        return Ok(Vec::new());
    }
    if let Some(paths) = subject.rules.layouts.get(&want.key) {
        return named(&search, want, paths);
    }
    let mut found = search.locations(&want.key);
    found.retain(|location| {
        let at = location.at.keys();
        !subject
            .foreign
            .iter()
            .any(|foreign| at.starts_with(foreign.keys()))
    });
    Ok(found)
}

fn every_key(subject: &Subject<'_>) -> BTreeSet<ImageKey> {
    subject
        .wants
        .iter()
        .filter(|want| want.need != Need::Absent)
        .map(|want| want.key.clone())
        .collect()
}

async fn untouched<R: Render>(render: &R) -> Result<Vec<Object>> {
    let nothing = serde_json::Value::Object(serde_json::Map::new());
    Object::parse(&render.render(&nothing).await?)
}

/// A chart may want values that only the overrides give it.
fn rendered(untouched: Result<Vec<Object>>) -> Result<Option<Vec<Object>>> {
    match untouched {
        Ok(objects) => Ok(Some(objects)),
        Err(error) if error.kind() == Kind::Chart => Ok(None),
        Err(error) => Err(error),
    }
}

/// What an attempt found.
struct Attempt {
    result: ProbeResult,
    notes: Vec<String>,
}

impl Attempt {
    fn located(self, how: BTreeMap<ImageKey, String>, untouched: Option<Vec<Object>>) -> Located {
        Located {
            result: self.result,
            notes: self.notes,
            how,
            untouched,
        }
    }
}

/// One proof by made-up references of the places known so far.
async fn attempt<R: Render>(
    subject: &Subject<'_>,
    by_name: &BTreeMap<&ImageKey, Vec<ImageLocation>>,
    read: &BTreeSet<ImageKey>,
    reading: Option<&Reading>,
    only: Option<&BTreeSet<ImageKey>>,
    render: &R,
) -> Result<std::result::Result<Attempt, Box<Unsettled>>> {
    let mut candidates = Vec::new();
    for want in subject.wants {
        let found = reading
            .filter(|_| read.contains(&want.key))
            .map(|reading| reading.found.get(&want.key));
        let locations = match found {
            Some(found) => found
                .map(|(_, locations)| locations.clone())
                .unwrap_or_default(),
            None => by_name[&want.key].clone(),
        };
        candidates.extend(
            locations
                .into_iter()
                .map(|location| Candidate::new(location, want.image.clone())),
        );
    }
    let result = probe::run(candidates, render).await?;
    let diagnosis = Diagnosis {
        values: subject.values,
        result: &result,
        wants: subject.wants,
        rules: subject.rules,
    };
    Ok(match diagnosis.settle(only) {
        Ok(mut notes) => {
            notes.extend(result.notes.iter().cloned());
            Ok(Attempt { result, notes })
        }
        Err(unsettled) => Err(unsettled),
    })
}

/// What the usual names alone say of a chart: the error where nothing else does.
async fn by_its_names<R: Render>(
    subject: &Subject<'_>,
    by_name: &BTreeMap<&ImageKey, Vec<ImageLocation>>,
    render: &R,
    otherwise: Error,
) -> Error {
    match attempt(subject, by_name, &BTreeSet::new(), None, None, render).await {
        Ok(Ok(_)) => otherwise,
        Ok(Err(unsettled)) => unsettled.error,
        Err(error) => without_places(subject, by_name, error),
    }
}

/// `error` with the equations that were read, and the lines that help.
fn explained(
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
    let mut hints: Vec<String> = told.into_iter().flat_map(|told| told.hints).collect();
    if hints.is_empty() {
        hints = error.hints().to_vec();
    }
    let said = Error::new(error.kind(), headline).details(details);
    hints.into_iter().fold(said, Error::hint)
}

fn named(search: &Search<'_>, want: &Want, paths: &[ValuePath]) -> Result<Vec<ImageLocation>> {
    paths
        .iter()
        .map(|path| {
            search.named(&want.key, path).ok_or_else(|| {
                Error::new(
                    Kind::Chart,
                    format!("{}: deploy.toml names {path}, a map without repository, registry, tag or digest", want.key),
                )
                .hint(format!("name the map or the string that is the image: images.{} = [\"{path}.image\"]", want.key))
            })
        })
        .collect()
}

/// The chart does not render; where it has no place for some images, that is
/// the likelier cause.
fn without_places(
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
    };
    match diagnosis.settle(None) {
        Err(missing) if error.kind() == Kind::Chart => missing
            .error
            .detail(error.to_string())
            .details(error.evidence()),
        _ => error,
    }
}
