//! What a hook's pods need before helm has made it: helm runs hooks of
//! `pre-install` and `pre-upgrade` before it applies the chart's plain objects
//! (`pkg/action/install.go`), so that a hook which mounts a plain Secret of the
//! same chart never starts on a first install.
//!
//! Pure: the caller asks the cluster which of these are there already.

use serde_json::Value;

use crate::manifest::{Object, ObjectRef};
use crate::text;

/// A plain object of the chart that a hook needs before it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookNeed {
    /// `ServiceAccount`, `Secret` or `ConfigMap`.
    pub object: ObjectRef,
    /// `Job shop-migrate (pre-install hook)`, for people.
    pub hook: String,
}

impl HookNeed {
    /// What is wrong, in one line.
    pub fn problem(&self) -> String {
        format!(
            "{} needs {}, which the chart makes only after this hook",
            self.hook, self.object
        )
    }

    /// What to do about it.
    pub fn cure(&self, is_upgrade: bool) -> String {
        let event = if is_upgrade {
            "pre-upgrade"
        } else {
            "pre-install"
        };
        format!(
            "give {} the hook's annotation and a lower weight: helm.sh/hook: {event}, helm.sh/hook-weight: \"-5\"",
            self.object
        )
    }
}

/// What the hooks of this operation need of the chart's plain objects.
pub fn hook_needs(objects: &[Object], is_upgrade: bool, namespace: &str) -> Vec<HookNeed> {
    let event = if is_upgrade {
        "pre-upgrade"
    } else {
        "pre-install"
    };
    let is_early = |object: &&Object| object.hooks.iter().any(|hook| hook == event);
    let mut found = Vec::new();
    for hook in objects.iter().filter(is_early) {
        let own = hook.reference.namespace.as_deref().unwrap_or(namespace);
        for (kind, name) in needs(&hook.value) {
            let is_it = |object: &&Object| {
                object.reference.is("", kind)
                    && object.reference.name == name
                    && object.reference.namespace.as_deref().unwrap_or(namespace) == own
            };
            let mut made = objects.iter().filter(is_it).peekable();
            let Some(first) = made.peek() else { continue };
            let need = HookNeed {
                object: first.reference.clone().within(namespace),
                hook: hook.to_string(),
            };
            if made.all(|object| object.hooks.is_empty()) && !found.contains(&need) {
                found.push(need);
            }
        }
    }
    found
}

/// The `ServiceAccount`s, `Secret`s and `ConfigMap`s that a pod or a Job cannot
/// start without.
fn needs(object: &Value) -> Vec<(&'static str, String)> {
    let specs = ["/spec/template/spec", "/spec"];
    let is_pod = |spec: &&Value| spec.get("containers").is_some();
    let Some(spec) = specs
        .iter()
        .filter_map(|at| object.pointer(at))
        .find(is_pod)
    else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let account = spec.get("serviceAccountName").and_then(Value::as_str);
    found.extend(
        account
            .filter(|name| *name != "default" && !name.is_empty())
            .map(|name| ("ServiceAccount", name.to_owned())),
    );
    for volume in items(spec, "volumes") {
        found.extend(source(volume, "secret", "secretName", "Secret"));
        found.extend(source(volume, "configMap", "name", "ConfigMap"));
        for projected in volume
            .get("projected")
            .into_iter()
            .flat_map(|volume| items(volume, "sources"))
        {
            found.extend(source(projected, "secret", "name", "Secret"));
            found.extend(source(projected, "configMap", "name", "ConfigMap"));
        }
    }
    for list in ["initContainers", "containers"] {
        for container in items(spec, list) {
            for from in items(container, "envFrom") {
                found.extend(source(from, "secretRef", "name", "Secret"));
                found.extend(source(from, "configMapRef", "name", "ConfigMap"));
            }
            for variable in items(container, "env").filter_map(|variable| variable.get("valueFrom"))
            {
                found.extend(source(variable, "secretKeyRef", "name", "Secret"));
                found.extend(source(variable, "configMapKeyRef", "name", "ConfigMap"));
            }
        }
    }
    found
}

fn items<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    value
        .get(key)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

/// An object that a field names, where it is not optional.
fn source(
    value: &Value,
    field: &str,
    name: &str,
    kind: &'static str,
) -> Option<(&'static str, String)> {
    let source = value.get(field)?;
    let is_optional = source.get("optional") == Some(&Value::Bool(true));
    let name = source.get(name)?.as_str()?;
    (!is_optional && text::line(name, 300).len() == name.len()).then(|| (kind, name.to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::hook_needs;
    use crate::manifest::Object;

    /// Case B4: and where the chart makes it in time, or it is optional, nothing is said.
    #[test]
    fn a_hook_needs_what_is_made_after_it() {
        let manifest = "
apiVersion: batch/v1
kind: Job
metadata: {name: migrate, annotations: {helm.sh/hook: 'pre-install,pre-upgrade'}}
spec:
  template:
    spec:
      serviceAccountName: shop
      volumes:
      - {name: a, configMap: {name: early}}
      - {name: b, secret: {secretName: maybe, optional: true}}
      containers:
      - name: c
        envFrom: [{secretRef: {name: login}}, {configMapRef: {name: elsewhere}}]
        env: [{name: X, valueFrom: {secretKeyRef: {name: login, key: k}}}]
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: shop}}
---
{apiVersion: v1, kind: Secret, metadata: {name: login}}
---
{apiVersion: v1, kind: Secret, metadata: {name: maybe}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: elsewhere, namespace: other}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: early, annotations: {helm.sh/hook: pre-install, helm.sh/hook-weight: '-5'}}}
";
        let objects = Object::parse(manifest).unwrap();
        let needs = hook_needs(&objects, false, "shop");
        let told: Vec<String> = needs.iter().map(super::HookNeed::problem).collect();
        assert_eq!(
            told,
            [
                "Job migrate (pre-install,pre-upgrade hook) needs ServiceAccount shop, which the chart makes only after this hook",
                "Job migrate (pre-install,pre-upgrade hook) needs Secret login, which the chart makes only after this hook",
            ]
        );
        assert!(needs[0].cure(true).contains("helm.sh/hook: pre-upgrade"));
    }
}
