//! What a chart renders, read: objects, and every place that names an image.
//!
//! Kubernetes' own kinds carry images in their pod templates; a custom
//! resource may carry them anywhere, under a key `image`.

use std::fmt;

use serde_json::Value;

pub mod changes;
mod images;
pub mod managers;
mod merge_keys;
mod object_ref;
pub mod patch;
pub mod quantity;
pub(crate) mod yaml;

pub use object_ref::{ObjectRef, group_of, is_kubernetes_group};

use crate::{Error, Kind, Result, text};

/// The most objects of one manifest.
const MAX_OBJECTS: usize = 10_000;

/// One rendered object.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// What it calls itself: without a namespace it is in the release's, and
    /// its name is empty where it only has a `generateName`.
    pub reference: ObjectRef,
    /// The events of a hook (`pre-upgrade`, …); empty for all else.
    pub hooks: Vec<String>,
    /// The template it came from, where the manifest says it.
    pub source: String,
    /// Every place in it that names an image.
    pub containers: Vec<ContainerImage>,
    /// The whole of it.
    pub value: Value,
}

/// A place that names an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerImage {
    /// `spec.template.spec.containers[0]`
    pub path: String,
    /// The container's name; empty where there is none.
    pub name: String,
    /// The image as rendered.
    pub image: String,
}

impl Object {
    /// The objects of a manifest. Fails with [`Kind::Chart`] where a document
    /// is no object; `helm template` itself may let such a thing pass.
    pub fn parse(manifest: &str) -> Result<Vec<Self>> {
        if manifest.len() > yaml::MAX_BYTES {
            return Err(too_large(&format!(
                "more than {} MiB",
                yaml::MAX_BYTES >> 20
            )));
        }
        let mut objects = Vec::new();
        for document in documents(manifest) {
            let source = document
                .lines()
                .find_map(|line| line.strip_prefix("# Source: "))
                .unwrap_or_default();
            let value = yaml::parse(document).map_err(|cause| {
                let at = if source.is_empty() {
                    "a document"
                } else {
                    source
                };
                Error::new(
                    Kind::Chart,
                    format!("{} renders no valid YAML: {cause}", text::line(at, 200)),
                )
                .hint("render it with 'helm template --debug' and fix the template")
            })?;
            gather(value, source, &mut objects);
            if objects.len() > MAX_OBJECTS {
                return Err(too_large(&format!("more than {MAX_OBJECTS} objects")));
            }
        }
        Ok(objects)
    }

    /// Whether it runs on `helm test` only.
    pub fn is_test(&self) -> bool {
        !self.hooks.is_empty() && self.hooks.iter().all(|hook| hook.starts_with("test"))
    }
}

/// `Deployment shop-api`, as people name it; a hook with its events.
impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reference.fmt(f)?;
        if !self.hooks.is_empty() {
            write!(f, " ({} hook)", text::line(&self.hooks.join(","), 80))?;
        }
        Ok(())
    }
}

/// `container api`, or its path where it has no name.
impl fmt::Display for ContainerImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.is_empty() {
            f.write_str(&text::line(&self.path, 120))
        } else {
            write!(f, "container {}", text::line(&self.name, 80))
        }
    }
}

fn too_large(what: &str) -> Error {
    Error::new(Kind::Chart, format!("the chart renders {what}"))
}

/// The stream cut at lines that are a document's start, as Helm cuts it
/// (`pkg/releaseutil/manifest.go`).
fn documents(manifest: &str) -> impl Iterator<Item = &str> {
    let starts = std::iter::once(0)
        .chain(manifest.match_indices("\n---").map(|(at, _)| at + 1))
        .filter(|at| {
            let rest = manifest[*at..].strip_prefix("---").unwrap_or("");
            *at == 0 || rest.is_empty() || rest.starts_with(['\n', '\r', ' ', '\t'])
        });
    let mut starts = starts.peekable();
    std::iter::from_fn(move || {
        let from = starts.next()?;
        let to = starts.peek().copied().unwrap_or(manifest.len());
        Some(&manifest[from..to])
    })
    .filter(|document| !document.trim().is_empty())
}

fn gather(value: Value, source: &str, objects: &mut Vec<Object>) {
    let reference = ObjectRef::of(&value);
    if reference.kind.is_empty() {
        return;
    }
    if reference.kind.ends_with("List") && value.get("items").is_some_and(Value::is_array) {
        let mut value = value;
        if let Some(Value::Array(items)) = value.get_mut("items").map(Value::take) {
            for item in items {
                gather(item, source, objects);
            }
        }
        return;
    }
    let hooks = value
        .pointer("/metadata/annotations/helm.sh~1hook")
        .and_then(Value::as_str)
        .map(|hooks| {
            hooks
                .split(',')
                .map(|hook| hook.trim().to_owned())
                .collect()
        })
        .unwrap_or_default();
    objects.push(Object {
        containers: images::of(&reference, &value),
        source: source.to_owned(),
        reference,
        hooks,
        value,
    });
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::Object;

    fn images(manifest: &str) -> Vec<String> {
        Object::parse(manifest)
            .unwrap()
            .iter()
            .flat_map(|object| {
                object
                    .containers
                    .iter()
                    .map(move |c| format!("{object} {} {} {}", c.path, c.name, c.image))
            })
            .collect()
    }

    #[test]
    fn every_place_that_names_an_image_is_found() {
        let manifest = "---
# Source: shop/templates/all.yaml
apiVersion: apps/v1
kind: Deployment
metadata: {name: api}
spec:
  template:
    spec:
      initContainers: [{name: i, image: a:1}]
      containers: [{name: c, image: b:1}]
      volumes: [{name: v, image: {reference: 'v:1'}}]
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: cron}
spec: {jobTemplate: {spec: {template: {spec: {containers: [{name: c, image: c:1}]}}}}}
--- # a comment
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Pod, metadata: {name: p, annotations: {helm.sh/hook: 'pre-upgrade, post-install'}}, spec: {containers: [{image: d:1}]}}
---
apiVersion: acme.example/v1
kind: Runner
metadata: {name: r}
spec: {image: e:1, sidecar: {image: {registry: r.io, repository: s, tag: 2}}, steps: [{name: step, image: f:1}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: m}
data: {image: 'no:1', text: \"a\\n---\\nb\"}
";
        assert_eq!(
            images(manifest),
            [
                "Deployment api spec.template.spec.initContainers[0] i a:1",
                "Deployment api spec.template.spec.containers[0] c b:1",
                "Deployment api spec.template.spec.volumes[0].image.reference  v:1",
                "CronJob cron spec.jobTemplate.spec.template.spec.containers[0] c c:1",
                "Pod p (pre-upgrade,post-install hook) spec.containers[0]  d:1",
                "Runner r spec  e:1",
                "Runner r spec.sidecar  r.io/s:2",
                "Runner r spec.steps[0] step f:1",
            ]
        );
        let objects = Object::parse(manifest).unwrap();
        assert_eq!(objects[0].source, "shop/templates/all.yaml");
        assert_eq!(objects[2].hooks, ["pre-upgrade", "post-install"]);
    }

    #[test]
    fn what_is_no_yaml_names_its_template() {
        let error = Object::parse("---\n# Source: shop/templates/a.yaml\na: [\n").unwrap_err();
        assert!(
            error.to_string().contains("shop/templates/a.yaml"),
            "{error}"
        );
        assert!(Object::parse("---\n---\n# empty\n").unwrap().is_empty());
    }
}
