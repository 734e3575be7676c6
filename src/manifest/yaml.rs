//! YAML as Helm reads it (`sigs.k8s.io/yaml` over yaml.v2: YAML 1.1 booleans,
//! legacy octals, the last of two equal keys counts), bounded.
//!
//! Nothing else here may parse YAML: the budget against alias bombs and deep
//! nesting stands in one place.

use serde_json::Value;
use serde_saphyr::options::{DuplicateKeyPolicy, NonFiniteFloatPolicy};

use crate::text;

/// The most bytes of one stream: Helm keeps a release in a Secret of at most
/// 1 MiB compressed, and reads chart files of at most 5 MiB each.
pub(crate) const MAX_BYTES: usize = 16 << 20;

/// The most comments in one run: some charts document every value, a line each.
const MAX_COMMENTS: usize = 1 << 20;

/// The first document of `input`; null where there is none. The error is one
/// line, made safe to show.
pub(crate) fn parse(input: &str) -> Result<Value, String> {
    if input.len() > MAX_BYTES {
        return Err(format!("more than {} MiB of YAML", MAX_BYTES >> 20));
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_aliases: 10_000,
            max_depth: 128,
            // One anchor for hundreds of aliases is how charts share defaults;
            // a bomb is told by what its aliases replay.
            enforce_alias_anchor_ratio: false,
            max_buffered_comment_events: MAX_COMMENTS,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 200_000,
            max_alias_expansions_per_anchor: 10_000,
        },
        duplicate_keys: DuplicateKeyPolicy::LastWins,
        legacy_octal_numbers: true,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        with_snippet: false,
    };
    serde_saphyr::from_multiple_with_options::<Value>(input, options)
        .map(|documents| documents.into_iter().next().unwrap_or(Value::Null))
        .map_err(|error| text::line(&error.to_string(), 300).into_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fmt::Write as _;

    use serde_json::json;

    use super::parse;

    #[test]
    fn values_are_read_as_helm_reads_them() {
        for (text, value) in [
            ("", json!(null)),
            ("# only a comment\n", json!(null)),
            (
                "a: yes\nb: off\nc: 'yes'",
                json!({"a": true, "b": false, "c": "yes"}),
            ),
            ("a: 1.10", json!({"a": 1.1})),
            ("a: 0644", json!({"a": 420})),
            ("a: 18446744073709551615", json!({"a": u64::MAX})),
            ("a: 99999999999999999999999", json!({"a": 1e23})),
            ("a: 1\na: 2", json!({"a": 2})),
            ("a: &x {b: 1}\nc: *x", json!({"a": {"b": 1}, "c": {"b": 1}})),
            (
                "a: &x {b: 1}\nc: {<<: *x, d: 2}",
                json!({"a": {"b": 1}, "c": {"b": 1, "d": 2}}),
            ),
            ("a: .inf", json!({"a": ".inf"})),
            ("---\na: 1\n---\nb: 2\n", json!({"a": 1})),
            ("a:\n  b:\n", json!({"a": {"b": null}})),
            ("1: a", json!({"1": "a"})),
            ("a: 2020-01-01", json!({"a": "2020-01-01"})),
        ] {
            assert_eq!(parse(text).unwrap(), value, "{text}");
        }
    }

    /// Case C9: true bombs are refused all the same.
    #[test]
    fn comments_and_aliases_are_as_many_as_charts_have() {
        let mut text = String::from("base: &base {a: 1, b: [1, 2]}\n");
        for at in 0..400 {
            let _ = writeln!(text, "c{at}: *base\nd{at}: {{<<: *base, at: {at}}}");
        }
        for at in 0..5_000 {
            let _ = writeln!(text, "# a comment\n# and one more");
            if at % 100 == 0 {
                let _ = writeln!(text, "e{at}: # behind it\n  # before it\n  f: {at}");
            }
        }
        text.push_str("last: 1\n");
        let value = parse(&text).unwrap();
        assert_eq!(value["d399"], json!({"a": 1, "b": [1, 2], "at": 399}));
        assert_eq!(value["e4900"], json!({"f": 4900}));
        assert_eq!(value["last"], json!(1));
    }

    #[test]
    fn hostile_yaml_ends_in_an_error() {
        let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for level in 1..12 {
            let below = format!("*a{},", level - 1).repeat(10);
            let _ = writeln!(bomb, "a{level}: &a{level} [{below}]");
        }
        for text in [
            bomb,
            "[".repeat(100_000),
            "a: [".into(),
            "x".repeat(super::MAX_BYTES + 1),
        ] {
            parse(&text).unwrap_err();
        }
    }
}
