//! Reads objects of the cluster as they are, by name.
//!
//! It never judges them, lists nothing but autoscalers, and never changes one.

use std::time::Duration;

use futures::future::try_join_all;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, ServiceAccount};
use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use kube::{Client, Error as KubeError};
use serde_json::Value;
use tokio::time::timeout;

use super::client::{failed, within};
use crate::error::Result;
use crate::manifest::ObjectRef;

/// How long the autoscalers may take, which only a warning is made of.
const AUTOSCALERS: Duration = Duration::from_secs(2);

/// What it means that the kubeconfig's user has no right to read an object (403).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forbidden {
    /// The reading fails.
    Fails,
    /// The object counts as one that is not there.
    IsAbsent,
}

/// How the kinds are asked for that a deploy reads by name, whatever version of
/// their API the object names.
fn resource(object: &ObjectRef) -> Option<ApiResource> {
    Some(match (object.group(), object.kind.as_str()) {
        ("apps", "Deployment") => ApiResource::erase::<Deployment>(&()),
        ("apps", "StatefulSet") => ApiResource::erase::<StatefulSet>(&()),
        ("apps", "DaemonSet") => ApiResource::erase::<DaemonSet>(&()),
        ("batch", "Job") => ApiResource::erase::<Job>(&()),
        ("", "ServiceAccount") => ApiResource::erase::<ServiceAccount>(&()),
        ("", "Secret") => ApiResource::erase::<Secret>(&()),
        ("", "ConfigMap") => ApiResource::erase::<ConfigMap>(&()),
        _ => return None,
    })
}

/// The objects, whole and in the same order, with one request each, all at
/// once; none for what is not there or is of another kind. Where a name has no
/// namespace, it is looked for in `namespace`.
pub async fn read(
    client: &Client,
    objects: &[ObjectRef],
    namespace: &str,
    forbidden: Forbidden,
) -> Result<Vec<Option<Value>>> {
    let what = "the release's objects cannot be read";
    let get = async |object: &ObjectRef| {
        let Some(resource) = resource(object) else {
            return Ok(None);
        };
        let namespace = object.namespace.as_deref().unwrap_or(namespace);
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
        match api.get(&object.name).await {
            Ok(found) => Ok(serde_json::to_value(found).ok()),
            Err(KubeError::Api(status)) if status.code == 404 => Ok(None),
            Err(KubeError::Api(status))
                if status.code == 403 && forbidden == Forbidden::IsAbsent =>
            {
                Ok(None)
            }
            Err(error) => Err(failed(what, &error)),
        }
    };
    within(what, try_join_all(objects.iter().map(get))).await
}

/// The autoscalers of a namespace; none where they may not be read, or not now: what
/// they are asked for is a warning.
pub async fn autoscalers(client: &Client, namespace: &str) -> Vec<Value> {
    let api: Api<HorizontalPodAutoscaler> = Api::namespaced(client.clone(), namespace);
    let Ok(Ok(found)) = timeout(AUTOSCALERS, api.list(&ListParams::default())).await else {
        return Vec::new();
    };
    let value = |object: HorizontalPodAutoscaler| serde_json::to_value(object).ok();
    found.items.into_iter().filter_map(value).collect()
}

/// Those of the objects that are definitely not there: of one that may not be
/// read nothing is known. Their metadata alone is asked for.
pub async fn absent(
    client: &Client,
    objects: &[ObjectRef],
    namespace: &str,
) -> Result<Vec<ObjectRef>> {
    let what = "the release's objects cannot be read";
    let ask = async |object: &ObjectRef| {
        let Some(resource) = resource(object) else {
            return Ok(None);
        };
        let namespace = object.namespace.as_deref().unwrap_or(namespace);
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
        match api.get_metadata(&object.name).await {
            Err(KubeError::Api(status)) if status.code == 404 => Ok(Some(object.clone())),
            Ok(_) => Ok(None),
            Err(KubeError::Api(status)) if status.code == 403 => Ok(None),
            Err(error) => Err(failed(what, &error)),
        }
    };
    let found = within(what, try_join_all(objects.iter().map(ask))).await?;
    Ok(found.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::resource;
    use crate::manifest::ObjectRef;

    #[test]
    fn a_kind_is_asked_for_with_its_group() {
        let plural = |api_version: &str, kind: &str| {
            let object = ObjectRef {
                api_version: api_version.to_owned(),
                kind: kind.to_owned(),
                namespace: None,
                name: "it".to_owned(),
            };
            resource(&object).map(|resource| resource.plural)
        };
        assert_eq!(plural("batch/v1", "Job").as_deref(), Some("jobs"));
        assert_eq!(
            plural("apps/v1", "DaemonSet").as_deref(),
            Some("daemonsets")
        );
        for (api_version, kind) in [
            ("batch.volcano.sh/v1alpha1", "Job"),
            ("apps.acme.io/v1", "Deployment"),
            ("v1", "Pod"),
        ] {
            assert_eq!(plural(api_version, kind), None, "{api_version} {kind}");
        }
    }
}
