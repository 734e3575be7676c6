//! Whether the workloads of the cluster carry the images of the release: read
//! from their pod templates, not from pods.
//!
//! The comparison is pure. A difference is reported and never called a failure: a
//! webhook or a mirror can have rewritten an image.

use kube::Client;
use serde_json::Value;

use super::objects::{self, Forbidden};
use crate::error::Result;
use crate::manifest::ObjectRef;

/// The images of a workload's pod template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// The workload, with the namespace that it lies in.
    pub workload: ObjectRef,
    /// Container and image, init containers among them.
    pub images: Vec<(String, String)>,
    /// `metadata.generation`, where the object came from the cluster.
    pub generation: Option<i64>,
}

/// Where the cluster differs from the release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The workload is not there.
    Missing(ObjectRef),
    /// A container runs another image, or is not there at all.
    Image {
        /// The workload.
        workload: ObjectRef,
        /// The container.
        container: String,
        /// What the release says.
        wanted: String,
        /// What the cluster says.
        found: Option<String>,
    },
}

/// The pod template of an object of a manifest or of the cluster; none for
/// what is not a workload. An object without a namespace lies in `default`.
pub fn template(object: &Value, default: &str) -> Option<Template> {
    let workload = ObjectRef::of(object).within(default);
    if !workload.keeps_pods() || workload.name.is_empty() {
        return None;
    }
    let spec = object.pointer("/spec/template/spec")?;
    let images = ["initContainers", "containers"]
        .into_iter()
        .filter_map(|list| spec.get(list)?.as_array())
        .flatten()
        .filter_map(|container| {
            let part = |key: &str| Some(container.get(key)?.as_str()?.to_owned());
            Some((part("name")?, part("image")?))
        })
        .collect();
    Some(Template {
        workload,
        images,
        generation: object
            .pointer("/metadata/generation")
            .and_then(Value::as_i64),
    })
}

/// The pod templates of the same workloads as they are in the cluster now, in
/// the same order. One that must not be read is an error: nothing would be
/// compared then.
pub async fn live(client: &Client, wanted: &[Template]) -> Result<Vec<Option<Template>>> {
    let names: Vec<ObjectRef> = wanted
        .iter()
        .map(|template| template.workload.clone())
        .collect();
    let found = objects::read(client, &names, "default", Forbidden::Fails).await?;
    let read = |(name, object): (&ObjectRef, Option<Value>)| {
        let namespace = name.namespace.as_deref().unwrap_or_default();
        template(&object?, namespace)
    };
    Ok(names.iter().zip(found).map(read).collect())
}

/// Every difference between what the release says and what the cluster has;
/// `live` is in the same order.
pub fn compare(wanted: &[Template], live: &[Option<Template>]) -> Vec<Difference> {
    let mut differences = Vec::new();
    for (template, found) in wanted.iter().zip(live) {
        let Some(found) = found else {
            differences.push(Difference::Missing(template.workload.clone()));
            continue;
        };
        for (container, image) in &template.images {
            let runs = found
                .images
                .iter()
                .find(|(name, _)| name == container)
                .map(|(_, image)| image);
            if runs != Some(image) {
                differences.push(Difference::Image {
                    workload: template.workload.clone(),
                    container: container.clone(),
                    wanted: image.clone(),
                    found: runs.cloned(),
                });
            }
        }
    }
    differences
}

/// A container that lives still though a rollback should have taken it away: `left` is
/// what the release left, and had it; `wanted` is what it went back to, and has it not.
/// One that a webhook adds is in neither. `live` is in the order of `wanted`.
pub fn stays(
    left: &[Template],
    wanted: &[Template],
    live: &[Option<Template>],
) -> Option<(ObjectRef, String)> {
    let has = |template: &Template, container: &String| {
        let mut names = template.images.iter().map(|(name, _)| name);
        names.any(|name| name == container)
    };
    wanted.iter().zip(live).find_map(|(wanted, live)| {
        let is_same = |left: &&Template| left.workload.is_same(&wanted.workload);
        let left = left.iter().find(is_same)?;
        let mut names = live.as_ref()?.images.iter().map(|(name, _)| name);
        let stays = names.find(|name| has(left, name) && !has(wanted, name))?;
        Some((wanted.workload.clone(), stays.clone()))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::{Value, json};

    use super::{Difference, compare, stays, template};

    fn deployment(name: &str, image: &str) -> Value {
        json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": name, "generation": 3 },
            "spec": { "template": { "spec": {
                "initContainers": [ { "name": "init", "image": "i:1" } ],
                "containers": [ { "name": "api", "image": image } ] } } } })
    }

    #[test]
    fn templates_are_read() {
        let found = template(&deployment("api", "a:1"), "prod").unwrap();
        assert_eq!(found.workload.to_string(), "Deployment api");
        assert_eq!(found.workload.namespace.as_deref(), Some("prod"));
        assert_eq!(
            found.images,
            [("init".into(), "i:1".into()), ("api".into(), "a:1".into())]
        );
        assert_eq!(found.generation, Some(3));
        for other in [
            json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "x" } }),
            json!({ "apiVersion": "acme.io/v1", "kind": "Deployment", "metadata": { "name": "x" } }),
            json!(null),
        ] {
            assert_eq!(template(&other, "prod"), None);
        }
    }

    /// Case A14: what only the failed revision had is gone after a rollback.
    #[test]
    fn a_container_of_the_failed_revision_does_not_stay() {
        let with = |name: &str, more: &[&str]| {
            let mut object = deployment(name, "a:1");
            let containers = object
                .pointer_mut("/spec/template/spec/containers")
                .unwrap();
            let more = more
                .iter()
                .map(|name| json!({"name": name, "image": "b:1"}));
            containers.as_array_mut().unwrap().extend(more);
            template(&object, "prod").unwrap()
        };
        let good = [with("web", &[]), with("api", &[])];
        let failed = [with("api", &["beside"]), with("web", &[])];
        for (live, expected) in [
            (with("api", &[]), None),
            (with("api", &["beside"]), Some("beside")),
            // A webhook's.
            (with("api", &["mesh"]), None),
            (with("api", &["mesh", "beside"]), Some("beside")),
        ] {
            let live = [Some(with("web", &["beside"])), Some(live)];
            let found = stays(&failed, &good, &live);
            let found = found.map(|(workload, container)| (workload.to_string(), container));
            let expected = expected.map(|name| ("Deployment api".to_owned(), name.to_owned()));
            assert_eq!(found, expected, "{live:?}");
        }
        assert_eq!(stays(&failed, &good, &[None, None]), None);
        assert_eq!(
            stays(&[], &good, &[None, Some(with("api", &["beside"]))]),
            None
        );
    }

    #[test]
    fn differences_are_found() {
        let wanted = [deployment("api", "a:2"), deployment("web", "a:2")]
            .map(|object| template(&object, "prod").unwrap());
        let same = [Some(wanted[0].clone()), Some(wanted[1].clone())];
        assert_eq!(compare(&wanted, &same), []);
        let live = [template(&deployment("api", "a:1"), "prod"), None];
        let differences = compare(&wanted, &live);
        assert!(
            matches!(&differences[0], Difference::Image { container, wanted, found, .. }
            if container == "api" && wanted == "a:2" && found.as_deref() == Some("a:1"))
        );
        assert_eq!(
            differences[1],
            Difference::Missing(wanted[1].workload.clone())
        );
    }
}
