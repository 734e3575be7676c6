//! Which images really run: what the kubelet says of each container (`imageID`).

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Pod;
use kube::Client;

use crate::cluster::pods;
use crate::error::Result;
use crate::manifest::Object;
use crate::plan::ReleaseId;

/// An image that a container asks for, and what runs of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningImage {
    /// `Deployment shop-api`
    pub workload: String,
    /// The container.
    pub container: String,
    /// As the pod asks for it.
    pub asked: String,
    /// The digests that run; none where none does.
    pub digests: BTreeSet<String>,
    /// In how many pods.
    pub pods: usize,
}

/// The images of the workloads' pods.
pub(super) async fn running(
    client: &Client,
    release: &ReleaseId,
    objects: &[&Object],
) -> Result<Vec<RunningImage>> {
    let objects = objects.iter().copied();
    let listed = pods::of_workloads(client, &release.namespace, objects).await?;
    Ok(listed
        .iter()
        .flat_map(|(workload, pods)| images(&workload.to_string(), pods))
        .collect())
}

fn images(workload: &str, pods: &[Pod]) -> Vec<RunningImage> {
    let mut found: BTreeMap<(String, String), (BTreeSet<String>, usize)> = BTreeMap::new();
    for pod in pods {
        let (Some(spec), status) = (&pod.spec, pod.status.as_ref()) else {
            continue;
        };
        let statuses = status.and_then(|status| status.container_statuses.as_deref());
        for container in &spec.containers {
            let asked = container.image.clone().unwrap_or_default();
            let entry = found.entry((container.name.clone(), asked)).or_default();
            entry.1 += 1;
            let own = statuses.into_iter().flatten();
            let own = own.filter(|status| {
                status.name == container.name
                    && status
                        .state
                        .as_ref()
                        .is_some_and(|state| state.running.is_some())
            });
            entry.0.extend(own.filter_map(|status| {
                let (_, digest) = status.image_id.rsplit_once('@')?;
                Some(digest.to_owned())
            }));
        }
    }
    let image = |((container, asked), (digests, pods))| RunningImage {
        workload: workload.to_owned(),
        container,
        asked,
        digests,
        pods,
    };
    found.into_iter().map(image).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::images;

    #[test]
    fn what_runs_is_read_off_the_kubelets_word() {
        let pod = |digest: &str| {
            let pod = json!({"metadata": {}, "spec": {"containers": [{"name": "api", "image": "ghcr.io/a/b:1"}]},
                "status": {"containerStatuses": [{"name": "api", "image": "x", "imageID": format!("ghcr.io/a/b@{digest}"),
                    "ready": true, "restartCount": 0, "state": {"running": {}}}]}});
            serde_json::from_value(pod).unwrap()
        };
        let found = images("Deployment api", &[pod("sha256:1"), pod("sha256:2")]);
        assert_eq!(found.len(), 1);
        assert_eq!(
            found[0].digests,
            ["sha256:1", "sha256:2"].map(str::to_owned).into()
        );
        assert_eq!(found[0].pods, 2);
    }
}
