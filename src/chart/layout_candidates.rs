//! In which ways a template may read a place: where the registry stands, and
//! how a digest is spelt. Likeliest first.

use serde_json::Value;

use super::layout::{DigestStyle, Layout, Prefix};
use super::search::{ImageLocation, Search, Shape};
use super::values::get;
use crate::plan::ValuePath;
use crate::signal::ImageKey;

/// The most ways tried for one place.
const MAX_WAYS: usize = 96;

impl Search<'_> {
    /// Every way to read the shape, likeliest first.
    pub(super) fn spot(
        &self,
        key: &ImageKey,
        scope: Option<&ValuePath>,
        shape: Shape,
    ) -> ImageLocation {
        let prefixes = self.prefixes(scope, &shape);
        let mut ways = Vec::new();
        for repository in &shape.repositories {
            for tag in &shape.tags {
                for (digest, spelling) in self.spellings(&shape, tag.as_ref(), repository.is_some())
                {
                    for prefix in &prefixes {
                        // A registry is set together with a repository only.
                        if repository.is_none() && *prefix != prefixes[0] {
                            continue;
                        }
                        let fixed = repository.is_none() && shape.registry.is_none();
                        ways.push(Layout {
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
                            spelling,
                        });
                    }
                }
            }
        }
        ways.retain(|way| way.repository.is_some() || way.tag.is_some());
        ways.truncate(MAX_WAYS);
        ImageLocation {
            key: key.clone(),
            at: shape.at,
            ways,
        }
    }

    fn spellings(
        &self,
        shape: &Shape,
        tag: Option<&ValuePath>,
        named: bool,
    ) -> Vec<(Option<ValuePath>, DigestStyle)> {
        let digest = shape.digest.clone();
        if self.image.digest().is_none() || (tag.is_none() && digest.is_none()) {
            return vec![(digest, DigestStyle::Own)];
        }
        // Without a repository of its own there is nothing to put `@sha256` on.
        let with_tag = tag.is_some() && (named || self.image.tag().is_some());
        let with_tag = with_tag.then_some((digest.clone(), DigestStyle::WithTag));
        let own = digest.map(|digest| (Some(digest), DigestStyle::Own));
        // A template may read a digest that the values leave out.
        let unsaid = (own.is_none() && is_map(self.values, &shape.at))
            .then(|| (Some(shape.at.child("digest")), DigestStyle::Own));
        own.into_iter().chain(with_tag).chain(unsaid).collect()
    }

    fn prefixes(&self, scope: Option<&ValuePath>, shape: &Shape) -> Vec<Prefix> {
        let shared = self.shared(
            scope,
            &shape.at,
            &[
                &["imageRegistry"],
                &["image", "registry"],
                &["images", "registry"],
                &["registry"],
            ],
        );
        let name = self.image.name();
        let mut given = Vec::new();
        for path in &shared {
            let says = get(self.values, path)
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
            get(self.values, path)
                .and_then(Value::as_str)
                .is_some_and(|text| !text.is_empty())
        };
        let (near, far): (Vec<_>, Vec<_>) = shared
            .into_iter()
            .partition(|path| path.keys().first().is_some_and(|key| key != "global") && says(path));
        let own = shape.registry.clone().map(Prefix::Field);
        own.into_iter()
            .chain(given)
            .chain(near.into_iter().map(Prefix::Shared))
            .chain([Prefix::Inside])
            .chain(far.into_iter().map(Prefix::Shared))
            .collect()
    }
}

fn is_map(values: &Value, at: &ValuePath) -> bool {
    get(values, at).is_some_and(Value::is_object)
}
