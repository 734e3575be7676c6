//! Subcharts of somebody else: a database, a dashboard. Their images are not
//! the request's, whatever they are called.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::archive::Chart;
use super::suggestions::image_like;
use super::values;
use crate::plan::ValuePath;
use crate::signal::{ImageKey, ImageRef};

/// The paths of subcharts that come from another owner than the images do, or
/// whose own images do. What lies in one of them is somebody else's, too.
pub(super) fn paths(
    chart: &Chart,
    node: &[Value],
    images: &BTreeMap<ImageKey, ImageRef>,
) -> Vec<ValuePath> {
    let owners = owners(images.values());
    let coalesced = values::coalesce(chart, node);
    let foreign = values::sourced_subcharts(chart, node)
        .into_iter()
        .filter(|(path, source)| {
            let inside = values::get(&coalesced, path).unwrap_or(&Value::Null);
            is_foreign_source(source, &owners)
                || (!is_component(path, images) && has_foreign_images(inside, &owners))
        });
    foreign.map(|(path, _)| path).collect()
}

/// Whether an image names another owner than those of `requested`.
pub(super) fn is_of_another_owner<'a>(
    image: &str,
    requested: impl Iterator<Item = &'a ImageRef>,
) -> bool {
    is_owners(image, &owners(requested)) == Some(false)
}

fn owners<'a>(images: impl Iterator<Item = &'a ImageRef>) -> BTreeSet<String> {
    images
        .map(|image| image.owner().to_string().to_ascii_lowercase())
        .collect()
}

/// Whether a subchart is called like a component of the request: its default
/// image may still be of where it was published before.
fn is_component(path: &ValuePath, images: &BTreeMap<ImageKey, ImageRef>) -> bool {
    let name = path.keys().last().map(String::as_str).unwrap_or_default();
    name.split(['-', '_']).any(|word| {
        matches!(word, "backend" | "frontend") || images.keys().any(|key| key.as_str() == word)
    })
}

/// Whether a dependency's `repository` names another owner.
fn is_foreign_source(source: &str, owners: &BTreeSet<String>) -> bool {
    let source = source.trim().to_ascii_lowercase();
    if source.is_empty() || source.starts_with("file:") {
        return false;
    }
    !source
        .split(['/', ':', '.', '@'])
        .any(|part| owners.contains(part))
}

/// Whether the images in `values` are another's; not where one is the owners'.
fn has_foreign_images(values: &Value, owners: &BTreeSet<String>) -> bool {
    let mut found = Vec::new();
    image_like(values, None, &mut found);
    let says: Vec<Option<bool>> = found
        .iter()
        .map(|(_, image)| is_owners(image, owners))
        .collect();
    !says.contains(&Some(true)) && says.contains(&Some(false))
}

/// Whether an image is of one of `owners`; none where it names nobody: a bare
/// name, or one that is made up.
fn is_owners(image: &str, owners: &BTreeSet<String>) -> Option<bool> {
    const MADE_UP: [&str; 8] = [
        "example",
        "your",
        "change",
        "placeholder",
        "todo",
        "localhost",
        "<",
        "acme",
    ];
    let image = image.to_ascii_lowercase();
    let name = image.split(['@']).next().unwrap_or_default();
    let parts: Vec<&str> = name.split('/').filter(|part| !part.is_empty()).collect();
    let (_, above) = parts.split_last()?;
    if above.iter().any(|part| {
        part.split(['.', ':', '-'])
            .any(|word| owners.contains(word))
            || owners.contains(*part)
    }) {
        return Some(true);
    }
    let above: Vec<&&str> = above
        .iter()
        .filter(|part| !matches!(**part, "docker.io" | "library"))
        .collect();
    if above.is_empty()
        || above
            .iter()
            .any(|part| MADE_UP.iter().any(|word| part.starts_with(word)))
    {
        return None;
    }
    Some(false)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{is_foreign_source, is_owners};

    #[test]
    fn owners_are_told_from_others() {
        let owners = BTreeSet::from(["acme".to_owned()]);
        for (image, expected) in [
            ("nginx", None),
            ("library/redis", None),
            ("docker.io/bitnami/redis", Some(false)),
            ("bitnami/redis:7", Some(false)),
            ("ghcr.io/acme/api", Some(true)),
            ("registry.acme.dev/api", Some(true)),
            ("acme/api", Some(true)),
            ("ghcr.io/other/api", Some(false)),
            ("your-registry/api", None),
            ("", None),
        ] {
            assert_eq!(is_owners(image, &owners), expected, "{image}");
        }
        for (source, expected) in [
            ("", false),
            ("file://../api", false),
            ("oci://ghcr.io/acme/charts", false),
            ("https://acme.github.io/charts", false),
            ("https://charts.bitnami.com/bitnami", true),
        ] {
            assert_eq!(is_foreign_source(source, &owners), expected, "{source}");
        }
    }
}
