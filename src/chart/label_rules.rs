//! Labels and names that the API server would refuse, because a chart puts the
//! tag into them. `helm template` does not look at them.
//!
//! The rules are Kubernetes' (`apimachinery/pkg/util/validation`).

use serde_json::Value;

use super::sentinel::Sentinel;
use crate::manifest::{Object, ObjectRef};
use crate::signal::ImageRef;
use crate::text;

/// The most of them listed.
const MAX_PROBLEMS: usize = 8;

/// What the API server would refuse with `image` in the sentinel's place.
pub(super) fn refused(objects: &[Object], sentinel: &Sentinel, image: &ImageRef) -> Vec<String> {
    let mut parts: Vec<&str> = Vec::new();
    parts.extend(sentinel.image.tag().map(crate::signal::Tag::as_str));
    parts.extend(sentinel.image.digest().map(crate::signal::Digest::hex));
    let real = |value: &str| {
        let has_part = parts.iter().any(|part| value.contains(part));
        has_part.then(|| sentinel.unmask(value, image))
    };
    let mut problems = Vec::new();
    for object in objects {
        if let Some(name) = real(&object.reference.name)
            && !is_name(&name, longest_name(&object.reference))
        {
            problems.push(format!(
                "{} would be named {} ({} characters; a name takes up to {} lowercase letters, digits, '-' and '.')",
                text::line(&object.reference.kind, 80),
                text::quoted(&name),
                name.chars().count(),
                longest_name(&object.reference),
            ));
        }
        each_label(&object.value, &mut |name, value| {
            if let Some(value) = real(value)
                && !is_label_value(&value)
            {
                problems.push(format!(
                    "{object}: the label {} would be {} ({} characters; a label takes up to 63 letters, digits, '-', '_' and '.')",
                    text::line(name, 100),
                    text::quoted(&value),
                    value.chars().count(),
                ));
            }
        });
    }
    problems.dedup();
    problems.truncate(MAX_PROBLEMS);
    problems
}

/// Labels, annotations, values of variables and of `ConfigMap`s that are not
/// strings: the API server refuses the whole object. A commit id of digits only,
/// or like `12e4`, makes one by chance.
pub(super) fn unquoted(objects: &[Object]) -> Vec<String> {
    let mut problems = Vec::new();
    for object in objects.iter().filter(|object| !object.is_test()) {
        let at = |pointer: &str| object.value.pointer(pointer);
        for place in ["/metadata", "/spec/template/metadata", CRON_POD] {
            for kind in ["labels", "annotations"] {
                let map = at(place).and_then(|metadata| metadata.get(kind));
                problems.extend(no_text(map).map(|(name, value)| {
                    format!("{object}: {kind} {name} is {value}, expected a string")
                }));
            }
        }
        if object.reference.is("", "ConfigMap") || object.reference.is("", "Secret") {
            for field in ["data", "stringData"] {
                problems.extend(no_text(at(&format!("/{field}"))).map(|(name, value)| {
                    format!("{object}: {field} {name} is {value}, expected a string")
                }));
            }
        }
        for (container, name, value) in variables(&object.value) {
            problems.push(format!(
                "{object}, container {}: variable {} is {value}, expected a string",
                text::line(container, 80),
                text::line(name, 100)
            ));
        }
    }
    problems.truncate(MAX_PROBLEMS);
    problems
}

/// Where the pods of a `CronJob` have their labels.
const CRON_POD: &str = "/spec/jobTemplate/spec/template/metadata";

fn is_no_text(value: &Value) -> bool {
    value.is_number() || value.is_boolean()
}

/// The entries of a map that are numbers or booleans.
fn no_text(map: Option<&Value>) -> impl Iterator<Item = (String, &Value)> {
    let entries = map.and_then(Value::as_object).into_iter().flatten();
    let wrong = entries.filter(|(_, value)| is_no_text(value));
    wrong.map(|(name, value)| (text::line(name, 100).into_owned(), value))
}

/// Variables of a workload's containers whose value is no text: the container,
/// the variable, the value.
fn variables(object: &Value) -> Vec<(&str, &str, &Value)> {
    let pods = [
        "/spec",
        "/spec/template/spec",
        "/spec/jobTemplate/spec/template/spec",
    ];
    let mut found = Vec::new();
    for pod in pods.iter().filter_map(|at| object.pointer(at)) {
        for list in ["initContainers", "containers"] {
            let containers = pod
                .get(list)
                .and_then(Value::as_array)
                .into_iter()
                .flatten();
            for container in containers {
                let name = container
                    .get("name")
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                let env = container
                    .get("env")
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten();
                for variable in env {
                    let of = variable
                        .get("name")
                        .and_then(Value::as_str)
                        .unwrap_or_default();
                    if let Some(value) = variable.get("value").filter(|value| is_no_text(value)) {
                        found.push((name, of, value));
                    }
                }
            }
        }
    }
    found
}

/// Every label, and every value that is compared with labels.
fn each_label(value: &Value, tell: &mut impl FnMut(&str, &str)) {
    match value {
        Value::Object(map) => {
            for (key, below) in map {
                let labels = matches!(
                    key.as_str(),
                    "labels" | "matchLabels" | "selector" | "nodeSelector"
                );
                if labels && let Value::Object(labels) = below {
                    for (name, value) in labels {
                        tell(name, value.as_str().unwrap_or_default());
                    }
                }
                each_label(below, tell);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| each_label(item, tell)),
        _ => {}
    }
}

fn is_label_value(value: &str) -> bool {
    let ends = |byte: Option<u8>| byte.is_none_or(|byte| byte.is_ascii_alphanumeric());
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    value.len() <= 63
        && value.bytes().all(inner)
        && ends(value.bytes().next())
        && ends(value.bytes().last())
}

/// A job's name becomes a label of its pods; a `CronJob` appends 11 characters.
fn longest_name(object: &ObjectRef) -> usize {
    match (object.group(), object.kind.as_str()) {
        ("batch", "Job") | ("", "Service") => 63,
        ("batch", "CronJob") => 52,
        _ => 253,
    }
}

fn is_name(name: &str, longest: usize) -> bool {
    let ends = |byte: Option<u8>| {
        byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    let inner = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.'
    };
    name.len() <= longest
        && name.bytes().all(inner)
        && ends(name.bytes().next())
        && ends(name.bytes().last())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{is_label_value, is_name, unquoted};
    use crate::manifest::Object;

    /// Case D2: in variables, data and labels; what is quoted is text.
    #[test]
    fn what_yaml_does_not_take_for_text_is_told() {
        let render = |tag: &str| {
            format!(
                "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: api}}\nspec: {{template: {{spec: {{containers: [{{name: api, env: [{{name: TAG, value: {tag}}}]}}]}}}}}}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c}}\ndata: {{tag: {tag}}}\n---\napiVersion: batch/v1\nkind: CronJob\nmetadata: {{name: nightly}}\nspec: {{jobTemplate: {{spec: {{template: {{metadata: {{labels: {{tag: {tag}}}}}}}}}}}}}\n"
            )
        };
        let told = |tag: &str| unquoted(&Object::parse(&render(tag)).unwrap());
        for tag in ["1234567", "553640e6", "0123456", "true"] {
            let told = told(tag).join("\n");
            for piece in [
                "Deployment api, container api: variable TAG is",
                "ConfigMap c: data tag is",
                "CronJob nightly: labels tag is",
            ] {
                assert!(told.contains(piece), "{tag}: {told}");
            }
        }
        for tag in ["\"1234567\"", "1a2b3c4", "1.2.3", "'0123456'"] {
            assert!(told(tag).is_empty(), "{tag}");
        }
    }

    #[test]
    fn labels_and_names_are_judged_as_the_api_server_does() {
        for (value, valid) in [
            ("", true),
            ("1.2.3-rc_1", true),
            ("V1", true),
            ("1.2-", false),
            ("a@b", false),
            (&"a".repeat(63), true),
            (&"a".repeat(64), false),
        ] {
            assert_eq!(is_label_value(value), valid, "{value}");
        }
        for (name, valid) in [
            ("a-1.b", true),
            ("A", false),
            ("a_b", false),
            ("", false),
            ("-a", false),
        ] {
            assert_eq!(is_name(name, 63), valid, "{name}");
        }
    }
}
