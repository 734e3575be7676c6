//! What becomes of the images beside the requested ones: those that change
//! along with them, and those of their repositories that stay behind.

use std::collections::{BTreeMap, BTreeSet};

use super::model::Placement;
use super::reference::Reference;
use crate::manifest::{ContainerImage, Object};
use crate::signal::{ImageKey, ImageRef};
use crate::{Error, Kind, Result, text};

/// Notes on images that the request did not name, by the render without the
/// overrides. Fails with [`Kind::Chart`] where one would become another image
/// altogether by a value that was read from a render (`is_read`).
pub(super) fn told(
    before: &[Object],
    after: &[Object],
    placements: &[Placement],
    images: &BTreeMap<ImageKey, ImageRef>,
    is_read: bool,
) -> Result<Vec<String>> {
    let placed = |object: &Object, container: &ContainerImage| {
        placements.iter().find(|placement| {
            placement.path == container.path && placement.object.is_same(&object.reference)
        })
    };
    let pairs: Vec<(&Object, &ContainerImage, Reference, Reference)> = pairs(before, after);
    let moved: BTreeMap<&str, &ImageKey> = pairs
        .iter()
        .filter_map(|(object, container, old, _)| {
            placed(object, container).map(|placement| (old.name.as_str(), &placement.key))
        })
        .collect();
    let (mut notes, mut changed) = (Vec::new(), Vec::new());
    for (object, container, old, new) in &pairs {
        if placed(object, container).is_some() {
            continue;
        }
        let requested = images.values().any(|image| image.name() == new.name);
        if old == new {
            if let Some(key) = moved.get(old.name.as_str()).filter(|_| !requested) {
                notes.push(format!(
                    "{object}, {container}: keeps {}, which is of the same repository as {key}'s was",
                    text::quoted(&old.to_string())
                ));
            }
        } else if requested {
            // Judged by what was asked for.
        } else if !is_read
            || old.name == new.name && moved.keys().any(|name| owner(name) == owner(&old.name))
        {
            notes.push(format!(
                "{object}, {container}: changes along, from {} to {}, though the request does not name it",
                text::quoted(&old.to_string()),
                text::quoted(&new.to_string())
            ));
        } else {
            changed.push(format!(
                "{object}, {container}: {} would become {}",
                text::quoted(&old.to_string()),
                text::quoted(&new.to_string())
            ));
        }
    }
    if changed.is_empty() {
        return Ok(notes);
    }
    Err(Error::new(
        Kind::Chart,
        "the values of the requested images would change other images too",
    )
    .details(changed)
    .hint(
        "give the requested images values of their own in the chart, or request those images, too",
    ))
}

/// Each container of both renders, with what it carried and what it will.
fn pairs<'a>(
    before: &[Object],
    after: &'a [Object],
) -> Vec<(&'a Object, &'a ContainerImage, Reference, Reference)> {
    let mut seen = BTreeSet::new();
    let mut pairs = Vec::new();
    for object in after.iter().filter(|object| !object.is_test()) {
        let Some(old) = before
            .iter()
            .find(|old| old.reference.is_same(&object.reference))
        else {
            continue;
        };
        for container in &object.containers {
            let was = old
                .containers
                .iter()
                .find(|was| was.path == container.path && was.name == container.name);
            let references = was
                .and_then(|was| Reference::parse(&was.image))
                .zip(Reference::parse(&container.image));
            if let Some((was, is)) = references
                && seen.insert((&object.reference, &container.path))
            {
                pairs.push((object, container, was, is));
            }
        }
    }
    pairs
}

/// Registry and owner of an image's name.
fn owner(name: &str) -> &str {
    name.rfind('/').map_or("", |at| &name[..at])
}
