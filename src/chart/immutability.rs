//! What the API server would refuse because of what is there already: fields
//! that cannot change, and kinds that it does not serve.
//!
//! Pure: the caller reads the live objects and asks which kinds are served.
//! In doubt it says nothing: a deploy that would pass is never refused.

use serde_json::Value;

use super::archive::Chart;
use crate::manifest::quantity::milli;
use crate::manifest::{Object, ObjectRef};
use crate::text;

/// A change that the API server would refuse, with what helps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// `Job shop-migrate`, for people.
    pub object: String,
    /// What is wrong, in one line.
    pub problem: String,
    /// What to do about it.
    pub cure: String,
}

/// Fields of a kind that cannot change (`kubernetes/pkg/apis/*/validation`).
fn fixed(object: &ObjectRef) -> &'static [&'static str] {
    match (object.group(), object.kind.as_str()) {
        ("batch", "Job") => &["/spec/template", "/spec/selector", "/spec/completionMode"],
        ("apps", "StatefulSet") => &[
            "/spec/volumeClaimTemplates",
            "/spec/serviceName",
            "/spec/podManagementPolicy",
            "/spec/selector",
        ],
        ("apps", "Deployment" | "DaemonSet" | "ReplicaSet") => &["/spec/selector"],
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => &["/roleRef"],
        ("", "PersistentVolumeClaim") => &["/spec/storageClassName", "/spec/accessModes"],
        _ => &[],
    }
}

/// Whether the live self of a rendered object is worth reading: a workload or
/// a Job that is not a hook (helm deletes those before it creates them), and whose
/// fixed fields are not what the revision that serves has already. What was
/// applied once, a webhook's work on it included, can be applied again.
pub fn is_worth_reading(object: &Object, before: &[Object], namespace: &str) -> bool {
    let reference = &object.reference;
    let is_read = matches!(
        (reference.api_version.as_str(), reference.kind.as_str()),
        ("batch/v1", "Job") | ("apps/v1", "StatefulSet" | "Deployment" | "DaemonSet")
    );
    let own = |object: &Object| object.reference.clone().within(namespace);
    let is_same = |old: &&Object| own(old).is_same(&own(object));
    let as_before = before.iter().find(is_same).is_some_and(|old| {
        fixed(&object.reference)
            .iter()
            .all(|field| old.value.pointer(field) == object.value.pointer(field))
    });
    is_read && object.hooks.is_empty() && !reference.name.is_empty() && !as_before
}

/// Objects of the render that would change a fixed field of their live self.
/// `live` are objects as the API server gives them; `namespace` is the
/// release's. Hooks are left out, and so are objects that are being deleted and
/// suspended Jobs, which may change more.
pub fn immutable(objects: &[Object], live: &[Value], namespace: &str) -> Vec<Obstacle> {
    let mut found = Vec::new();
    for object in objects.iter().filter(|object| object.hooks.is_empty()) {
        let own = object.reference.namespace.as_deref().unwrap_or(namespace);
        let is_same = |other: &&Value| {
            ObjectRef::of(other).within(own) == object.reference.clone().within(own)
                && other.pointer("/metadata/deletionTimestamp").is_none()
                && other.pointer("/spec/suspend") != Some(&Value::Bool(true))
        };
        let Some(other) = live.iter().find(is_same) else {
            continue;
        };
        let changed = fixed(&object.reference).iter().find(|field| {
            let (new, old) = (object.value.pointer(field), other.pointer(field));
            new.is_some_and(|new| old.is_some_and(|old| !covers(old, new)))
        });
        if let Some(field) = changed {
            let field = field.trim_start_matches('/').replace('/', ".");
            found.push(Obstacle {
                object: object.to_string(),
                problem: format!("{object}: the render changes {field}, which cannot change"),
                cure: cure(&object.reference, own),
            });
        }
    }
    found
}

fn cure(object: &ObjectRef, namespace: &str) -> String {
    let name = text::line(&object.name, 80);
    let namespace = text::line(namespace, 80);
    match (object.group(), object.kind.as_str()) {
        ("batch", "Job") => format!(
            "make it a hook (helm.sh/hook: pre-upgrade), or give it a name that changes with its image; or once: kubectl delete job {name} --namespace {namespace}"
        ),
        ("apps", "StatefulSet") => format!(
            "once: kubectl delete statefulset {name} --cascade=orphan --namespace {namespace} (its pods and volumes stay), then deploy again"
        ),
        _ => format!(
            "keep the field in the chart, or once: kubectl delete {} {name} --namespace {namespace}",
            text::line(&object.kind.to_lowercase(), 80),
        ),
    }
}

/// Whether `live` says all that `wanted` says. The API server fills in what a
/// manifest leaves out and writes quantities its own way.
fn covers(live: &Value, wanted: &Value) -> bool {
    match (live, wanted) {
        (_, Value::Null) => true,
        (Value::Object(live), Value::Object(wanted)) => {
            wanted.iter().all(|(key, wanted)| match live.get(key) {
                Some(live) => covers(live, wanted),
                None => is_empty(wanted),
            })
        }
        (Value::Array(live), Value::Array(wanted)) => {
            live.len() == wanted.len()
                && live
                    .iter()
                    .zip(wanted)
                    .all(|(live, wanted)| covers(live, wanted))
        }
        _ => live == wanted || quantity(live).is_some_and(|live| Some(live) == quantity(wanted)),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Object(map) => map.values().all(is_empty),
        Value::Array(items) => items.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::Bool(true) => false,
    }
}

fn quantity(value: &Value) -> Option<i128> {
    match value {
        Value::String(text) => milli(text),
        Value::Number(number) => milli(&number.to_string()),
        _ => None,
    }
}

/// Custom resources of the render whose kind is not served. On a first
/// install helm installs the chart's `crds/` itself; on an upgrade it does not.
/// Hooks are left out: an earlier one may install the kind.
pub fn unserved(
    objects: &[Object],
    chart: &Chart,
    is_upgrade: bool,
    served: impl Fn(&str, &str) -> bool,
) -> Vec<Obstacle> {
    let mut found: Vec<Obstacle> = Vec::new();
    for object in objects.iter().filter(|object| object.hooks.is_empty()) {
        let ObjectRef {
            api_version, kind, ..
        } = &object.reference;
        let has_crd = chart.has_crd(object.reference.group(), kind);
        if served(api_version, kind) || (has_crd && !is_upgrade) {
            continue;
        }
        let kind = text::line(kind, 80);
        let version = text::line(api_version, 120);
        let cure = if has_crd {
            format!(
                "helm installs crds/ with a first install only: apply the one of {kind} with kubectl apply -f first"
            )
        } else {
            format!(
                "install the CustomResourceDefinition of {kind} ({version}) first, or switch the object off in the values"
            )
        };
        found.push(Obstacle {
            object: object.to_string(),
            problem: format!("{object}: the cluster does not serve {version} {kind}"),
            cure,
        });
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::{immutable, is_worth_reading, quantity, unserved};
    use crate::chart::archive::Chart;
    use crate::manifest::Object;

    fn rendered(value: &Value) -> Vec<Object> {
        Object::parse(&value.to_string()).unwrap()
    }

    fn job(image: &str, cpu: &str) -> Value {
        json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "migrate"}, "spec": {"template": {"spec": {
            "restartPolicy": "Never", "initContainers": [], "nodeSelector": null,
            "containers": [{"name": "m", "image": image, "resources": {"requests": {"cpu": cpu}}}],
        }}}})
    }

    fn live() -> Value {
        json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "migrate", "namespace": "shop"}, "spec": {
            "completionMode": "NonIndexed", "selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": "1"}},
            "template": {"metadata": {"labels": {"job-name": "migrate"}}, "spec": {
                "restartPolicy": "Never", "dnsPolicy": "ClusterFirst",
                "containers": [{"name": "m", "image": "a:1", "imagePullPolicy": "IfNotPresent", "resources": {"requests": {"cpu": "1"}}}],
            }},
        }})
    }

    #[test]
    fn only_a_real_change_of_a_fixed_field_is_told() {
        let namespace = "shop";
        assert!(immutable(&rendered(&job("a:1", "1000m")), &[live()], namespace).is_empty());
        let found = immutable(&rendered(&job("a:2", "1")), &[live()], namespace);
        assert_eq!(found[0].object, "Job migrate");
        assert!(found[0].problem.contains("spec.template"), "{found:?}");
        assert!(found[0].cure.contains("kubectl delete job migrate"));
        assert!(immutable(&rendered(&job("a:2", "1")), &[live()], "other").is_empty());
        let mut hook = job("a:2", "1");
        hook["metadata"]["annotations"] = json!({"helm.sh/hook": "pre-upgrade"});
        assert!(immutable(&rendered(&hook), &[live()], namespace).is_empty());

        for (pointer, value) in [
            ("/spec/suspend", json!(true)),
            ("/metadata/deletionTimestamp", json!("2026-01-01T00:00:00Z")),
        ] {
            let mut other = live();
            let (above, key) = pointer.rsplit_once('/').unwrap();
            other.pointer_mut(above).unwrap()[key] = value;
            assert!(immutable(&rendered(&job("a:2", "1")), &[other], namespace).is_empty());
        }

        let set = |size: &str| {
            json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"}, "spec": {
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"resources": {"requests": {"storage": size}}}}]}})
        };
        let mut old = set("1Gi");
        old["spec"]["volumeClaimTemplates"][0]["spec"]["volumeMode"] = json!("Filesystem");
        assert!(
            immutable(
                &rendered(&set("1024Mi")),
                std::slice::from_ref(&old),
                namespace
            )
            .is_empty()
        );
        let found = immutable(&rendered(&set("2Gi")), &[old], namespace);
        assert!(found[0].cure.contains("--cascade=orphan"));
    }

    #[test]
    fn only_what_changed_is_worth_reading() {
        let is_worth =
            |new: &Value, before: &[Object]| is_worth_reading(&rendered(new)[0], before, "shop");
        let before = rendered(&job("a:1", "1"));
        assert!(is_worth(&job("a:2", "1"), &before));
        assert!(is_worth(&job("a:1", "1"), &[]));
        assert!(!is_worth(&job("a:1", "1"), &before));
        let mut hook = job("a:2", "1");
        hook["metadata"]["annotations"] = json!({"helm.sh/hook": "pre-upgrade"});
        assert!(!is_worth(&hook, &before));
        let mut foreign = job("a:2", "1");
        foreign["apiVersion"] = json!("batch.volcano.sh/v1alpha1");
        assert!(!is_worth(&foreign, &[]));
    }

    #[test]
    fn quantities_are_compared_by_value() {
        for (one, other) in [
            ("1", "1000m"),
            ("0.5", "500m"),
            ("1Gi", "1024Mi"),
            ("1.5Gi", "1536Mi"),
            ("1k", "1000"),
        ] {
            assert_eq!(quantity(&json!(one)), quantity(&json!(other)), "{one}");
            assert!(quantity(&json!(one)).is_some());
        }
        for none in ["", "a", "1x"] {
            assert_eq!(quantity(&json!(none)), None, "{none}");
        }
    }

    #[test]
    fn a_kind_that_is_not_served_is_told_with_its_cure() {
        let objects = rendered(
            &json!({"apiVersion": "a.example/v1", "kind": "Runner", "metadata": {"name": "r"}}),
        );
        let bare = Chart::default();
        let with_crd = Chart {
            crds: vec![("a.example".into(), "Runner".into())],
            ..Chart::default()
        };
        let count = |chart: &Chart, upgrade: bool, served: bool| {
            unserved(&objects, chart, upgrade, |_, _| served).len()
        };
        assert_eq!(count(&bare, false, true), 0);
        assert_eq!(count(&bare, false, false), 1);
        assert_eq!(count(&with_crd, false, false), 0);
        assert_eq!(count(&with_crd, true, false), 1);
        let told = &unserved(&objects, &with_crd, true, |_, _| false)[0];
        assert!(
            told.problem.contains("a.example/v1 Runner") && told.cure.contains("crds/"),
            "{told:?}"
        );
    }
}
