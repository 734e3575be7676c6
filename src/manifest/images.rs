//! Where an object names images.
//!
//! Kubernetes' own kinds carry them in their pod templates; a custom resource
//! may carry them anywhere, under a key `image`.

use std::fmt::Write as _;

use serde_json::Value;

use super::{ContainerImage, ObjectRef, is_kubernetes_group};

/// Where the pod's spec stands in a kind of Kubernetes' own.
fn pod_spec(object: &ObjectRef) -> Option<&'static [&'static str]> {
    match (object.group(), object.kind.as_str()) {
        ("", "Pod") => Some(&["spec"]),
        ("", "ReplicationController")
        | ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet")
        | ("batch", "Job") => Some(&["spec", "template", "spec"]),
        ("", "PodTemplate") => Some(&["template", "spec"]),
        ("batch", "CronJob") => Some(&["spec", "jobTemplate", "spec", "template", "spec"]),
        _ => None,
    }
}

/// Every place in an object that names an image.
pub(super) fn of(object: &ObjectRef, value: &Value) -> Vec<ContainerImage> {
    let mut found = Vec::new();
    if !is_kubernetes_group(object.group()) {
        anywhere(value, &mut String::new(), &mut found);
        return found;
    }
    let Some(keys) = pod_spec(object) else {
        return found;
    };
    let Some(spec) = keys.iter().try_fold(value, |value, key| value.get(key)) else {
        return found;
    };
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        let items = spec.get(list).and_then(Value::as_array);
        for (at, item) in items.into_iter().flatten().enumerate() {
            let word = |key: &str| item.get(key).and_then(Value::as_str).unwrap_or_default();
            found.push(ContainerImage {
                path: format!("{}.{list}[{at}]", keys.join(".")),
                name: word("name").to_owned(),
                image: word("image").to_owned(),
            });
        }
    }
    // Images mounted as volumes are pulled like any other.
    let volumes = spec.get("volumes").and_then(Value::as_array);
    for (at, volume) in volumes.into_iter().flatten().enumerate() {
        if let Some(image) = volume.pointer("/image/reference").and_then(Value::as_str) {
            found.push(ContainerImage {
                path: format!("{}.volumes[{at}].image.reference", keys.join(".")),
                name: String::new(),
                image: image.to_owned(),
            });
        }
    }
    found
}

/// Strings under a key `image`, and maps that spell a reference in parts.
fn anywhere(value: &Value, path: &mut String, found: &mut Vec<ContainerImage>) {
    let before = path.len();
    match value {
        Value::Object(map) => {
            let name = map.get("name").and_then(Value::as_str).unwrap_or_default();
            for (key, below) in map {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(key);
                let image = match below {
                    Value::String(image) if is_image_key(key) => Some(image.clone()),
                    Value::Object(parts) if is_image_key(key) => spelt(parts),
                    _ => None,
                };
                if let Some(image) = image {
                    found.push(ContainerImage {
                        path: path.strip_suffix(".image").unwrap_or(path).to_owned(),
                        name: name.to_owned(),
                        image,
                    });
                } else {
                    anywhere(below, path, found);
                }
                path.truncate(before);
            }
        }
        Value::Array(items) => {
            for (at, below) in items.iter().enumerate() {
                let _ = write!(path, "[{at}]");
                anywhere(below, path, found);
                path.truncate(before);
            }
        }
        _ => {}
    }
}

fn is_image_key(key: &str) -> bool {
    key == "image" || key.ends_with("Image")
}

/// `{registry, repository, tag, digest}` as one reference.
fn spelt(parts: &serde_json::Map<String, Value>) -> Option<String> {
    let part = |key: &str| match parts.get(key) {
        Some(Value::String(text)) if !text.is_empty() => Some(text.clone()),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    let mut image = part("repository").or_else(|| part("name"))?;
    if let Some(registry) = part("registry") {
        image = format!("{registry}/{image}");
    }
    if let Some(tag) = part("tag") {
        image = format!("{image}:{tag}");
    }
    if let Some(digest) = part("digest") {
        image = format!("{image}@{digest}");
    }
    Some(image)
}
