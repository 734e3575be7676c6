//! What would change, as lines for people: each object with its fields, the hooks
//! and the pods that would be replaced.

use std::io::{self, Write};

use anstyle::Style;
use similar::algorithms::{Capture, Compact, Replace, myers};
use similar::{ChangeTag, DiffTag};

use super::lines::{BAD, BOLD, CAUTION, DIM, GOOD, shown};
use crate::manifest::changes::{Change, Content, FieldChange, Preview};
use crate::text;

/// The widest line that before and after share, in columns.
const WIDE: usize = 76;

/// The most of a value that is shown, in columns.
const VALUE: usize = 160;

/// The most lines of a text that are shown.
const LINES: usize = 12;

/// The most fields of one object that are shown.
const FIELDS: usize = 40;

/// Texts as long as this are compared word by word.
const WORDS: usize = 40;

/// All of it.
pub(super) fn preview(out: &mut impl Write, preview: &Preview) -> io::Result<()> {
    if preview.is_empty() {
        return writeln!(out, "nothing would change: {}", stays(preview.unchanged));
    }
    writeln!(out, "{BOLD}what would change:{BOLD:#}")?;
    let mut labels = 0;
    for object in &preview.objects {
        if object.change == Change::Labels {
            labels += 1;
            continue;
        }
        let (mark, style, word) = mark(&object.change);
        let name = shown(&object.object.to_string());
        writeln!(out, "  {style}{mark}{style:#} {name}{}", shown(&word))?;
        if let Change::Changed(changes) = &object.change {
            fields(out, changes, preview.shows_values, "      ")?;
        }
    }
    for hook in &preview.hooks {
        let name = shown(&hook.object.to_string());
        writeln!(
            out,
            "  {DIM}hook{DIM:#} {name} runs ({})",
            shown(&hook.event)
        )?;
    }
    for restart in &preview.restarts {
        let name = shown(&restart.workload.to_string());
        writeln!(
            out,
            "  {CAUTION}restarts{CAUTION:#} the pods of {name}, because of"
        )?;
        for field in restart.fields.iter().take(FIELDS) {
            writeln!(out, "      {}", shown(field))?;
        }
    }
    if labels > 0 {
        writeln!(out, "  {DIM}{}{DIM:#}", only_labels(labels))?;
    }
    writeln!(out, "  {DIM}{}{DIM:#}", stays(preview.unchanged))
}

fn only_labels(count: usize) -> String {
    match count {
        1 => "of 1 object only helm's own labels change".to_owned(),
        more => format!("of {more} objects only helm's own labels change"),
    }
}

fn stays(count: usize) -> String {
    match count {
        0 => "no object stays as it is".to_owned(),
        1 => "1 object stays as it is".to_owned(),
        more => format!("{more} objects stay as they are"),
    }
}

/// The sign of a change, its colour, and what is said behind the name.
fn mark(change: &Change) -> (char, Style, String) {
    match change {
        Change::Created => ('+', GOOD, " is created".to_owned()),
        Change::Changed(_) | Change::Labels => ('~', CAUTION, String::new()),
        Change::Removed => ('-', BAD, " is removed".to_owned()),
        Change::Kept => (
            '=',
            DIM,
            " is kept: helm.sh/resource-policy says so".to_owned(),
        ),
        Change::Replaced => ('±', BAD, " is removed and made anew".to_owned()),
        Change::Refused(why) => ('!', BAD, format!(" would be refused: {why}")),
        Change::NotPredicted(why) => ('?', CAUTION, format!(" is not predicted: {why}")),
    }
}

/// The fields of one object.
fn fields(
    out: &mut impl Write,
    changes: &[FieldChange],
    shows_values: bool,
    indent: &str,
) -> io::Result<()> {
    for change in changes.iter().take(FIELDS) {
        for line in field(change, shows_values) {
            writeln!(out, "{indent}{line}")?;
        }
    }
    match changes.len().saturating_sub(FIELDS) {
        0 => Ok(()),
        more => writeln!(out, "{indent}and {more} more fields"),
    }
}

/// A field, on one line where it fits.
fn field(change: &FieldChange, shows_values: bool) -> Vec<String> {
    let path = shown(&change.path.to_string());
    // Images stand in a log anyhow: the signal names them.
    let shows = shows_values || change.path.last_key() == "image";
    let (before, after) = match (&change.before, &change.after) {
        (Content::Absent, Content::Value(value)) if shows => {
            return vec![format!("{path}: + {}", value_of(value))];
        }
        (Content::Value(value), Content::Absent) if shows => {
            return vec![format!("{path}: - {}", value_of(value))];
        }
        (Content::Value(before), Content::Value(after)) if shows => (before, after),
        (Content::Absent, _) => return vec![format!("{path}: is added")],
        (_, Content::Absent) => return vec![format!("{path}: is removed")],
        _ => return vec![format!("{path}: changes")],
    };
    if let (Some(before), Some(after)) = (before.as_str(), after.as_str()) {
        if before.contains('\n') || after.contains('\n') {
            return text_lines(&path, before, after);
        }
        if before.len().min(after.len()) >= WORDS
            && let Some(words) = words(before, after)
        {
            return vec![format!("{path}:"), format!("  {words}")];
        }
    }
    let (before, after) = (value_of(before), value_of(after));
    let line = format!("{path}: {before} → {after}");
    if text::columns(&line) <= WIDE {
        return vec![line];
    }
    vec![
        format!("{path}:"),
        format!("  - {before}"),
        format!("  + {after}"),
    ]
}

fn value_of(value: &serde_json::Value) -> String {
    let text = match value.as_str() {
        Some("") => "\"\"".to_owned(),
        Some(text) => text.to_owned(),
        None => value.to_string(),
    };
    text::fit(&shown(&text), VALUE).into_owned()
}

/// The lines in which two texts differ.
fn text_lines(path: &str, before: &str, after: &str) -> Vec<String> {
    let before: Vec<&str> = before.split_inclusive('\n').collect();
    let after: Vec<&str> = after.split_inclusive('\n').collect();
    let changed = parts(&before, &after).into_iter();
    let changed = changed.filter_map(|(tag, line)| {
        let sign = match tag {
            ChangeTag::Delete => '-',
            ChangeTag::Insert => '+',
            ChangeTag::Equal => return None,
        };
        let line = shown(line.trim_end_matches('\n'));
        Some(format!("  {sign} {}", text::fit(&line, VALUE)))
    });
    let changed: Vec<String> = changed.collect();
    let more = changed.len().saturating_sub(LINES);
    let mut lines = vec![format!("{path}:")];
    lines.extend(changed.into_iter().take(LINES));
    if more > 0 {
        lines.push(format!("  and {more} more lines"));
    }
    lines
}

/// Two texts as one, with what differs in brackets; none where they have too
/// little in common.
fn words(before: &str, after: &str) -> Option<String> {
    let (before, after) = (words_of(before), words_of(after));
    let parts = parts(&before, &after);
    let same = parts.iter().filter(|(tag, _)| *tag == ChangeTag::Equal);
    if same.count() * 2 * 10 < (before.len() + after.len()) * 6 {
        return None;
    }
    let (mut line, mut old, mut new) = (String::new(), String::new(), String::new());
    let close = |line: &mut String, old: &mut String, new: &mut String| {
        if !old.is_empty() || !new.is_empty() {
            for part in ["[", old.trim_end(), " → ", new.trim_end(), "]"] {
                line.push_str(part);
            }
            if old.ends_with(' ') || new.ends_with(' ') {
                line.push(' ');
            }
            old.clear();
            new.clear();
        }
    };
    for (tag, part) in parts {
        match tag {
            ChangeTag::Delete => old.push_str(part),
            ChangeTag::Insert => new.push_str(part),
            ChangeTag::Equal => {
                close(&mut line, &mut old, &mut new);
                line.push_str(part);
            }
        }
    }
    close(&mut line, &mut old, &mut new);
    Some(text::fit(&shown(line.trim_end()), VALUE * 2).into_owned())
}

/// The words of a text, and the spaces between them.
fn words_of(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_space = first.is_whitespace();
        let end = rest.find(|it: char| it.is_whitespace() != is_space);
        let (word, behind) = rest.split_at(end.unwrap_or(rest.len()));
        words.push(word);
        rest = behind;
    }
    words
}

/// What becomes of each part. The crate's own `TextDiff` is half a megabyte of code.
fn parts<'a>(before: &[&'a str], after: &[&'a str]) -> Vec<(ChangeTag, &'a str)> {
    let mut found = Compact::new(Replace::new(Capture::new()), before, after);
    let Ok(()) = myers::diff(&mut found, before, 0..before.len(), after, 0..after.len());
    let mut parts = Vec::new();
    for change in found.into_inner().into_inner().into_ops() {
        let (tag, old, new) = change.as_tag_tuple();
        let (gone, come) = match tag {
            DiffTag::Equal => (ChangeTag::Equal, &after[..0]),
            _ => (ChangeTag::Delete, &after[new]),
        };
        parts.extend(before[old].iter().map(|part| (gone, *part)));
        parts.extend(come.iter().map(|part| (ChangeTag::Insert, *part)));
    }
    parts
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::needless_pass_by_value)]

    use serde_json::{Value, json};

    use crate::manifest::ObjectRef;
    use crate::manifest::changes::{Change, HookRun, Preview, compare};

    fn reference(api_version: &str, kind: &str, name: &str) -> ObjectRef {
        ObjectRef::of(&json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}}))
    }

    fn changed(kind: &str, before: Value, after: Value) -> (ObjectRef, Option<Change>) {
        let put = |mut value: Value| {
            value["kind"] = json!(kind);
            value["apiVersion"] = json!(if kind == "Deployment" {
                "apps/v1"
            } else {
                "v1"
            });
            value["metadata"] = json!({"name": "shop"});
            value
        };
        let (before, after) = (put(before), put(after));
        (
            ObjectRef::of(&after),
            Some(Change::Changed(compare(&before, &after))),
        )
    }

    fn preview() -> Preview {
        let deployment = |tag: &str, replicas: u8| {
            json!({"spec": {"replicas": replicas, "template": {"spec": {"containers": [{
                "name": "api",
                "image": format!("ghcr.io/acme/shop/api:{tag}"),
                "command": [format!("/bin/server --listen 0.0.0.0:8080 --log-level {tag} --metrics on")],
            }]}}}})
        };
        let config =
            |level: &str| json!({"data": {"app.yaml": format!("a: 1\nlevel: {level}\nb: 2\n")}});
        let secret = |key: &str| json!({"data": {"password": key}});
        let mut preview = Preview::of(
            vec![
                changed("Deployment", deployment("1.0", 2), deployment("1.1", 3)),
                changed("ConfigMap", config("info"), config("debug")),
                changed("Secret", secret("aHVudGVyMg=="), secret("b3RoZXI=")),
                (reference("v1", "Service", "new"), Some(Change::Created)),
                (reference("v1", "Service", "old"), Some(Change::Removed)),
                (
                    reference("v1", "PersistentVolumeClaim", "data"),
                    Some(Change::Kept),
                ),
                (
                    reference("acme.io/v1", "Widget", "w"),
                    Some(Change::NotPredicted(
                        "its kind is not served yet".to_owned(),
                    )),
                ),
                (reference("v1", "Service", "labels"), Some(Change::Labels)),
                (reference("v1", "Service", "same"), None),
            ],
            true,
        );
        preview.hooks.push(HookRun {
            object: reference("batch/v1", "Job", "migrate"),
            event: "pre-upgrade".to_owned(),
        });
        preview
    }

    fn shown(preview: &Preview) -> String {
        let mut out = Vec::new();
        super::preview(&mut out, preview).unwrap();
        anstream::adapter::strip_str(&String::from_utf8(out).unwrap()).to_string()
    }

    #[test]
    fn a_preview_for_people() {
        let text = shown(&preview());
        assert!(
            text.lines()
                .all(|line| line.chars().count() <= 80 || line.contains("listen")),
            "{text}"
        );
        snapbox::assert_data_eq!(
            text,
            snapbox::str![[r#"
what would change:
  ~ Deployment shop
      spec.replicas: 2 → 3
      spec.template.spec.containers[api].command[0]:
        /bin/server --listen 0.0.0.0:8080 --log-level [1.0 → 1.1] --metrics on
      spec.template.spec.containers[api].image:
        - ghcr.io/acme/shop/api:1.0
        + ghcr.io/acme/shop/api:1.1
  ~ ConfigMap shop
      data["app.yaml"]:
        - level: info
        + level: debug
  ~ Secret shop
      data.password: changes
  + Service new is created
  - Service old is removed
  = PersistentVolumeClaim data is kept: helm.sh/resource-policy says so
  ? Widget w is not predicted: its kind is not served yet
  hook Job migrate runs (pre-upgrade)
  restarts the pods of Deployment shop, because of
      spec.template.spec.containers[api].command[0]
      spec.template.spec.containers[api].image
  of 1 object only helm's own labels change
  1 object stays as it is

"#]]
        );
    }

    /// What a public log may say: which fields, not what stands in them.
    #[test]
    fn values_are_left_out_where_they_are_not_to_be_shown() {
        let mut preview = preview();
        preview.shows_values = false;
        let text = shown(&preview);
        assert!(text.contains("spec.replicas: changes"), "{text}");
        assert!(text.contains("ghcr.io/acme/shop/api:1.1"), "{text}");
        assert!(
            !text.contains("debug") && !text.contains("log-level"),
            "{text}"
        );
    }

    #[test]
    fn nothing_is_said_plainly() {
        let same = vec![(reference("v1", "Service", "same"), None)];
        assert_eq!(
            shown(&Preview::of(same, true)),
            "nothing would change: 1 object stays as it is\n"
        );
    }
}
