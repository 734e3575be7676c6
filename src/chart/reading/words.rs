//! The usual words for a component: what tells an api from a web where the
//! chart does not say it in the contract's own words.

use crate::signal::ImageKey;

const API: &[&str] = &["api", "apis", "restapi", "apiserver", "backend", "server"];
const WEB: &[&str] = &[
    "web",
    "webapp",
    "webui",
    "frontend",
    "ui",
    "gui",
    "client",
    "dashboard",
];
const WORKER: &[&str] = &["worker", "workers", "jobs", "queue", "celery"];

/// The words of a name: `vue-web`, `frontendImage`, `shop_api` cut apart, in
/// lower case.
pub(super) fn of(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut lower_before = false;
    for one in name.chars() {
        let begins = one.is_ascii_uppercase() && lower_before;
        if !one.is_ascii_alphanumeric() || begins {
            words.push(String::new());
        }
        if one.is_ascii_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.push(one.to_ascii_lowercase());
        }
        lower_before = one.is_ascii_lowercase() || one.is_ascii_digit();
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Whether `word` is one of `key`'s.
fn is_of(word: &str, key: &ImageKey) -> bool {
    let known = match key.as_str() {
        "api" => API,
        "web" => WEB,
        "worker" => WORKER,
        other => return word == other,
    };
    known.contains(&word)
}

/// What every component is: it says something only where no other word does
/// (`web-server`).
const WEAK: &str = "server";

/// The key that the words speak of: none where they speak of none, or of two.
pub(super) fn key<'k>(words: &[String], keys: &[&'k ImageKey]) -> Option<&'k ImageKey> {
    match found(words, keys, false) {
        (_, true) => None,
        (Some(key), false) => Some(key),
        (None, false) => found(words, keys, true).0,
    }
}

/// The same by words that say something in any place.
pub(super) fn strong_key<'k>(words: &[String], keys: &[&'k ImageKey]) -> Option<&'k ImageKey> {
    match found(words, keys, false) {
        (key, false) => key,
        (_, true) => None,
    }
}

/// The first key that they speak of, and whether there is another.
fn found<'k>(words: &[String], keys: &[&'k ImageKey], weak: bool) -> (Option<&'k ImageKey>, bool) {
    let mut found = keys.iter().copied().filter(|key| {
        let mut words = words.iter().filter(|word| weak || *word != WEAK);
        words.any(|word| is_of(word, key))
    });
    let first = found.next();
    (first, found.next().is_some())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{key, of};
    use crate::signal::ImageKey;

    #[test]
    fn words_are_cut_apart_and_known() {
        assert_eq!(of("vue-web"), ["vue", "web"]);
        assert_eq!(of("frontendImage"), ["frontend", "image"]);
        assert_eq!(of("shop_api2"), ["shop", "api2"]);
        let keys: Vec<ImageKey> = ["api", "web", "worker", "cron"]
            .iter()
            .map(|key| key.parse().unwrap())
            .collect();
        let keys: Vec<&ImageKey> = keys.iter().collect();
        for (name, expected) in [
            ("backend", Some("api")),
            ("uiImage", Some("web")),
            ("celery-beat", Some("worker")),
            ("web-server", Some("web")),
            ("api-web", None),
            ("server", Some("api")),
            ("webhook", None),
            ("cron", Some("cron")),
            ("proxy", None),
        ] {
            assert_eq!(
                key(&of(name), &keys).map(ImageKey::as_str),
                expected,
                "{name}"
            );
        }
    }
}
