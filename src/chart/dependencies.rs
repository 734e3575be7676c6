//! Which subcharts count, under which name, and what they hand up.
//!
//! The rules are Helm's (`pkg/chartutil/dependencies.go`): an entry of
//! `Chart.yaml` may rename a subchart or switch it off; a chart in `charts/`
//! without an entry always counts.

use serde_json::Value;

use super::archive::{Chart, Dependency};
use super::coalesce::{EffectiveChart, Table, beneath, coalesce_chart, table};

/// What is left of `chart` with the values `given` from above.
pub(super) fn resolve(chart: &Chart, given: &Table) -> EffectiveChart {
    let all = named(chart);
    // Conditions are read with every subchart's defaults in place.
    let plain = |chart: &Chart| EffectiveChart {
        values: table(&chart.values),
        repository: String::new(),
        subcharts: Vec::new(),
    };
    let mut defaulted = given.clone();
    let flat = EffectiveChart {
        values: table(&chart.values),
        repository: String::new(),
        subcharts: all
            .iter()
            .map(|(name, below, _)| (name.clone(), plain(below)))
            .collect(),
    };
    coalesce_chart(&flat, &mut defaulted);

    let mut subcharts = Vec::new();
    let mut imports = Vec::new();
    for (name, below, dependency) in all {
        if dependency.is_some_and(|dependency| !enabled(dependency, &defaulted)) {
            continue;
        }
        let mut given = table(defaulted.get(&name).unwrap_or(&Value::Null));
        // Tags are those of the top, however deep the chart lies.
        if let Some(tags) = defaulted.get("tags") {
            given.insert("tags".to_owned(), tags.clone());
        }
        let taken = dependency
            .iter()
            .flat_map(|dependency| &dependency.import_values);
        imports.extend(taken.map(|import| (name.clone(), import)));
        let mut effective = resolve(below, &given);
        effective.repository = dependency
            .map(|entry| entry.repository.clone())
            .unwrap_or_default();
        subcharts.push((name, effective));
    }
    let mut resolved = EffectiveChart {
        values: table(&chart.values),
        repository: String::new(),
        subcharts,
    };
    // With entries, what the chart says of its subcharts is settled before the
    // node's values come: imports see the defaults only, and a default global
    // stays below even where the node takes it away at the top.
    if !chart.dependencies.is_empty() {
        let mut values = Table::new();
        coalesce_chart(&resolved, &mut values);
        for (name, import) in imports {
            let inside = table(values.get(&name).unwrap_or(&Value::Null));
            take_over(import, &inside, &mut values);
        }
        resolved.values = values;
    }
    resolved
}

/// The subcharts with the names by which values reach them, each with its entry of
/// Chart.yaml, where it has one.
fn named(chart: &Chart) -> Vec<(String, &Chart, Option<&Dependency>)> {
    let mut all: Vec<(String, &Chart, Option<&Dependency>)> = Vec::new();
    for subchart in &chart.subcharts {
        let named = || {
            chart
                .dependencies
                .iter()
                .filter(|d| d.name == subchart.name)
        };
        if named().next().is_none() {
            all.push((subchart.name.clone(), subchart, None));
        }
        for dependency in named() {
            let alias = dependency.alias.as_ref().filter(|alias| !alias.is_empty());
            let name = alias.unwrap_or(&subchart.name).clone();
            if all.iter().all(|(other, ..)| *other != name) {
                all.push((name, subchart, Some(dependency)));
            }
        }
    }
    all
}

/// Tags first, then the first boolean among the conditions.
fn enabled(dependency: &Dependency, values: &Table) -> bool {
    let tags: Vec<bool> = values
        .get("tags")
        .map(|tags| {
            dependency
                .tags
                .iter()
                .filter_map(|tag| tags.get(tag)?.as_bool())
                .collect()
        })
        .unwrap_or_default();
    let by_tags = tags.is_empty() || tags.contains(&true);
    let condition = dependency.condition.as_deref().unwrap_or_default();
    condition
        .split(',')
        .find_map(|path| {
            let mut keys = path.trim().split('.');
            let first = values.get(keys.next()?)?;
            keys.try_fold(first, |value, key| value.get(key))?.as_bool()
        })
        .unwrap_or(by_tags)
}

/// `import-values`: a string names a key of `exports`, a map a child's path and
/// where it goes. What the chart says itself counts more.
fn take_over(import: &Value, inside: &Table, values: &mut Table) {
    let (child, parent) = match import {
        Value::String(name) => (format!("exports.{name}"), "."),
        Value::Object(map) => match (map.get("child"), map.get("parent")) {
            (Some(Value::String(child)), Some(Value::String(parent))) => {
                (child.clone(), parent.as_str())
            }
            _ => return,
        },
        _ => return,
    };
    let mut keys = child.split('.');
    let found = keys
        .next()
        .and_then(|first| inside.get(first))
        .and_then(|first| keys.try_fold(first, |value, key| value.get(key)));
    let Some(Value::Object(found)) = found else {
        return;
    };
    let mut wrapped = found.clone();
    if parent != "." {
        for key in parent.split('.').rev() {
            let below = std::mem::take(&mut wrapped);
            wrapped.insert(key.to_owned(), Value::Object(below));
        }
    }
    beneath(values, &wrapped, false);
}
