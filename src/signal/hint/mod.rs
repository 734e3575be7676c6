//! What people get wrong, and what they meant.
//!
//! Functions from a value that its grammar refused to a hint that is safe to
//! show, or to nothing: a hint that does not fit is worse than none. They run
//! only on bad values, so they may look closely; no grammar lives here.

mod chart;
mod flag;
mod image;
mod json;
mod value;
mod version;

pub(super) use chart::chart;
pub(super) use flag::{flag, positional};
pub(super) use image::image;
pub(super) use json::{broken as json, object};
pub(super) use value::value;
pub(super) use version::version;

use super::violation::quoted;

/// The candidate that was most likely meant by `word`: the nearest one, at
/// most two slips away and fewer than it has letters.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    if word.len() > 80 {
        return None;
    }
    let plain = |text: &str| text.to_lowercase().replace(['-', '_', ' '], "");
    let word = plain(word);
    candidates
        .into_iter()
        .map(|candidate| (strsim::osa_distance(&word, &plain(candidate)), candidate))
        .filter(|(slips, candidate)| *slips <= 2 && slips * 2 < candidate.len().max(word.len()))
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, candidate)| candidate)
}

/// What is wrong with one component of an OCI name; fits behind its name.
fn component(text: &str) -> Result<(), String> {
    let lower = text.to_ascii_lowercase();
    if super::image::is_component(&lower) {
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
fn without_user<'a>(text: &'a str, causes: &mut Vec<String>) -> &'a str {
    let host = text.find('/').unwrap_or(0);
    let Some(at) = text[..host].rfind('@') else {
        return text;
    };
    causes.push("leave out the user before '@': the node has credentials of its own".to_owned());
    &text[at + 1..]
}
