//! What becomes of the images beside the requested ones: those that change
//! along with them, and those of their repositories that stay behind.

use std::collections::{BTreeMap, BTreeSet};

use super::model::Placement;
use super::reference::{Reference, owner};
use crate::manifest::{ContainerImage, Object};
use crate::signal::{ImageKey, ImageRef};
use crate::{Error, Kind, Result, text};

/// What becomes of the images that the request did not name, a line each.
pub(super) struct Beside {
    /// Those of a requested component's repository that keep what they carry.
    pub(super) stay: Vec<String>,
    /// Those that change along.
    pub(super) move_along: Vec<String>,
}

/// Looks at the images that the request did not name, by the render without the
/// overrides. Fails with [`Kind::Chart`] where one would become another image
/// altogether; where the values were read from a render (`is_read`), also where
/// another owner's image would get another tag.
pub(super) fn told(
    before: &[Object],
    after: &[Object],
    placements: &[Placement],
    images: &BTreeMap<ImageKey, ImageRef>,
    is_read: bool,
) -> Result<Beside> {
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
    let (mut stay, mut move_along, mut changed) = (Vec::new(), Vec::new(), Vec::new());
    for (object, container, old, new) in &pairs {
        if placed(object, container).is_some() {
            continue;
        }
        let requested = images.values().any(|image| image.name() == new.name);
        if old == new {
            if let Some(key) = moved.get(old.name.as_str()).filter(|_| !requested) {
                stay.push(format!(
                    "{object}, {container}: keeps {}, which is of the same repository as {key}'s was",
                    text::quoted(&old.to_string())
                ));
            }
        } else if requested {
            // Judged by what was asked for.
        } else if old.name == new.name
            && (!is_read || moved.keys().any(|name| owner(name) == owner(&old.name)))
        {
            move_along.push(format!(
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
        return Ok(Beside { stay, move_along });
    }
    Err(Error::new(
        Kind::Chart,
        "the values of the requested images would change other images too",
    )
    .details(changed)
    .hint("no line in deploy.toml can set one without the other; give the requested images values of their own in the chart, or request those images, too"))
}

/// Each container of both renders, with what it carried and what it will.
fn pairs<'a>(
    before: &[Object],
    after: &'a [Object],
) -> Vec<(&'a Object, &'a ContainerImage, Reference, Reference)> {
    let mut seen = BTreeSet::new();
    let mut pairs = Vec::new();
    for object in after.iter().filter(|object| !object.is_test()) {
        let same = before
            .iter()
            .find(|old| old.reference.is_same(&object.reference));
        let Some(old) = same.or_else(|| like(before, object)) else {
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

/// The only object of the kind and the template of `object`, whose name holds a
/// random part or the tag.
fn like<'b>(before: &'b [Object], object: &Object) -> Option<&'b Object> {
    let of = &object.reference;
    let mut found = before.iter().filter(|old| {
        !old.source.is_empty()
            && old.source == object.source
            && old.reference.is(of.group(), &of.kind)
    });
    let first = found.next()?;
    found.next().is_none().then_some(first)
}
