//! Reads objects of the cluster as they are, by name.
//!
//! It never judges them, and never lists.

use futures::future::try_join_all;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use kube::api::{Api, ApiResource, DynamicObject};
use kube::{Client, Error as KubeError};
use serde_json::Value;

use super::client::{failed, within};
use crate::error::Result;

/// An object of Kubernetes' own workloads and Jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// `Job`, `StatefulSet`, `Deployment` or `DaemonSet`.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

fn resource(kind: &str) -> Option<ApiResource> {
    Some(match kind {
        "Job" => ApiResource::erase::<Job>(&()),
        "StatefulSet" => ApiResource::erase::<StatefulSet>(&()),
        "Deployment" => ApiResource::erase::<Deployment>(&()),
        "DaemonSet" => ApiResource::erase::<DaemonSet>(&()),
        _ => return None,
    })
}

/// Those of the objects that are there and may be read, whole, with one
/// request each, all at once.
pub async fn read(client: &Client, names: &[Name]) -> Result<Vec<Value>> {
    let what = "the release's objects cannot be read";
    let get = async |name: &Name| {
        let Some(resource) = resource(&name.kind) else {
            return Ok(None);
        };
        let api: Api<DynamicObject> =
            Api::namespaced_with(client.clone(), &name.namespace, &resource);
        match api.get(&name.name).await {
            Ok(object) => Ok(serde_json::to_value(object).ok()),
            Err(KubeError::Api(status)) if matches!(status.code, 403 | 404) => Ok(None),
            Err(error) => Err(failed(what, &error)),
        }
    };
    let found = within(what, try_join_all(names.iter().map(get))).await?;
    Ok(found.into_iter().flatten().collect())
}
