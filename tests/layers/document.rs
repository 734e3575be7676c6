//! What docs/architecture.md shows of the code. `SNAPSHOTS=overwrite` writes it
//! anew.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::imports::Crate;
use crate::rules::{self, Layers};

/// Holds each part that is made from the code against the code.
pub fn matches(file: &Path, tree: &Crate, layers: &Layers) {
    let text = fs::read_to_string(file).expect("the document");
    let mut made = text.clone();
    for (name, part) in [
        ("layers", table(tree, layers)),
        ("graph", graph(tree)),
        ("imports", imports(tree)),
    ] {
        let (before, rest) = made
            .split_once(&format!("<!-- made from the code: {name} -->\n"))
            .unwrap_or_else(|| panic!("the document has no marker for {name}"));
        let (_, after) = rest
            .split_once("<!-- end -->")
            .unwrap_or_else(|| panic!("the part {name} has no end"));
        made = format!("{before}<!-- made from the code: {name} -->\n{part}<!-- end -->{after}");
    }
    if std::env::var_os("SNAPSHOTS").is_some_and(|value| value == "overwrite") {
        fs::write(file, made).expect("the document can be written");
        return;
    }
    assert!(
        text == made,
        "docs/architecture.md shows another code than there is; `SNAPSHOTS=overwrite cargo test --test layers` writes it anew"
    );
}

/// The layers, the upper one first. What has no file yet is marked.
fn table(tree: &Crate, layers: &Layers) -> String {
    let there = rules::top_modules(tree);
    let mut text = "| layer | modules |\n|---|---|\n".to_owned();
    for (number, layer) in layers.iter().enumerate() {
        let names = layer.iter().map(|name| {
            if there.contains(name) {
                format!("`{name}`")
            } else {
                format!("`{name}` (not yet)")
            }
        });
        let names: Vec<String> = names.collect();
        let _ = writeln!(text, "| {} | {} |", number + 1, names.join(", "));
    }
    text
}

/// The imports among the top modules, without those that a longer way makes too:
/// what is left can be read.
fn graph(tree: &Crate) -> String {
    let graph = rules::graph(tree, &[]);
    let mut text = "```mermaid\nflowchart TD\n".to_owned();
    for (from, targets) in &graph {
        let further: BTreeSet<&str> = targets
            .keys()
            .flat_map(|target| rules::reached(&graph, target))
            .collect();
        for to in targets.keys().filter(|to| !further.contains(*to)) {
            let _ = writeln!(text, "    {from} --> {to}");
        }
    }
    text + "```\n"
}

/// All imports among the top modules.
fn imports(tree: &Crate) -> String {
    let graph = rules::graph(tree, &[]);
    let mut text = "| module | imports |\n|---|---|\n".to_owned();
    for module in rules::top_modules(tree) {
        let targets = graph.get(module).into_iter().flatten();
        let targets: Vec<String> = targets.map(|(to, _)| format!("`{to}`")).collect();
        let _ = writeln!(text, "| `{module}` | {} |", targets.join(", "));
    }
    text
}

/// The modules that the table under "The modules" describes.
pub fn described(text: &str) -> Vec<&str> {
    text.lines()
        .skip_while(|line| *line != "## The modules")
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(name, _)| name)
        .collect()
}

/// Where the document's links lead, without those to other sites.
pub fn links(text: &str) -> Vec<&str> {
    let targets = text.split("](").skip(1);
    targets
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target.split_once('#').map_or(target, |(path, _)| path))
        .filter(|target| !target.is_empty() && !target.contains("://"))
        .collect()
}

/// The tests that the table of tasks names in its last column.
pub fn guards(text: &str) -> Vec<&str> {
    let rows = text
        .lines()
        .skip_while(|line| !line.starts_with("| task |"))
        .take_while(|line| line.starts_with('|'))
        .skip(2);
    rows.filter_map(|row| row.trim_end_matches([' ', '|']).rsplit_once(" | "))
        .flat_map(|(_, guards)| guards.split('`').skip(1).step_by(2))
        .filter(|word| {
            let part =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            word.contains('_') && word.bytes().all(part)
        })
        .collect()
}
