//! Where a chart's values may spell the image of a key.
//!
//! Only candidates: which of them the templates read is shown by a render
//! ([`super::probe`]), never guessed here.

use serde_json::Value;

use super::layout_candidates::locate;
use super::model::{ImageLocation, Shape};
use super::values::get;
use crate::plan::ValuePath;
use crate::signal::{ImageKey, ImageRef};

/// The names that each field may have: repository, tag, digest, registry.
type Names = [&'static [&'static str]; 4];

/// Looks through coalesced values.
pub(super) struct Search<'a> {
    pub(super) values: &'a Value,
    /// Under which paths an enabled subchart's values lie.
    pub(super) subcharts: &'a [ValuePath],
    /// What shall stand there.
    pub(super) image: &'a ImageRef,
}

/// A path in a scope: the top (none) or a subchart's values.
fn below(scope: Option<&ValuePath>, keys: &[&str]) -> Option<ValuePath> {
    let mut keys = keys.iter();
    let mut path = if let Some(scope) = scope {
        scope.clone()
    } else {
        let first = keys.next()?.replace('\\', "\\\\").replace('.', "\\.");
        first.parse().ok()?
    };
    for key in keys {
        path = path.child(*key);
    }
    Some(path)
}

impl Search<'_> {
    /// Every place for `key` that the values have; where there is none, those
    /// among the globals.
    pub(super) fn locations(&self, key: &ImageKey) -> Vec<ImageLocation> {
        let mut locations = Vec::new();
        let scopes = std::iter::once(None).chain(self.subcharts.iter().map(Some));
        for scope in scopes {
            locations.extend(self.in_scope(key, scope));
        }
        if locations.is_empty() {
            let global = below(None, &["global"]);
            locations.extend(self.in_scope(key, global.as_ref()));
        }
        locations
    }

    /// The place that the node names.
    pub(super) fn named(&self, key: &ImageKey, at: &ValuePath) -> Option<ImageLocation> {
        // The longest subchart path above it: its shared fields are that chart's.
        let scope = self
            .subcharts
            .iter()
            .filter(|scope| {
                at.keys().starts_with(scope.keys()) && scope.keys().len() < at.keys().len()
            })
            .max_by_key(|scope| scope.keys().len());
        let shape = match get(self.values, at) {
            Some(Value::Object(_)) => self.map(at.clone(), scope, MAP_FIELDS)?,
            _ => self.string(at.clone(), scope),
        };
        Some(self.locate(key, scope, shape))
    }

    fn locate(&self, key: &ImageKey, scope: Option<&ValuePath>, shape: Shape) -> ImageLocation {
        let registries = self.shared(scope, &shape.at, SHARED_REGISTRIES);
        locate(self.values, self.image, key, shape, registries)
    }

    /// What was looked for, for a person.
    pub(super) fn looked_at(key: &ImageKey) -> String {
        format!("{key}.image, {key}.repository, images.{key}, image.{key}, {key}Image")
    }

    fn in_scope(&self, key: &ImageKey, scope: Option<&ValuePath>) -> Vec<ImageLocation> {
        let key_image = format!("{key}Image");
        let places: [(&[&str], &Names); 5] = [
            (&[key.as_str(), "image"], MAP_FIELDS),
            (&[key.as_str()], OWNER_FIELDS),
            (&["images", key.as_str()], MAP_FIELDS),
            (&["image", key.as_str()], MAP_FIELDS),
            (&[&key_image], MAP_FIELDS),
        ];
        let mut locations = Vec::new();
        for (keys, fields) in places {
            let Some(at) = below(scope, keys) else {
                continue;
            };
            let shape = match get(self.values, &at) {
                Some(Value::Object(_)) => self.map(at, scope, fields),
                Some(Value::String(_) | Value::Null) if fields == MAP_FIELDS => {
                    Some(self.string(at, scope))
                }
                _ => None,
            };
            locations.extend(shape.map(|shape| self.locate(key, scope, shape)));
        }
        locations
    }

    /// The first of `names` that stands beneath `at` as a scalar.
    fn field(&self, at: &ValuePath, names: &[&str]) -> Option<ValuePath> {
        names
            .iter()
            .map(|name| at.child(*name))
            .find(|path| get(self.values, path).is_some_and(is_scalar))
    }

    /// Fields that the components of a scope share, then globals.
    fn shared(
        &self,
        scope: Option<&ValuePath>,
        at: &ValuePath,
        places: &[&[&str]],
    ) -> Vec<ValuePath> {
        let mut found = Vec::new();
        for keys in places {
            let global: Vec<&str> = std::iter::once("global")
                .chain(keys.iter().copied())
                .collect();
            let own = below(scope, keys);
            let seen = [own.clone(), below(scope, &global), below(None, &global)];
            // A subchart sees the parent's globals; they are set at the top.
            let set = [own, below(None, &global), below(None, &global)];
            for (seen, set) in seen.into_iter().zip(set) {
                let (Some(seen), Some(set)) = (seen, set) else {
                    continue;
                };
                let own_field = seen.keys().starts_with(at.keys());
                if !own_field
                    && !found.contains(&set)
                    && get(self.values, &seen).is_some_and(is_scalar)
                {
                    found.push(set);
                }
            }
        }
        found
    }

    fn map(&self, at: ValuePath, scope: Option<&ValuePath>, fields: &Names) -> Option<Shape> {
        let [repository, tag, digest, registry] = fields.map(|names| self.field(&at, names));
        let owner = fields == OWNER_FIELDS;
        if owner && repository.is_none() && (tag.is_none() || self.has_image(&at)) {
            return None;
        }
        if [&repository, &tag, &digest, &registry]
            .iter()
            .all(|field| field.is_none())
        {
            return None;
        }
        let repositories = if let Some(path) = repository {
            vec![Some(path)]
        } else {
            let shared = self.shared(scope, &at, &[&["image", "repository"], &["repository"]]);
            let own = (!owner).then(|| at.child("repository"));
            // Its own first: two keys can then differ.
            own.into_iter()
                .chain(shared)
                .map(Some)
                .chain([None])
                .collect()
        };
        let tags = if let Some(path) = tag {
            vec![Some(path)]
        } else {
            let beside = parent(&at).and_then(|above| self.field(&above, &["tag", "imageTag"]));
            let shared = self.shared(scope, &at, SHARED_TAGS);
            let own = at.child("tag");
            beside
                .into_iter()
                .chain([own])
                .chain(shared)
                .map(Some)
                .chain([None])
                .collect()
        };
        Some(Shape {
            at,
            registry,
            repositories,
            tags,
            digest,
        })
    }

    /// Whether the map at `at` has an `image` of its own, which is looked at by itself.
    fn has_image(&self, at: &ValuePath) -> bool {
        get(self.values, &at.child("image")).is_some()
    }

    /// A string with the fields beside it that may complete it.
    fn string(&self, at: ValuePath, scope: Option<&ValuePath>) -> Shape {
        let (above, last) = (parent(&at), at.keys().last().cloned().unwrap_or_default());
        if matches!(last.as_str(), "tag" | "imageTag") {
            return Shape {
                registry: None,
                repositories: self
                    .shared(scope, &at, &[&["image", "repository"], &["repository"]])
                    .into_iter()
                    .map(Some)
                    .chain([None])
                    .collect(),
                tags: vec![Some(at.clone())],
                digest: None,
                at,
            };
        }
        let mut names: Vec<[String; 3]> =
            vec![["Registry", "Tag", "Digest"].map(|part| format!("{last}{part}"))];
        if last == "image" {
            names.push(["registry", "tag", "digest"].map(str::to_owned));
        } else if let Some(stem) = last.strip_suffix("Image") {
            names.push(["Registry", "Tag", "Digest"].map(|part| format!("{stem}{part}")));
        }
        let beside = |part: usize| {
            let names: Vec<&str> = names.iter().map(|names| names[part].as_str()).collect();
            match &above {
                Some(above) => self.field(above, &names),
                None => names
                    .iter()
                    .filter_map(|name| below(None, &[name]))
                    .find(|path| get(self.values, path).is_some_and(is_scalar)),
            }
        };
        let mut tags: Vec<Option<ValuePath>> = beside(1).into_iter().map(Some).collect();
        let tables: [&[&str]; 2] = [&["tags", &last], &["imageTags", &last]];
        tags.extend(self.shared(scope, &at, &tables).into_iter().map(Some));
        tags.extend(self.shared(scope, &at, SHARED_TAGS).into_iter().map(Some));
        let given = get(self.values, &at)
            .and_then(Value::as_str)
            .unwrap_or_default();
        let whole = given.contains('@')
            || given
                .rsplit('/')
                .next()
                .is_some_and(|last| last.contains(':'));
        if whole {
            tags.insert(0, None);
        } else {
            tags.push(None);
        }
        Shape {
            registry: beside(0),
            repositories: vec![Some(at.clone())],
            tags,
            digest: beside(2),
            at,
        }
    }
}

/// Names of repository, tag, digest and registry in a map that is an image.
const MAP_FIELDS: &Names = &[
    &["repository", "name", "repo", "image"],
    &["tag", "imageTag"],
    &["digest", "sha256", "sha"],
    &["registry", "imageRegistry"],
];

/// The same in a map that is a component, with other things in it.
const OWNER_FIELDS: &Names = &[
    &["repository", "imageRepository", "imageName"],
    &["tag", "imageTag"],
    &["digest", "imageDigest"],
    &["registry", "imageRegistry"],
];

const SHARED_TAGS: &[&[&str]] = &[
    &["image", "tag"],
    &["images", "tag"],
    &["imageTag"],
    &["tag"],
];

const SHARED_REGISTRIES: &[&[&str]] = &[
    &["imageRegistry"],
    &["image", "registry"],
    &["images", "registry"],
    &["registry"],
];

fn is_scalar(value: &Value) -> bool {
    !value.is_object() && !value.is_array()
}

fn parent(path: &ValuePath) -> Option<ValuePath> {
    let keys: Vec<&str> = path.keys().iter().map(String::as_str).collect();
    let (_, above) = keys.split_last()?;
    below(None, above)
}
