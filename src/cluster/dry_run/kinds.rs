//! How the kinds of a release's objects are asked for: their plural, and whether
//! they lie in a namespace.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::try_join_all;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIResourceList;
use kube::api::ApiResource;
use kube::{Client, Error as KubeError};

use crate::cluster::client::{failed, within};
use crate::error::Result;
use crate::manifest::{ObjectRef, group_of};

/// The kinds that the API server serves, of the versions that were asked for.
#[derive(Clone, Debug, Default)]
pub struct Kinds(BTreeMap<(String, String), (ApiResource, bool)>);

impl Kinds {
    /// Asks for the versions of the objects' APIs, each once. What is not served
    /// is left out.
    pub async fn of<'a>(
        client: &Client,
        objects: impl IntoIterator<Item = &'a ObjectRef>,
    ) -> Result<Self> {
        let versions: BTreeSet<&str> = objects
            .into_iter()
            .map(|object| object.api_version.as_str())
            .filter(|version| !version.is_empty())
            .collect();
        let what = "the cluster's APIs cannot be read";
        let ask = async |version: &str| {
            let listed = if version.contains('/') {
                client.list_api_group_resources(version).await
            } else {
                client.list_core_api_resources(version).await
            };
            match listed {
                Ok(list) => Ok(Some(list)),
                Err(KubeError::Api(status)) if matches!(status.code, 403 | 404 | 503) => Ok(None),
                Err(error) => Err(failed(what, &error)),
            }
        };
        let lists = within(what, try_join_all(versions.into_iter().map(ask))).await?;
        Ok(Self(
            lists.into_iter().flatten().flat_map(resources).collect(),
        ))
    }

    /// Whether objects of the kind lie in a namespace; none where it is not served.
    pub fn is_namespaced(&self, object: &ObjectRef) -> Option<bool> {
        self.find(object).map(|(_, namespaced)| *namespaced)
    }

    pub(super) fn resource(&self, object: &ObjectRef) -> Option<(&ApiResource, bool)> {
        self.find(object)
            .map(|(resource, namespaced)| (resource, *namespaced))
    }

    fn find(&self, object: &ObjectRef) -> Option<&(ApiResource, bool)> {
        self.0
            .get(&(object.api_version.clone(), object.kind.clone()))
    }
}

fn resources(
    list: APIResourceList,
) -> impl Iterator<Item = ((String, String), (ApiResource, bool))> {
    let of = list.group_version;
    let own = list.resources.into_iter();
    own.filter(|resource| !resource.name.contains('/'))
        .map(move |resource| {
            let version = of.rsplit('/').next().unwrap_or_default();
            let found = ApiResource {
                group: group_of(&of).to_owned(),
                version: version.to_owned(),
                api_version: of.clone(),
                kind: resource.kind.clone(),
                plural: resource.name,
            };
            ((of.clone(), resource.kind), (found, resource.namespaced))
        })
}
