//! What the requested repositories say of places that were found by name: a
//! container that is of one already is the component's, however its values are
//! called.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{Need, ProbeResult, Want};
use super::reading::Subject;
use super::reading::assign::How;
use super::reference::Reference;
use crate::manifest::{ContainerImage, Object};
use crate::signal::ImageKey;

/// The keys whose repository stands in a container of the untouched render
/// that no place found so far sets. What deploy.toml maps or allows is not
/// looked for.
pub(super) fn left_out(
    subject: &Subject<'_>,
    result: &ProbeResult,
    untouched: &[Object],
) -> BTreeSet<ImageKey> {
    let free = |want: &&Want| {
        want.need != Need::Absent
            && !subject.rules.layouts.contains_key(&want.key)
            && !subject.rules.parts.contains_key(&want.key)
            && is_alone(subject, want)
    };
    let wants = subject.wants.iter().filter(free);
    let is_left = |want: &&Want| {
        containers(untouched).any(|(object, container)| {
            is_of(container, want, subject) && key_of(result, object, container).is_none()
        })
    };
    wants.filter(is_left).map(|want| want.key.clone()).collect()
}

/// What decided for the keys whose places were found by name: deploy.toml, or
/// the repository where the untouched render has it in one of their containers.
pub(super) fn decided(
    subject: &Subject<'_>,
    result: &ProbeResult,
    untouched: &[Object],
) -> BTreeMap<ImageKey, String> {
    let mut decided = BTreeMap::new();
    for want in subject.wants {
        let is_there = || {
            containers(untouched).any(|(object, container)| {
                is_of(container, want, subject)
                    && key_of(result, object, container) == Some(&want.key)
            })
        };
        if subject.rules.layouts.contains_key(&want.key) {
            decided.insert(want.key.clone(), How::Node.to_string());
        } else if is_alone(subject, want) && is_there() {
            decided.insert(want.key.clone(), How::Repository.to_string());
        }
    }
    decided
}

/// Whether no other key is requested from the repository of `want`.
fn is_alone(subject: &Subject<'_>, want: &Want) -> bool {
    want.need != Need::Follows
        && subject.wants.iter().all(|other| {
            other.key == want.key
                || other.need == Need::Follows
                || other.image.name() != want.image.name()
        })
}

fn containers(objects: &[Object]) -> impl Iterator<Item = (&Object, &ContainerImage)> {
    let objects = objects.iter().filter(|object| !object.is_test());
    objects.flat_map(|object| {
        let containers = object.containers.iter();
        containers.map(move |container| (object, container))
    })
}

fn is_of(container: &ContainerImage, want: &Want, subject: &Subject<'_>) -> bool {
    Reference::parse(&container.image).is_some_and(|found| {
        found.name == want.image.name() && !subject.rules.allowed.iter().any(|one| found.is(one))
    })
}

/// Whose place sets this container.
fn key_of<'r>(
    result: &'r ProbeResult,
    object: &Object,
    container: &ContainerImage,
) -> Option<&'r ImageKey> {
    let slot = result.slots.iter().find(|slot| {
        let (other, of) = result.place(slot);
        other.reference.is_same(&object.reference) && of.path == container.path
    });
    slot.map(|slot| &slot.key)
}
