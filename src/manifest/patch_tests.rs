#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)]

use serde_json::{Value, json};

use super::{three_way, two_way};

fn deployment(container: Value) -> Value {
    json!({"kind": "Deployment", "spec": {"template": {"spec": {"containers": [container]}}}})
}

/// The one container of a patch.
fn container(patch: &Value) -> &Value {
    &patch["spec"]["template"]["spec"]["containers"][0]
}

#[test]
fn what_lives_as_it_is_wanted_needs_no_patch() {
    let same = deployment(json!({"name": "api", "image": "a:1"}));
    let mut live = same.clone();
    live["spec"]["replicas"] = json!(3);
    live["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] = json!("IfNotPresent");
    assert_eq!(three_way(&same, &same, &live), None);
}

#[test]
fn a_field_that_somebody_changed_is_set_back() {
    let wanted = deployment(json!({"name": "api", "image": "a:1"}));
    let live = deployment(json!({"name": "api", "image": "b:2", "tty": true}));
    let patch = three_way(&wanted, &wanted, &live).unwrap();
    assert_eq!(container(&patch), &json!({"name": "api", "image": "a:1"}));
}

#[test]
fn what_the_render_names_no_more_goes_and_what_others_added_stays() {
    let env = |names: &[&str]| {
        let env: Vec<Value> = names
            .iter()
            .map(|name| json!({"name": name, "value": "1"}))
            .collect();
        deployment(json!({"name": "api", "env": env}))
    };
    let live = env(&["A", "B", "OTHER"]);
    let patch = three_way(&env(&["A", "B"]), &env(&["A", "C"]), &live).unwrap();
    let container = container(&patch);
    assert_eq!(
        container["env"],
        json!([{"name": "C", "value": "1"}, {"$patch": "delete", "name": "B"}])
    );
    assert_eq!(
        container["$setElementOrder/env"],
        json!([{"name": "A"}, {"name": "C"}])
    );
}

#[test]
fn a_key_that_goes_is_null_and_an_order_is_told() {
    let before =
        deployment(json!({"name": "api", "tty": true, "env": [{"name": "A"}, {"name": "B"}]}));
    let after = deployment(json!({"name": "api", "env": [{"name": "B"}, {"name": "A"}]}));
    let patch = three_way(&before, &after, &before).unwrap();
    let container = container(&patch);
    assert_eq!(container["tty"], Value::Null);
    assert!(container.as_object().unwrap().contains_key("tty"));
    assert_eq!(
        container["$setElementOrder/env"],
        json!([{"name": "B"}, {"name": "A"}])
    );
    assert_eq!(container.get("env"), None);
}

#[test]
fn a_union_keeps_only_what_is_named() {
    let recreate = json!({"kind": "Deployment", "spec": {"strategy": {"type": "Recreate"}}});
    let live = json!({"kind": "Deployment", "spec": {"strategy":
        {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}});
    let patch = three_way(&json!({}), &recreate, &live).unwrap();
    assert_eq!(
        patch["spec"]["strategy"],
        json!({"type": "Recreate", "$retainKeys": ["type"]})
    );
}

#[test]
fn ports_of_a_service_and_of_a_container_have_keys_of_their_own() {
    let service = |port: u16| json!({"kind": "Service", "spec": {"ports": [{"port": port, "targetPort": 80}]}});
    let patch = three_way(&service(80), &service(81), &service(80)).unwrap();
    assert_eq!(
        patch["spec"]["ports"],
        json!([{"port": 81, "targetPort": 80}, {"$patch": "delete", "port": 80}])
    );
    let policy = |port: u16| json!({"kind": "NetworkPolicy", "spec": {"ingress": [{"ports": [{"port": port}]}]}});
    let patch = three_way(&policy(80), &policy(81), &policy(80)).unwrap();
    assert_eq!(patch["spec"]["ingress"], json!([{"ports": [{"port": 81}]}]));
}

/// The API server refuses another order than the one that is set.
#[test]
fn elements_stand_in_the_order_that_is_set() {
    let service = |ports: Value| json!({"kind": "Service", "spec": {"ports": ports}});
    let patch = three_way(
        &service(json!([{"port": 80, "targetPort": 8080}, {"port": 86}])),
        &service(json!([{"port": 80}, {"port": 85}])),
        &service(json!([{"port": 80, "targetPort": 8080}, {"port": 86}])),
    );
    assert_eq!(
        patch.unwrap()["spec"]["ports"],
        json!([{"port": 80, "targetPort": null}, {"port": 85}, {"$patch": "delete", "port": 86}])
    );
}

/// One name, two meanings: a pod's are merged, a service account's are not.
#[test]
fn pull_secrets_of_a_service_account_are_replaced_whole() {
    let account = |secrets: Value| json!({"kind": "ServiceAccount", "imagePullSecrets": secrets});
    let (before, after) = (account(json!([{"name": "one"}])), account(json!([])));
    assert_eq!(
        three_way(&before, &after, &before),
        Some(json!({"imagePullSecrets": []}))
    );
}

/// Drift of a custom resource is not seen by helm: it compares two renders.
#[test]
fn other_kinds_are_patched_by_what_two_renders_differ_in() {
    let before = json!({"spec": {"size": 1, "old": true, "list": [1, 2]}});
    let after = json!({"spec": {"size": 2, "list": [1]}});
    assert_eq!(
        two_way(&before, &after),
        Some(json!({"spec": {"size": 2, "old": null, "list": [1]}}))
    );
    assert_eq!(two_way(&after, &after), None);
}
