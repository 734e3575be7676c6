//! What a failed revision may have left in the cluster that the next upgrade
//! would not take back. Pure.
//!
//! Where helm applies on the client it patches by three: the last *deployed*
//! revision, the new one, and what lives. A field that only a failed revision
//! had is in neither of the first two, and so it stays for good
//! (`helm.sh/helm/v3@v3.22.0/pkg/action/upgrade.go`, `prepareUpgrade`, and
//! `createPatch` in `pkg/kube/client.go`). A rollback compares with the last
//! revision, whatever became of it, and takes such a field back.

use serde_json::Value;

use crate::manifest::Object;

/// The fields by which an element of a list is known
/// (patchMergeKey in Kubernetes' types).
const KEYS: [&str; 6] = [
    "name",
    "mountPath",
    "containerPort",
    "port",
    "devicePath",
    "ip",
];

/// The first field that `failed` has and neither `good` nor `next`: its object
/// and its path. It may name one that helm would remove, never miss one that it
/// would not.
///
/// Nothing where `failed` has an object that `good` has not: a rollback would
/// delete it, with the data that may be in it by now.
pub fn leftover_fields(failed: &[Object], good: &[Object], next: &[Object]) -> Option<String> {
    let find = |object: &Object, objects: &[Object]| {
        let mut objects = objects.iter().filter(|object| object.hooks.is_empty());
        let found = objects.find(|other| other.reference.is_same(&object.reference));
        found.map(|found| found.value.clone())
    };
    let of_release = failed.iter().filter(|object| object.hooks.is_empty());
    let pairs: Option<Vec<_>> = of_release
        .map(|object| Some((object, find(object, good)?)))
        .collect();
    pairs?.into_iter().find_map(|(object, good)| {
        let next = find(object, next);
        let path = stays(&object.value, Some(&good), next.as_ref())?;
        Some(format!("{}, {path}", object.reference))
    })
}

/// The path of the first field of `failed` that stays, where `next` has this
/// value as well.
fn stays(failed: &Value, good: Option<&Value>, next: Option<&Value>) -> Option<String> {
    let (fields, next) = match (failed, next?) {
        (Value::Object(failed), Value::Object(next)) => {
            let fields: Vec<_> = failed
                .iter()
                .map(|(key, value)| {
                    (
                        key.clone(),
                        value,
                        good.and_then(|good| good.get(key)),
                        next.get(key),
                    )
                })
                .collect();
            return first(fields);
        }
        (Value::Array(failed), Value::Array(next)) => (failed, next),
        // A value takes the place of another.
        _ => return None,
    };
    let beside = |list: Option<&Value>| list.and_then(Value::as_array).cloned().unwrap_or_default();
    let good = beside(good);
    let fields: Option<Vec<_>> = fields
        .iter()
        .map(|element| {
            let (field, key) = key(element)?;
            let same = |other: &&Value| other.get(field) == Some(key);
            let name = format!(
                "[{}]",
                key.as_str().map_or_else(|| key.to_string(), str::to_owned)
            );
            Some((
                name,
                element,
                good.iter().find(same),
                next.iter().find(same),
            ))
        })
        .collect();
    // A list whose elements have no names is replaced as a whole.
    first(fields?)
}

/// A field: its name, its value, and the same of the good and the next revision.
type Field<'a> = (String, &'a Value, Option<&'a Value>, Option<&'a Value>);

fn first(fields: Vec<Field<'_>>) -> Option<String> {
    fields
        .into_iter()
        .find_map(|(name, value, good, next)| match (good, next) {
            _ if value.is_null() => None,
            (None, None) => Some(name),
            // Helm sees that it is gone.
            (Some(_), None) => None,
            _ => stays(value, good, next).map(|rest| format!("{name}.{rest}")),
        })
}

fn key(element: &Value) -> Option<(&'static str, &Value)> {
    KEYS.into_iter()
        .find_map(|field| Some((field, element.get(field)?)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::leftover_fields;
    use crate::manifest::Object;

    fn objects(spec: &str) -> Vec<Object> {
        if spec.is_empty() {
            return Vec::new();
        }
        Object::parse(&format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: api}}\nspec: {spec}\n"
        ))
        .unwrap()
    }

    #[test]
    fn what_helm_would_not_take_back() {
        // failed, good, next, what stays
        for (failed, good, next, expected) in [
            ("{a: 1}", "{a: 1}", "{a: 2}", None),
            (
                "{a: 1, b: 2}",
                "{a: 1}",
                "{a: 1}",
                Some("Deployment api, spec.b"),
            ),
            ("{a: 1, b: 2}", "{a: 1}", "{a: 1, b: 3}", None),
            ("{a: 1, b: 2}", "{a: 1, b: 1}", "{a: 1}", None),
            ("{a: 1, b: null}", "{a: 1}", "{a: 1}", None),
            (
                "{a: {b: {c: 1, d: 1}}}",
                "{a: {b: {c: 1}}}",
                "{a: {b: {c: 1}}}",
                Some("Deployment api, spec.a.b.d"),
            ),
            // The whole of it goes.
            ("{a: {b: 1, c: 1}}", "{a: {b: 1}}", "{x: 1}", None),
            // New in the next one as well, but not all of it.
            (
                "{a: {b: 1, c: 1}}",
                "{x: 1}",
                "{x: 1, a: {b: 1}}",
                Some("Deployment api, spec.a.c"),
            ),
            // Lists by their names, and those without.
            (
                "{c: [{name: api, env: [{name: A}, {name: B}]}]}",
                "{c: [{name: api, env: [{name: A}]}]}",
                "{c: [{name: api, env: [{name: A}]}]}",
                Some("Deployment api, spec.c.[api].env.[B]"),
            ),
            (
                "{c: [{name: old}, {name: api}]}",
                "{c: [{name: old}]}",
                "{c: [{name: api}]}",
                None,
            ),
            ("{args: [a, b]}", "{args: [a]}", "{args: [a]}", None),
            // A new object would be deleted.
            ("{a: 1}", "", "", None),
            ("{a: 1, b: 2}", "", "{a: 1}", None),
            ("{a: 1}", "{a: 1}", "", None),
        ] {
            let found = leftover_fields(&objects(failed), &objects(good), &objects(next));
            assert_eq!(found.as_deref(), expected, "{failed} {good} {next}");
        }
    }
}
