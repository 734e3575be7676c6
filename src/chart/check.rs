//! Judges a render: does each container carry what was asked for, and does
//! nothing else of a requested repository stand beside it?
//!
//! Used before a deploy on the render and after it on the stored record.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{ContainerSlot, Placement, ProbeResult};
use super::reference::Reference;
use crate::manifest::{ContainerImage, Object, ObjectRef};
use crate::signal::{ImageKey, ImageRef};
use crate::text;

/// A container that is to carry an image.
#[derive(Clone, Debug)]
pub(super) struct Expectation<'a> {
    pub(super) key: &'a ImageKey,
    pub(super) image: &'a ImageRef,
    /// The object that has it.
    pub(super) object: &'a ObjectRef,
    pub(super) source: &'a str,
    pub(super) path: &'a str,
    /// For people.
    pub(super) shown: String,
    /// The values that it comes from.
    pub(super) values: &'a str,
}

#[derive(Default)]
pub(super) struct Judgement {
    pub(super) placements: Vec<Placement>,
    pub(super) problems: Vec<String>,
    /// Images beside the requested ones: of which keys' repository, and which.
    pub(super) strays: Vec<(Vec<ImageKey>, Reference)>,
    /// Requested images in containers that no value was seen to set.
    pub(super) unassigned: Vec<String>,
}

/// Compares `objects` with what is expected.
pub(super) fn judge(
    objects: &[Object],
    expected: &[Expectation<'_>],
    images: &BTreeMap<ImageKey, ImageRef>,
    allowed: &BTreeSet<ImageRef>,
) -> Judgement {
    let mut judgement = Judgement::default();
    let mut taken: BTreeSet<(usize, usize)> = BTreeSet::new();
    for wanted in expected {
        let Some((object_at, container_at)) = find(objects, wanted, &taken) else {
            judgement.problems.push(format!(
                "{}: missing, expected with {}",
                wanted.shown, wanted.image
            ));
            continue;
        };
        taken.insert((object_at, container_at));
        let object = &objects[object_at];
        let container = &object.containers[container_at];
        if Reference::parse(&container.image).is_some_and(|found| found.is(wanted.image)) {
            judgement.placements.push(Placement {
                key: wanted.key.clone(),
                image: wanted.image.clone(),
                object: object.reference.clone(),
                title: object.to_string(),
                container: container.to_string(),
                source: object.source.clone(),
                path: container.path.clone(),
                values: wanted.values.to_owned(),
            });
        } else {
            judgement.problems.push(format!(
                "{object}, {container}: rendered {}, expected {} from {}",
                text::quoted(&container.image),
                text::quoted(&wanted.image.to_string()),
                wanted.values,
            ));
        }
    }
    for (object_at, object) in objects
        .iter()
        .enumerate()
        .filter(|(_, object)| !object.is_test())
    {
        for (container_at, container) in object.containers.iter().enumerate() {
            if !taken.contains(&(object_at, container_at)) {
                beside(object, container, images, allowed, &mut judgement);
            }
        }
    }
    judgement
}

/// The container with that identity; where the name differs (it may hold the
/// tag or a random part), one of the same template and path.
fn find(
    objects: &[Object],
    wanted: &Expectation<'_>,
    taken: &BTreeSet<(usize, usize)>,
) -> Option<(usize, usize)> {
    let places = || {
        objects.iter().enumerate().flat_map(|(object_at, object)| {
            let containers = object.containers.iter().enumerate();
            containers.map(move |(container_at, container)| {
                ((object_at, container_at), object, container)
            })
        })
    };
    let is_it = |object: &Object, container: &ContainerImage| {
        object.reference.is_same(wanted.object) && container.path == wanted.path
    };
    let same =
        places().find(|(at, object, container)| is_it(object, container) && !taken.contains(at));
    let like = || {
        places().find(|(at, object, container)| {
            object
                .reference
                .is(wanted.object.group(), &wanted.object.kind)
                && is_same_source(&object.source, wanted.source)
                && container.path == wanted.path
                && !taken.contains(at)
                && Reference::parse(&container.image).is_some_and(|found| found.is(wanted.image))
        })
    };
    // One container carries the image of two keys where both are one image.
    let shared = || places().find(|(_, object, container)| is_it(object, container));
    same.or_else(like).or_else(shared).map(|(at, ..)| at)
}

/// A stored hook does not say which template it came from.
fn is_same_source(one: &str, other: &str) -> bool {
    one == other || one.is_empty() || other.is_empty()
}

/// A container that no requested image was assigned to.
fn beside(
    object: &Object,
    container: &ContainerImage,
    images: &BTreeMap<ImageKey, ImageRef>,
    allowed: &BTreeSet<ImageRef>,
    judgement: &mut Judgement,
) {
    let Some(found) = Reference::parse(&container.image) else {
        return;
    };
    let shown = text::quoted(&container.image);
    if let Some((key, _)) = images.iter().find(|(_, image)| found.is(image)) {
        judgement.unassigned.push(format!(
            "{object}, {container}: carries {shown} by itself; no value sets it, and the next image for {key} will not reach it"
        ));
        return;
    }
    if allowed.iter().any(|image| found.is(image)) {
        return;
    }
    let of: Vec<ImageKey> = images
        .iter()
        .filter(|(_, image)| image.name() == found.name)
        .map(|(key, _)| key.clone())
        .collect();
    if !of.is_empty() {
        judgement.problems.push(format!(
            "{object}, {container}: rendered {shown}, another image of {}'s repository; no value found sets it",
            joined(&of),
        ));
        judgement.strays.push((of, found));
    }
}

/// Which component a container belongs to by its names: none where they say
/// nothing, or do not agree.
pub(super) fn component<'k>(
    object: &Object,
    container: &ContainerImage,
    keys: &[&'k ImageKey],
) -> Option<&'k ImageKey> {
    let label = [
        "/spec/template/metadata/labels",
        "/spec/jobTemplate/spec/template/metadata/labels",
        "/metadata/labels",
    ]
    .iter()
    .find_map(|at| {
        object
            .value
            .pointer(at)?
            .get("app.kubernetes.io/component")?
            .as_str()
    });
    let ends = |text: &str, key: &ImageKey| {
        text == key.as_str()
            || text
                .strip_suffix(key.as_str())
                .is_some_and(|rest| rest.ends_with('-'))
    };
    let names = [
        label,
        Some(object.reference.name.as_str()),
        Some(container.name.as_str()),
    ];
    let mut votes = names
        .into_iter()
        .flatten()
        .filter_map(|name| keys.iter().copied().find(|key| ends(name, key)));
    let first = votes.next()?;
    votes.all(|vote| vote == first).then_some(first)
}

/// `api and web`
fn joined(keys: &[ImageKey]) -> String {
    let keys: Vec<&str> = keys.iter().map(ImageKey::as_str).collect();
    keys.join(" and ")
}

/// Components that carry each other's images.
pub(super) struct Swapped {
    /// Each with the one whose image it carries.
    pub(super) pairs: Vec<(ImageKey, ImageKey)>,
    pub(super) details: Vec<String>,
}

/// The first components that carry each other's images, two or in a circle.
pub(super) fn swapped(result: &ProbeResult, keys: &[&ImageKey]) -> Option<Swapped> {
    let wrong: Vec<(&ImageKey, &ContainerSlot)> = result
        .slots
        .iter()
        .filter_map(|slot| {
            let (object, container) = result.place(slot);
            let is = component(object, container, keys)?;
            // One image for both is no swap.
            let has_own = result.slots.iter().any(|own| {
                let (other, place) = result.place(own);
                own.key == *is && std::ptr::eq(other, object) && std::ptr::eq(place, container)
            });
            (*is != slot.key && !has_own).then_some((is, slot))
        })
        .collect();
    let carried = |key: &ImageKey| {
        let (_, slot) = wrong.iter().find(|(is, _)| *is == key)?;
        Some(&slot.key)
    };
    let mut pairs = keys.iter().find_map(|first| {
        let mut pairs = Vec::new();
        let mut key = *first;
        for _ in keys {
            let next = carried(key)?;
            pairs.push((key.clone(), next.clone()));
            if next == *first {
                return Some(pairs);
            }
            key = next;
        }
        None
    })?;
    pairs.sort();
    let details = wrong.iter().map(|(is, slot)| {
        let (object, container) = result.place(slot);
        format!(
            "{object}, {container}: {is} by its names, carries the image of {}",
            slot.key
        )
    });
    Some(Swapped {
        pairs,
        details: details.collect(),
    })
}
