//! What must hold of the imports, and what is said where it does not.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::imports::{Crate, Import, Module};

/// The place of each top module: the first layer is the upper one.
pub type Layers = [&'static [&'static str]];

/// The imports between the children of one module, each with the first line
/// that makes it.
type Graph<'a> = BTreeMap<&'a str, BTreeMap<&'a str, &'a Import>>;

/// Every rule that is broken, in lines for whoever broke it.
pub fn broken(tree: &Crate, layers: &Layers) -> Vec<String> {
    let mut broken = homeless(tree, layers);
    broken.extend(upwards(tree, layers));
    for module in &tree.modules {
        broken.extend(circles(tree, module));
    }
    broken
}

/// The top modules, without those of tests.
pub fn top_modules(tree: &Crate) -> BTreeSet<&str> {
    let tops = tree.modules.iter().filter(|module| module.len() == 1);
    tops.map(|module| module[0].as_str()).collect()
}

/// Top modules that stand in no layer, or in two.
fn homeless(tree: &Crate, layers: &Layers) -> Vec<String> {
    let places = |module: &str| {
        layers
            .iter()
            .filter(|layer| layer.contains(&module))
            .count()
    };
    let wrong = top_modules(tree).into_iter().filter_map(|module| {
        let said = match places(module) {
            0 => "stands in no layer",
            1 => return None,
            _ => "stands in more than one layer",
        };
        Some(format!(
            "src/{module}: {said}; its place is a row of LAYERS in tests/layers.rs"
        ))
    });
    wrong.collect()
}

/// Each file that imports from a layer above its own.
fn upwards(tree: &Crate, layers: &Layers) -> Vec<String> {
    let place = |module: &str| layers.iter().position(|layer| layer.contains(&module));
    let mut said = BTreeSet::new();
    let wrong = tree.imports.iter().filter_map(|import| {
        let (from, to) = between(import, &[])?;
        let above = place(to)? < place(from)?;
        let new = above && said.insert((import.file.as_path(), import.line, to));
        new.then(|| format!("{}: {from} -> {to}, which is above it", at(import)))
    });
    wrong.collect()
}

/// The children of `parent` that import each other in a circle.
///
/// The parent's own file is no part of it: a parent calls its children, and what
/// stands in it is there for them. What it only passes on with `use` counts as
/// an import of the child that it comes from.
fn circles(tree: &Crate, parent: &[String]) -> Vec<String> {
    let graph = graph(tree, parent);
    let reached: BTreeMap<&str, BTreeSet<&str>> = graph
        .keys()
        .map(|name| (*name, reached(&graph, name)))
        .collect();
    let both = |a: &str, b: &str| {
        reached[a].contains(b) && reached.get(b).is_some_and(|it| it.contains(a))
    };
    let mut done = BTreeSet::new();
    let mut found = Vec::new();
    for name in graph.keys() {
        let circle: BTreeSet<&str> = graph
            .keys()
            .copied()
            .filter(|other| both(name, other))
            .collect();
        if circle.is_empty() || !done.insert(circle.clone()) {
            continue;
        }
        let mut lines = vec![headline(parent, &circle)];
        for (from, targets) in graph.iter().filter(|(from, _)| circle.contains(*from)) {
            for (to, import) in targets.iter().filter(|(to, _)| circle.contains(*to)) {
                lines.push(format!("  {}: {from} -> {to}", at(import)));
            }
        }
        found.push(lines.join("\n"));
    }
    found
}

fn headline(parent: &[String], circle: &BTreeSet<&str>) -> String {
    let folder = [&["src".to_owned()], parent].concat().join("/");
    let members: Vec<&str> = circle.iter().copied().collect();
    format!(
        "{folder}: {} import each other in a circle",
        members.join(", ")
    )
}

/// The imports between the children of a module.
pub fn graph<'a>(tree: &'a Crate, parent: &[String]) -> Graph<'a> {
    let mut graph = Graph::new();
    for import in &tree.imports {
        if let Some((from, to)) = between(import, parent) {
            graph.entry(from).or_default().entry(to).or_insert(import);
        }
    }
    graph
}

/// The children of `parent` that an import leads from and to.
fn between<'a>(import: &'a Import, parent: &[String]) -> Option<(&'a str, &'a str)> {
    let child = |module: &'a Module| module.strip_prefix(parent)?.first().map(String::as_str);
    let (from, to) = (child(&import.from)?, child(&import.to)?);
    (from != to).then_some((from, to))
}

/// What can be reached from a module: itself only along a circle.
pub fn reached<'a>(graph: &Graph<'a>, start: &str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut left = vec![start];
    while let Some(name) = left.pop() {
        for next in graph.get(name).into_iter().flat_map(BTreeMap::keys) {
            if reached.insert(*next) {
                left.push(*next);
            }
        }
    }
    reached
}

fn at(import: &Import) -> String {
    format!("{}:{}", Path::display(&import.file), import.line)
}
