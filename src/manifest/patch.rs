//! The patches that helm sends when it applies on the client: from what it
//! rendered before, what it renders now, and what lives.
//!
//! Pure. Sources: `createPatch` in `helm.sh/helm/v3@v3.22.0/pkg/kube/client.go`
//! and `v4@v4.3.1`; `CreateThreeWayMergePatch` in
//! `k8s.io/apimachinery@v0.37.1/pkg/util/strategicpatch/patch.go`.

use serde_json::{Map, Value, json};

use super::merge_keys::{Fields, ListMerge, is_replaced_whole, of_list, retains_only_named_keys};

/// The strategic merge patch for one of Kubernetes' own kinds, none where helm
/// sends none: what the render before named and this one does not is taken away,
/// what this one names is set; all else of `live` stays.
pub fn three_way(original: &Value, target: &Value, live: &Value) -> Option<Value> {
    let kind = target["kind"].as_str().unwrap_or_default();
    let merge = Merge { kind };
    let top = Fields::default();
    let removed = merge.removals(original, target, &top);
    let set = merge.settings(live, target, &top);
    match (removed, set) {
        (Some(removed), Some(set)) => Some(merge.joined(removed, set, &top)),
        (removed, set) => removed.or(set),
    }
}

/// The JSON merge patch for any other kind, none where helm sends none. What
/// lives is not looked at.
pub fn two_way(original: &Value, target: &Value) -> Option<Value> {
    let (Value::Object(before), Value::Object(after)) = (original, target) else {
        return (original != target).then(|| target.clone());
    };
    let mut patch = Map::new();
    for (key, new) in after {
        match before.get(key) {
            Some(old) if old == new => {}
            Some(old @ Value::Object(_)) if new.is_object() => {
                patch.extend(two_way(old, new).map(|inner| (key.clone(), inner)));
            }
            _ => {
                patch.insert(key.clone(), new.clone());
            }
        }
    }
    let gone = before.keys().filter(|key| !after.contains_key(*key));
    patch.extend(gone.map(|key| (key.clone(), Value::Null)));
    (!patch.is_empty()).then_some(Value::Object(patch))
}

/// The objects of one kind as strategic merge patches see them.
struct Merge<'a> {
    kind: &'a str,
}

impl Merge<'_> {
    /// What `target` does not name any more.
    fn removals(&self, original: &Value, target: &Value, at: &Fields) -> Option<Value> {
        let (Value::Object(before), Value::Object(after)) = (original, target) else {
            return None;
        };
        let mut patch = Map::new();
        for (key, old) in before {
            let place = at.then(key);
            match (after.get(key), old) {
                (None, _) => {
                    patch.insert(key.clone(), Value::Null);
                }
                (Some(new @ Value::Object(_)), Value::Object(_))
                    if !is_replaced_whole(self.kind, &place) =>
                {
                    let inner = self.removals(old, new, &place);
                    patch.extend(inner.map(|inner| (key.clone(), inner)));
                }
                (Some(Value::Array(new)), Value::Array(old)) => {
                    self.list_removals(&mut patch, key, (old, new), &place);
                }
                _ => {}
            }
        }
        (!patch.is_empty()).then_some(Value::Object(patch))
    }

    fn list_removals(
        &self,
        patch: &mut Map<String, Value>,
        key: &str,
        (old, new): (&[Value], &[Value]),
        place: &Fields,
    ) {
        match of_list(self.kind, place) {
            ListMerge::Whole => {}
            ListMerge::AsSet => {
                let gone: Vec<&Value> = old.iter().filter(|item| !new.contains(item)).collect();
                if !gone.is_empty() {
                    patch.insert(format!("$deleteFromPrimitiveList/{key}"), json!(gone));
                }
            }
            ListMerge::ByKey(by) => {
                let items = old.iter().filter_map(|item| {
                    let id = item.get(by)?;
                    let Some(now) = find(new, by, id) else {
                        return Some(json!({ "$patch": "delete", by: id }));
                    };
                    let mut inner = self.removals(item, now, place)?;
                    inner.as_object_mut()?.insert(by.to_owned(), id.clone());
                    Some(inner)
                });
                let items: Vec<Value> = items.collect();
                if !items.is_empty() {
                    patch.insert(key.to_owned(), Value::Array(items));
                }
            }
        }
    }

    /// What `target` names and `live` does not hold so.
    fn settings(&self, live: &Value, target: &Value, at: &Fields) -> Option<Value> {
        let (Value::Object(now), Value::Object(wanted)) = (live, target) else {
            return (live != target).then(|| target.clone());
        };
        let mut patch = Map::new();
        for (key, new) in wanted {
            let place = at.then(key);
            match (now.get(key), new) {
                (Some(old), new) if old == new => {}
                (Some(Value::Array(old)), Value::Array(new)) => {
                    self.list_settings(&mut patch, key, (old, new), &place);
                }
                (Some(old @ Value::Object(_)), Value::Object(_))
                    if !is_replaced_whole(self.kind, &place) =>
                {
                    let inner = self.settings(old, new, &place);
                    patch.extend(inner.map(|inner| (key.clone(), inner)));
                }
                (None, Value::Null) => {}
                _ => {
                    patch.insert(key.clone(), new.clone());
                }
            }
        }
        let others = now.keys().any(|key| !wanted.contains_key(key));
        if retains_only_named_keys(self.kind, at) && (!patch.is_empty() || others) {
            let named = wanted.iter().filter(|(_, value)| !value.is_null());
            let named: Vec<&String> = named.map(|(key, _)| key).collect();
            patch.insert("$retainKeys".to_owned(), json!(named));
        }
        (!patch.is_empty()).then_some(Value::Object(patch))
    }

    fn list_settings(
        &self,
        patch: &mut Map<String, Value>,
        key: &str,
        (old, new): (&[Value], &[Value]),
        place: &Fields,
    ) {
        match of_list(self.kind, place) {
            ListMerge::Whole => {
                patch.insert(key.to_owned(), json!(new));
            }
            ListMerge::AsSet => {
                let added: Vec<&Value> = new.iter().filter(|item| !old.contains(item)).collect();
                if !added.is_empty() {
                    patch.insert(key.to_owned(), json!(added));
                }
            }
            ListMerge::ByKey(by) => {
                let mut items = Vec::new();
                for item in new {
                    let Some(id) = item.get(by) else { continue };
                    let changed = match find(old, by, id) {
                        Some(now) => self.settings(now, item, place),
                        None => Some(item.clone()),
                    };
                    if let Some(Value::Object(mut inner)) = changed {
                        inner.insert(by.to_owned(), id.clone());
                        items.push(Value::Object(inner));
                    }
                }
                let order: Vec<&Value> = new.iter().filter_map(|item| item.get(by)).collect();
                let lives = old.iter().filter_map(|item| item.get(by));
                let lives: Vec<&Value> = lives.filter(|id| order.contains(id)).collect();
                if items.is_empty() && lives == order {
                    return;
                }
                let order: Vec<Value> = order.iter().map(|id| json!({ by: id })).collect();
                patch.insert(format!("$setElementOrder/{key}"), Value::Array(order));
                if !items.is_empty() {
                    patch.insert(key.to_owned(), Value::Array(items));
                }
            }
        }
    }

    /// Both patches as one.
    fn joined(&self, removed: Value, set: Value, at: &Fields) -> Value {
        let (Value::Object(mut patch), Value::Object(set)) = (removed, set.clone()) else {
            return set;
        };
        let order: Vec<(String, Value)> = set
            .iter()
            .filter_map(|(key, order)| {
                let list = key.strip_prefix("$setElementOrder/")?;
                Some((list.to_owned(), order.clone()))
            })
            .collect();
        for (key, new) in set {
            let place = at.then(&key);
            let value = match (patch.remove(&key), new) {
                (Some(old @ Value::Object(_)), new @ Value::Object(_)) => {
                    self.joined(old, new, &place)
                }
                (Some(Value::Array(old)), Value::Array(new)) => self.joined_lists(old, new, &place),
                (_, new) => new,
            };
            patch.insert(key, value);
        }
        for (list, order) in &order {
            sort(patch.get_mut(list), order);
        }
        Value::Object(patch)
    }

    fn joined_lists(&self, old: Vec<Value>, mut new: Vec<Value>, place: &Fields) -> Value {
        let ListMerge::ByKey(by) = of_list(self.kind, place) else {
            return Value::Array(new);
        };
        for item in old {
            let same = new.iter_mut().find(|other| other.get(by) == item.get(by));
            match same {
                Some(other) => *other = self.joined(item, other.take(), place),
                None => new.push(item),
            }
        }
        Value::Array(new)
    }
}

/// Brings the elements of a patch into the order that it sets: the API server
/// refuses any other. Elements that go have no place in it.
fn sort(list: Option<&mut Value>, order: &Value) {
    let (Some(Value::Array(list)), Value::Array(order)) = (list, order) else {
        return;
    };
    let place = |item: &Value| {
        let named = |id: &Value| {
            let mut keys = id.as_object().into_iter().flatten();
            keys.all(|(key, value)| item.get(key) == Some(value)) && item.get("$patch").is_none()
        };
        order.iter().position(named).unwrap_or(order.len())
    };
    list.sort_by_key(place);
}

fn find<'a>(list: &'a [Value], by: &str, id: &Value) -> Option<&'a Value> {
    list.iter().find(|item| item.get(by) == Some(id))
}

#[cfg(test)]
#[path = "patch_tests.rs"]
mod tests;
