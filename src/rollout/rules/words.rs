//! How the words of the kubelet, the runtime and the controllers are read.

use std::collections::BTreeSet;

use crate::rollout::model::{ContainerStatus, State};

/// A waiting container's reason and message.
pub(super) fn waiting(container: &ContainerStatus) -> Option<(&str, &str)> {
    match &container.state {
        State::Waiting { reason, message } => Some((reason, message)),
        _ => None,
    }
}

/// Whether the text, which is lower case, contains any of these.
pub(super) fn any(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| text.contains(word))
}

/// What stands in quotes behind a word: `secret "login" not found`.
pub(super) fn quoted_after<'t>(text: &'t str, word: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(word)?;
    let (name, _) = rest.strip_prefix('"')?.split_once('"')?;
    (!name.is_empty()).then_some(name)
}

/// The words of a text, lower case and without punctuation.
pub(super) fn words(text: &str) -> BTreeSet<String> {
    text.split_whitespace()
        .map(|word| {
            word.trim_matches(|character: char| !character.is_alphanumeric())
                .to_lowercase()
        })
        .collect()
}
