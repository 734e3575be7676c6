//! Mistakes in `--images` as a whole: text that is no JSON, or JSON that is no
//! object.

use super::value::{empty, placeholder};
use crate::signal::json::Value;
use crate::signal::violation::quoted;

const QUOTE_IT: &str = "put the whole of it in single quotes, or in a variable that is used in \
    double quotes: --images \"$IMAGES\"";

/// What happened to text that is no JSON: what it looks like, then where it
/// stops being JSON.
pub(in crate::signal) fn broken(text: &str, error: &serde_json::Error) -> Vec<String> {
    if text.trim().is_empty() {
        return vec![empty().to_owned()];
    }
    if let Some(hint) = looks_like(text) {
        return vec![hint];
    }
    let mut hints: Vec<String> = slip(text, error).into_iter().collect();
    hints.push(place(text, error));
    hints
}

/// What the text as a whole looks like; where it stops being JSON says nothing
/// then.
fn looks_like(text: &str) -> Option<String> {
    let trimmed = text.trim();
    if let Some(sent) = placeholder(text) {
        return Some(sent);
    }
    if text.starts_with('\u{feff}') {
        return Some("leave out the byte order mark in front".to_owned());
    }
    if trimmed.contains(['\u{201c}', '\u{201d}', '\u{2018}', '\u{2019}']) {
        return Some("JSON takes straight quotes (\"), not typographic ones".to_owned());
    }
    let bare = ['\'', '`']
        .into_iter()
        .find_map(|quote| trimmed.strip_prefix(quote)?.strip_suffix(quote));
    if bare.is_some() {
        return Some(
            "the quotes around it came along, so it was quoted twice: leave out one pair"
                .to_owned(),
        );
    }
    if trimmed.starts_with(['{', '[']) && trimmed.contains("\\\"") {
        return Some(
            "the double quotes have backslashes in front: it was escaped twice, so take the \
             backslashes out"
                .to_owned(),
        );
    }
    if trimmed.starts_with('{') && !trimmed.contains('"') {
        return Some(if trimmed.contains('\'') {
            "JSON takes double quotes inside, single ones around it: '{\"api\":\"…\"}'".to_owned()
        } else {
            format!("the shell took the double quotes out: {QUOTE_IT}")
        });
    }
    if trimmed.starts_with('{')
        && (trimmed.contains("{'") || trimmed.contains(",'") || trimmed.contains(", '"))
    {
        return Some(
            "JSON takes double quotes inside, single ones around it: '{\"api\":\"…\"}'".to_owned(),
        );
    }
    bare_word(trimmed)
}

/// Text that does not even start as JSON does.
fn bare_word(text: &str) -> Option<String> {
    let pair = |sign: char| {
        let (key, value) = text.split_once(sign)?;
        let key = key.trim_matches(['"', '\'']);
        let named = key.len() <= 63
            && key
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        (named && !key.is_empty() && !value.starts_with("//")).then_some(())
    };
    let file = std::path::Path::new(text.trim_start_matches('@'))
        .extension()
        .is_some_and(|ending| ending == "json" || ending == "yaml" || ending == "yml");
    if file {
        return Some("a file is not read: send what is in it, --images \"$(cat …)\"".to_owned());
    }
    if text == "-" {
        return Some("nothing is read from stdin: send the JSON itself".to_owned());
    }
    if text.starts_with("eyJ") {
        return Some("it looks like base64: decode it first".to_owned());
    }
    if text.starts_with("ghcr.io/") {
        return Some("name each image: {\"api\":\"<image>\",\"web\":\"<image>\"}".to_owned());
    }
    if pair('=').is_some() {
        return Some(
            "key=value is not JSON: write {\"api\":\"<image>\",\"web\":\"<image>\"}".to_owned(),
        );
    }
    if pair(':').is_some() {
        return Some(format!(
            "the shell took the braces and quotes out, or it is YAML: {QUOTE_IT}"
        ));
    }
    None
}

/// A slip inside of what is JSON up to there.
fn slip(text: &str, error: &serde_json::Error) -> Option<String> {
    let at = offset(text, error);
    let before = text[..at].trim_end();
    let behind = text[at..].trim_start();
    if error.is_eof() {
        return Some(format!(
            "its end is missing: was it cut at a space? {QUOTE_IT}"
        ));
    }
    if before.is_empty() {
        return None;
    }
    if behind.starts_with(['/', '#']) {
        return Some("JSON has no comments".to_owned());
    }
    let comma = before.ends_with(',') && behind.starts_with(['}', ']'])
        || before
            .strip_suffix(['}', ']'])
            .is_some_and(|text| text.trim_end().ends_with(','));
    if comma {
        return Some("leave out the comma behind the last image".to_owned());
    }
    let said = error.to_string();
    if said.starts_with("expected `,` or `}`") {
        return Some("a comma stands between two images, '}' behind the last".to_owned());
    }
    if said.starts_with("trailing characters") {
        return Some("more stands behind the closing '}': one object is all there is".to_owned());
    }
    if said.starts_with("key must be a string") {
        return Some("each key stands in double quotes".to_owned());
    }
    if said.starts_with("expected `:`") {
        return Some("':' stands between key and image".to_owned());
    }
    if said.starts_with("expected value") || said.starts_with("expected ident") {
        return Some("each image stands in double quotes".to_owned());
    }
    if said.starts_with("recursion limit") {
        return Some("one level is all there is: a string for each key".to_owned());
    }
    if said.starts_with("control character") {
        return Some("a line break or tab stands inside a string: leave it out".to_owned());
    }
    None
}

/// Where it stops being JSON, as people find it.
fn place(text: &str, error: &serde_json::Error) -> String {
    let at = offset(text, error);
    let start = text[..at]
        .char_indices()
        .rev()
        .nth(23)
        .map_or(0, |(at, _)| at);
    let end = text[at..]
        .char_indices()
        .nth(12)
        .map_or(text.len(), |(more, _)| at + more);
    let before = format!("{}{}", if start > 0 { "…" } else { "" }, &text[start..at]);
    let behind = format!(
        "{}{}",
        &text[at..end],
        if end < text.len() { "…" } else { "" }
    );
    let count = text[..at].chars().count() + 1;
    let seen = match (before.is_empty(), behind.is_empty()) {
        (true, _) => format!("{} comes first", quoted(&behind)),
        (false, true) => format!("nothing comes behind {}", quoted(&before)),
        (false, false) => format!("behind {} comes {}", quoted(&before), quoted(&behind)),
    };
    format!("it stops being JSON at character {count}: {seen}")
}

/// The place in bytes, on a character's boundary. `serde_json` counts columns
/// in bytes, from 1; at the end of the text it points at the last byte.
fn offset(text: &str, error: &serde_json::Error) -> usize {
    if error.is_eof() {
        return text.len();
    }
    let line = text
        .split_inclusive('\n')
        .take(error.line().saturating_sub(1))
        .map(str::len)
        .sum::<usize>();
    let at = (line + error.column().saturating_sub(1)).min(text.len());
    (0..=at)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or_default()
}

/// What to do about JSON that is no object.
pub(in crate::signal) fn object(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) if text.trim_start().starts_with('{') => Some(
            "it is JSON inside a JSON string: toJSON() was applied once too often, so take it \
             away or use fromJSON()"
                .to_owned(),
        ),
        Value::Text(_) => {
            Some("name each image: {\"api\":\"<image>\",\"web\":\"<image>\"}".to_owned())
        }
        Value::Null => Some(format!(
            "null is what toJSON() makes of nothing: {}",
            empty()
        )),
        Value::List => Some(
            "a list does not say which image is which: write \
             {\"api\":\"<image>\",\"web\":\"<image>\"}"
                .to_owned(),
        ),
        Value::Other(_) | Value::Object(_) => None,
    }
}
