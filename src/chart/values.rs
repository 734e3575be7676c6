//! Values as a chart's templates see them.
//!
//! The rules are Helm's (`pkg/chartutil/coalesce.go`, `dependencies.go`): the
//! node's files in their order, a null in them deletes, then the chart's own
//! values, then each enabled subchart under its name or alias with the globals
//! handed down. This is for finding things only; helm itself computes what is
//! applied.

use serde_json::{Map, Value};

use super::archive::Chart;
use super::dependencies::{Resolved, resolve};
use crate::manifest::yaml;
use crate::plan::ValuePath;
use crate::{Error, Kind, Result};

pub(super) type Table = Map<String, Value>;

/// A values file's content: a map, empty where the file is. `name` is what the
/// error calls it.
pub fn parse(name: &str, content: &str) -> Result<Value> {
    let wrong = |cause: String| {
        Error::new(Kind::Node, format!("{name} is not a values file: {cause}"))
            .hint("helm reads it as YAML: a map at the top")
    };
    match yaml::parse(content).map_err(wrong)? {
        Value::Null => Ok(Value::Object(Table::new())),
        map @ Value::Object(_) => Ok(map),
        _ => Err(wrong("no map at the top".into())),
    }
}

/// The values that the chart's templates see with the node's files.
pub fn coalesce(chart: &Chart, node: &[Value]) -> Value {
    let mut values = Table::new();
    for file in node.iter().filter_map(Value::as_object) {
        merge(&mut values, file);
    }
    let chart = resolve(chart, &values);
    coalesce_chart(&chart, &mut values);
    Value::Object(values)
}

/// The paths under which an enabled subchart's values lie, however deep.
pub fn subcharts(chart: &Chart, node: &[Value]) -> Vec<ValuePath> {
    let mut values = Table::new();
    for file in node.iter().filter_map(Value::as_object) {
        merge(&mut values, file);
    }
    let chart = resolve(chart, &values);
    let mut paths = Vec::new();
    collect(&chart, None, &mut paths);
    paths
}

fn collect(chart: &Resolved, above: Option<&ValuePath>, paths: &mut Vec<ValuePath>) {
    for (name, below) in &chart.subcharts {
        let path = match above {
            Some(above) => Some(above.child(name)),
            None => name.replace('\\', "\\\\").replace('.', "\\.").parse().ok(),
        };
        if let Some(path) = path {
            collect(below, Some(&path), paths);
            paths.push(path);
        }
    }
}

/// What stands at `path`.
pub fn get<'a>(values: &'a Value, path: &ValuePath) -> Option<&'a Value> {
    path.keys()
        .iter()
        .try_fold(values, |value, key| value.get(key))
}

/// Sets `path`, making the maps above it.
pub fn set(values: &mut Value, path: &ValuePath, value: Value) {
    let mut at = values;
    for key in path.keys() {
        if !at.is_object() {
            *at = Value::Object(Table::new());
        }
        at = &mut at[key.as_str()];
    }
    *at = value;
}

/// Takes `path` out, where it is there.
pub(super) fn remove(values: &mut Value, path: &ValuePath) {
    let Some((last, above)) = path.keys().split_last() else {
        return;
    };
    let map = above
        .iter()
        .try_fold(values, |value, key| value.get_mut(key));
    if let Some(Value::Object(map)) = map {
        map.remove(last);
    }
}

/// `above` over `values`: maps are merged, all else is replaced, nulls stay
/// (`pkg/cli/values`, `mergeMaps`).
fn merge(values: &mut Table, above: &Table) {
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

pub(super) fn coalesce_chart(chart: &Resolved, values: &mut Table) {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::{coalesce, parse, subcharts};
    use crate::chart::archive::{Chart, Dependency};

    fn chart(name: &str, values: Value, subcharts: Vec<Chart>) -> Chart {
        Chart {
            name: name.into(),
            values,
            subcharts,
            ..Chart::default()
        }
    }

    #[test]
    fn later_files_count_and_null_deletes() {
        let chart = chart(
            "shop",
            json!({"api": {"image": {"repository": "r", "tag": "1"}, "x": 1}}),
            vec![],
        );
        for (node, expected) in [
            (
                vec![],
                json!({"api": {"image": {"repository": "r", "tag": "1"}, "x": 1}}),
            ),
            (
                vec![
                    json!({"api": {"image": {"tag": "2"}}}),
                    json!({"api": {"image": {"tag": "3"}}}),
                ],
                json!({"api": {"image": {"repository": "r", "tag": "3"}, "x": 1}}),
            ),
            (
                vec![json!({"api": {"image": "whole:1"}})],
                json!({"api": {"image": "whole:1", "x": 1}}),
            ),
            (
                vec![json!({"api": {"image": null}})],
                json!({"api": {"x": 1}}),
            ),
            (vec![json!({"api": null})], json!({})),
            (
                vec![json!({"api": {"x": {"y": 1}}})],
                json!({"api": {"image": {"repository": "r", "tag": "1"}, "x": {"y": 1}}}),
            ),
        ] {
            assert_eq!(coalesce(&chart, &node), expected);
        }
    }

    #[test]
    fn subcharts_stand_under_their_alias_when_enabled() {
        let mut shop = chart(
            "shop",
            json!({"global": {"imageRegistry": "r"}, "web": {"n": 2}, "db": {"enabled": false}}),
            vec![
                chart("app", json!({"image": {"tag": "1"}, "n": 1}), vec![]),
                chart("db", json!({}), vec![]),
                chart("loose", json!({}), vec![]),
            ],
        );
        let dependency = |name: &str, alias: Option<&str>, condition: Option<&str>| Dependency {
            name: name.into(),
            alias: alias.map(Into::into),
            condition: condition.map(Into::into),
            ..Dependency::default()
        };
        shop.dependencies = vec![
            dependency("app", Some("api"), None),
            dependency("app", Some("web"), None),
            dependency("db", None, Some("nothing.here,db.enabled")),
        ];
        let global = json!({"imageRegistry": "r"});
        assert_eq!(
            coalesce(&shop, &[]),
            json!({
                "global": global,
                "db": {"enabled": false},
                "api": {"image": {"tag": "1"}, "n": 1, "global": global},
                "web": {"image": {"tag": "1"}, "n": 2, "global": global},
                "loose": {"global": global},
            })
        );
        let names = |node: &[Value]| {
            let mut names: Vec<String> = subcharts(&shop, node)
                .iter()
                .map(ToString::to_string)
                .collect();
            names.sort();
            names
        };
        assert_eq!(names(&[]), ["api", "loose", "web"]);
        assert_eq!(
            names(&[json!({"db": {"enabled": true}})]),
            ["api", "db", "loose", "web"]
        );
    }

    #[test]
    fn tags_switch_and_values_are_taken_over() {
        let mut shop = chart(
            "shop",
            json!({"tags": {"jobs": false}, "image": {"tag": "9"}}),
            vec![
                chart(
                    "app",
                    json!({"exports": {"out": {"image": {"tag": "1", "repository": "r"}}}}),
                    vec![],
                ),
                chart("jobs", json!({}), vec![]),
            ],
        );
        shop.dependencies = vec![
            Dependency {
                name: "app".into(),
                import_values: vec![json!("out")],
                ..Dependency::default()
            },
            Dependency {
                name: "jobs".into(),
                tags: vec!["jobs".into()],
                ..Dependency::default()
            },
        ];
        let values = coalesce(&shop, &[]);
        assert_eq!(values["image"], json!({"tag": "9", "repository": "r"}));
        assert_eq!(values.get("jobs"), None);
        assert_eq!(subcharts(&shop, &[]).len(), 1);
    }

    #[test]
    fn a_values_file_is_a_map() {
        assert_eq!(parse("a.yaml", "").unwrap(), json!({}));
        assert!(
            parse("a.yaml", "- 1")
                .unwrap_err()
                .to_string()
                .contains("a.yaml")
        );
        parse("a.yaml", "a: [").unwrap_err();
    }
}
