//! The documents, and what is refused before one is sent.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::{
    MANAGER, Place, TEMPLATE, check, document, note, noted, of_template, only_on, with_operation,
};
use crate::argocd::{Application, owned};
use crate::engine::Wanted;
use crate::error::Kind;
use crate::plan::fleet::TargetName;

fn target() -> TargetName {
    "shop-eu".parse().unwrap()
}

fn wanted(values: Value) -> Wanted {
    Wanted {
        chart: "oci://ghcr.io/acme/charts/shop".parse().unwrap(),
        version: "2.0.0".parse().unwrap(),
        digest: None,
        values,
    }
}

#[test]
fn only_what_the_signal_says_is_in_it() {
    let values =
        json!({"api": {"image": {"tag": "2", "digest": null, "sha": ""}}, "a.b": {"n": 1}});
    let object = document(&target(), "argocd", &wanted(values.clone()), Place::Object).unwrap();
    assert_eq!(
        object,
        json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
            "metadata": {"name": "shop-eu", "namespace": "argocd"},
            "spec": {"source": {"repoURL": "ghcr.io/acme/charts", "chart": "shop", "targetRevision": "2.0.0",
                                "helm": {"valuesObject": values}}},
        })
    );
    let text = document(&target(), "argocd", &wanted(values), Place::Parameters).unwrap();
    assert_eq!(
        text.pointer("/spec/source/helm").unwrap(),
        &json!({"parameters": [
            {"name": "a\\.b.n", "value": "1"},
            {"name": "api.image.digest", "value": "null"},
            {"name": "api.image.sha", "forceString": true},
            {"name": "api.image.tag", "value": "2", "forceString": true},
        ]})
    );
    let none = document(&target(), "argocd", &wanted(json!({})), Place::Object).unwrap();
    assert_eq!(none.pointer("/spec/source/helm"), None);
}

#[test]
fn the_operation_is_as_the_policy_says_and_known_again() {
    let application = Application::read(&json!({
        "metadata": {"resourceVersion": "7"},
        "spec": {"syncPolicy": {"automated": {"prune": true}, "syncOptions": ["CreateNamespace=true"],
                                "retry": {"limit": 2}}},
    }))
    .unwrap();
    let object = document(&target(), "argocd", &wanted(json!({})), Place::Object).unwrap();
    let object = only_on(
        with_operation(object, &application, "2.0.0", "run/3"),
        &application,
    );
    assert_eq!(
        object["operation"],
        json!({
            "initiatedBy": {"username": "deploy"},
            "info": [{"name": "deploy", "value": "run/3"}],
            "retry": {"limit": 2},
            "sync": {"revision": "2.0.0", "prune": true, "syncOptions": ["CreateNamespace=true"]},
        })
    );
    assert_eq!(
        object["metadata"],
        json!({"name": "shop-eu", "namespace": "argocd", "resourceVersion": "7",
               "annotations": {"argocd.argoproj.io/refresh": "hard"}})
    );
    let plain = with_operation(
        json!({"metadata": {}}),
        &Application::default(),
        "2.0.0",
        "x",
    );
    assert_eq!(plain["operation"]["sync"]["prune"], json!(false));
    assert_eq!(plain["operation"]["retry"], json!({}));
}

#[test]
fn what_was_good_is_read_again() {
    let mut good = wanted(json!({"api": {"tag": "2"}}));
    good.digest = Some(format!("sha256:{}", "a".repeat(64)).parse().unwrap());
    let object = note(&target(), "argocd", &good, "run");
    let application = Application::read(&object).unwrap();
    assert_eq!(noted(&application), Some(good));
    for text in [
        "",
        "{}",
        "[]",
        "{\"chart\":\"oci://evil.example/x\",\"version\":\"1.0.0\",\"values\":{}}",
    ] {
        let object = json!({"metadata": {"annotations": {"deploy/last-good": text}}});
        assert_eq!(noted(&Application::read(&object).unwrap()), None, "{text}");
    }
}

#[test]
fn what_cannot_be_owned_in_part_is_refused() {
    let application =
        |helm: Value| Application::read(&json!({"spec": {"source": {"helm": helm}}})).unwrap();
    let list = json!({"containers": [{"image": "a:2"}]});
    let tag = json!({"api": {"image": {"tag": "2"}}});
    for (helm, values, why) in [
        (
            json!({"values": "a: b"}),
            &list,
            "beside which a list cannot be set",
        ),
        (
            json!({"valuesObject": {"containers": []}}),
            &list,
            "a part of a list cannot be owned",
        ),
        (
            json!({"parameters": [{"name": "api.image.tag", "value": "1"}]}),
            &tag,
            "parameter 'api.image.tag' hides the image at 'api.image.tag'",
        ),
        (
            json!({"parameters": [{"name": "api", "value": "null"}]}),
            &tag,
            "hides",
        ),
    ] {
        let error = check(&application(helm), values).unwrap_err();
        assert_eq!(error.kind(), Kind::Chart);
        assert!(error.to_string().contains(why), "{error}");
    }
    for (helm, values) in [
        (json!({}), &list),
        (json!({"valuesObject": {"other": []}}), &list),
        (json!({"values": "a: b"}), &tag),
        (
            json!({"parameters": [{"name": "apis.x", "value": "1"}]}),
            &tag,
        ),
    ] {
        check(&application(helm), values).unwrap();
    }
}

/// An Application as the API server keeps it: a person's values beside `deploy`'s.
fn shared() -> Value {
    json!({
        "metadata": {"name": "shop-eu", "managedFields": [
            {"manager": "kubectl-client-side-apply", "operation": "Update", "fieldsV1": {"f:spec": {"f:source": {
                "f:repoURL": {}, "f:chart": {}, "f:helm": {"f:valuesObject": {"f:replicas": {}, "f:api": {"f:host": {}}}}}}}},
            {"manager": MANAGER, "operation": "Apply", "fieldsV1": {"f:spec": {"f:source": {
                "f:chart": {}, "f:repoURL": {}, "f:targetRevision": {}, "f:helm": {"f:valuesObject": {
                    "f:api": {"f:image": {"f:tag": {}}}, "f:web": {"f:image": {}}}}}}}},
        ]},
        "spec": {"source": {"repoURL": "ghcr.io/acme/charts", "chart": "shop", "targetRevision": "1.0.0",
            "helm": {"valuesObject": {"replicas": 2, "api": {"host": "a", "image": {"tag": "1"}}, "web": {"image": "w:1"}}}}},
    })
}

#[test]
fn own_values_are_told_from_those_of_others() {
    let object = shared();
    assert_eq!(
        owned::values(&object, MANAGER),
        json!({"api": {"image": {"tag": "1"}}, "web": {"image": "w:1"}})
    );
    let left = owned::without(&object, MANAGER);
    let left = Application::read(&left).unwrap();
    assert_eq!(
        left.spec.source.helm.values_object,
        Some(json!({"replicas": 2, "api": {"host": "a", "image": {}}, "web": {}}))
    );
    assert_eq!(Place::of(&left), Place::Object);
}

#[test]
fn own_values_alone_hide_no_text() {
    let mut object = shared();
    object["metadata"]["managedFields"][0]["fieldsV1"] =
        json!({"f:spec": {"f:source": {"f:helm": {"f:values": {}}}}});
    object["spec"]["source"]["helm"] = json!({"values": "replicas: 2", "valuesObject":
        {"api": {"image": {"tag": "1"}}, "web": {"image": "w:1"}}});
    let left = Application::read(&owned::without(&object, MANAGER)).unwrap();
    assert_eq!(Place::of(&left), Place::Parameters);
    object["spec"]["source"]["helm"] = json!({"values": "replicas: 2", "parameters": [
        {"name": "api.image.tag", "value": "1", "forceString": true},
        {"name": "a\\.b", "value": "null"},
        {"name": "sha", "forceString": true},
    ]});
    object["metadata"]["managedFields"][1]["fieldsV1"] =
        json!({"f:spec": {"f:source": {"f:helm": {"f:parameters": {}}}}});
    assert_eq!(
        owned::values(&object, MANAGER),
        json!({"api": {"image": {"tag": "1"}}, "a.b": null, "sha": ""})
    );
    let left = Application::read(&owned::without(&object, MANAGER)).unwrap();
    assert_eq!(left.spec.source.helm.parameters, []);
}

#[test]
fn a_template_keeps_what_the_signal_does_not_say() {
    let template = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": {"name": "x", "labels": {"team": "a"}},
        "spec": {"project": "shop", "destination": {"name": "eu", "namespace": "shop"},
                 "source": {"helm": {"valuesObject": {"replicas": 2}}}},
    });
    let made = of_template(
        template,
        &target(),
        "argocd",
        &wanted(json!({"api": {"tag": "2"}})),
    )
    .unwrap();
    assert_eq!(made["metadata"]["name"], json!("shop-eu"));
    assert_eq!(made["metadata"]["labels"]["team"], json!("a"));
    assert_eq!(made["spec"]["source"]["targetRevision"], json!("2.0.0"));
    assert_eq!(
        made["spec"]["source"]["helm"]["valuesObject"],
        json!({"replicas": 2, "api": {"tag": "2"}})
    );
    assert_ne!(TEMPLATE, MANAGER);
    assert!(of_template(json!({"spec": 1}), &target(), "argocd", &wanted(json!({}))).is_err());
}
