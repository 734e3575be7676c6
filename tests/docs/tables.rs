//! The tables of the pages, held against the types.

use deploy::error::Exit;
use deploy::host::{VARIABLES, VariableClass};
use deploy::node::config::KEYS;

use crate::markdown::{read, table};
use crate::root;

/// A cell without code marks, and without the escapes that keep a page from taking
/// <app> for a tag.
fn plain(cell: &str) -> String {
    cell.replace('`', "").replace("\\<", "<")
}

fn said(page: &str, first: &str) -> Vec<Vec<String>> {
    let rows = table(&read(root(), page), first);
    let cells = |row: &Vec<String>| row.iter().map(|cell| plain(cell)).collect();
    rows.iter().map(cells).collect()
}

#[test]
fn the_table_of_exit_codes_is_the_enum() {
    let meant: Vec<Vec<String>> = Exit::ALL
        .iter()
        .map(|exit| {
            vec![
                exit.code().to_string(),
                exit.meaning().to_owned(),
                exit.cure().to_owned(),
            ]
        })
        .collect();
    assert_eq!(said("README.md", "code"), meant);
}

#[test]
fn the_table_of_keys_is_the_one_that_is_read() {
    let meant: Vec<Vec<String>> = KEYS
        .iter()
        .map(|key| {
            [
                key.name,
                key.place.tables(),
                key.form,
                key.default,
                key.meaning,
            ]
            .map(|cell| cell.replace('`', ""))
            .to_vec()
        })
        .collect();
    assert_eq!(said("docs/configuration.md", "key"), meant);
}

#[test]
fn the_table_of_variables_is_the_one_that_counts() {
    let meant: Vec<Vec<String>> = VARIABLES
        .iter()
        .map(|variable| {
            let class = match variable.class {
                VariableClass::PassedOn => "passed on",
                VariableClass::Access => "access",
                VariableClass::AltersHelm => "alters helm",
                VariableClass::Location => "location",
                VariableClass::Deploy => "deploy",
                VariableClass::DeployByHand => "deploy, by hand",
            };
            [variable.name, class, variable.meaning]
                .map(str::to_owned)
                .to_vec()
        })
        .collect();
    assert_eq!(said("docs/configuration.md", "variable"), meant);
}

/// The words for how a run ended.
#[test]
fn the_outcomes_are_listed() {
    let page = read(root(), "docs/compatibility.md");
    let list = page
        .lines()
        .find(|line| line.starts_with("`outcome` is one of"))
        .expect("the list of outcomes");
    for exit in Exit::ALL {
        assert!(list.contains(&format!("`{}`", exit.outcome())), "{exit:?}");
    }
}

/// The fields of the journal and of a finding are those that are written.
#[test]
fn the_fields_of_json_are_listed() {
    let page = read(root(), "docs/compatibility.md");
    for (marker, file, name) in [
        ("journal", "src/state/journal.rs", "pub struct Entry {"),
        ("finding", "src/doctor/finding.rs", "pub struct Finding {"),
    ] {
        let (_, shown) = page
            .split_once(&format!("<!-- fields: {marker} -->\n"))
            .expect("the table's marker");
        let mut listed: Vec<String> = table(shown, "field")
            .iter()
            .flat_map(|row| {
                plain(&row[0])
                    .split(", ")
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            })
            .collect();
        let source = read(root(), file);
        let (_, from) = source.split_once(name).expect("the type");
        let (fields, _) = from.split_once("\n}").expect("the type's end");
        let mut written: Vec<String> = fields
            .lines()
            .filter_map(|line| line.trim().strip_prefix("pub ")?.split_once(':'))
            .map(|(field, _)| field.to_owned())
            .collect();
        listed.sort();
        written.sort();
        assert_eq!(listed, written, "{marker}");
    }
}
