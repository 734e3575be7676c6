//! A preview as scripts read it; docs/by-hand.md shows it. A field that is added
//! later is no new version, one that goes or changes its meaning is.

use serde_json::{Map, Value, json};

use super::super::ObjectRef;
use super::{Change, Content, FieldChange, ObjectChange, Preview};

/// The version of the form.
const VERSION: u32 = 1;

/// The whole preview.
pub fn preview_as_json(preview: &Preview) -> Value {
    let objects = preview.objects.iter();
    let objects: Vec<Value> = objects
        .map(|change| change_as_json(change, preview.shows_values))
        .collect();
    let hooks = preview.hooks.iter().map(|hook| {
        let mut object = named(&hook.object);
        object.insert("event".to_owned(), json!(hook.event));
        Value::Object(object)
    });
    let restarts = preview.restarts.iter().map(|restart| {
        let mut object = named(&restart.workload);
        object.insert("because".to_owned(), json!(restart.fields));
        Value::Object(object)
    });
    json!({
        "version": VERSION,
        "objects": objects,
        "unchanged": preview.unchanged,
        "hooks": hooks.collect::<Vec<_>>(),
        "restarts": restarts.collect::<Vec<_>>(),
    })
}

/// One object of it.
pub fn change_as_json(change: &ObjectChange, shows_values: bool) -> Value {
    let mut object = named(&change.object);
    let (word, reason, fields) = match &change.change {
        Change::Created => ("created", None, None),
        Change::Changed(fields) => ("changed", None, Some(fields)),
        Change::Labels => ("labels", None, None),
        Change::Removed => ("removed", None, None),
        Change::Kept => ("kept", None, None),
        Change::Replaced => ("replaced", None, None),
        Change::Refused(reason) => ("refused", Some(reason), None),
        Change::NotPredicted(reason) => ("not-predicted", Some(reason), None),
    };
    object.insert("change".to_owned(), json!(word));
    object.extend(reason.map(|reason| ("reason".to_owned(), json!(reason))));
    if let Some(fields) = fields {
        let fields: Vec<Value> = fields.iter().map(|one| field(one, shows_values)).collect();
        object.insert("fields".to_owned(), fields.into());
    }
    Value::Object(object)
}

/// The names of an object.
pub fn named(object: &ObjectRef) -> Map<String, Value> {
    let mut named = Map::new();
    let mut put = |key: &str, value: &str| named.insert(key.to_owned(), json!(value));
    put("apiVersion", &object.api_version);
    put("kind", &object.kind);
    if let Some(namespace) = &object.namespace {
        put("namespace", namespace);
    }
    put("name", &object.name);
    named
}

fn field(change: &FieldChange, shows_values: bool) -> Value {
    let mut field = Map::new();
    field.insert("path".to_owned(), json!(change.path.to_string()));
    for (name, content) in [("before", &change.before), ("after", &change.after)] {
        match content {
            Content::Value(value) if shows_values => {
                field.insert(name.to_owned(), value.clone());
            }
            Content::Absent => {}
            Content::Value(_) | Content::Hidden => {
                field.insert("hidden".to_owned(), true.into());
            }
        }
    }
    Value::Object(field)
}
