//! What is wrong with `--app`.

use crate::signal::name::{App, is_label};
use crate::signal::violation::quoted;

/// What to write in place of what is no name.
pub(crate) fn app(text: &str) -> Option<String> {
    if is_label(text) {
        return Some(format!(
            "it has {} characters; Helm takes 53 for a release's name",
            text.len()
        ));
    }
    // github.repository is owner/name, and an image's path ends in a name.
    let last = text.rsplit('/').next().unwrap_or(text);
    let last = last.split([':', '@']).next().unwrap_or(last);
    let near = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ');
    let odd = last.chars().find(|c| !near(*c));
    if let Some(odd) = odd.or_else(|| last.is_empty().then_some(':')) {
        return Some(format!("it has {} in it", quoted(&odd.to_string())));
    }
    let name = last.to_ascii_lowercase().replace(['_', '.', ' '], "-");
    let name: App = name.trim_matches('-').parse().ok()?;
    Some(format!("write {}", quoted(name.as_str())))
}
