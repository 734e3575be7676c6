//! Images of requested repositories that stand in variables and `ConfigMap`s:
//! controllers start pods from such, and no override of a container reaches
//! them. What stands in a Secret is not looked at.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::reference::Reference;
use crate::manifest::Object;
use crate::signal::{ImageKey, ImageRef};
use crate::text;

/// The most of them told.
const MAX_TOLD: usize = 6;

/// References of a requested repository with another tag or digest, one line
/// each. `allowed` ones are left out.
pub(super) fn told(
    objects: &[Object],
    images: &BTreeMap<ImageKey, ImageRef>,
    allowed: &BTreeSet<ImageRef>,
) -> Vec<String> {
    let mut lines = Vec::new();
    for object in objects.iter().filter(|object| !object.is_test()) {
        if object.reference.is("", "Secret") {
            continue;
        }
        let mut texts = Vec::new();
        if object.reference.is("", "ConfigMap") {
            let data = object.value.get("data").and_then(Value::as_object);
            for (name, value) in data.into_iter().flatten() {
                texts.extend(value.as_str().map(|value| (name.as_str(), value)));
            }
        } else {
            variables(&object.value, &mut texts);
        }
        for (name, value) in texts {
            for (key, image) in images {
                for found in references(value, &image.name()) {
                    let is_meant = images.values().chain(allowed).any(|one| found.is(one));
                    let line = format!(
                        "{object}: {} names {}, another image of {key}'s repository; no override reaches it",
                        text::line(name, 100),
                        text::quoted(&found.to_string())
                    );
                    if !is_meant && !lines.contains(&line) {
                        lines.push(line);
                    }
                }
            }
        }
    }
    let more = lines.len().saturating_sub(MAX_TOLD);
    lines.truncate(MAX_TOLD);
    if more > 0 {
        lines.push(format!(
            "and {more} more such images in variables and ConfigMaps"
        ));
    }
    lines
}

/// Every `{name, value}` beneath an `env`.
fn variables<'v>(value: &'v Value, found: &mut Vec<(&'v str, &'v str)>) {
    match value {
        Value::Object(map) => {
            for (key, below) in map {
                let list = below.as_array().filter(|_| key == "env");
                for variable in list.into_iter().flatten() {
                    let word = |key: &str| variable.get(key).and_then(Value::as_str);
                    found.extend(word("name").zip(word("value")));
                }
                variables(below, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| variables(item, found)),
        _ => {}
    }
}

/// The references in `text` whose name is `name`, with a tag or a digest.
fn references(text: &str, name: &str) -> Vec<Reference> {
    let is_part = |one: char| one.is_ascii_alphanumeric() || "._-/:@".contains(one);
    let found = text.match_indices(name).filter_map(|(at, _)| {
        let rest = &text[at..];
        let begins = text[..at]
            .chars()
            .next_back()
            .is_none_or(|one| !is_part(one) || one == '/' || one == ':');
        let ends = rest.find(|one| !is_part(one)).unwrap_or(rest.len());
        let whole = rest[..ends].trim_end_matches(['.', ':', '-', '/', '@']);
        let reference = Reference::parse(whole).filter(|_| begins)?;
        let has_end = reference.tag.is_some() || reference.digest.is_some();
        (reference.name == name && has_end).then_some(reference)
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::{BTreeMap, BTreeSet};

    use super::told;
    use crate::manifest::Object;

    #[test]
    fn other_images_of_a_requested_repository_are_named() {
        let images = BTreeMap::from([(
            "api".parse().unwrap(),
            "ghcr.io/acme/shop/api:2".parse().unwrap(),
        )]);
        let of = |manifest: &str, allowed: &[&str]| {
            let allowed: BTreeSet<_> = allowed.iter().map(|one| one.parse().unwrap()).collect();
            told(&Object::parse(manifest).unwrap(), &images, &allowed)
        };
        let env = |value: &str| {
            format!(
                "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: api}}\nspec: {{template: {{spec: {{containers: [{{name: api, image: x, env: [{{name: RUNNER, value: '{value}'}}]}}]}}}}}}\n"
            )
        };
        let line = "Deployment api: RUNNER names 'ghcr.io/acme/shop/api:1', another image of api's repository; no override reaches it";
        assert_eq!(of(&env("ghcr.io/acme/shop/api:1"), &[]), [line]);
        assert_eq!(of(&env("docker://ghcr.io/acme/shop/api:1."), &[]), [line]);
        for good in [
            "ghcr.io/acme/shop/api:2",
            "ghcr.io/acme/shop/api",
            "ghcr.io/acme/shop/api-docs:1",
            "ghcr.io/acme/shop/api/v1:1",
            "mirror.ghcr.io/acme/shop/api:1",
        ] {
            assert!(of(&env(good), &[]).is_empty(), "{good}");
        }
        assert!(
            of(
                &env("ghcr.io/acme/shop/api:1"),
                &["ghcr.io/acme/shop/api:1"]
            )
            .is_empty()
        );
        let map = |kind: &str| {
            format!(
                "apiVersion: v1\nkind: {kind}\nmetadata: {{name: jobs}}\ndata:\n  job.yaml: |\n    image: \"ghcr.io/acme/shop/api:1\"\n    again: ghcr.io/acme/shop/api:1\n"
            )
        };
        assert_eq!(of(&map("ConfigMap"), &[]).len(), 1);
        assert!(of(&map("Secret"), &[]).is_empty());
    }
}
