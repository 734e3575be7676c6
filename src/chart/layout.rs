//! How a chart's values spell one image, and the overrides that set it.
//!
//! A layout names every field that has a say in the reference; an override
//! sets all of them, or an old digest would outrank a new tag.

use std::collections::BTreeMap;

use serde_json::Value;

use super::equation::Equation;
use super::suggestions::cure;
use super::values;
use crate::plan::ValuePath;
use crate::signal::{ImageKey, ImageRef};
use crate::{Error, Kind};

/// How an image is spelt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Whose image it is.
    pub key: ImageKey,
    /// The place, as deploy.toml names it: `api.image`.
    pub at: ValuePath,
    /// Where the registry stands.
    pub prefix: Prefix,
    /// Where the repository stands; none where the chart's templates fix it.
    pub repository: Option<ValuePath>,
    /// Where the tag stands; none where it is part of the repository's field.
    pub tag: Option<ValuePath>,
    /// Where the digest stands.
    pub digest: Option<ValuePath>,
    /// How a digest is spelt.
    pub style: DigestStyle,
    /// What was read from a render instead, with what solves it for the
    /// requested image: then the fields above say nothing.
    pub(super) solved: Option<Solved>,
}

/// An equation with its solution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Solved {
    pub(super) equation: Equation,
    pub(super) values: Vec<(ValuePath, String)>,
    /// Fields beside them that were empty when it was read.
    pub(super) cleared: Vec<ValuePath>,
}

impl Solved {
    /// Its values, and what is emptied with them.
    fn assignments(&self) -> Vec<(ValuePath, String)> {
        let cleared = self
            .cleared
            .iter()
            .map(|path| (path.clone(), String::new()));
        self.values.iter().cloned().chain(cleared).collect()
    }
}

/// Where the registry of a reference stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prefix {
    /// In front of the repository, in the same field.
    Inside,
    /// In a field of its own.
    Field(ValuePath),
    /// In a field that others read too, which already says this; it stays.
    Given(String),
    /// In a field that others read too, which must say another thing.
    Shared(ValuePath),
}

/// How a digest is spelt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigestStyle {
    /// In its own field, or at the end of a field that holds the whole.
    Own,
    /// With the tag: repository `path@sha256` and tag `<hex>`, or tag
    /// `<tag>@sha256:<hex>`.
    WithTag,
}

impl Layout {
    /// What each field is set to for `image`. A field without a part is
    /// emptied, so that nothing of the image before stays in it.
    pub fn assignments(&self, image: &ImageRef) -> Vec<(ValuePath, String)> {
        if let Some(solved) = &self.solved {
            return solved.assignments();
        }
        let tag = image.tag().map(|tag| tag.as_str().to_owned());
        let digest = image.digest().map(|digest| digest.as_str().to_owned());
        let mut fields = Vec::new();
        let mut name = match &self.prefix {
            Prefix::Inside => image.name(),
            Prefix::Given(given) => {
                let name = image.name();
                match name
                    .strip_prefix(given.as_str())
                    .and_then(|rest| rest.strip_prefix('/'))
                {
                    Some(rest) => rest.to_owned(),
                    None => name,
                }
            }
            Prefix::Field(path) | Prefix::Shared(path) => {
                fields.push((path.clone(), ImageRef::REGISTRY.to_owned()));
                image.repository()
            }
        };
        let (mut tag_field, mut digest_field) = (tag.clone(), digest.clone());
        if self.style == DigestStyle::WithTag
            && self.tag.is_some()
            && let Some(digest) = digest
        {
            digest_field = None;
            tag_field = Some(if let Some(tag) = tag {
                format!("{tag}@{digest}")
            } else {
                name.push_str("@sha256");
                digest["sha256:".len()..].to_owned()
            });
        }
        // What has no field of its own goes to the repository's end.
        if self.tag.is_none()
            && let Some(tag) = tag_field.take()
        {
            name = format!("{name}:{tag}");
        }
        if self.digest.is_none()
            && let Some(digest) = digest_field.take()
        {
            match (&self.tag, tag_field.take()) {
                (Some(_), tag) => tag_field = Some(format!("{}@{digest}", tag.unwrap_or_default())),
                (None, _) => name = format!("{name}@{digest}"),
            }
        }
        fields.extend(self.repository.clone().map(|path| (path, name)));
        fields.extend(
            self.tag
                .clone()
                .map(|path| (path, tag_field.unwrap_or_default())),
        );
        fields.extend(
            self.digest
                .clone()
                .map(|path| (path, digest_field.unwrap_or_default())),
        );
        fields
    }

    /// The fields that an override of it sets.
    pub fn paths(&self) -> Vec<&ValuePath> {
        if let Some(solved) = &self.solved {
            let values = solved.values.iter().map(|(path, _)| path);
            return values.chain(&solved.cleared).collect();
        }
        let prefix = match &self.prefix {
            Prefix::Field(path) | Prefix::Shared(path) => Some(path),
            Prefix::Inside | Prefix::Given(_) => None,
        };
        let fields = [
            prefix,
            self.repository.as_ref(),
            self.tag.as_ref(),
            self.digest.as_ref(),
        ];
        fields.into_iter().flatten().collect()
    }

    /// The shared field that an override of it changes.
    pub fn shared(&self) -> Option<&ValuePath> {
        match &self.prefix {
            Prefix::Shared(path) => Some(path),
            _ => None,
        }
    }
}

/// `api.image.repository, api.image.tag`
impl std::fmt::Display for Layout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let paths: Vec<String> = self.paths().iter().map(ToString::to_string).collect();
        f.write_str(&crate::text::line(&paths.join(", "), 400))
    }
}

/// Two layouts that want another value in one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clash {
    /// The field.
    pub path: ValuePath,
    /// Who set it first, and to what.
    pub first: (ImageKey, String),
    /// Who wants another value.
    pub second: (ImageKey, String),
}

impl Clash {
    /// The error for it.
    pub(super) fn refused(&self) -> Error {
        let (first, second) = (&self.first, &self.second);
        Error::new(
            Kind::Chart,
            format!(
                "{} and {} share {} in the chart's values, but the request needs two values in it",
                first.0, second.0, self.path
            ),
        )
        .detail(format!(
            "{} for {}, {} for {}",
            first.1, first.0, second.1, second.0
        ))
        .hint("request the same for both there; no line in deploy.toml can set two values in one field")
        .hint(format!("or give each its own in the chart: {}", cure(&second.0)))
    }
}

/// One values file that sets every field of `layout` to `image`.
pub fn overrides(layout: &Layout, image: &ImageRef) -> Value {
    let mut overrides = Value::Object(serde_json::Map::new());
    for (path, text) in layout.assignments(image) {
        values::set(&mut overrides, &path, Value::String(text));
    }
    overrides
}

/// One values file for all of `layouts`. Fails where two of them share a field
/// and differ.
pub(super) fn joined<'a>(
    layouts: impl IntoIterator<Item = (&'a Layout, &'a ImageRef)>,
) -> Result<Value, Clash> {
    let mut all: BTreeMap<ValuePath, (ImageKey, String)> = BTreeMap::new();
    for (layout, image) in layouts {
        for (path, text) in layout.assignments(image) {
            let entry = (layout.key.clone(), text);
            match all.get(&path) {
                Some(first) if first.1 != entry.1 => {
                    return Err(Clash {
                        path,
                        first: first.clone(),
                        second: entry,
                    });
                }
                _ => all.insert(path, entry),
            };
        }
    }
    let mut overrides = Value::Object(serde_json::Map::new());
    for (path, (_, text)) in all {
        values::set(&mut overrides, &path, Value::String(text));
    }
    Ok(overrides)
}
