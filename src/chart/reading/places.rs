//! The places of the values that can take part in an image, and what is put
//! there for a render that shows what the templates make of them.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::roles::{Role, made_up_name, role_in, role_of_name};
use crate::chart::lists::list_of;
use crate::chart::sentinel::made_up_tag;
use crate::chart::values::get;
use crate::plan::ValuePath;
use crate::signal::ImageRef;

/// The most places that one render fills.
const MAX_PLACES: usize = 600;
/// The most elements of a list that are looked at.
const MAX_ELEMENTS: usize = 60;

/// A scalar that can take part in an image.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Where an override sets it.
    pub(super) path: ValuePath,
    /// What stands there as a template prints it; empty where nothing does.
    pub(super) now: String,
    pub(super) role: Role,
    /// Whether the values do not have it: a template may read it all the same.
    pub(super) unsaid: bool,
    /// Whether the untouched render has it in an image.
    pub(super) seen: bool,
}

/// How tags and digests are filled in one render.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fill {
    pub(super) tag: TagFill,
    pub(super) digest: bool,
    /// Registries that are empty are filled, too.
    pub(super) registries: bool,
}

/// What is put where a tag stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TagFill {
    /// A tag of the shape that is requested; the hex of a digest where none is.
    Shape,
    /// `sha256:<hex>`: some templates take it for a digest.
    Digest,
    /// Nothing.
    Empty,
}

/// Every scalar of `values` that can take part in one of the images of the
/// untouched render, or any that is named like one where `images` is empty.
pub(super) fn collect(
    values: &Value,
    subcharts: &[ValuePath],
    templates: &[String],
    images: &[String],
    digest: bool,
) -> Vec<Place> {
    let mut scalars = Vec::new();
    gather(values, None, subcharts, &mut scalars);
    // In a list only what is named like a part of an image: variables stand there, too.
    scalars.retain(|(path, _)| {
        let name = path.keys().last().map_or("", String::as_str);
        role_of_name(name).is_some() || list_of(values, path).is_none()
    });
    let mut places: Vec<Place> = scalars
        .into_iter()
        .filter_map(|(path, value)| place(path, value, images))
        .collect();
    let parents: Vec<Vec<String>> = places
        .iter()
        .filter(|place| place.seen)
        .map(|place| above(&place.path).to_vec())
        .collect();
    // Beside one that is seen, one that is not may be outranked for now.
    places.retain(|place| {
        place.seen
            || place.now.is_empty()
            || parents.iter().any(|at| at == above(&place.path))
            || images.is_empty()
            || above(&place.path).len() <= 1
    });
    let unsaid = unsaid(values, templates, &places, digest);
    for path in unsaid {
        if places.iter().all(|place| place.path != path) {
            let name = path.keys().last().cloned().unwrap_or_default();
            let role = role_of_name(&name).unwrap_or(Role::Name);
            places.push(Place {
                path,
                now: String::new(),
                role,
                unsaid: true,
                seen: false,
            });
        }
    }
    places.truncate(MAX_PLACES);
    places
}

fn above(path: &ValuePath) -> &[String] {
    path.keys().split_last().map_or(&[], |(_, above)| above)
}

/// Scalars with the path that sets them: a subchart's global is set at the top.
fn gather<'v>(
    value: &'v Value,
    at: Option<&ValuePath>,
    subcharts: &[ValuePath],
    found: &mut Vec<(ValuePath, &'v Value)>,
) {
    let Value::Object(map) = value else { return };
    for (key, below) in map {
        let is_subchart = at.is_some_and(|at| subcharts.contains(at));
        let path = match at {
            Some(_) if is_subchart && key == "global" => key.parse().ok(),
            Some(at) => Some(at.child(key)),
            None => key.replace('\\', "\\\\").replace('.', "\\.").parse().ok(),
        };
        let Some(path) = path else { continue };
        match below {
            Value::Object(_) => gather(below, Some(&path), subcharts, found),
            // Elements are maps with a name and an image; a global list is its chart's own.
            Value::Array(items) if !(is_subchart && key == "global") => {
                for (at, item) in items.iter().enumerate().take(MAX_ELEMENTS) {
                    gather(item, Some(&path.child(at.to_string())), subcharts, found);
                }
            }
            Value::Array(_) | Value::Bool(_) => {}
            scalar => {
                if found.iter().all(|(other, _)| *other != path) {
                    found.push((path, scalar));
                }
            }
        }
    }
}

/// A scalar as a place; none where it cannot be part of an image.
fn place(path: ValuePath, value: &Value, images: &[String]) -> Option<Place> {
    let name = path.keys().last().cloned().unwrap_or_default();
    let by_name = role_of_name(&name);
    let now = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) if by_name == Some(Role::Tag) || by_name == Some(Role::Digest) => {
            number.to_string()
        }
        Value::Null => String::new(),
        _ => return None,
    };
    if now.len() > 512 || now.contains('\n') || now.contains("{{") {
        return None;
    }
    let role_seen = images
        .iter()
        .find_map(|image| role_in(image, now.trim_end_matches('/')));
    let seen = !now.is_empty() && role_seen.is_some();
    if !seen && by_name.is_none() {
        return None;
    }
    let role = match (by_name, role_seen) {
        (Some(Role::Digest), _) => Role::Digest,
        _ if now.starts_with("sha256:") && by_name != Some(Role::Tag) => Role::Digest,
        (_, Some(role)) if seen => role,
        (Some(role), _) => role,
        (None, _) => Role::Name,
    };
    Some(Place {
        path,
        now,
        role,
        unsaid: false,
        seen,
    })
}

/// Paths that the templates read and the values do not have.
fn unsaid(values: &Value, templates: &[String], places: &[Place], digest: bool) -> Vec<ValuePath> {
    let reads = |field: &str| {
        templates
            .iter()
            .any(|text| text.contains(&format!(".{field}")))
    };
    let mut found = Vec::new();
    for place in places
        .iter()
        .filter(|place| place.seen && place.role == Role::Name)
    {
        let mut above = place.path.keys().to_vec();
        above.pop();
        let beside = |role| {
            places.iter().any(|other| {
                other.role == role
                    && other
                        .path
                        .keys()
                        .split_last()
                        .is_some_and(|(_, at)| at == above)
            })
        };
        let name = place
            .path
            .keys()
            .last()
            .map(String::as_str)
            .unwrap_or_default();
        let in_map = matches!(name, "repository" | "name" | "repo" | "image");
        for (field, role) in [("tag", Role::Tag), ("digest", Role::Digest)] {
            let asked = role == Role::Tag || digest;
            if in_map && asked && !beside(role) && !above.is_empty() && reads(field) {
                found.extend(path_of(&above, field));
            }
        }
    }
    let Some(reference) = REFERENCE.as_ref() else {
        return found;
    };
    for template in templates {
        for read in reference.captures_iter(template) {
            let Ok(path) = read.extract::<1>().1[0].parse::<ValuePath>() else {
                continue;
            };
            let name = path.keys().last().map(String::as_str).unwrap_or_default();
            let role = role_of_name(name);
            let fits = role == Some(Role::Tag) || (role == Some(Role::Digest) && digest);
            let inside = path_of(above(&path), "").is_none() || get_map(values, above(&path));
            if fits && inside && get(values, &path).is_none() && !found.contains(&path) {
                found.push(path);
            }
        }
    }
    found
}

fn get_map(values: &Value, keys: &[String]) -> bool {
    keys.iter()
        .try_fold(values, |value, key| value.get(key))
        .is_some_and(Value::is_object)
}

/// `field` beneath `keys`; none at the top.
fn path_of(keys: &[String], field: &str) -> Option<ValuePath> {
    let (first, rest) = keys.split_first()?;
    let first: ValuePath = first
        .replace('\\', "\\\\")
        .replace('.', "\\.")
        .parse()
        .ok()?;
    Some(
        rest.iter()
            .fold(first, |path, key| path.child(key))
            .child(field),
    )
}

/// `.Values.image.tag`
static REFERENCE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\.Values\.([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)").ok());

impl Place {
    /// Whether its name is that of a part of an image.
    pub(super) fn is_named(&self) -> bool {
        let name = self.path.keys().last().map_or("", String::as_str);
        role_of_name(name).is_some()
    }

    /// What is put there; none: it stays as it is. `id` tells it from others.
    pub(super) fn made_up(&self, id: usize, fill: Fill, image: &ImageRef) -> Option<String> {
        let hex = || format!("d{id:03}{:056x}{id:04}", 0);
        match self.role {
            Role::Digest if !fill.digest => (!self.now.is_empty()).then(String::new),
            Role::Digest if is_hex(&self.now) => Some(hex()),
            Role::Digest => Some(format!("sha256:{}", hex())),
            Role::Tag => match fill.tag {
                TagFill::Empty => (!self.now.is_empty()).then(String::new),
                TagFill::Digest => Some(format!("sha256:{}", hex())),
                TagFill::Shape => Some(match image.tag() {
                    Some(tag) => made_up_tag(tag.as_str(), id),
                    None => hex(),
                }),
            },
            Role::Registry if self.now.is_empty() && !fill.registries => None,
            Role::Registry => Some(made_up_name(&self.now, id, "ghcr.io")),
            Role::Name => {
                let fallback = format!("ghcr.io/{}/image", image.owner());
                Some(made_up_name(&self.now, id, &fallback))
            }
        }
    }
}

fn is_hex(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::collect;
    use crate::chart::reading::roles::{Role, role_in};

    #[test]
    fn places_are_what_stands_in_an_image_or_is_named_like_it() {
        let values = json!({
            "prefix": "acme/shop", "component": "api", "tag": "1", "replicas": 1, "policy": "Always",
            "image": {"repository": "x", "digest": ""}, "sub": {"global": {"imageTag": "2"}}, "list": ["acme"],
        });
        let images = ["acme/shop-api:1".to_owned(), "x:2".to_owned()];
        let templates = [".Values.planeVersion .tag".to_owned()];
        let subcharts = ["sub".parse().unwrap()];
        let places = collect(&values, &subcharts, &templates, &images, true);
        let mut shown: Vec<String> = places
            .iter()
            .map(|place| format!("{}={:?}", place.path, place.role))
            .collect();
        shown.sort();
        assert_eq!(
            shown,
            [
                "component=Name",
                "global.imageTag=Tag",
                "image.digest=Digest",
                "image.repository=Name",
                "image.tag=Tag",
                "planeVersion=Tag",
                "prefix=Name",
                "tag=Tag"
            ]
        );
        assert_eq!(role_in("ghcr.io/a/b:1", "ghcr.io"), Some(Role::Registry));
        assert_eq!(role_in("ghcr.io/a/b:1", "gh"), None);
    }
}
