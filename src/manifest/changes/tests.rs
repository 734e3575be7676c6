#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)]

use serde_json::{Value, json};

use super::{Change, Content, Preview, compare, differs, preview_as_json, without_noise};
use crate::manifest::ObjectRef;

fn told(before: &Value, after: &Value) -> Vec<String> {
    let show = |content: &Content| match content {
        Content::Absent => "-".to_owned(),
        Content::Value(value) => value.to_string(),
        Content::Hidden => "***".to_owned(),
    };
    let changes = compare(before, after);
    changes
        .iter()
        .map(|change| {
            format!(
                "{}: {} {}",
                change.path,
                show(&change.before),
                show(&change.after)
            )
        })
        .collect()
}

fn pod(containers: Value) -> Value {
    json!({"kind": "Deployment", "apiVersion": "apps/v1", "metadata": {"name": "api"},
        "spec": {"template": {"spec": {"containers": containers}}}})
}

#[test]
fn fields_are_named_as_people_write_them() {
    let before = pod(json!([
        {"name": "api", "image": "a:1", "env": [{"name": "A", "value": "1"}, {"name": "B"}], "args": ["x", "y"]},
        {"name": "old", "image": "o:1"},
    ]));
    let after = pod(json!([
        {"name": "api", "image": "a:2", "env": [{"name": "B"}, {"name": "A", "value": "2"}], "args": ["x", "z"]},
        {"name": "new", "image": "n:1"},
    ]));
    let at = "spec.template.spec.containers";
    assert_eq!(
        told(&before, &after),
        [
            format!("{at}[api].args[1]: \"y\" \"z\""),
            format!("{at}[api].env[A].value: \"1\" \"2\""),
            format!("{at}[api].env: [\"A\",\"B\"] [\"B\",\"A\"]"),
            format!("{at}[api].image: \"a:1\" \"a:2\""),
            format!("{at}[old]: {{\"image\":\"o:1\",\"name\":\"old\"}} -"),
            format!("{at}[new]: - {{\"image\":\"n:1\",\"name\":\"new\"}}"),
        ]
    );
    let map = |data: Value| json!({"kind": "ConfigMap", "data": data});
    assert_eq!(
        told(&map(json!({"a.yaml": "1"})), &map(json!({"b": "2"}))),
        ["data[\"a.yaml\"]: \"1\" -", "data.b: - \"2\""]
    );
}

#[test]
fn a_secret_is_never_text() {
    let secret = |data: Value| {
        json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {"labels": {"tier": data["tier"]}, "annotations": {"note": data["note"]}},
            "data": {"key": data["key"]}})
    };
    let before = secret(json!({"key": "c2VjcmV0", "note": "c2VjcmV0", "tier": "a"}));
    let after = secret(json!({"key": "b3RoZXI=", "note": "b3RoZXI=", "tier": "b"}));
    assert_eq!(
        told(&before, &after),
        [
            "data.key: *** ***",
            "metadata.annotations.note: *** ***",
            "metadata.labels.tier: \"a\" \"b\"",
        ]
    );
    let object = ObjectRef::of(&after);
    let changes = vec![(object, Some(Change::Changed(compare(&before, &after))))];
    let json = preview_as_json(&Preview::of(changes, true)).to_string();
    assert!(
        !json.contains("b3RoZXI") && !json.contains("c2VjcmV0"),
        "{json}"
    );
}

#[test]
fn what_helm_and_the_server_write_is_no_change() {
    let object = |version: &str, chart: &str| {
        json!({"kind": "ConfigMap", "status": {"seen": version},
            "metadata": {"resourceVersion": version, "managedFields": [version],
                "labels": {"helm.sh/chart": chart}}})
    };
    let (before, after) = (object("1", "shop-1"), object("2", "shop-2"));
    assert_eq!(without_noise(&before), without_noise(&after));
    assert!(differs(&before, &after));
    assert!(!differs(&before, &object("2", "shop-1")));
}

#[test]
fn a_new_pod_template_replaces_pods_and_says_why() {
    let before = pod(json!([{"name": "api", "image": "a:1"}]));
    let mut after = pod(json!([{"name": "api", "image": "a:2"}]));
    after["spec"]["replicas"] = json!(2);
    let change = Change::Changed(compare(&before, &after));
    let preview = Preview::of(
        vec![
            (ObjectRef::of(&after), Some(change)),
            (ObjectRef::of(&before), None),
        ],
        false,
    );
    assert_eq!(preview.unchanged, 1);
    assert_eq!(
        preview.restarts[0].fields,
        ["spec.template.spec.containers[api].image"]
    );
    let json = preview_as_json(&preview);
    assert_eq!(
        json["objects"][0]["fields"][0],
        json!({"path": "spec.replicas", "hidden": true})
    );
}
