//! The line of a mistake in deploy.toml, with a mark under it.
//!
//! Pure. Of a value that may be a secret nothing is shown: whole lines are shown
//! of keys whose values are none, by where they stand and what they are called,
//! and of every other line at most its key.

use unicode_width::UnicodeWidthStr as _;

use super::keys::KEYS;
use super::reader;
use crate::text;

/// The widest line that is shown, in columns.
const WIDEST: usize = 160;

/// In place of what is not shown.
const HIDDEN: &str = " …";

/// The line and the mark, a line each; nothing where none of it can be shown.
pub(super) fn of(document: &str, at: usize) -> Vec<String> {
    let (number, _) = reader::position(document, at);
    let Some(line) = document.split('\n').nth(number - 1) else {
        return Vec::new();
    };
    let start = document
        .split('\n')
        .take(number - 1)
        .map(|line| line.len() + 1)
        .sum();
    let column = at.saturating_sub(start).min(line.len());
    let line = line.strip_suffix('\r').unwrap_or(line);
    let Some(shown) = shown(document, number, line) else {
        return Vec::new();
    };
    let column = floor(shown, column);
    let before = text::line(&shown[..column], text::LINE);
    let rest = text::line(&shown[column..], text::LINE);
    let hidden = if shown.len() < line.len() { HIDDEN } else { "" };
    let marked = mark(&shown[column..]).max(1);
    if before.width() + rest.width() > WIDEST {
        return Vec::new();
    }
    let number = number.to_string();
    vec![
        format!("{number} | {before}{rest}{hidden}"),
        format!(
            "{} | {}{}",
            " ".repeat(number.len()),
            " ".repeat(before.width()),
            "^".repeat(marked)
        ),
    ]
}

/// The last place up to `column` where the text can be cut.
fn floor(text: &str, column: usize) -> usize {
    let mut column = column.min(text.len());
    while !text.is_char_boundary(column) {
        column -= 1;
    }
    column
}

/// How wide the word is that begins here: a key, a text in quotes, or a character.
fn mark(rest: &str) -> usize {
    let mut characters = rest.chars();
    match characters.next() {
        Some(quote @ ('"' | '\'')) => match rest[1..].find(quote) {
            Some(end) => rest[..end + 2].width(),
            None => 1,
        },
        Some(first) if is_bare(first) => {
            let end = rest.find(|c| !is_bare(c)).unwrap_or(rest.len());
            rest[..end].width()
        }
        _ => 1,
    }
}

fn is_bare(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '-')
}

/// What can be shown of a line: all of it, its key, or nothing.
fn shown<'a>(document: &str, number: usize, line: &'a str) -> Option<&'a str> {
    // In a text of several lines no line says what it belongs to.
    if document.contains("\"\"\"") || document.contains("'''") {
        return None;
    }
    if is_header(line) {
        return Some(line);
    }
    let equals = line.find('=')?;
    let key = line[..equals].trim();
    let names = |character: char| is_bare(character) || matches!(character, '.' | ' ');
    if !key.chars().all(names) {
        return None;
    }
    let above = document.split('\n').take(number - 1);
    let header = above
        .filter(|line| line.trim_start().starts_with('['))
        .last();
    let whole = header.is_some_and(is_of_settings) && is_no_secret(key);
    Some(if whole { line } else { &line[..=equals] })
}

/// A table's header, whose parts are bare: anything else may be an entry of a list.
fn is_header(line: &str) -> bool {
    let inside = line.trim().strip_prefix('[');
    let inside = inside.map(|inside| inside.strip_suffix(']').unwrap_or(inside));
    inside.is_some_and(|name| {
        !name.is_empty() && name.chars().all(|c| is_bare(c) || matches!(c, '.' | ' '))
    })
}

/// `[defaults]` or `[apps.<app>]`.
fn is_of_settings(header: &str) -> bool {
    let name = header.trim().trim_start_matches('[').trim_end_matches(']');
    match name.split('.').map(str::trim).collect::<Vec<_>>()[..] {
        ["defaults"] => true,
        ["apps", _] => is_header(header),
        _ => false,
    }
}

/// A key whose value is no secret. An address of a controller may hold one, and an
/// unknown key may be a variable that was put into the wrong table.
fn is_no_secret(key: &str) -> bool {
    let first = |name: &str| name.split('.').next().unwrap_or_default().trim().to_owned();
    let key = first(key);
    key != "forward" && KEYS.iter().any(|known| first(known.name) == key)
}

#[cfg(test)]
mod tests {
    use super::of;

    fn at(document: &str, mistake: &str) -> String {
        of(document, document.find(mistake).unwrap_or_default()).join("\n")
    }

    #[test]
    fn a_line_is_shown_with_a_mark_under_the_mistake() {
        for (document, mistake, expected) in [
            (
                "[defaults]\ntimeout = \"ten\"\n",
                "\"ten\"",
                "2 | timeout = \"ten\"\n  |           ^^^^^",
            ),
            (
                "[defaults]\r\ntimeout = 10\r\n",
                "10",
                "2 | timeout = 10\n  |           ^^",
            ),
            ("[aps.shop]\n", "aps", "1 | [aps.shop]\n  |  ^^^"),
            (
                "[apps.shop]\nvalues = [\"é\", 7]",
                "7",
                "2 | values = [\"é\", 7]\n  |                ^",
            ),
            (
                "[apps.shop]\nimages.api = 1",
                "1",
                "2 | images.api = 1\n  |              ^",
            ),
        ] {
            assert_eq!(at(document, mistake), expected, "{document}");
        }
    }

    /// What may be a secret is left out, wherever it was put.
    #[test]
    fn what_may_be_a_secret_is_not_shown() {
        let unknown = "2 | tiemout = …\n  | ^^^^^^^";
        assert_eq!(at("[defaults]\ntiemout = 's3cret'", "tiemout"), unknown);
        for document in [
            "[env]\nP = s3cret",
            "[ env ]\nP = s3cret",
            "[env\nP = s3cret",
            "[evn]\nP = s3cret",
            "env.P = s3cret",
            "env = { P = s3cret }",
            "[env]\nP = [\n  s3cret\n]",
            "[env]\nP = [\n  [\"s3cret\"]\n]",
            "[env]\nP = \"\"\"\n[defaults]\ntimeout = s3cret\"\"\"",
            "[defaults]\nforward = { url = \"https://u:s3cret@h\" }",
            "[defaults]\nforward.token = s3cret",
            "[defaults.forward]\ntoken = s3cret",
            "[defaults]\nHTTPS_PROXY = s3cret",
            "[defaults]\n\"s3cret\" = 1",
            "[apps.\"s3cret\"]\ntimeout = 1",
            "[apps.shop.forward]\ntoken = \"s3cret\"",
        ] {
            for at in 0..=document.len() {
                let shown = of(document, at).join("\n");
                assert!(!shown.contains("s3c"), "{document} at {at}: {shown}");
            }
        }
    }
}
