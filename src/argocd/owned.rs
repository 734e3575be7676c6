//! Who owns what of an Application: its `managedFields`.
//!
//! Pure.

use serde_json::{Value, json};

use super::application::Application;
use crate::manifest::changes::{FieldPath, Step};
use crate::manifest::managers;
use crate::{plan, text};

/// What every field manager of `deploy`'s begins with.
const MANAGER: &str = "deploy";

/// Where the values lie as an object.
const OBJECT: [&str; 4] = ["spec", "source", "helm", "valuesObject"];

/// Where they lie as parameters.
const PARAMETERS: [&str; 4] = ["spec", "source", "helm", "parameters"];

/// Every value that is no map, with its path; of an empty map nothing.
pub(super) fn leaves(values: &Value) -> Vec<(Vec<String>, &Value)> {
    fn walk<'a>(at: &[String], value: &'a Value, found: &mut Vec<(Vec<String>, &'a Value)>) {
        if let Value::Object(map) = value {
            for (key, inner) in map {
                walk(&[at, std::slice::from_ref(key)].concat(), inner, found);
            }
        } else if !at.is_empty() {
            found.push((at.to_vec(), value));
        }
    }
    let mut found = Vec::new();
    walk(&[], values, &mut found);
    found
}

/// What stands at a path of keys.
pub(super) fn at<'a>(values: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(values, |value, key| value.get(key))
}

/// The values that `manager` owns: those that carry the images, as they were asked for.
pub(super) fn values(object: &Value, manager: &str) -> Value {
    let mut values = json!({});
    for path in owned_by(object, manager) {
        let Some(rest) = keys_below(&path, &OBJECT) else {
            continue;
        };
        if let Some(value) = managers::at(object, &path) {
            put(&mut values, &rest, value.clone());
        }
    }
    if owns_parameters(object, manager) {
        let parameters = object.pointer("/spec/source/helm/parameters");
        for parameter in parameters.and_then(Value::as_array).into_iter().flatten() {
            let text = |key: &str| parameter[key].as_str().unwrap_or_default();
            let value = match (text("value"), parameter["forceString"] == json!(true)) {
                ("null", false) => Value::Null,
                (plain, true) => json!(plain),
                (plain, false) => serde_json::from_str(plain).unwrap_or_else(|_| json!(plain)),
            };
            put(&mut values, &plan::keys(text("name")), value);
        }
    }
    values
}

/// The Application as it is without what `manager` alone owns of its values: what is
/// left of them when the next document says something else.
pub(super) fn without(object: &Value, manager: &str) -> Value {
    let mut left = object.clone();
    for path in owned_by(object, manager) {
        let theirs = managers::of_field(object, &path);
        let is_shared = theirs.iter().any(|other| other.name != manager);
        if !is_shared && keys_below(&path, &OBJECT).is_some() {
            remove(&mut left, &path.0);
        }
    }
    if let Some(helm) = left
        .pointer_mut("/spec/source/helm")
        .and_then(Value::as_object_mut)
    {
        // What held nothing else goes with it.
        if helm.get("valuesObject").is_some_and(is_hollow) {
            helm.remove("valuesObject");
        }
        if owns_parameters(object, manager) {
            helm.remove("parameters");
        }
    }
    left
}

/// Who, besides `deploy`, owns the chart's version or something that holds it.
pub(super) fn other_owners(object: &Value) -> Vec<String> {
    let keys = ["spec", "source", "targetRevision"].map(|key| Step::Key(key.to_owned()));
    let path = FieldPath(keys.into());
    if managers::at(object, &path).is_none() {
        return Vec::new();
    }
    let owners = managers::of_field(object, &path).into_iter();
    let others = owners.filter(|owner| !owner.name.starts_with(MANAGER));
    others.map(|owner| named(&owner.name)).collect()
}

fn owned_by(object: &Value, manager: &str) -> Vec<FieldPath> {
    let fields = managers::fields_of(object, |found| found.name == manager);
    fields.into_iter().map(|(path, _)| path).collect()
}

fn owns_parameters(object: &Value, manager: &str) -> bool {
    owned_by(object, manager)
        .iter()
        .any(|path| keys_below(path, &PARAMETERS).is_some_and(|rest| rest.is_empty()))
}

/// The keys of a path below these.
fn keys_below(path: &FieldPath, above: &[&str]) -> Option<Vec<String>> {
    let mut keys = Vec::new();
    for step in &path.0 {
        match step {
            Step::Key(key) => keys.push(key.clone()),
            Step::Index(_) | Step::Item { .. } => return None,
        }
    }
    let (head, rest) = keys.split_at_checked(above.len())?;
    (head == above).then(|| rest.to_vec())
}

fn put(values: &mut Value, path: &[String], value: Value) {
    let mut at = values;
    for key in path {
        if !at.is_object() {
            *at = json!({});
        }
        at = &mut at[key];
    }
    *at = value;
}

fn remove(object: &mut Value, path: &[Step]) {
    let Some((Step::Key(last), above)) = path.split_last() else {
        return;
    };
    let mut at = object;
    for step in above {
        let Step::Key(key) = step else { return };
        match at.get_mut(key) {
            Some(inner) => at = inner,
            None => return,
        }
    }
    if let Some(map) = at.as_object_mut() {
        map.remove(last);
    }
}

/// Whether nothing but maps is in it.
fn is_hollow(value: &Value) -> bool {
    value
        .as_object()
        .is_some_and(|map| map.values().all(is_hollow))
}

/// A manager as it is told: its name, and the tool that goes by it.
pub(super) fn named(manager: &str) -> String {
    let shown = text::quoted(manager);
    let who = match manager {
        "kubectl-client-side-apply" | "kubectl" => "kubectl apply, so a manifest of somebody's",
        "kubectl-edit" => "kubectl edit",
        "kubectl-patch" => "kubectl patch",
        "argocd-server" => "Argo CD's own interface or command",
        "argocd-applicationset-controller" => "an ApplicationSet",
        "argocd-controller" | "argocd-application-controller" => {
            "another Application, which has this one's manifest"
        }
        _ => return shown,
    };
    format!("{shown} ({who})")
}

/// Whether the Application is at rest on what it asks for, and good by Argo CD's word.
pub(super) fn is_good(application: &Application) -> bool {
    let status = &application.status;
    let state = status.operation_state.as_ref();
    !application.is_busy()
        && state.is_some_and(|state| state.phase == "Succeeded")
        && status.sync.status == "Synced"
        && status.health.status == "Healthy"
        && status.sync.compared_to.source == application.spec.source
}
