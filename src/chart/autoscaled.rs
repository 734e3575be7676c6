//! Workloads that an autoscaler scales while the chart sets their replicas, so that
//! each deploy sets back what the autoscaler decided.
//!
//! Pure: the caller reads the autoscalers of the cluster. It warns and never refuses.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::manifest::{Object, ObjectRef};
use crate::text;

/// Whether an autoscaler could be in the way of these objects.
pub fn sets_replicas(objects: &[Object]) -> bool {
    objects.iter().any(|object| replicas(object).is_some())
}

/// The replicas that a workload's template sets; hooks are nobody's to scale.
fn replicas(object: &Object) -> Option<&Value> {
    let scalable = object.reference.group() == "apps" && object.hooks.is_empty();
    let set = object.value.pointer("/spec/replicas");
    set.filter(|replicas| scalable && !replicas.is_null())
}

/// A warning for each such workload. `live` are the autoscalers of the release's
/// namespace; those of the render count, too.
pub fn warnings(objects: &[Object], live: &[Value], namespace: &str) -> Vec<String> {
    let rendered = objects.iter().map(|object| &object.value);
    let autoscalers: Vec<(ObjectRef, ObjectRef)> = rendered
        .chain(live)
        .filter_map(|object| Some((ObjectRef::of(object).within(namespace), target(object)?)))
        .collect();
    let warning = |object: &Object| {
        let set = replicas(object)?;
        let workload = object.reference.clone().within(namespace);
        let (autoscaler, _) = autoscalers.iter().find(|(autoscaler, target)| {
            let is_target = target.group() == workload.group() && target.kind == workload.kind;
            is_target && target.name == workload.name && autoscaler.namespace == workload.namespace
        })?;
        Some(format!(
            "{autoscaler} scales {workload}, and the chart sets its replicas to {}: each deploy scales it back to that; leave spec.replicas out of the template",
            text::line(&set.to_string(), text::VALUE)
        ))
    };
    let warnings: BTreeSet<String> = objects.iter().filter_map(warning).collect();
    warnings.into_iter().collect()
}

/// What a `HorizontalPodAutoscaler` scales; its API version may be older than the
/// workload's.
fn target(object: &Value) -> Option<ObjectRef> {
    if !ObjectRef::of(object).is("autoscaling", "HorizontalPodAutoscaler") {
        return None;
    }
    let text = |key| object.pointer("/spec/scaleTargetRef")?.get(key)?.as_str();
    Some(ObjectRef {
        api_version: text("apiVersion").unwrap_or("apps/v1").to_owned(),
        kind: text("kind")?.to_owned(),
        namespace: None,
        name: text("name")?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::{sets_replicas, warnings};
    use crate::manifest::Object;

    /// Case D4: only where the autoscaler's target is a workload whose replicas are set.
    #[test]
    fn replicas_beside_an_autoscaler_are_named() {
        let api =
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: api}\nspec: {replicas: 2}\n";
        let free = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: api}\nspec: {}\n";
        let hpa = |kind: &str, name: &str| {
            format!(
                "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {{name: scale}}\nspec: {{scaleTargetRef: {{apiVersion: apps/v1, kind: {kind}, name: {name}}}}}\n"
            )
        };
        for (workload, scaled, warned) in [
            (api, hpa("Deployment", "api"), true),
            (api, hpa("Deployment", "web"), false),
            (api, hpa("StatefulSet", "api"), false),
            (free, hpa("Deployment", "api"), false),
        ] {
            let objects = Object::parse(&format!("{workload}---\n{scaled}")).unwrap();
            let found = warnings(&objects, &[], "prod");
            assert_eq!(
                found.len(),
                usize::from(warned),
                "{workload}{scaled}{found:?}"
            );
        }
        let live = json!({"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "keda", "namespace": "prod"},
            "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "api"}}});
        let objects = Object::parse(api).unwrap();
        assert!(sets_replicas(&objects));
        assert_eq!(
            warnings(&objects, &[live], "prod"),
            [
                "HorizontalPodAutoscaler keda scales Deployment api, and the chart sets its replicas to 2: each deploy scales it back to that; leave spec.replicas out of the template"
            ]
        );
    }
}
