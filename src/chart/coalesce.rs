//! Tables of values laid over each other.
//!
//! The rules are Helm's (`pkg/chartutil/coalesce.go`, `pkg/cli/values`): what
//! stands above counts, maps are merged, a null deletes.

use serde_json::{Map, Value};

pub(super) type Table = Map<String, Value>;

/// `chart` with aliases applied and disabled subcharts gone.
pub(super) struct EffectiveChart {
    pub(super) values: Table,
    /// Where it comes from, as its parent says.
    pub(super) repository: String,
    pub(super) subcharts: Vec<(String, EffectiveChart)>,
}

/// `above` over `values`: maps are merged, all else is replaced, nulls stay
/// (`pkg/cli/values`, `mergeMaps`).
pub(super) fn merge(values: &mut Table, above: &Table) {
    for (key, value) in above {
        match (values.get_mut(key), value) {
            (Some(Value::Object(old)), Value::Object(new)) => merge(old, new),
            _ => {
                values.insert(key.clone(), value.clone());
            }
        }
    }
}

pub(super) fn table(value: &Value) -> Table {
    value.as_object().cloned().unwrap_or_default()
}

pub(super) fn coalesce_chart(chart: &EffectiveChart, values: &mut Table) {
    for (key, own) in &chart.values {
        match values.get_mut(key) {
            None => {
                values.insert(key.clone(), own.clone());
            }
            Some(Value::Null) => {
                values.remove(key);
            }
            Some(Value::Object(given)) => {
                if let Value::Object(own) = own {
                    let keep = chart.subcharts.iter().any(|(name, _)| name == key);
                    beneath(given, own, keep);
                }
            }
            Some(_) => {}
        }
    }
    for (name, below) in &chart.subcharts {
        let globals = values.get("global").cloned();
        let inside = values
            .entry(name.clone())
            .or_insert_with(|| Value::Object(Table::new()));
        let Value::Object(inside) = inside else {
            continue;
        };
        hand_down(inside, globals);
        coalesce_chart(below, inside);
    }
}

/// The parent's globals over the subchart's own.
fn hand_down(inside: &mut Table, globals: Option<Value>) {
    let own = inside
        .entry("global")
        .or_insert_with(|| Value::Object(Table::new()));
    if let (Value::Object(own), Some(Value::Object(globals))) = (own, globals) {
        merge(own, &globals);
    }
}

/// `default` under `values`; a null in `values` deletes the default's key, or
/// stays with `keep`, where a subchart's own default is yet to come.
pub(super) fn beneath(values: &mut Table, default: &Table, keep: bool) {
    for (key, own) in default {
        match values.get_mut(key) {
            None => {
                values.insert(key.clone(), own.clone());
            }
            Some(Value::Null) if !keep && !own.is_null() => {
                values.remove(key);
            }
            Some(Value::Object(given)) => {
                if let Value::Object(own) = own {
                    beneath(given, own, keep);
                }
            }
            Some(_) => {}
        }
    }
}
