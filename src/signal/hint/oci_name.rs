//! Mistakes that the names of charts and of images share.

use crate::signal::image::is_component;
use crate::signal::violation::quoted;

/// What is wrong with one component of an OCI name; fits behind its name.
pub(super) fn component(text: &str) -> Result<(), String> {
    let lower = text.to_ascii_lowercase();
    if is_component(&lower) {
        return Ok(());
    }
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let separator = |c: char| matches!(c, '.' | '_' | '-');
    Err(
        if let Some(odd) = lower.chars().find(|c| !word(*c) && !separator(*c)) {
            format!("has {} in it", quoted(&odd.to_string()))
        } else if lower.starts_with(separator) || lower.ends_with(separator) {
            "has no letter or digit first and last".to_owned()
        } else {
            "has separators side by side: '.', '_', '__' or hyphens stand between letters"
                .to_owned()
        },
    )
}

/// Takes `user:password@` off the front of a reference.
pub(super) fn without_user<'a>(text: &'a str, causes: &mut Vec<String>) -> &'a str {
    let host = text.find('/').unwrap_or(0);
    let Some(at) = text[..host].rfind('@') else {
        return text;
    };
    causes.push("leave out the user before '@': the node has credentials of its own".to_owned());
    &text[at + 1..]
}
