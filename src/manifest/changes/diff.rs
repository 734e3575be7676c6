//! Two states of an object compared, field by field. Elements of lists are told
//! apart by the key that Kubernetes merges them by, else by their name.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::super::ObjectRef;
use super::super::merge_keys::{Fields, ListMerge, of_list};
use super::path::{FieldPath, Step, id};

/// What a field holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Nothing: it is not there.
    Absent,
    /// This.
    Value(Value),
    /// A secret: only that it is there.
    Hidden,
}

/// A field that differs.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldChange {
    /// Where it stands.
    pub path: FieldPath,
    /// What it held.
    pub before: Content,
    /// What it holds then.
    pub after: Content,
}

/// The fields in which two states of an object differ. Of a Secret only the
/// names of its keys are told.
pub fn compare(before: &Value, after: &Value) -> Vec<FieldChange> {
    let kind = after["kind"].as_str().or(before["kind"].as_str());
    let mut comparison = Comparison {
        kind: kind.unwrap_or_default(),
        found: Vec::new(),
    };
    comparison.values(before, after, &FieldPath::default(), &Fields::default());
    let mut found = comparison.found;
    if is_secret(&ObjectRef::of(after)) || is_secret(&ObjectRef::of(before)) {
        for change in &mut found {
            if !is_public(&change.path) {
                change.before = hidden(&change.before);
                change.after = hidden(&change.after);
            }
        }
    }
    found
}

/// Whether the object's content must not be shown.
pub fn is_secret(object: &ObjectRef) -> bool {
    object.is("", "Secret")
}

/// Whether a field of a Secret holds nothing secret: its labels and its type.
fn is_public(path: &FieldPath) -> bool {
    path.is_in("metadata", "labels")
        || matches!(path.0.as_slice(), [Step::Key(key)] if key == "type" || key == "immutable")
}

fn hidden(content: &Content) -> Content {
    match content {
        Content::Absent => Content::Absent,
        _ => Content::Hidden,
    }
}

struct Comparison<'a> {
    kind: &'a str,
    found: Vec<FieldChange>,
}

impl Comparison<'_> {
    fn values(&mut self, before: &Value, after: &Value, path: &FieldPath, at: &Fields) {
        match (before, after) {
            (before, after) if before == after => {}
            (Value::Object(before), Value::Object(after)) => self.maps(before, after, path, at),
            (Value::Array(before), Value::Array(after)) => self.lists(before, after, path, at),
            (before, after) => self.differ(path, Some(before), Some(after)),
        }
    }

    fn maps(
        &mut self,
        before: &Map<String, Value>,
        after: &Map<String, Value>,
        path: &FieldPath,
        at: &Fields,
    ) {
        let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        for key in keys {
            let path = path.then(Step::Key(key.clone()));
            match (before.get(key), after.get(key)) {
                (Some(before), Some(after)) => self.values(before, after, &path, &at.then(key)),
                // The keys of a map that comes or goes tell more than the whole.
                (Some(Value::Object(before)), None) if !before.is_empty() => {
                    self.maps(before, &Map::new(), &path, &at.then(key));
                }
                (None, Some(Value::Object(after))) if !after.is_empty() => {
                    self.maps(&Map::new(), after, &path, &at.then(key));
                }
                (before, after) => self.differ(&path, before, after),
            }
        }
    }

    fn lists(&mut self, before: &[Value], after: &[Value], path: &FieldPath, at: &Fields) {
        let by = match of_list(self.kind, at) {
            ListMerge::ByKey(by) => Some(by),
            ListMerge::Whole => Some("name"),
            ListMerge::AsSet => None,
        };
        let by = by.filter(|by| tells_apart(before, by) && tells_apart(after, by));
        let Some(by) = by else {
            if before.len() == after.len() {
                for (index, (before, after)) in before.iter().zip(after).enumerate() {
                    self.values(before, after, &path.then(Step::Index(index)), at);
                }
            } else {
                self.differ(path, Some(&json!(before)), Some(&json!(after)));
            }
            return;
        };
        let find =
            |list: &[Value], item: &Value| list.iter().find(|other| other[by] == item[by]).cloned();
        let step = |item: &Value| Step::Item {
            key: by.to_owned(),
            value: id(&item[by]),
        };
        for item in before {
            let path = path.then(step(item));
            match find(after, item) {
                Some(now) => self.values(item, &now, &path, at),
                None => self.differ(&path, Some(item), None),
            }
        }
        for item in after.iter().filter(|item| find(before, item).is_none()) {
            self.differ(&path.then(step(item)), None, Some(item));
        }
        let ids = |list: &[Value], other: &[Value]| -> Vec<String> {
            let both = list.iter().filter(|item| find(other, item).is_some());
            both.map(|item| id(&item[by])).collect()
        };
        let (old, new) = (ids(before, after), ids(after, before));
        if old != new {
            self.differ(path, Some(&json!(old)), Some(&json!(new)));
        }
    }

    fn differ(&mut self, path: &FieldPath, before: Option<&Value>, after: Option<&Value>) {
        let content =
            |value: Option<&Value>| value.cloned().map_or(Content::Absent, Content::Value);
        self.found.push(FieldChange {
            path: path.clone(),
            before: content(before),
            after: content(after),
        });
    }
}

/// Whether each element is a map with a value of its own under the key.
fn tells_apart(list: &[Value], by: &str) -> bool {
    let ids: BTreeSet<String> = list
        .iter()
        .filter_map(|item| item.get(by).filter(|id| !id.is_null()).map(id))
        .collect();
    ids.len() == list.len()
}
