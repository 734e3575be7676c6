//! Tags that mean another digest than at an earlier deploy from this node: the
//! kubelet may go on running the old one, and nothing else would tell.
//!
//! The journal is where earlier digests are known from; it never fails a deploy.

use std::collections::BTreeMap;

use serde_json::Value;

use super::observed::PreviousDigests;
use super::supervise::same_template;
use crate::manifest::{Object, group_of, is_kubernetes_group};
use crate::signal::{Digest, ImageKey, ImageRef};

/// A warning for each image that may go on running as it was: its tag has
/// moved, and the chart does not always pull it, or changes nothing by which
/// its pods would be replaced. `now` holds each key's digest as the registry
/// told it, `before` the objects of the revision that serves.
pub(super) fn warnings(
    images: &BTreeMap<ImageKey, ImageRef>,
    now: &BTreeMap<ImageKey, Digest>,
    earlier: &PreviousDigests,
    objects: &[Object],
    before: &[Object],
) -> Vec<String> {
    let mut warnings: BTreeMap<String, String> = BTreeMap::new();
    for (key, image) in images {
        let name = image.to_string();
        let Some(digest) = now.get(key) else {
            continue;
        };
        let Some((old, at)) = earlier.other(&name, digest.as_str()) else {
            continue;
        };
        let stays = objects
            .iter()
            .find_map(|object| stays(object, &name, before));
        if let Some(stays) = stays {
            warnings.entry(name).or_insert_with(|| {
                format!(
                    "{key}: {image} means {} now, and meant {} when it was deployed on {}; {stays}. Send the digest, or a tag that never moves",
                    short(digest.as_str()),
                    short(old),
                    at.strftime("%Y-%m-%d %H:%M UTC"),
                )
            });
        }
    }
    warnings.into_values().collect()
}

/// Why an object's pods may go on running the image as it was.
fn stays(object: &Object, image: &str, before: &[Object]) -> Option<String> {
    if let Some(policy) = policy(&object.value, image) {
        return Some(format!(
            "{object} pulls it {policy}, so a node that has the old one goes on running it"
        ));
    }
    let carries = object
        .containers
        .iter()
        .any(|container| container.image == image);
    let same = object.reference.keeps_pods()
        && carries
        && before.iter().any(|old| same_template(old, object));
    same.then(|| {
        format!("nothing else changes in the pods of {object}, so those that run the old one stay")
    })
}

/// The policy by which a container of this image is pulled, where it is not
/// `Always`. Where none is set it is `IfNotPresent`, but for the tag `latest`
/// (`SetDefaults_Container` of pkg/apis/core/v1). Of a custom resource only what
/// it says counts.
fn policy<'a>(value: &'a Value, image: &str) -> Option<&'a str> {
    let own = is_kubernetes_group(group_of(value["apiVersion"].as_str().unwrap_or_default()));
    let otherwise = (own && !image.ends_with(":latest")).then_some("IfNotPresent");
    policy_in(value, image, otherwise)
}

fn policy_in<'a>(value: &'a Value, image: &str, otherwise: Option<&'a str>) -> Option<&'a str> {
    match value {
        Value::Object(fields) => {
            let policy = match fields.get("imagePullPolicy").and_then(Value::as_str) {
                Some("Always") => None,
                Some(policy @ ("IfNotPresent" | "Never")) => Some(policy),
                _ => otherwise,
            };
            let carries = fields.get("image").and_then(Value::as_str) == Some(image);
            policy.filter(|_| carries).or_else(|| {
                fields
                    .values()
                    .find_map(|field| policy_in(field, image, otherwise))
            })
        }
        Value::Array(items) => items
            .iter()
            .find_map(|item| policy_in(item, image, otherwise)),
        _ => None,
    }
}

/// As much of a digest as tells two apart.
fn short(digest: &str) -> &str {
    digest.get(.."sha256:".len() + 12).unwrap_or(digest)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const IMAGE: &str = "ghcr.io/acme/shop/api:main";

    fn images() -> BTreeMap<ImageKey, ImageRef> {
        BTreeMap::from([("api".parse().unwrap(), IMAGE.parse().unwrap())])
    }

    fn digest(of: char) -> String {
        format!("sha256:{}", of.to_string().repeat(64))
    }

    fn deployment(policy: &str, label: &str) -> Vec<Object> {
        let manifest = format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: api}}\nspec:\n  template:\n    metadata: {{labels: {{a: {label}}}}}\n    spec:\n      containers:\n        - name: api\n          image: {IMAGE}\n{policy}"
        );
        Object::parse(&manifest).unwrap()
    }

    fn told(earlier: &PreviousDigests, objects: &[Object], before: &[Object]) -> Vec<String> {
        let now = BTreeMap::from([("api".parse().unwrap(), digest('b').parse().unwrap())]);
        warnings(&images(), &now, earlier, objects, before)
    }

    #[test]
    fn a_moved_tag_is_told_where_the_old_image_may_stay() {
        let at = |day: u8| format!("2026-11-{day:02}T10:00:00Z").parse().unwrap();
        let moved = PreviousDigests(BTreeMap::from([(
            IMAGE.to_owned(),
            BTreeMap::from([
                (digest('a'), at(23)),
                (digest('b'), at(24)),
                (digest('c'), at(21)),
            ]),
        )]));
        let lazy = deployment("", "1");
        assert_eq!(
            told(&moved, &lazy, &[]),
            [
                "api: ghcr.io/acme/shop/api:main means sha256:bbbbbbbbbbbb now, and meant sha256:aaaaaaaaaaaa when it was deployed on 2026-11-23 10:00 UTC; Deployment api pulls it IfNotPresent, so a node that has the old one goes on running it. Send the digest, or a tag that never moves"
            ]
        );
        let always = "          imagePullPolicy: Always\n";
        let eager = deployment(always, "1");
        assert!(told(&moved, &eager, &[]).is_empty(), "a first install");
        assert!(told(&moved, &eager, &deployment(always, "2")).is_empty());
        let same = told(&moved, &eager, &deployment(always, "1"));
        assert!(
            same[0].contains("nothing else changes in the pods of Deployment api"),
            "{same:?}"
        );
        let still = BTreeMap::from([(digest('b'), at(24))]);
        let still = PreviousDigests(BTreeMap::from([(IMAGE.to_owned(), still)]));
        assert!(told(&still, &lazy, &[]).is_empty(), "it never moved");
    }

    #[test]
    fn only_the_chart_s_own_word_counts_for_a_custom_resource() {
        let runner = |more: &str| {
            let json =
                format!(r#"{{"apiVersion": "acme.io/v1", "spec": {{"image": "{IMAGE}"{more}}}}}"#);
            serde_json::from_str::<Value>(&json).unwrap()
        };
        assert_eq!(policy(&runner(""), IMAGE), None);
        let never = r#", "imagePullPolicy": "Never""#;
        assert_eq!(policy(&runner(never), IMAGE), Some("Never"));
    }
}
