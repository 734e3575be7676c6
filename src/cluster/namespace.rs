//! A namespace that a chart renders itself, on a helm that cannot make it.
//!
//! Helm keeps its record in the release's namespace, so that has to be there
//! first. With `--create-namespace` Helm 3 makes it, and then fails on the
//! chart's own Namespace, "already exists"
//! (`helm.sh/helm/v3@v3.22.0/pkg/action/install.go`: the search for objects to
//! adopt comes before). Made with the marks of the release's ownership, helm
//! adopts it. It must never touch a namespace that is there.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::{Client, Error as KubeError};

use super::client::{failed, within};
use crate::error::Result;
use crate::plan::ReleaseId;

/// Makes the namespace as the release's own. One that is there by now stays as
/// it is.
pub async fn create_owned(client: &Client, release: &ReleaseId) -> Result<()> {
    let what = "the release's namespace cannot be created";
    let api: Api<Namespace> = Api::all(client.clone());
    within(what, async {
        match api.create(&PostParams::default(), &owned(release)).await {
            Ok(_) => Ok(()),
            Err(KubeError::Api(status)) if status.code == 409 => Ok(()),
            Err(error) => Err(failed(what, &error)),
        }
    })
    .await
}

/// The marks by which helm knows its own (`pkg/action/validate.go`).
fn owned(release: &ReleaseId) -> Namespace {
    let pairs = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    };
    Namespace {
        metadata: ObjectMeta {
            name: Some(release.namespace.clone()),
            labels: Some(pairs(&[("app.kubernetes.io/managed-by", "Helm")])),
            annotations: Some(pairs(&[
                ("meta.helm.sh/release-name", release.name.as_str()),
                ("meta.helm.sh/release-namespace", release.namespace.as_str()),
            ])),
            ..ObjectMeta::default()
        },
        ..Namespace::default()
    }
}
