//! Who wrote a field of a live object last, and when: its `managedFields`.
//!
//! Pure. Format: `FieldsV1` of `k8s.io/apimachinery` (`f:` a key, `k:` the keys of
//! an element, `v:` an element of a set, `i:` a place).

use serde_json::Value;

use super::changes::{FieldPath, Step, id};

/// Who wrote fields of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manager {
    /// What it called itself: `kubectl-edit`.
    pub name: String,
    /// `Apply` or `Update`.
    pub operation: String,
    /// `scale`, `status`; empty for the object itself.
    pub subresource: String,
    /// When it wrote them last, as the API server wrote it (RFC 3339).
    pub time: String,
}

/// How helm calls itself: by the name of its binary.
pub const HELM: &str = "helm";

/// The parts of Kubernetes that write by themselves. k3s and its like run all of
/// them in one process, which gives its own name.
const CONTROLLERS: [&str; 10] = [
    "kube-controller-manager",
    "kube-apiserver",
    "kube-scheduler",
    "kubelet",
    "cloud-controller-manager",
    "cluster-autoscaler",
    "k3s",
    "rke2",
    "k0s",
    "kubelite",
];

/// Names by which people's tools call themselves.
const TOOLS: [&str; 6] = [
    "kubectl",
    "k9s",
    "node-fetch",
    "Mozilla",
    "OpenAPI-Generator",
    "oc",
];

impl Manager {
    /// Whether it is helm, whichever.
    pub fn is_helm(&self) -> bool {
        self.name.starts_with(HELM) && !self.is_controller()
    }

    /// Whether it is a part of Kubernetes, or a controller whose name says so.
    pub fn is_controller(&self) -> bool {
        CONTROLLERS.contains(&self.name.as_str())
            || [
                "-controller",
                "-operator",
                "cainjector",
                "-updater",
                "-autoscaler",
            ]
            .iter()
            .any(|end| self.name.ends_with(end))
    }

    /// Whether it is a tool that a person uses.
    pub fn is_tool(&self) -> bool {
        TOOLS.iter().any(|tool| self.name.starts_with(tool))
    }
}

/// The name under which helm applied the object on the server, where it did.
pub fn helm_of(object: &Value) -> Option<String> {
    entries(object)
        .map(manager)
        .find(|manager| manager.is_helm() && manager.operation == "Apply")
        .map(|manager| manager.name)
}

/// Everyone that wrote the field, the latest first. `object` is the live one.
pub fn of_field(object: &Value, path: &FieldPath) -> Vec<Manager> {
    let mut found: Vec<Manager> = entries(object)
        .filter(|entry| holds(&entry["fieldsV1"], &path.0, object))
        .map(manager)
        .collect();
    found.sort_by(|one, other| other.time.cmp(&one.time));
    found
}

/// The fields that managers of this kind hold besides others, each with the
/// manager: leaves only, without the status.
pub fn fields_of(object: &Value, fits: impl Fn(&Manager) -> bool) -> Vec<(FieldPath, Manager)> {
    let mut found = Vec::new();
    for entry in entries(object) {
        let manager = manager(entry);
        if manager.subresource == "status" || !fits(&manager) {
            continue;
        }
        let mut paths = Vec::new();
        leaves(
            &entry["fieldsV1"],
            object,
            &FieldPath::default(),
            &mut paths,
        );
        found.extend(paths.into_iter().map(|path| (path, manager.clone())));
    }
    found
}

/// What stands at a path, if anything.
pub fn at<'a>(object: &'a Value, path: &FieldPath) -> Option<&'a Value> {
    path.0.iter().try_fold(object, |value, step| match step {
        Step::Key(key) => value.get(key),
        Step::Index(index) => value.get(*index),
        Step::Item { key, value: wanted } => value
            .as_array()?
            .iter()
            .find(|item| item.get(key).is_some_and(|found| id(found) == *wanted)),
    })
}

fn entries(object: &Value) -> impl Iterator<Item = &Value> {
    let entries = object.pointer("/metadata/managedFields");
    entries.and_then(Value::as_array).into_iter().flatten()
}

fn manager(entry: &Value) -> Manager {
    let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
    Manager {
        name: text("manager"),
        operation: text("operation"),
        subresource: text("subresource"),
        time: text("time"),
    }
}

/// Whether a set of fields holds this one, or something in it.
fn holds(set: &Value, path: &[Step], value: &Value) -> bool {
    let Some(fields) = set.as_object() else {
        return false;
    };
    let Some((step, rest)) = path.split_first() else {
        return true;
    };
    // Without fields inside, all of it is held.
    if fields.is_empty() {
        return true;
    }
    match step {
        Step::Key(key) => fields
            .get(&format!("f:{key}"))
            .is_some_and(|inner| holds(inner, rest, value.get(key).unwrap_or(&Value::Null))),
        Step::Item { .. } | Step::Index(_) => {
            let one = FieldPath(vec![step.clone()]);
            let Some(item) = at(value, &one) else {
                return false;
            };
            let mut keyed = fields
                .iter()
                .filter_map(|(name, inner)| Some((name.strip_prefix("k:")?, inner)));
            keyed.any(|(keys, inner)| is_item(keys, item) && holds(inner, rest, item))
        }
    }
}

/// Whether the keys of an element, as JSON, are this one's.
fn is_item(keys: &str, item: &Value) -> bool {
    let Ok(Value::Object(keys)) = serde_json::from_str::<Value>(keys) else {
        return false;
    };
    keys.iter().all(|(key, value)| item.get(key) == Some(value))
}

fn leaves(set: &Value, value: &Value, path: &FieldPath, found: &mut Vec<FieldPath>) {
    let Some(fields) = set.as_object() else {
        return;
    };
    for (name, inner) in fields {
        let inside = inner
            .as_object()
            .is_some_and(|inner| inner.keys().any(|key| key != "."));
        if let Some(key) = name.strip_prefix("f:") {
            let path = path.then(Step::Key(key.to_owned()));
            match value.get(key) {
                Some(value) if inside => leaves(inner, value, &path, found),
                Some(_) => found.push(path),
                None => {}
            }
        } else if let Some(keys) = name.strip_prefix("k:") {
            let Some(item) = value
                .as_array()
                .and_then(|all| all.iter().find(|item| is_item(keys, item)))
            else {
                continue;
            };
            let Ok(Value::Object(keys)) = serde_json::from_str::<Value>(keys) else {
                continue;
            };
            let Some((key, value_of_key)) = keys.iter().next() else {
                continue;
            };
            let path = path.then(Step::Item {
                key: key.clone(),
                value: id(value_of_key),
            });
            if inside {
                leaves(inner, item, &path, found);
            } else {
                found.push(path);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{fields_of, of_field};
    use crate::manifest::changes::{FieldPath, Step};

    #[test]
    fn who_wrote_a_field_is_found() {
        let object = json!({
            "metadata": {"labels": {"team": "a"}, "managedFields": [
                {"manager": "helm", "operation": "Apply", "time": "2026-11-01T00:00:00Z",
                 "fieldsV1": {"f:spec": {"f:replicas": {}, "f:containers":
                    {"k:{\"name\":\"api\"}": {".": {}, "f:name": {}, "f:image": {}}}}}},
                {"manager": "kubectl-edit", "operation": "Update", "time": "2026-11-02T00:00:00Z",
                 "fieldsV1": {"f:metadata": {"f:labels": {"f:team": {}}}, "f:spec": {"f:containers":
                    {"k:{\"name\":\"api\"}": {"f:image": {}}}}}},
            ]},
            "spec": {"replicas": 2, "containers": [{"name": "api", "image": "a:1"}]},
        });
        let key = |key: &str| Step::Key(key.to_owned());
        let item = Step::Item {
            key: "name".to_owned(),
            value: "api".to_owned(),
        };
        let image = FieldPath(vec![key("spec"), key("containers"), item, key("image")]);
        let names = |path: &FieldPath| -> Vec<String> {
            of_field(&object, path)
                .into_iter()
                .map(|manager| manager.name)
                .collect()
        };
        assert_eq!(names(&image), ["kubectl-edit", "helm"]);
        assert_eq!(
            names(&FieldPath(vec![key("spec"), key("replicas")])),
            ["helm"]
        );
        let written = fields_of(&object, super::Manager::is_tool);
        let written: Vec<String> = written.iter().map(|(path, _)| path.to_string()).collect();
        assert_eq!(
            written,
            ["metadata.labels.team", "spec.containers[api].image"]
        );
    }
}
