//! The pods of workloads, as their selectors find them.

use futures::future::try_join_all;
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::{Api, ListParams};

use super::client::{failed, within};
use crate::error::Result;
use crate::manifest::Object;
use crate::rollout::labels;

/// The pods of each Deployment, `StatefulSet` and `DaemonSet` among these objects, but
/// those of Jobs and those on their way out. An object without a namespace is in
/// `namespace`.
pub async fn of_workloads<'a>(
    client: &Client,
    namespace: &str,
    objects: impl IntoIterator<Item = &'a Object>,
) -> Result<Vec<(&'a Object, Vec<Pod>)>> {
    let what = "the release's pods cannot be read";
    let objects = objects.into_iter();
    let workloads = objects.filter(|object| object.reference.keeps_pods());
    let list = async |object: &'a Object| {
        let place = object.reference.clone().within(namespace);
        let namespace = place.namespace.as_deref().unwrap_or(namespace);
        let selector: Vec<String> = labels(&object.value)
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        if selector.is_empty() {
            return Ok((object, Vec::new()));
        }
        let wanted = ListParams::default().labels(&selector.join(","));
        let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
        let listed = api.list(&wanted).await;
        let listed = listed.map_err(|error| failed(what, &error))?;
        let pods = listed.items.into_iter().filter(is_kept);
        Ok((object, pods.collect()))
    };
    let listed = try_join_all(workloads.map(list).collect::<Vec<_>>());
    within(what, listed).await
}

/// Whether a pod is a workload's that stays: not a Job's, and not on its way out.
fn is_kept(pod: &Pod) -> bool {
    let owners = pod.metadata.owner_references.iter().flatten();
    let mut owners = owners.filter(|owner| owner.controller == Some(true));
    pod.metadata.deletion_timestamp.is_none() && owners.all(|owner| owner.kind != "Job")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::is_kept;

    #[test]
    fn pods_of_jobs_and_those_that_go_are_left_out() {
        for (metadata, kept) in [
            (json!({}), true),
            (json!({"deletionTimestamp": "2026-11-27T10:00:00Z"}), false),
            (
                json!({"ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": "u", "controller": true}]}),
                false,
            ),
            (
                json!({"ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "u", "controller": true}]}),
                true,
            ),
        ] {
            let pod = serde_json::from_value(json!({ "metadata": metadata })).unwrap();
            assert_eq!(is_kept(&pod), kept, "{metadata}");
        }
    }
}
