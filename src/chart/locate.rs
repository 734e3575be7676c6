//! Where each image stands, as renders show it. The usual names are tried
//! first, since one render tells whether a chart reads them; the repository of a
//! container outranks them, and what they leave open is read from the render.

use std::collections::{BTreeMap, BTreeSet};

use super::diagnostics::{Diagnosis, Unsettled};
use super::likeliest::Likeliest;
use super::model::{Candidate, ImageLocation, Need, ProbeResult, Want};
use super::probe;
use super::reading::assign::How;
use super::reading::{self, Reading, Subject};
use super::render::Render;
use super::repository;
use super::search::Search;
use super::suggestions::{Advice, Choice, Line, Refusal};
use crate::manifest::Object;
use crate::plan::ValuePath;
use crate::signal::ImageKey;
use crate::{Error, Kind, Result};

mod explained;

use self::explained::{by_its_names, refusal};

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
    /// The render of the likeliest overrides, made beside the others.
    pub(super) likeliest: Option<Likeliest>,
}

/// Finds every key's places. Fails with [`Kind::Chart`], with all reasons at
/// once, where one has none or more than one.
pub(super) async fn locate<R: Render>(
    subject: &Subject<'_>,
    render: &R,
) -> std::result::Result<Located, Refusal> {
    let mut by_name: BTreeMap<&ImageKey, Vec<ImageLocation>> = BTreeMap::new();
    let mut unnamed: Option<Box<Refusal>> = None;
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
    let (untouched, before) = if read.is_empty() {
        match with_names(subject, &by_name, render).await? {
            Named::Settled(located) => return Ok(located),
            Named::Open(untouched, unsettled) => {
                read.extend(unsettled.keys);
                (untouched, Some(unsettled.refusal))
            }
        }
    } else {
        (rendered(untouched(render).await)?, None)
    };
    let keys = every_key(subject);
    let reading = match reading::read(subject, &keys, untouched.as_deref(), render).await {
        Ok(reading) => reading,
        Err(error) => {
            return Err(match before {
                Some(before) => before,
                None => by_its_names(subject, &by_name, render, error).await,
            });
        }
    };
    let tried = with_reading(subject, &by_name, &reading, read, untouched, before, render).await?;
    let (read, before) = match tried {
        Read::Settled(located) => return Ok(located),
        Read::Open(read, before) => (read, before),
    };
    let missing = missing(subject, &read, &reading);
    match before {
        Some(refusal) if missing.is_empty() => Err(refusal),
        before => {
            let said = before.or(unnamed.map(|refusal| *refusal));
            Err(refusal(subject, &by_name, &reading, missing, said, render).await)
        }
    }
}

/// What the usual names gave.
enum Named {
    Settled(Located),
    /// The untouched render, and what is left to be read from a render.
    Open(Option<Vec<Object>>, Box<Unsettled>),
}

/// One proof of the places that were found by name. The repository of a
/// container outranks them.
async fn with_names<R: Render>(
    subject: &Subject<'_>,
    by_name: &BTreeMap<&ImageKey, Vec<ImageLocation>>,
    render: &R,
) -> std::result::Result<Named, Refusal> {
    let none = BTreeSet::new();
    let attempt = attempt(subject, by_name, &none, None, None, render);
    // Three processes beside each other take little more time than two, and the third is
    // mostly the last one that is needed.
    let likeliest = Likeliest::render(subject.wants, by_name, render);
    let (untouched, first, likeliest) = tokio::join!(untouched(render), attempt, likeliest);
    let untouched = untouched.ok();
    let objects = untouched.as_deref();
    let (found, how) = match first? {
        Ok(found) => {
            let known = objects.unwrap_or_default();
            let left_out = repository::left_out(subject, &found.result, known);
            let better = of_repositories(subject, by_name, left_out, objects, render).await;
            better.unwrap_or((found, BTreeMap::new()))
        }
        Err(unsettled) if unsettled.may_be_read => return Ok(Named::Open(untouched, unsettled)),
        Err(unsettled) => {
            let keys = unsettled.keys.iter().cloned().collect();
            match of_repositories(subject, by_name, keys, objects, render).await {
                Some(better) => better,
                None => return Err(unsettled.refusal),
            }
        }
    };
    let located = found.located(subject, how, untouched);
    Ok(Named::Settled(Located {
        likeliest,
        ..located
    }))
}

/// What the reading gave.
enum Read {
    Settled(Located),
    /// The keys that were to be read, and what was in the way of the names.
    Open(BTreeSet<ImageKey>, Option<Refusal>),
}

/// Proves the places of `read` as they were read from a render, and the others
/// by name; those go on to the reading where it does not go without.
async fn with_reading<R: Render>(
    subject: &Subject<'_>,
    by_name: &BTreeMap<&ImageKey, Vec<ImageLocation>>,
    reading: &Reading,
    mut read: BTreeSet<ImageKey>,
    untouched: Option<Vec<Object>>,
    mut before: Option<Refusal>,
    render: &R,
) -> Result<Read> {
    for left in (0..MAX_ATTEMPTS).rev() {
        if !missing(subject, &read, reading).is_empty() {
            break;
        }
        match attempt(subject, by_name, &read, Some(reading), None, render).await? {
            Ok(found) => {
                let objects = untouched.as_deref().unwrap_or_default();
                let mut more = repository::left_out(subject, &found.result, objects);
                more.retain(|key| {
                    let of = reading.found.get(key);
                    !read.contains(key) && of.is_some_and(|(how, _)| *how == How::Repository)
                });
                if left > 0 && !more.is_empty() {
                    read.extend(more);
                    continue;
                }
                let how = reading.found.iter().filter(|(key, _)| read.contains(*key));
                let how = how.map(|(key, (how, _))| (key.clone(), how.to_string()));
                let located = found.located(subject, how.collect(), untouched);
                return Ok(Read::Settled(located));
            }
            Err(unsettled) => {
                let more: Vec<ImageKey> = unsettled
                    .keys
                    .iter()
                    .filter(|key| !read.contains(*key))
                    .cloned()
                    .collect();
                if !unsettled.may_be_read || more.is_empty() {
                    // What two keys share cannot reach both of them.
                    let clash = reading.clash(&read, subject);
                    let clash = clash.map(|clash| clash.refused().into());
                    before = Some(clash.or(before).unwrap_or(unsettled.refusal));
                    break;
                }
                read.extend(more);
                before = None;
            }
        }
    }
    Ok(Read::Open(read, before))
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
fn by_names(
    subject: &Subject<'_>,
    want: &Want,
) -> std::result::Result<Vec<ImageLocation>, Box<Refusal>> {
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
    /// `how` says what decided for the keys that were read from a render.
    fn located(
        self,
        subject: &Subject<'_>,
        how: BTreeMap<ImageKey, String>,
        untouched: Option<Vec<Object>>,
    ) -> Located {
        let objects = untouched.as_deref().unwrap_or_default();
        let mut decided = repository::decided(subject, &self.result, objects);
        decided.extend(how);
        let how = decided;
        Located {
            result: self.result,
            notes: self.notes,
            how,
            untouched,
            likeliest: None,
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
    let result = probe::run(candidates, subject.ends, render).await?;
    let diagnosis = Diagnosis {
        values: subject.values,
        result: &result,
        wants: subject.wants,
        rules: subject.rules,
        foreign: subject.foreign,
    };
    Ok(match diagnosis.settle(only) {
        Ok(mut notes) => {
            notes.extend(result.notes.iter().cloned());
            Ok(Attempt { result, notes })
        }
        Err(unsettled) => Err(unsettled),
    })
}

/// The places of `keys` as their repositories show them, which outranks names;
/// none where these decide nothing.
async fn of_repositories<R: Render>(
    subject: &Subject<'_>,
    by_name: &BTreeMap<&ImageKey, Vec<ImageLocation>>,
    keys: BTreeSet<ImageKey>,
    untouched: Option<&[Object]>,
    render: &R,
) -> Option<(Attempt, BTreeMap<ImageKey, String>)> {
    if keys.is_empty() {
        return None;
    }
    let mut reading = reading::read(subject, &keys, untouched, render)
        .await
        .ok()?;
    reading.found.retain(|_, (how, _)| *how == How::Repository);
    let read: BTreeSet<ImageKey> = reading.found.keys().cloned().collect();
    if read.is_empty() {
        return None;
    }
    let tried = attempt(subject, by_name, &read, Some(&reading), None, render).await;
    let how = reading.found.iter();
    let how = how.map(|(key, (how, _))| (key.clone(), how.to_string()));
    Some((tried.ok()?.ok()?, how.collect()))
}

fn named(
    search: &Search<'_>,
    want: &Want,
    paths: &[ValuePath],
) -> std::result::Result<Vec<ImageLocation>, Box<Refusal>> {
    let named = |path: &ValuePath| {
        search.named(&want.key, path).ok_or_else(|| {
            let message = format!(
                "{}: deploy.toml names {path}, a map without repository, registry, tag or digest",
                want.key
            );
            let line = Line::at(&want.key, &path.child("image"));
            Box::new(Refusal {
                error: Error::new(Kind::Chart, message),
                advice: vec![Advice {
                    choices: vec![Choice::plain(line)],
                    otherwise: "name the map or the string that is the image".to_owned(),
                }],
            })
        })
    };
    paths.iter().map(named).collect()
}
