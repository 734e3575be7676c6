//! Values as a chart's templates see them.
//!
//! The rules are Helm's (`pkg/chartutil/coalesce.go`, `dependencies.go`): the
//! node's files in their order, a null in them deletes, then the chart's own
//! values, then each enabled subchart under its name or alias with the globals
//! handed down. This is for finding things only; helm itself computes what is
//! applied.

use serde_json::Value;

use super::archive::Chart;
use super::coalesce::{EffectiveChart, Table, coalesce_chart, merge};
use super::dependencies::resolve;
use crate::manifest::yaml;
use crate::plan::ValuePath;
use crate::{Error, Kind, Result};

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
    let sourced = sourced_subcharts(chart, node);
    sourced.into_iter().map(|(path, _)| path).collect()
}

/// The same, each with where it comes from as its parent's `Chart.yaml` says.
pub(super) fn sourced_subcharts(chart: &Chart, node: &[Value]) -> Vec<(ValuePath, String)> {
    let mut values = Table::new();
    for file in node.iter().filter_map(Value::as_object) {
        merge(&mut values, file);
    }
    let chart = resolve(chart, &values);
    let mut paths = Vec::new();
    collect(&chart, None, &mut paths);
    paths
}

fn collect(
    chart: &EffectiveChart,
    above: Option<&ValuePath>,
    paths: &mut Vec<(ValuePath, String)>,
) {
    for (name, below) in &chart.subcharts {
        let path = match above {
            Some(above) => Some(above.child(name)),
            None => name.replace('\\', "\\\\").replace('.', "\\.").parse().ok(),
        };
        if let Some(path) = path {
            collect(below, Some(&path), paths);
            paths.push((path, below.repository.clone()));
        }
    }
}

/// What stands at `path`; an element of a list by its position.
pub fn get<'a>(values: &'a Value, path: &ValuePath) -> Option<&'a Value> {
    path.keys()
        .iter()
        .try_fold(values, |value, key| match value {
            Value::Array(items) => items.get(key.parse::<usize>().ok()?),
            other => other.get(key),
        })
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
