//! What the cluster lets us do, asked of the cluster itself. It only asks.

use futures::future::try_join_all;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::Client;
use kube::api::{Api, PostParams};

use super::client::{failed, within};
use crate::error::Result;

/// One right: verb, API group and plural, with a subresource behind a slash.
pub type Right<'a> = (&'a str, &'a str, &'a str);

/// Whether each of these is ours, in a namespace or, without one, in the cluster.
pub async fn ours(
    client: &Client,
    namespace: Option<&str>,
    rights: &[Right<'_>],
) -> Result<Vec<bool>> {
    let what = "our rights cannot be asked for";
    let api: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let review = |(verb, group, resource): &Right<'_>| {
        let (resource, sub) = resource.split_once('/').unwrap_or((resource, ""));
        SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(ResourceAttributes {
                    namespace: namespace.map(str::to_owned),
                    group: Some((*group).to_owned()),
                    resource: Some(resource.to_owned()),
                    subresource: (!sub.is_empty()).then(|| sub.to_owned()),
                    verb: Some((*verb).to_owned()),
                    ..ResourceAttributes::default()
                }),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        }
    };
    let reviews: Vec<_> = rights.iter().map(review).collect();
    let parameters = PostParams::default();
    within(what, async {
        let asked = reviews.iter().map(|review| api.create(&parameters, review));
        let answers = try_join_all(asked)
            .await
            .map_err(|error| failed(what, &error))?;
        let allowed = |answer: &SelfSubjectAccessReview| {
            answer.status.as_ref().is_some_and(|status| status.allowed)
        };
        Ok(answers.iter().map(allowed).collect())
    })
    .await
}

/// The name by which the cluster knows us; none where it does not tell.
pub async fn name(client: &Client) -> Option<String> {
    let api: Api<SelfSubjectReview> = Api::all(client.clone());
    let (parameters, review) = (PostParams::default(), SelfSubjectReview::default());
    let asked = api.create(&parameters, &review);
    let answer = tokio::time::timeout(super::client::PATIENCE, asked).await;
    answer.ok()?.ok()?.status?.user_info?.username
}
