//! A second look before a verdict that rests on something missing.
//!
//! The kubelet and the scheduler say what they last saw; an object may have come
//! since. Only reads, each bounded in time; of a Secret no value is kept.

use std::time::Duration;

use k8s_openapi::api::core::v1::{
    ConfigMap, Node as ClusterNode, PersistentVolume, PersistentVolumeClaim, Secret, ServiceAccount,
};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::ListParams;
use kube::{Api, Client};
use tokio::time::timeout;

use super::baseline::{ClusterFacts, Node};
use super::cache::ReleaseCache;
use super::runtime_messages::is_passing_taint;
use super::taints::Taint;
use super::workload_ref::WorkloadKind;
use crate::manifest::quantity::amounts;

/// How long one look may take.
const LOOK: Duration = Duration::from_secs(2);

/// Whether an object (and its key, where one is named) exists. None: not known
/// right now. Where it may not be read, the kubelet's word counts.
pub(super) async fn exists(
    client: &Client,
    namespace: &str,
    kind: &str,
    name: &str,
    key: Option<&str>,
) -> Option<bool> {
    let client = client.clone();
    let found = match kind {
        "Secret" => look(Api::<Secret>::namespaced(client, namespace).get_opt(name))
            .await
            .map(|found| {
                found.is_some_and(|object| {
                    key.is_none_or(|key| object.data.is_some_and(|data| data.contains_key(key)))
                })
            }),
        "ConfigMap" => look(Api::<ConfigMap>::namespaced(client, namespace).get_opt(name))
            .await
            .map(|found| {
                found.is_some_and(|object| {
                    key.is_none_or(|key| {
                        object.data.is_some_and(|data| data.contains_key(key))
                            || object
                                .binary_data
                                .is_some_and(|data| data.contains_key(key))
                    })
                })
            }),
        "ServiceAccount" => {
            look(Api::<ServiceAccount>::namespaced(client, namespace).get_opt(name))
                .await
                .map(|found| found.is_some())
        }
        "PersistentVolumeClaim" => {
            look(Api::<PersistentVolumeClaim>::namespaced(client, namespace).get_opt(name))
                .await
                .map(|found| found.is_some())
        }
        _ => return Some(false),
    };
    match found {
        Ok(found) => Some(found),
        Err(ReadError::Forbidden) => Some(false),
        Err(ReadError::Unknown) => None,
    }
}

enum ReadError {
    Forbidden,
    Unknown,
}

async fn look<T>(call: impl Future<Output = kube::Result<T>>) -> Result<T, ReadError> {
    match timeout(LOOK, call).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(kube::Error::Api(status))) if matches!(status.code, 401 | 403) => {
            Err(ReadError::Forbidden)
        }
        Ok(Err(error)) => {
            tracing::debug!(%error, "a second look failed");
            Err(ReadError::Unknown)
        }
        Err(_) => Err(ReadError::Unknown),
    }
}

/// Whether a verdict may hang on nodes, classes or volumes.
pub(super) fn needs_facts(cache: &ReleaseCache) -> bool {
    let claims = WorkloadKind::PersistentVolumeClaim.group_kind();
    cache.pods.values().any(|pod| pod.unscheduled.is_some())
        || cache.claims.values().any(|claim| {
            !claim.bound
                && cache
                    .events_on(claims, &claim.key, &claim.uid)
                    .iter()
                    .any(|event| {
                        matches!(
                            event.reason.as_str(),
                            "FailedBinding" | "ProvisioningFailed"
                        )
                    })
        })
}

/// What is known of the cluster besides the release.
pub(super) async fn facts(client: &Client) -> ClusterFacts {
    let everything = ListParams::default();
    let (nodes, classes, volumes) = (
        Api::<ClusterNode>::all(client.clone()),
        Api::<StorageClass>::all(client.clone()),
        Api::<PersistentVolume>::all(client.clone()),
    );
    let (nodes, classes, volumes, autoscaler) = tokio::join!(
        look(nodes.list(&everything)),
        look(classes.list(&everything)),
        look(volumes.list(&everything)),
        has_autoscaler(client)
    );
    ClusterFacts {
        nodes: nodes
            .ok()
            .map(|list| list.items.into_iter().map(node).collect()),
        classes: classes
            .ok()
            .map(|list| list.items.into_iter().map(class).collect()),
        volumes: volumes
            .ok()
            .map(|list| list.items.into_iter().filter_map(volume).collect()),
        autoscaler,
        ..ClusterFacts::default()
    }
}

fn node(object: ClusterNode) -> Node {
    let spec = object.spec.unwrap_or_default();
    let status = object.status.unwrap_or_default();
    let is_ready = status
        .conditions
        .iter()
        .flatten()
        .any(|one| one.type_ == "Ready" && one.status == "True");
    let (passing, lasting): (Vec<Taint>, Vec<Taint>) = spec
        .taints
        .into_iter()
        .flatten()
        .map(Taint::from)
        .partition(|taint| is_passing_taint(&taint.key));
    Node {
        name: object.metadata.name.unwrap_or_default(),
        allocatable: status.allocatable.as_ref().map(amounts).unwrap_or_default(),
        passing_taint: !passing.is_empty() || spec.unschedulable == Some(true) || !is_ready,
        taints: lasting.into_iter().filter(Taint::keeps_away).collect(),
    }
}

fn class(object: StorageClass) -> (String, bool) {
    let annotations = object.metadata.annotations.unwrap_or_default();
    let default = [
        "storageclass.kubernetes.io/is-default-class",
        "storageclass.beta.kubernetes.io/is-default-class",
    ]
    .iter()
    .any(|name| annotations.get(*name).is_some_and(|value| value == "true"));
    (object.metadata.name.unwrap_or_default(), default)
}

/// A volume that a claim may still get: its class, and the claim that it is meant for.
fn volume(object: PersistentVolume) -> Option<(String, Option<String>)> {
    let phase = object
        .status
        .and_then(|status| status.phase)
        .unwrap_or_default();
    let spec = object.spec.unwrap_or_default();
    if !matches!(phase.as_str(), "" | "Pending" | "Available" | "Bound") {
        return None;
    }
    let meant = spec.claim_ref.map(|claim| {
        format!(
            "{}/{}",
            claim.namespace.unwrap_or_default(),
            claim.name.unwrap_or_default()
        )
    });
    Some((spec.storage_class_name.unwrap_or_default(), meant))
}

/// Whether something adds nodes: Karpenter's or the cluster autoscaler's API groups,
/// or the latter's status (`kube-system/cluster-autoscaler-status`). None: not known,
/// as for a user who may not read that.
pub async fn has_autoscaler(client: &Client) -> Option<bool> {
    let groups = look(client.list_api_groups()).await.ok();
    let is_scaler = |name: &str| matches!(name, "karpenter.sh" | "autoscaling.x-k8s.io");
    if let Some(list) = &groups
        && list.groups.iter().any(|group| is_scaler(&group.name))
    {
        return Some(true);
    }
    let status = Api::<ConfigMap>::namespaced(client.clone(), "kube-system");
    let status = look(status.get_opt("cluster-autoscaler-status")).await;
    conclude(groups.is_some(), status.ok().map(|found| found.is_some()))
}

/// What follows where no API group tells of an autoscaler: whether the groups could be
/// listed, and whether its status is there, as far as it could be read.
fn conclude(groups_are_known: bool, has_status: Option<bool>) -> Option<bool> {
    match has_status {
        Some(true) => Some(true),
        Some(false) if groups_are_known => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::conclude;

    /// Case C5: what may not be read is not known.
    #[test]
    fn no_right_to_look_for_an_autoscaler_is_no_answer() {
        for (groups, status, expected) in [
            (true, Some(false), Some(false)),
            (true, Some(true), Some(true)),
            (false, Some(true), Some(true)),
            (true, None, None),
            (false, Some(false), None),
            (false, None, None),
        ] {
            assert_eq!(conclude(groups, status), expected, "{groups} {status:?}");
        }
    }
}
