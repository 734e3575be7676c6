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

/// Labels and annotations that are not strings: the API server refuses the whole
/// object. A commit id of digits only, or like `12e4`, makes one by chance.
pub(super) fn unquoted(objects: &[Object]) -> Vec<String> {
    let mut problems = Vec::new();
    for object in objects.iter().filter(|object| !object.is_test()) {
        for at in ["/metadata", "/spec/template/metadata"] {
            for kind in ["labels", "annotations"] {
                let map = object
                    .value
                    .pointer(at)
                    .and_then(|metadata| metadata.get(kind));
                let entries = map.and_then(Value::as_object).into_iter().flatten();
                let wrong = entries.filter(|(_, value)| value.is_number() || value.is_boolean());
                problems.extend(wrong.map(|(name, value)| {
                    format!(
                        "{object}: {kind} {} is {value}, expected a string",
                        text::line(name, 100)
                    )
                }));
            }
        }
    }
    problems.truncate(MAX_PROBLEMS);
    problems
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
    use super::{is_label_value, is_name};

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
