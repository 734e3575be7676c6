//! Mistakes that any value can have: they happen in the workflow or the shell
//! before the value is one.

use crate::signal::violation::quoted;

/// What happened to a value on its way, where it shows. `fits` says whether a
/// text would be a good value.
pub(in crate::signal) fn value(text: &str, fits: impl Fn(&str) -> bool) -> Option<String> {
    if text.trim().is_empty() {
        return Some(empty().to_owned());
    }
    if let Some(sent) = placeholder(text) {
        return Some(sent);
    }
    let trimmed = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    if trimmed != text {
        let what = if text.contains(['\n', '\r']) {
            "line break"
        } else {
            "space"
        };
        let at = if text.starts_with(trimmed.chars().next()?) {
            "at the end"
        } else {
            "in front"
        };
        let write = if fits(trimmed) {
            format!(": write {}", quoted(trimmed))
        } else {
            String::new()
        };
        return Some(format!("leave out the {what} {at}{write}"));
    }
    let bare = ['\'', '"', '`']
        .into_iter()
        .find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote));
    if let Some(bare) = bare.filter(|bare| fits(bare)) {
        return Some(format!(
            "the quotes came along as a part of the value, so it was quoted twice: write {}",
            quoted(bare)
        ));
    }
    if text.contains(['\n', '\r']) {
        return Some("it has a line break in it: one value is one line".to_owned());
    }
    None
}

/// Why nothing may have come.
pub(super) const fn empty() -> &'static str {
    "is the variable or output set? A job's output is empty where the job was skipped, where its \
     name is misspelt, and where GitHub masked it because it holds a secret's text"
}

/// A variable, expression or placeholder that nothing was put in for.
pub(super) fn placeholder(text: &str) -> Option<String> {
    if text.contains("${{") {
        return Some(
            "the expression was not evaluated: GitHub does that in a workflow file, not in a \
             script that the workflow calls; pass it through env:"
                .to_owned(),
        );
    }
    let variable = text.find('$').map(|at| &text[at + 1..]);
    let starts = |rest: &str| {
        rest.starts_with(|c: char| c == '{' || c == '(' || c == '_' || c.is_ascii_alphabetic())
    };
    if variable.is_some_and(starts) {
        return Some(
            "the shell did not put the variable in: that takes double quotes, not single ones"
                .to_owned(),
        );
    }
    let angle = text.find('<').is_some_and(|at| text[at..].contains('>'));
    angle.then(|| "put your own in place of what stands in < and >".to_owned())
}
