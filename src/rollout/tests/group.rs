//! Case C7: a kind of another group is not taken for the kind of the same name that is
//! waited for, wherever an object is named.

use serde_json::{Value, json};

use super::words::{event, target};
use super::{change, object};
use crate::manifest::ObjectRef;
use crate::rollout::model::{Elapsed, ReplicaSet, ResourceKind};
use crate::rollout::target::WatchTarget;
use crate::rollout::{ReleaseCache, labels};

fn owned(name: &str, api_version: &str, kind: &str, owner: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "shop", "name": name, "uid": name,
        "ownerReferences": [{"apiVersion": api_version, "kind": kind, "name": owner, "uid": "o", "controller": true}]},
        "spec": {"containers": []}})
}

fn cache() -> ReleaseCache {
    ReleaseCache::of(&[
        target("Deployment", "api", false),
        target("StatefulSet", "db", false),
        target("DaemonSet", "agent", false),
        target("Job", "migrate", true),
    ])
}

#[test]
fn a_target_is_of_the_group_that_is_waited_for() {
    for (api_version, kind, is_target) in [
        ("batch/v1", "Job", true),
        ("batch.volcano.sh/v1alpha1", "Job", false),
        ("apps/v1", "StatefulSet", true),
        ("apps.kruise.io/v1beta1", "StatefulSet", false),
        ("v1", "Pod", true),
        ("acme.io/v1", "Pod", false),
    ] {
        let object = ObjectRef {
            api_version: api_version.to_owned(),
            ..object("shop", kind, "api")
        };
        let found = WatchTarget::new(&object, true, false).is_some();
        assert_eq!(found, is_target, "{api_version} {kind}");
    }
}

#[test]
fn an_owner_is_told_by_its_group() {
    for (api_version, kind, owner, expected) in [
        ("apps/v1", "ReplicaSet", "api-1", Some(ResourceKind::Pod)),
        ("acme.io/v1", "ReplicaSet", "api-1", None),
        ("apps/v1", "StatefulSet", "db", Some(ResourceKind::Pod)),
        ("apps.kruise.io/v1beta1", "StatefulSet", "db", None),
        ("apps/v1", "DaemonSet", "agent", Some(ResourceKind::Pod)),
        ("apps.kruise.io/v1alpha1", "DaemonSet", "agent", None),
        ("batch/v1", "Job", "migrate", Some(ResourceKind::JobPod)),
        ("batch.volcano.sh/v1alpha1", "Job", "migrate", None),
        // No Deployment owns a pod itself.
        ("apps/v1", "Deployment", "api", None),
    ] {
        let pod = owned(&format!("{owner}-x"), api_version, kind, owner);
        let changed = cache().apply(change(&pod), Elapsed::default());
        assert_eq!(changed, expected, "{api_version} {kind}");
    }
}

#[test]
fn a_replica_set_is_a_deployments_own() {
    for (api_version, is_own) in [("apps/v1", true), ("acme.io/v1", false)] {
        let set = json!({"metadata": {"namespace": "shop", "name": "api-1", "uid": "r",
            "ownerReferences": [{"apiVersion": api_version, "kind": "Deployment", "name": "api", "uid": "d", "controller": true}]},
            "spec": {"selector": {}}});
        let set: k8s_openapi::api::apps::v1::ReplicaSet = serde_json::from_value(set).unwrap();
        assert_eq!(ReplicaSet::try_from(set).is_ok(), is_own, "{api_version}");
    }
}

#[test]
fn an_event_is_about_an_object_of_its_group() {
    for (api_version, kind, name, concerns) in [
        ("batch/v1", "Job", "migrate", true),
        ("batch.volcano.sh/v1alpha1", "Job", "migrate", false),
        ("apps/v1", "ReplicaSet", "api-1", true),
        ("acme.io/v1", "ReplicaSet", "api-1", false),
        ("v1", "Pod", "api-1-a", true),
        ("metrics.k8s.io/v1beta1", "Pod", "api-1-a", false),
        ("v1", "Service", "api", false),
    ] {
        let mut event = event(name, "FailedCreate", "refused", 1);
        event["involvedObject"]["apiVersion"] = json!(api_version);
        event["involvedObject"]["kind"] = json!(kind);
        let changed = cache().apply(change(&event), Elapsed::default());
        assert_eq!(changed.is_some(), concerns, "{api_version} {kind}");
    }
}

#[test]
fn only_a_pod_of_the_core_group_carries_its_labels_itself() {
    for (api_version, expected) in [("v1", Some("pod")), ("acme.io/v1", Some("selected"))] {
        let object = json!({"apiVersion": api_version, "kind": "Pod",
            "metadata": {"name": "api", "labels": {"app": "pod"}},
            "spec": {"selector": {"matchLabels": {"app": "selected"}}}});
        let app = labels(&object).get("app").cloned();
        assert_eq!(app.as_deref(), expected, "{api_version}");
    }
}
