//! Whether the workloads of the cluster carry the images of the release: read
//! from their pod templates, not from pods.
//!
//! The comparison is pure. A difference is reported, never judged: a webhook
//! or a mirror may have rewritten an image, and that is a note.

use futures::future::try_join_all;
use kube::api::{Api, ApiResource, DynamicObject};
use kube::{Client, Error as KubeError};
use serde_json::Value;

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};

use super::client::{failed, within};
use crate::error::Result;

/// A kind that keeps pods of a template running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "Kubernetes' own words")]
pub enum WorkloadKind {
    Deployment,
    StatefulSet,
    DaemonSet,
}

impl WorkloadKind {
    /// Kubernetes' word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
        }
    }

    fn of(object: &Value) -> Option<Self> {
        let group = object.get("apiVersion")?.as_str()?;
        if group != "apps/v1" {
            return None;
        }
        let kind = object.get("kind")?.as_str()?;
        [Self::Deployment, Self::StatefulSet, Self::DaemonSet]
            .into_iter()
            .find(|known| known.name() == kind)
    }

    fn resource(self) -> ApiResource {
        match self {
            Self::Deployment => ApiResource::erase::<Deployment>(&()),
            Self::StatefulSet => ApiResource::erase::<StatefulSet>(&()),
            Self::DaemonSet => ApiResource::erase::<DaemonSet>(&()),
        }
    }
}

/// A workload of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Workload {
    /// Its kind.
    pub kind: WorkloadKind,
    /// Its own namespace, which need not be the release's.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl std::fmt::Display for Workload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}/{}", self.kind.name(), self.namespace, self.name)
    }
}

/// The images of a workload's pod template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// The workload.
    pub workload: Workload,
    /// Container and image, init containers among them.
    pub images: Vec<(String, String)>,
    /// `metadata.generation`, where the object came from the cluster.
    pub generation: Option<i64>,
}

/// Where the cluster differs from the release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The workload is not there.
    Missing(Workload),
    /// A container runs another image, or is not there at all.
    Image {
        /// The workload.
        workload: Workload,
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
    let kind = WorkloadKind::of(object)?;
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
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
        workload: Workload {
            kind,
            namespace: text("/metadata/namespace").unwrap_or(default).to_owned(),
            name: text("/metadata/name")?.to_owned(),
        },
        images,
        generation: object
            .pointer("/metadata/generation")
            .and_then(Value::as_i64),
    })
}

/// The same workloads as they are in the cluster now, in the same order.
pub async fn live(client: &Client, workloads: &[Workload]) -> Result<Vec<Option<Template>>> {
    let what = "the release's workloads cannot be read";
    let get = async |workload: &Workload| {
        let resource = workload.kind.resource();
        let api: Api<DynamicObject> =
            Api::namespaced_with(client.clone(), &workload.namespace, &resource);
        let object = match api.get(&workload.name).await {
            Ok(object) => object,
            Err(KubeError::Api(status)) if status.code == 404 => return Ok(None),
            Err(error) => return Err(failed(what, &error)),
        };
        let value = serde_json::to_value(object).unwrap_or_default();
        Ok(template(&value, &workload.namespace))
    };
    within(what, try_join_all(workloads.iter().map(get))).await
}

/// Every difference between what the release says and what the cluster has.
pub fn compare(wanted: &[Template], live: &[Option<Template>]) -> Vec<Difference> {
    let mut differences = Vec::new();
    for template in wanted {
        let found = live
            .iter()
            .flatten()
            .find(|found| found.workload == template.workload);
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::{Value, json};

    use super::{Difference, compare, template};

    fn deployment(name: &str, image: &str) -> Value {
        json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": name, "generation": 3 },
            "spec": { "template": { "spec": {
                "initContainers": [ { "name": "init", "image": "i:1" } ],
                "containers": [ { "name": "api", "image": image } ] } } } })
    }

    #[test]
    fn templates_are_read() {
        let found = template(&deployment("api", "a:1"), "prod").unwrap();
        assert_eq!(found.workload.to_string(), "Deployment prod/api");
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
