//! What of an object says nothing of a change: what the API server counts, and
//! what helm and kubectl write for themselves.

use serde_json::{Map, Value};

/// What the API server writes with each request.
const SERVER: [&str; 7] = [
    "managedFields",
    "resourceVersion",
    "generation",
    "uid",
    "creationTimestamp",
    "selfLink",
    "deletionGracePeriodSeconds",
];

/// Labels of helm's: the chart's version stands in one, and changes with each.
const LABELS: [&str; 2] = ["helm.sh/chart", "app.kubernetes.io/managed-by"];

/// Annotations that helm, kubectl and the controllers keep notes in.
const ANNOTATIONS: [&str; 4] = [
    "meta.helm.sh/release-name",
    "meta.helm.sh/release-namespace",
    "kubectl.kubernetes.io/last-applied-configuration",
    "deployment.kubernetes.io/revision",
];

/// The object without all of that, and without its status. A pod template keeps
/// its labels: they replace pods, whoever wrote them.
pub fn without_noise(object: &Value) -> Value {
    let mut object = bare(object);
    for (field, names) in [("labels", &LABELS[..]), ("annotations", &ANNOTATIONS[..])] {
        let Some(Value::Object(metadata)) = object.get_mut("metadata") else {
            continue;
        };
        let Some(Value::Object(all)) = metadata.get_mut(field) else {
            continue;
        };
        all.retain(|name, _| !names.contains(&name.as_str()));
        if all.is_empty() {
            metadata.remove(field);
        }
    }
    object
}

/// Whether two states of an object differ in anything that is written on purpose,
/// helm's own labels among them.
pub fn differs(before: &Value, after: &Value) -> bool {
    bare(before) != bare(after)
}

/// Without what the API server writes.
fn bare(object: &Value) -> Value {
    let mut object = object.clone();
    if let Value::Object(fields) = &mut object {
        fields.remove("status");
        if let Some(Value::Object(metadata)) = fields.get_mut("metadata") {
            metadata.retain(|name, _| !SERVER.contains(&name.as_str()));
        }
        without_nothing(fields);
    }
    object
}

/// A null field and an empty map say as much as none.
fn without_nothing(fields: &mut Map<String, Value>) {
    fields.retain(|_, value| !value.is_null());
}
