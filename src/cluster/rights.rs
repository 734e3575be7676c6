//! What the kubeconfig's user is allowed to do, asked of the cluster itself. It
//! only asks, and never concludes from an answer what a deploy does.

use futures::future::try_join_all;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::Client;
use kube::api::{Api, PostParams};

use super::client::{failed, within};
use crate::error::Result;
use crate::plan::access::{self, Right, Scope};

/// Whether each of these is granted; `namespace` is the release's.
pub async fn granted(client: &Client, namespace: &str, rights: &[Right]) -> Result<Vec<bool>> {
    let what = "the rights of the kubeconfig's user cannot be asked for";
    let api: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let reviews: Vec<_> = rights
        .iter()
        .map(|right| review(right, namespace))
        .collect();
    let parameters = PostParams::default();
    within(what, async {
        let asked = reviews.iter().map(|review| api.create(&parameters, review));
        let answers = try_join_all(asked)
            .await
            .map_err(|error| failed(what, &error))?;
        let is_allowed = |answer: &SelfSubjectAccessReview| {
            answer.status.as_ref().is_some_and(|status| status.allowed)
        };
        Ok(answers.iter().map(is_allowed).collect())
    })
    .await
}

/// Whether Helm 4 can wait by watching in the namespace: it needs the right to
/// watch for what rollouts of any release are made of.
pub async fn can_watch(client: &Client, namespace: &str) -> Result<bool> {
    let rights: Vec<Right> = access::watched_by_helm().collect();
    let granted = granted(client, namespace, &rights).await?;
    Ok(granted.into_iter().all(|granted| granted))
}

/// The name by which the cluster knows the kubeconfig's user; none where it does
/// not tell.
pub async fn user(client: &Client) -> Option<String> {
    let api: Api<SelfSubjectReview> = Api::all(client.clone());
    let (parameters, review) = (PostParams::default(), SelfSubjectReview::default());
    let asked = api.create(&parameters, &review);
    let answer = tokio::time::timeout(super::client::PATIENCE, asked).await;
    answer.ok()?.ok()?.status?.user_info?.username
}

fn review(right: &Right, release: &str) -> SelfSubjectAccessReview {
    let (resource, sub) = right
        .resource
        .split_once('/')
        .unwrap_or((&right.resource, ""));
    let (namespace, name) = match right.scope {
        // To get a namespace is asked within itself.
        Scope::Release if resource == "namespaces" => (Some(release), Some(release)),
        Scope::Release => (Some(release), None),
        Scope::Cluster => (None, None),
        Scope::Object { namespace, name } => (Some(namespace), Some(name)),
    };
    SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                namespace: namespace.map(str::to_owned),
                name: name.map(str::to_owned),
                group: Some(right.group.clone()),
                resource: Some(resource.to_owned()),
                subresource: (!sub.is_empty()).then(|| sub.to_owned()),
                verb: Some(right.verb.to_owned()),
                ..ResourceAttributes::default()
            }),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    }
}

#[cfg(test)]
#[path = "rights_tests.rs"]
mod tests;
