//! The layouts in which a template may read a place: where the registry
//! stands, and how a digest is spelt. Likeliest first.

use serde_json::Value;

use super::layout::{DigestStyle, Layout, Prefix};
use super::model::{ImageLocation, Shape};
use super::values::get;
use crate::plan::ValuePath;
use crate::signal::{ImageKey, ImageRef};

/// The most layouts tried for one place.
const MAX_LAYOUTS: usize = 96;

/// Every layout of `shape` that can carry `image`, likeliest first. `registries`
/// are the fields that the images around it share for theirs.
pub(super) fn locate(
    values: &Value,
    image: &ImageRef,
    key: &ImageKey,
    shape: Shape,
    registries: Vec<ValuePath>,
) -> ImageLocation {
    let prefixes = prefixes(values, image, shape.registry.as_ref(), registries);
    let mut layouts = Vec::new();
    for repository in &shape.repositories {
        for tag in &shape.tags {
            let styles = styles(values, image, &shape, tag.as_ref(), repository.is_some());
            for (digest, style) in styles {
                for prefix in &prefixes {
                    // A registry is set together with a repository only.
                    if repository.is_none() && *prefix != prefixes[0] {
                        continue;
                    }
                    let fixed = repository.is_none() && shape.registry.is_none();
                    layouts.push(Layout {
                        key: key.clone(),
                        at: shape.at.clone(),
                        prefix: if fixed {
                            Prefix::Inside
                        } else {
                            prefix.clone()
                        },
                        repository: repository.clone(),
                        tag: tag.clone(),
                        digest: digest.clone(),
                        style,
                        solved: None,
                    });
                }
            }
        }
    }
    layouts.retain(|layout| layout.repository.is_some() || layout.tag.is_some());
    layouts.truncate(MAX_LAYOUTS);
    ImageLocation {
        key: key.clone(),
        at: shape.at,
        layouts,
        is_read: false,
    }
}

/// Where a digest may stand, and how it is spelt there.
fn styles(
    values: &Value,
    image: &ImageRef,
    shape: &Shape,
    tag: Option<&ValuePath>,
    has_repository: bool,
) -> Vec<(Option<ValuePath>, DigestStyle)> {
    let digest = shape.digest.clone();
    if image.digest().is_none() || (tag.is_none() && digest.is_none()) {
        return vec![(digest, DigestStyle::Own)];
    }
    // Without a repository of its own there is nothing to put `@sha256` on.
    let with_tag = tag.is_some() && (has_repository || image.tag().is_some());
    let with_tag = with_tag.then_some((digest.clone(), DigestStyle::WithTag));
    let own = digest.map(|digest| (Some(digest), DigestStyle::Own));
    // A template may read a digest that the values leave out.
    let unsaid = (own.is_none() && is_map(values, &shape.at))
        .then(|| (Some(shape.at.child("digest")), DigestStyle::Own));
    own.into_iter().chain(with_tag).chain(unsaid).collect()
}

/// Where the registry may stand; `own` is the place's own field for it.
fn prefixes(
    values: &Value,
    image: &ImageRef,
    own: Option<&ValuePath>,
    shared: Vec<ValuePath>,
) -> Vec<Prefix> {
    let name = image.name();
    let mut given = Vec::new();
    for path in &shared {
        let says = get(values, path)
            .and_then(Value::as_str)
            .unwrap_or_default();
        let says = says.trim_end_matches('/');
        if !says.is_empty()
            && name
                .strip_prefix(says)
                .is_some_and(|rest| rest.starts_with('/'))
        {
            given.push(Prefix::Given(says.to_owned()));
        }
    }
    // What a scope's own images share is likely read; a global is the last resort.
    let says = |path: &ValuePath| {
        get(values, path)
            .and_then(Value::as_str)
            .is_some_and(|text| !text.is_empty())
    };
    let (near, far): (Vec<_>, Vec<_>) = shared
        .into_iter()
        .partition(|path| path.keys().first().is_some_and(|key| key != "global") && says(path));
    let own = own.cloned().map(Prefix::Field);
    own.into_iter()
        .chain(given)
        .chain(near.into_iter().map(Prefix::Shared))
        .chain([Prefix::Inside])
        .chain(far.into_iter().map(Prefix::Shared))
        .collect()
}

fn is_map(values: &Value, at: &ValuePath) -> bool {
    get(values, at).is_some_and(Value::is_object)
}
