//! What the server can do: its version, its APIs, its nodes' platforms, and
//! whether a namespace is there. It only asks.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::try_join_all;
use kube::api::{Api, ListParams, PartialObjectMeta};
use kube::core::discovery::v2::APIGroupDiscoveryList;
use kube::{Client, Error as KubeError, ResourceExt as _};

use k8s_openapi::api::core::v1::{Namespace, Node};

use super::client::{failed, within};
use crate::error::Result;
use crate::plan::Capabilities;

/// Whether a namespace is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamespacePresence {
    /// It is there.
    Present,
    /// It is not there (404).
    Absent,
    /// The kubeconfig's user has no right to ask (403), as with many a Role in
    /// one namespace.
    Unknown,
}

/// The server's version and APIs as helm itself would find them
/// (`helm.sh/helm/v4@v4.3.1/pkg/action/action.go`, `GetVersionSet`). Three
/// requests on Kubernetes 1.26 and newer.
pub async fn capabilities(client: &Client) -> Result<Capabilities> {
    let what = "the cluster's APIs cannot be read";
    within(what, async {
        let (version, core, groups) = futures::try_join!(
            client.apiserver_version(),
            client.list_core_api_versions_aggregated(),
            client.list_api_groups_aggregated(),
        )
        .map_err(|error| failed(what, &error))?;
        let aggregated = !core.items.is_empty() && !groups.items.is_empty();
        let apis = if aggregated {
            apis(&[core, groups])
        } else {
            one_by_one(client)
                .await
                .map_err(|error| failed(what, &error))?
        };
        Ok(Capabilities {
            version: version.git_version,
            apis,
        })
    })
    .await
}

/// Why the cluster, which answered before, does so no more; none where it does.
/// What is known of a rollout is old then. Takes two seconds at most.
pub async fn silent(client: &Client) -> Option<String> {
    let what = "the cluster does not answer any more";
    let asked = tokio::time::timeout(Duration::from_secs(2), client.apiserver_version());
    match asked.await {
        Ok(Ok(_) | Err(KubeError::Api(_))) => None,
        Ok(Err(error)) => Some(failed(what, &error).to_string()),
        Err(_) => Some(what.to_owned()),
    }
}

/// Whether the namespace is there.
pub async fn namespace(client: &Client, name: &str) -> Result<NamespacePresence> {
    let what = "the release's namespace cannot be looked up";
    let api: Api<Namespace> = Api::all(client.clone());
    within(what, async {
        match api.get_metadata(name).await {
            Ok(_) => Ok(NamespacePresence::Present),
            Err(KubeError::Api(status)) if status.code == 404 => Ok(NamespacePresence::Absent),
            Err(KubeError::Api(status)) if status.code == 403 => Ok(NamespacePresence::Unknown),
            Err(error) => Err(failed(what, &error)),
        }
    })
    .await
}

/// `os/architecture` of each node, by their well-known labels; none where
/// the user has no right to list nodes, where there are none, or where it takes
/// more than two seconds.
pub async fn platforms(client: &Client) -> Option<BTreeSet<String>> {
    let nodes = Api::<Node>::all(client.clone());
    let everything = ListParams::default();
    let listed = tokio::time::timeout(Duration::from_secs(2), nodes.list_metadata(&everything));
    let nodes = listed.await.ok()?.ok()?.items;
    let platform = |node: &PartialObjectMeta<Node>| {
        let label = |name: &str| node.labels().get(name);
        let (os, arch) = (label("kubernetes.io/os")?, label("kubernetes.io/arch")?);
        Some(format!("{os}/{arch}"))
    };
    // A node without these labels can be of any platform.
    let platforms: BTreeSet<String> = nodes.iter().map(platform).collect::<Option<_>>()?;
    (!platforms.is_empty()).then_some(platforms)
}

/// `group/version`, and `group/version/Kind` of each resource and subresource.
fn apis(lists: &[APIGroupDiscoveryList]) -> Vec<String> {
    let mut apis = Vec::new();
    for group in lists.iter().flat_map(|list| &list.items) {
        let name = group
            .metadata
            .as_ref()
            .and_then(|metadata| metadata.name.as_deref())
            .unwrap_or_default();
        for version in &group.versions {
            let Some(number) = &version.version else {
                continue;
            };
            let version_of = if name.is_empty() {
                number.clone()
            } else {
                format!("{name}/{number}")
            };
            for resource in &version.resources {
                let kinds = resource.subresources.iter().map(|sub| &sub.response_kind);
                let kinds = std::iter::once(&resource.response_kind)
                    .chain(kinds)
                    .flatten();
                for kind in kinds.filter_map(|kind| kind.kind.as_ref()) {
                    apis.push(format!("{version_of}/{kind}"));
                }
            }
            apis.push(version_of);
        }
    }
    finished(apis)
}

/// For servers that do not yet aggregate.
async fn one_by_one(client: &Client) -> Result<Vec<String>, KubeError> {
    let groups = client.list_api_groups().await?;
    let versions = groups.groups.iter().flat_map(|group| &group.versions);
    let lists = versions.map(|version| client.list_api_group_resources(&version.group_version));
    let mut lists = try_join_all(lists).await?;
    lists.push(client.list_core_api_resources("v1").await?);
    let mut apis = Vec::new();
    for list in lists {
        apis.extend(
            list.resources
                .iter()
                .map(|resource| format!("{}/{}", list.group_version, resource.kind)),
        );
        apis.push(list.group_version);
    }
    Ok(finished(apis))
}

/// Sorted, each once, and without what could not be a word of the list.
fn finished(mut apis: Vec<String>) -> Vec<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"./-".contains(&byte);
    apis.retain(|api| !api.ends_with('/') && api.bytes().all(plain));
    apis.sort_unstable();
    apis.dedup();
    apis
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::apis;

    #[test]
    fn discovery_is_read_as_helm_reads_it() {
        let list = serde_json::json!({ "items": [
            { "metadata": { "name": "" }, "versions": [ { "version": "v1", "resources": [
                { "resource": "pods", "responseKind": { "kind": "Pod" },
                  "subresources": [ { "subresource": "eviction", "responseKind": { "kind": "Eviction" } } ] },
                { "resource": "odd", "responseKind": { "kind": "a,b" } } ] } ] },
            { "metadata": { "name": "apps" }, "versions": [ { "version": "v1", "resources": [
                { "resource": "deployments", "responseKind": { "kind": "Deployment" } } ] } ] },
        ] });
        let list = serde_json::from_value(list).unwrap();
        assert_eq!(
            apis(&[list]),
            [
                "apps/v1",
                "apps/v1/Deployment",
                "v1",
                "v1/Eviction",
                "v1/Pod"
            ]
        );
    }
}
