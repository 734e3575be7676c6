//! Lists in the values. Helm replaces a list as a whole, so that an override of
//! one element carries the others as they are.

use std::collections::BTreeMap;

use serde_json::Value;

use super::render::Render;
use super::values;
use crate::manifest::Object;
use crate::plan::ValuePath;
use crate::{Error, Kind, Result};

/// A render whose overrides name elements of lists by their position.
pub(super) struct WithLists<'a, R> {
    pub(super) render: &'a R,
    /// The coalesced values, which have the lists.
    pub(super) values: &'a Value,
}

impl<R: Render + Sync> Render for WithLists<'_, R> {
    async fn render(&self, overrides: &Value) -> Result<String> {
        self.render.render(&whole(overrides, self.values)).await
    }
}

/// `overrides` with the lists of `values` made whole where an element of them
/// is set.
pub(super) fn whole(overrides: &Value, values: &Value) -> Value {
    match (overrides, values) {
        (Value::Object(set), Value::Object(of)) => set
            .iter()
            .map(|(key, below)| {
                let of = of.get(key).unwrap_or(&Value::Null);
                (key.clone(), whole(below, of))
            })
            .collect(),
        (Value::Object(_), Value::Array(_)) => laid_over(values, overrides),
        _ => overrides.clone(),
    }
}

/// `below` with what `set` says of its fields and elements.
fn laid_over(below: &Value, set: &Value) -> Value {
    match (below, set) {
        (Value::Object(below), Value::Object(set)) => {
            let mut all = below.clone();
            for (key, value) in set {
                let now = below.get(key).unwrap_or(&Value::Null);
                all.insert(key.clone(), laid_over(now, value));
            }
            Value::Object(all)
        }
        (Value::Array(items), Value::Object(set)) => {
            let mut items = items.clone();
            for (key, value) in set {
                if let Some(item) = key.parse().ok().and_then(|at: usize| items.get_mut(at)) {
                    *item = laid_over(item, value);
                }
            }
            Value::Array(items)
        }
        _ => set.clone(),
    }
}

/// The list that `path` leads into, with where it stands.
pub(super) fn list_of<'v>(values: &'v Value, path: &ValuePath) -> Option<(ValuePath, &'v Value)> {
    let (first, rest) = path.keys().split_first()?;
    let mut at: ValuePath = first
        .replace('\\', "\\\\")
        .replace('.', "\\.")
        .parse()
        .ok()?;
    for key in rest {
        match values::get(values, &at)? {
            list @ Value::Array(_) => return Some((at, list)),
            Value::Object(_) => at = at.child(key),
            _ => return None,
        }
    }
    None
}

/// Fails where a list renders otherwise once it is set as a whole: what is
/// read of it here is then not what helm reads.
pub(super) async fn copied<R: Render>(
    lists: &BTreeMap<ValuePath, &Value>,
    before: &[Object],
    render: &R,
) -> Result<()> {
    let nothing = Value::Object(serde_json::Map::new());
    let mut copy = nothing.clone();
    for (path, list) in lists {
        values::set(&mut copy, path, (*list).clone());
    }
    let is_same = |objects: &[Object]| {
        let pairs = objects.iter().zip(before);
        objects.len() == before.len() && pairs.into_iter().all(|(one, two)| one.value == two.value)
    };
    if is_same(&Object::parse(&render.render(&copy).await?)?) {
        return Ok(());
    }
    // A chart of random values is never the same.
    if !is_same(&Object::parse(&render.render(&nothing).await?)?) {
        return Ok(());
    }
    let paths: Vec<String> = lists.keys().map(ToString::to_string).collect();
    Err(Error::new(
        Kind::Chart,
        format!("the chart renders {} otherwise when the list is set as a whole, as helm wants it for one of its elements", paths.join(" and ")),
    )
    .hint("no line in deploy.toml can set it: give the image a value outside of the list in the chart"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::{list_of, whole};

    #[test]
    fn a_list_keeps_its_other_elements() {
        let values =
            json!({"a": {"of": [{"name": "x", "tag": "1", "deep": [1, {"b": 2}]}, "y"], "c": 1}});
        let set =
            json!({"a": {"of": {"0": {"tag": "2", "deep": {"1": {"b": 3}}}}}, "d": {"0": "z"}});
        assert_eq!(
            whole(&set, &values),
            json!({"a": {"of": [{"name": "x", "tag": "2", "deep": [1, {"b": 3}]}, "y"]}, "d": {"0": "z"}})
        );
        let (at, list) = list_of(&values, &"a.of.0.tag".parse().unwrap()).unwrap();
        assert_eq!((at.to_string().as_str(), list.is_array()), ("a.of", true));
        assert!(list_of(&values, &"a.c".parse().unwrap()).is_none());
    }
}
