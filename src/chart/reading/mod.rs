//! The image layout, read from a render.
//!
//! Made-up values are put into every place that can take part in an image; one
//! render then shows each container's image as an [`Equation`] of places and
//! fixed text. The requested references solve it, or do not. Which containers
//! are a key's is told by the node, by the repository, or by the usual words,
//! in this order, and never guessed where two fit ([`assign`]).

pub(super) mod assign;
pub(super) mod tell;

mod fill;
mod places;
mod roles;
mod speaks;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use self::assign::{Answer, How};
use self::fill::Shown;
use self::places::{Fill, Place, TagFill};
use super::equation::Equation;
use super::layout::{self, Clash};
use super::model::{ImageLocation, Want};
use super::render::Render;
use super::sentinel::Ends;
use crate::manifest::Object;
use crate::plan::{ImageRules, ValuePath};
use crate::signal::ImageKey;
use crate::{Kind, Result};

/// What a reading needs to know.
pub(super) struct Subject<'a> {
    pub(super) values: &'a Value,
    pub(super) subcharts: &'a [ValuePath],
    /// Subcharts of somebody else: never taken without a mapping.
    pub(super) foreign: &'a [ValuePath],
    pub(super) templates: &'a [String],
    pub(super) wants: &'a [Want],
    pub(super) rules: &'a ImageRules,
    /// What tags are while it is read.
    pub(super) ends: Ends,
}

/// Containers whose image is made in one way.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) equation: Equation,
    pub(super) sites: Vec<Site>,
    /// Registry and path with what stands in the values now.
    pub(super) repository: Option<String>,
    /// Whether it is made of a value in somebody else's subchart.
    pub(super) is_foreign: bool,
}

/// A container, by its names.
#[derive(Clone, Debug)]
pub(super) struct Site {
    /// `Deployment web, container web`
    pub(super) title: String,
    /// What `app.kubernetes.io/component` says.
    pub(super) component: String,
    pub(super) workload: String,
    pub(super) container: String,
}

/// What was found.
pub(super) struct Reading {
    /// The places of each key that was found.
    pub(super) found: BTreeMap<ImageKey, (How, Vec<ImageLocation>)>,
    /// What is in the way of each other key.
    pub(super) missing: BTreeMap<ImageKey, tell::Why>,
    /// As the first render showed them.
    pub(super) groups: Vec<Group>,
}

impl Reading {
    /// Whether containers are `key`'s, though their places were not found.
    pub(super) fn is_there(&self, key: &ImageKey) -> bool {
        matches!(
            self.missing.get(key),
            Some(tell::Why::Unsolved(_) | tell::Why::Several(_))
        )
    }

    /// Two of `keys` that are read from one place and want another value in it.
    pub(super) fn clash(&self, keys: &BTreeSet<ImageKey>, subject: &Subject<'_>) -> Option<Clash> {
        let found = self.found.iter().filter(|(key, _)| keys.contains(*key));
        let layouts = found.flat_map(|(key, (_, locations))| {
            let mut wants = subject.wants.iter();
            let want = wants.find(|want| want.key == *key);
            let layouts = locations
                .iter()
                .filter_map(|location| location.layouts.first());
            layouts.filter_map(move |layout| Some((layout, &want?.image)))
        });
        layout::joined(layouts).err()
    }

    /// What is known of `key`'s image, and the lines that may help.
    pub(super) fn told(&self, key: &ImageKey, subject: &Subject<'_>) -> tell::Told {
        tell::told(self, key, subject)
    }
}

/// Reads how the images of `keys` are made. `untouched` are the objects of the
/// render without overrides, where there is one. Usually one render.
pub(super) async fn read<R: Render>(
    subject: &Subject<'_>,
    keys: &BTreeSet<ImageKey>,
    untouched: Option<&[Object]>,
    render: &R,
) -> Result<Reading> {
    let images: Vec<String> = untouched
        .unwrap_or_default()
        .iter()
        .filter(|object| !object.is_test())
        .flat_map(|object| {
            object
                .containers
                .iter()
                .map(|container| container.image.clone())
        })
        .collect();
    let digest = subject
        .wants
        .iter()
        .any(|want| want.image.digest().is_some());
    let places = places::collect(
        subject.values,
        subject.subcharts,
        subject.templates,
        &images,
        digest,
    );
    let mut reading = Reading {
        found: BTreeMap::new(),
        missing: BTreeMap::new(),
        groups: Vec::new(),
    };
    let mut error = None;
    for fill in fills(subject, &places) {
        let shown = match fill::render(subject, &places, fill, untouched.is_some(), render).await {
            Ok(shown) => shown,
            Err(cause) if cause.kind() == Kind::Chart => {
                error.get_or_insert(cause);
                continue;
            }
            Err(cause) => return Err(cause),
        };
        take(subject, keys, &shown, &mut reading);
        // Another way to fill them helps only where this one was not solved.
        let unsolved = |why: &tell::Why| matches!(why, tell::Why::Unsolved(_));
        if !reading.missing.values().any(unsolved) {
            break;
        }
    }
    match error {
        Some(error) if reading.groups.is_empty() && untouched.is_none() => Err(error),
        _ => Ok(reading),
    }
}

/// What one render answers, added to what is known.
fn take(subject: &Subject<'_>, keys: &BTreeSet<ImageKey>, shown: &Shown, reading: &mut Reading) {
    let answers = assign::assign(subject, keys, shown);
    for (key, answer) in answers {
        if reading.found.contains_key(&key) {
            continue;
        }
        match answer {
            Answer::Found(how, locations) => {
                reading.missing.remove(&key);
                reading.found.insert(key, (how, locations));
            }
            Answer::Missing(why) => {
                reading.missing.entry(key).or_insert(why);
            }
        }
    }
    if reading.groups.is_empty() {
        reading.groups.clone_from(&shown.groups);
    }
}

/// The ways to fill tags and digests, likeliest first: each costs a render,
/// but only where those before it left a key without a place.
fn fills(subject: &Subject<'_>, places: &[Place]) -> Vec<Fill> {
    let has_digest = places.iter().any(|place| place.role == roles::Role::Digest);
    let has_registry = places
        .iter()
        .any(|place| place.role == roles::Role::Registry && place.now.is_empty());
    let of = |tag, digest| Fill {
        tag,
        digest,
        registries: false,
    };
    let wants_digest = subject
        .wants
        .iter()
        .any(|want| want.image.digest().is_some());
    let wants_tag = subject.wants.iter().any(|want| want.image.tag().is_some());
    let mut fills = Vec::new();
    if wants_digest && has_digest {
        fills.push(of(TagFill::Shape, true));
    }
    fills.push(of(TagFill::Shape, false));
    if wants_digest && !wants_tag {
        fills.push(of(TagFill::Digest, false));
        if has_digest {
            fills.push(of(TagFill::Empty, true));
        }
    }
    if has_registry {
        let more = fills.iter().map(|fill| Fill {
            registries: true,
            ..*fill
        });
        fills.extend(more.collect::<Vec<_>>());
    }
    fills
}
