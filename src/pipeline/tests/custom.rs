//! Custom resources whose controllers say that they are not Ready.

use serde_json::json;

use super::super::{apply, failure};
use super::proof;
use super::world::World;
use crate::error::Problem;
use crate::manifest::Object;
use crate::rollout::CustomResources;

/// Case B1, where helm itself waits, since a hook runs after the workloads: what it
/// waits for in vain is named.
#[tokio::test]
async fn a_load_balancer_without_an_address_is_the_cause_where_nothing_else_is() {
    const BALANCED: &str =
        "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {type: LoadBalancer}\n";
    let world = World::new();
    let service = |status: serde_json::Value| {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "prod"},
            "spec": {"type": "LoadBalancer"}, "status": status})
    };
    let path = "/api/v1/namespaces/prod/services/web";
    let said = "Error: UPGRADE FAILED: timed out waiting for the condition";
    let world = world
        .with(|objects| objects.put(path, service(json!({"loadBalancer": {}}))))
        .helm(&format!("echo '{said}' >&2; exit 1"), |_| {});
    let (mut run, mut found) = (world.run(), world.found("v3.19.0").await);
    let proof = proof(BALANCED).await;
    let failed = apply::upgrade(&mut run, &mut found, &proof).await;
    let Err(failure::Failure::Rollout(problem)) = failed else {
        panic!("{failed:?}");
    };
    let named = "Service web is of type LoadBalancer and has no address yet";
    assert!(problem.to_string().contains(named), "{problem}");

    let objects = Object::parse(BALANCED).unwrap();
    let custom = CustomResources::of(&objects, "prod");
    let client = &found.cluster.client;
    assert_eq!(custom.not_ready(client).await.len(), 1);
    let given = json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}});
    world.with(|objects| objects.put(path, service(given)));
    assert!(custom.not_ready(client).await.is_empty());
}

/// Case B2: a custom resource that is not Ready fails nothing, and is named.
#[tokio::test]
async fn a_custom_resource_that_is_not_ready_is_a_warning() {
    const MAIL: &str = "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: mail}\nspec: {target: {name: mail-login}}\n";
    let world = World::new();
    let mark = world.mark();
    let kinds = json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "external-secrets.io/v1",
        "resources": [{"name": "externalsecrets", "singularName": "", "namespaced": true,
            "kind": "ExternalSecret", "verbs": ["get"]}]});
    let mail = json!({"apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret",
        "metadata": {"name": "mail", "namespace": "prod", "generation": 1},
        "status": {"conditions": [{"type": "Ready", "status": "False",
            "reason": "SecretSyncedError", "message": "could not get secret"}]}});
    let world = world
        .with(|objects| {
            objects.put("/apis/external-secrets.io/v1", kinds);
            objects.put(
                "/apis/external-secrets.io/v1/namespaces/prod/externalsecrets/mail",
                mail,
            );
        })
        .helm("exit 0", move |objects| {
            objects.record(1, "deployed", &mark, MAIL);
        });
    let (mut run, mut found) = (world.run(), world.found("v4.3.1").await);
    let proof = proof(MAIL).await;
    apply::upgrade(&mut run, &mut found, &proof).await.unwrap();
    let said = "ExternalSecret mail is not Ready: SecretSyncedError: could not get secret";
    assert_eq!(world.said(), said);

    let lacks =
        Problem::new("container api of pod api-1 needs Secret mail-login, which does not exist");
    let objects = Object::parse(MAIL).unwrap();
    let custom = CustomResources::of(&objects, "prod");
    let custom = custom.not_ready(&found.cluster.client).await;
    let named = failure::made_by(lacks, custom);
    assert!(
        named
            .to_string()
            .ends_with(&format!("which does not exist; {said}")),
        "{named}"
    );
}
