//! Properties of the contract: what is accepted is accepted by the grammars
//! of those who get it next, written down here a second time, as they write
//! them; and no input does harm.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::sync::LazyLock;

use proptest::prelude::*;
use regex::Regex;

use super::no_keys;
use crate::error::Error;
use crate::signal::{App, ChartRef, ChartVersion, DeclaredKeys, GrammarError, ImageRef, parse};

/// Helm's `pkg/chart/v2/util/validate_name.go`.
static RELEASE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$").unwrap()
});

/// Kubernetes' RFC 1123 label (`apimachinery/pkg/util/validation`): the app is
/// a namespace too.
static LABEL: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$").unwrap());

/// containerd's: github.com/distribution/reference, `regexp.go`.
static REFERENCE: LazyLock<Regex> = LazyLock::new(|| {
    const HOST: &str = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
    const PART: &str = r"[a-z0-9]+(?:(?:[._]|__|[-]+)[a-z0-9]+)*";
    const TAG: &str = r"[0-9A-Za-z_][0-9A-Za-z_.-]{0,127}";
    const DIGEST: &str = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*[:][[:xdigit:]]{32,}";
    Regex::new(&format!(
        r"^((?:{HOST}(?:\.{HOST})*(?::[0-9]+)?/)?{PART}(?:/{PART})*)(?::({TAG}))?(?:@({DIGEST}))?$"
    ))
    .unwrap()
});

/// semver.org's own.
static SEMVER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r"^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)",
        r"(?:-((?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)",
        r"(?:\.(?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*))*))?",
        r"(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?$"
    ))
    .unwrap()
});

fn comes_back<T>(text: &str) -> Option<T>
where
    T: std::str::FromStr<Err = GrammarError> + std::fmt::Display + PartialEq + std::fmt::Debug,
{
    let value: T = text.parse().ok()?;
    assert_eq!(value.to_string().parse::<T>().unwrap(), value, "{text}");
    Some(value)
}

fn app_holds(text: &str) {
    let expected = text.len() <= 53 && LABEL.is_match(text) && !text.ends_with('\n');
    assert_eq!(comes_back::<App>(text).is_some(), expected, "{text:?}");
    assert!(!expected || RELEASE.is_match(text), "{text:?}");
}

fn chart_holds(text: &str) {
    let Some(chart) = comes_back::<ChartRef>(text) else {
        return;
    };
    let name = format!("ghcr.io/{}", chart.repository());
    assert!(name.len() <= 255 && REFERENCE.is_match(&name), "{text:?}");
    assert_eq!(text.to_ascii_lowercase(), chart.to_string());
}

fn version_holds(text: &str) {
    let version = comes_back::<ChartVersion>(text);
    // Helm and the semver crate both hold the three numbers in 64 bits.
    let core = text.split(['-', '+']).next().unwrap_or_default();
    let small = core.split('.').all(|part| part.parse::<u64>().is_ok());
    let expected = SEMVER.is_match(text) && small && text.len() <= 128;
    assert_eq!(version.is_some(), expected, "{text:?}");
    if let Some(version) = version {
        let tagged = format!("ghcr.io/acme/charts/shop:{}", version.tag());
        assert!(REFERENCE.is_match(&tagged), "{tagged}");
    }
}

fn image_holds(text: &str) {
    let Some(image) = comes_back::<ImageRef>(text) else {
        return;
    };
    let shown = image.to_string();
    let parts = REFERENCE.captures(&shown).unwrap();
    assert_eq!(&parts[1], image.name());
    assert!(image.name().len() <= 255);
    let part = |at: usize| parts.get(at).map(|part| part.as_str());
    assert_eq!(part(2), image.tag().map(super::super::Tag::as_str));
    assert_eq!(part(3), image.digest().map(super::super::Digest::as_str));
    assert!(part(2).is_some() || part(3).is_some());
    assert!(text.eq_ignore_ascii_case(&shown));
}

/// Judges and shows; whatever comes back must be fit to be shown.
fn does_no_harm(args: &[OsString]) {
    for declared in [DeclaredKeys::Unreadable, no_keys(&"a".parse().unwrap())] {
        let Err(invalid) = parse(args, |_| declared) else {
            continue;
        };
        assert!(!invalid.violations.is_empty());
        let error = Error::from(invalid);
        let mut lines = vec![error.to_string()];
        lines.extend(error.evidence());
        lines.extend(error.hints().iter().cloned());
        assert!(lines.len() < 200);
        for line in lines {
            assert!(!line.chars().any(char::is_control), "{line:?}");
            assert!(line.chars().count() < 2100, "{line:?}");
        }
    }
}

/// Text that nearly is what it should be: its pieces, in any order.
fn pieces(of: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(of), 0..9).prop_map(|pieces| pieces.concat())
}

const REF: &[&str] = &[
    "oci://",
    "https://",
    "ghcr.io",
    "GHCR.io",
    "docker.io",
    "/",
    "//",
    "charts",
    "acme",
    "ACME",
    "shop",
    "a_b",
    ".",
    "_",
    "-",
    "--",
    ":",
    "@",
    "1.4.0",
    "sha256:",
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "é",
    " ",
    "\n",
    "$TAG",
];
const VERSION: &[&str] = &[
    "v",
    "0",
    "1",
    "01",
    "10",
    "4",
    ".",
    ".",
    ".",
    "-",
    "+",
    "_",
    "rc",
    "a0",
    "x",
    "*",
    "^",
    " ",
    "18446744073709551616",
    "latest",
    "é",
    "/",
];
const JSON: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "'",
    "\"api\"",
    "\"web\"",
    "\"worker\"",
    "\"Api\"",
    "\"ghcr.io/acme/api:1\"",
    "null",
    "1e999",
    "-1",
    "true",
    "\\",
    "\\ud800",
    "\u{feff}",
    "“",
    "é",
    " ",
    "\n",
    "api:ghcr.io/a/b:1",
    "//",
    "$X",
];
const ARGS: &[&str] = &[
    "--app",
    "--chart",
    "--chart-version",
    "--images",
    "--dry-run",
    "--app=",
    "--chart=x",
    "--images={}",
    "--version",
    "-n",
    "--",
    "-",
    "",
    "shop",
    "oci://ghcr.io/acme/charts/shop",
    "1.4.0",
    "{\"api\":\"ghcr.io/acme/a:1\",\"web\":\"ghcr.io/acme/w:1\"}",
    "{api:",
    "—app",
    "app=x",
    "a@b",
    "x://y@z.w",
    "ghp_12345",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn names(text in "[a-zA-Z0-9._ -]{0,60}|[a-z0-9-]{0,56}|\\PC{0,60}") {
        app_holds(&text);
    }

    #[test]
    fn charts(
        text in pieces(REF),
        path in "[a-zA-Z0-9-]{1,41}/[cC]harts/[a-zA-Z0-9._-]{1,30}",
    ) {
        chart_holds(&text);
        chart_holds(&format!("oci://ghcr.io/{path}"));
    }

    #[test]
    fn versions(
        text in pieces(VERSION),
        near in "[0-9]{1,3}\\.[0-9]{1,2}\\.[0-9]{1,2}(-[0-9a-z.-]{0,9})?(\\+[0-9a-z.-]{0,9})?",
    ) {
        version_holds(&text);
        version_holds(&near);
    }

    #[test]
    fn images(
        text in pieces(REF),
        near in "[a-zA-Z0-9-]{1,12}(/[a-zA-Z0-9._-]{1,9}){1,3}(:[a-zA-Z0-9._-]{0,9})?(@sha256:[0-9a-f]{64})?",
    ) {
        image_holds(&text);
        image_holds(&format!("ghcr.io/{near}"));
    }

    #[test]
    fn arguments_of_any_bytes(
        args in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..8),
    ) {
        let args: Vec<OsString> = args.into_iter().map(OsString::from_vec).collect();
        does_no_harm(&args);
    }

    #[test]
    fn arguments_of_the_right_kind(
        args in prop::collection::vec(prop::sample::select(ARGS), 0..12),
    ) {
        let args: Vec<OsString> = args.into_iter().map(OsString::from).collect();
        does_no_harm(&args);
    }

    #[test]
    fn values_of_the_right_kind(
        app in "\\PC{0,9}",
        chart in pieces(REF),
        version in pieces(VERSION),
        api in pieces(REF),
        json in pieces(JSON),
        any in any::<String>(),
    ) {
        let object = serde_json::json!({ "api": api, any.as_str(): any, "web": null }).to_string();
        for images in [object, json, any] {
            let args = [
                "--app", &app, "--chart", &chart, "--chart-version", &version, "--images", &images,
            ];
            does_no_harm(&args.map(OsString::from));
        }
    }
}

#[test]
fn the_grammars_agree_on_known_edges() {
    for text in ["", "a\n", "a.b", "-", "a-", &"a".repeat(54), "xn--a", "0"] {
        app_holds(text);
    }
    for text in [
        "1.0.0-0123",
        "1.0.0-01a",
        "01.0.0",
        "1.0.0+01",
        "1.0.0-",
        "1.0.0\n",
        "1.0",
    ] {
        version_holds(text);
    }
}
