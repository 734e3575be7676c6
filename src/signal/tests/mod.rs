//! The contract, against the table of bad requests and against good ones.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod properties;

#[allow(missing_docs, unreachable_pub, clippy::pedantic)]
#[path = "../../../tests/data/bad_requests.rs"]
pub(crate) mod bad_requests;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use anstream::StripStream;
use snapbox::{IntoData as _, assert_data_eq, str};

use super::{App, Declared, ImageKey, Invalid, Judged, judge};
use crate::error::{Error, Kind};
use crate::report::terminal;

/// A signal as people write it on a command line: words at single spaces.
fn args(line: &str) -> Vec<OsString> {
    line.split(' ').map(OsString::from).collect()
}

fn no_keys(_: &App) -> Declared {
    Declared::Keys(BTreeMap::new())
}

fn told(invalid: Invalid) -> String {
    let mut written = Vec::new();
    let mut out = StripStream::new(&mut written);
    terminal::error(&mut out, &Error::from(invalid)).unwrap();
    String::from_utf8(written).unwrap()
}

fn judged(line: &str) -> Judged {
    judge(&args(line), no_keys).unwrap_or_else(|invalid| panic!("{}", told(invalid)))
}

const GOOD: &str = "--app shop --chart oci://ghcr.io/acme/charts/shop --chart-version 1.4.0 \
     --images {\"api\":\"ghcr.io/acme/shop/api:1.4.0\",\"web\":\"ghcr.io/acme/shop/web:1.4.0\"}";

#[test]
fn each_bad_request_is_told_as_it_should_be() {
    let cases = bad_requests::cases();
    let mut wrong = String::new();
    let mut all = String::new();
    for case in &cases {
        let args: Vec<OsString> = case.args().into_iter().map(OsString::from).collect();
        let Err(invalid) = judge(&args, no_keys) else {
            wrong.push_str(&format!("{}: accepted\n", case.name));
            continue;
        };
        let count = invalid.violations.len();
        assert_eq!(Error::from(invalid.clone()).kind(), Kind::Request);
        let message = told(invalid);
        let missing: Vec<&String> = case
            .expect
            .iter()
            .filter(|part| !message.contains(part.as_str()))
            .collect();
        if !missing.is_empty() || count != case.mistakes {
            wrong.push_str(&format!(
                "{}: {count} mistakes of {}, without {missing:?}\n{message}\n",
                case.name, case.mistakes
            ));
        }
        for secret in ["hunter2", "ghp_0"] {
            assert!(!message.contains(secret), "{}: {message}", case.name);
        }
        all.push_str(&format!("# {}\n{message}\n", case.name));
    }
    if let Some(file) = std::env::var_os("DEPLOY_TEST_MESSAGES") {
        std::fs::write(file, all).unwrap();
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn the_bad_requests_are_distinct_and_many() {
    let cases = bad_requests::cases();
    let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    let requests: BTreeSet<Vec<String>> = cases.iter().map(bad_requests::Case::args).collect();
    assert_eq!(names.len(), cases.len());
    assert_eq!(requests.len(), cases.len());
    assert!(cases.len() >= 200, "{}", cases.len());
}
