//! The patterns that helm's words are read with.

use regex::Regex;

/// A literal pattern. One that does not compile is a bug in `deploy`, and must
/// not silently match nothing: the tests compile each.
pub(super) fn pattern(literal: &str) -> Regex {
    Regex::new(literal).unwrap_or_else(|error| unreachable!("{error}"))
}
