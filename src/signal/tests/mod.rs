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

use super::{App, DeclaredKeys, ImageKey, InvalidRequest, Signal, parse};
use crate::error::{Error, Kind};
use crate::report::terminal;

/// A signal as people write it on a command line: words at single spaces.
fn args(line: &str) -> Vec<OsString> {
    line.split(' ').map(OsString::from).collect()
}

fn no_keys(_: &App) -> DeclaredKeys {
    DeclaredKeys::Known(BTreeMap::new())
}

fn told(invalid: InvalidRequest) -> String {
    let error = Error::from(invalid);
    assert_eq!(error.kind(), Kind::Request);
    let mut written = Vec::new();
    let mut out = StripStream::new(&mut written);
    terminal::error(&mut out, &error).unwrap();
    String::from_utf8(written).unwrap()
}

fn judged(line: &str) -> Signal {
    parse(&args(line), no_keys).unwrap_or_else(|invalid| panic!("{}", told(invalid)))
}

const GOOD: &str = "--app shop --chart oci://ghcr.io/acme/charts/shop --chart-version 1.4.0 \
     --images {\"api\":\"ghcr.io/acme/shop/api:1.4.0\",\"web\":\"ghcr.io/acme/shop/web:1.4.0\"}";

/// With `DEPLOY_TEST_MESSAGES=<file>` all messages go there, to be read.
#[test]
fn each_bad_request_is_told_as_it_should_be() {
    let mut wrong = Vec::new();
    let mut all = Vec::new();
    for case in bad_requests::cases() {
        let args: Vec<OsString> = case.args().into_iter().map(OsString::from).collect();
        let Err(invalid) = parse(&args, no_keys) else {
            wrong.push(format!("{}: accepted", case.name));
            continue;
        };
        let count = invalid.violations.len();
        let message = told(invalid);
        let missing: Vec<&String> = case
            .expect
            .iter()
            .filter(|part| !message.contains(part.as_str()))
            .collect();
        if !missing.is_empty() || count != case.mistakes {
            wrong.push(format!(
                "{}: {count} mistakes of {}, without {missing:?}\n{message}",
                case.name, case.mistakes
            ));
        }
        for secret in ["hunter2", "ghp_0"] {
            assert!(!message.contains(secret), "{}: {message}", case.name);
        }
        all.push(format!("# {}\n{message}", case.name));
    }
    if let Some(file) = std::env::var_os("DEPLOY_TEST_MESSAGES") {
        std::fs::write(file, all.join("\n")).unwrap();
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
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

#[test]
fn a_good_signal_is_read_in_both_spellings_and_any_order() {
    let judged = judged(GOOD);
    assert!(!judged.dry_run);
    assert_eq!(judged.notes, Vec::<String>::new());
    let request = &judged.request;
    assert_eq!(request.app.as_str(), "shop");
    assert_eq!(request.chart.to_string(), "oci://ghcr.io/acme/charts/shop");
    assert_eq!(request.version.tag(), "1.4.0");
    let keys: Vec<&str> = request.images.keys().map(ImageKey::as_str).collect();
    assert_eq!(keys, ["api", "web"]);
    let other = "--images={\"web\":\"ghcr.io/acme/shop/web:1.4.0\",\"api\":\"ghcr.io/acme/shop/api:1.4.0\"} \
         --dry-run --chart-version=1.4.0 --chart=oci://ghcr.io/acme/charts/shop --app=shop";
    let again = super::tests::judged(other);
    assert!(again.dry_run);
    assert_eq!(again.request, judged.request);
}

#[test]
fn quiet_is_known_before_a_signal_is_judged() {
    for (line, quiet) in [
        ("--quiet", true),
        ("--app shop -q", true),
        ("--app=Shop --quiet --dry-run", true),
        ("--app shop", false),
        ("--app -q", false),
    ] {
        let args: Vec<OsString> = line.split_whitespace().map(Into::into).collect();
        assert_eq!(super::is_quiet(&args), quiet, "{line}");
    }
    assert_eq!(judged(&format!("-q {GOOD}")).request, judged(GOOD).request);
}

#[test]
fn what_is_lower_cased_is_noted_once_and_a_tag_never_is() {
    let judged = judged(
        "--app shop --chart oci://ghcr.io/ACME/Charts/Shop --chart-version 1.4.0-RC.1+B \
         --images {\"api\":\"ghcr.io/ACME/Shop/API:V1\",\"web\":\"ghcr.io/acme/web:V1\"}",
    );
    let api = &judged.request.images[&"api".parse().unwrap()];
    assert_eq!(api.to_string(), "ghcr.io/acme/shop/api:V1");
    assert_eq!(judged.request.version.tag(), "1.4.0-RC.1_B");
    assert_data_eq!(
        judged.notes.join("\n"),
        str![
            "names in a registry are lower case, so these were lower-cased: --chart oci://ghcr.io/ACME/Charts/Shop, --images api: ghcr.io/ACME/Shop/API:V1"
        ]
    );
}

#[test]
fn the_edges_of_the_grammars_are_good() {
    let digest = format!("sha256:{}", "0a".repeat(32));
    let long = format!("ghcr.io/acme/{}", "a".repeat(242));
    assert_eq!(long.len(), 255);
    for image in [
        "ghcr.io/acme/api:latest".to_owned(),
        format!("ghcr.io/acme/api@{digest}"),
        format!("ghcr.io/acme/api:1@{digest}"),
        format!("ghcr.io/octo_corp/a.b_c__d---e/f:_{}", "-".repeat(127)),
        format!("{long}:1"),
    ] {
        assert_eq!(image.parse::<super::ImageRef>().unwrap().to_string(), image);
    }
    for app in ["a", "0", "a--b", &"a".repeat(53)] {
        assert_eq!(app.parse::<App>().unwrap().as_str(), app);
    }
    for version in [
        "0.0.0",
        "1.4.0-0.a0.0a+001.b",
        "1.0.0---",
        "18446744073709551615.0.0",
    ] {
        let parsed: super::ChartVersion = version.parse().unwrap();
        assert_eq!(parsed.to_string(), version);
    }
}

fn with_images(
    images: &str,
    declared: impl FnOnce(&App) -> DeclaredKeys,
) -> Result<Signal, InvalidRequest> {
    let mut args = args(GOOD);
    args.pop();
    args.push(images.into());
    parse(&args, declared)
}

const MORE: &str =
    r#"{"api":"ghcr.io/acme/a:1","web":"ghcr.io/acme/w:1","cron":"ghcr.io/acme/c:1"}"#;
const BASE: &str = r#"{"api":"ghcr.io/acme/a:1","web":"ghcr.io/acme/w:1"}"#;

#[test]
fn a_node_may_declare_and_require_more_keys() {
    let keys = |keys: &[(&str, bool)]| {
        let keys = keys.iter().map(|(key, must)| (key.parse().unwrap(), *must));
        DeclaredKeys::Known(keys.collect())
    };
    assert!(with_images(MORE, |_| keys(&[])).is_err());
    let judged = with_images(MORE, |_| keys(&[("cron", false)])).unwrap();
    assert_eq!(judged.request.images.len(), 3);
    assert!(with_images(BASE, |_| keys(&[("cron", false)])).is_ok());
    for required in ["cron", "worker"] {
        let message = told(with_images(BASE, |_| keys(&[(required, true)])).unwrap_err());
        assert!(
            message.contains(&format!("key '{required}': missing")),
            "{message}"
        );
    }
    let slip = MORE.replace("cron", "corn");
    let message = told(with_images(&slip, |_| keys(&[("cron", true)])).unwrap_err());
    assert!(message.contains("did you mean cron?"), "{message}");
    assert!(!message.contains("missing"), "{message}");
}

#[test]
fn where_the_node_cannot_be_asked_only_what_is_certain_is_told() {
    // Its configuration is broken: the key may be declared there.
    let judged = with_images(MORE, |_| DeclaredKeys::Unreadable).unwrap();
    assert_eq!(judged.request.images.len(), 3);
    let no_key = MORE.replace("cron", "c ron");
    assert!(with_images(&no_key, |_| DeclaredKeys::Unreadable).is_err());
    let slip = BASE.replace("\"api\"", "\"Api\"");
    let message = told(with_images(&slip, |_| DeclaredKeys::Unreadable).unwrap_err());
    assert!(message.contains("did you mean api?"), "{message}");
    // The app is not known: whose keys?
    let bad_app = |images: &str| {
        let mut args = args(&GOOD.replace("--app shop", "--app Shop"));
        args.pop();
        args.push(images.into());
        let asked = |_: &App| panic!("asked for an app that has no valid name");
        parse(&args, asked).unwrap_err().violations.len()
    };
    assert_eq!(bad_app(MORE), 1);
    assert_eq!(bad_app(&MORE.replace("cron", "wroker")), 2);
}

#[test]
fn bytes_that_are_no_text_are_shown_and_refused() {
    let mut args = args(GOOD);
    args[1] = OsString::from_vec(b"sh\xffop\n".to_vec());
    args[7] = OsString::from_vec(b"\xc3\x28".to_vec());
    args.push(OsString::from_vec(b"--na\xfeme=\xff".to_vec()));
    assert_data_eq!(
        told(parse(&args, no_keys).unwrap_err()),
        str![[r#"
error: invalid request: 3 things to correct
  | --na\xfeme: not a flag of a signal
  |   expected --app, --chart, --chart-version and --images (and --dry-run to try it, --quiet for the result only)
  | --app: 'sh\xffop\n'
  |   expected the application's name: at most 53 lower-case letters, digits and '-', a letter or digit first and last
  |   → it holds bytes that are not UTF-8: is it a file's content?
  | --images: '\xc3('
  |   expected a JSON object: {"api":"<image>","web":"<image>"}, and "worker" where it has one
  |   → it holds bytes that are not UTF-8: is it a file's content?
  → nothing was run; correct these in the workflow, then send the signal again

"#]]
        .raw()
    );
}

#[test]
fn one_violation_is_the_message_and_several_are_a_block_each() {
    let one = GOOD.replace("--chart-version 1.4.0", "--chart-version v1.4.0");
    assert_data_eq!(
        told(parse(&args(&one), no_keys).unwrap_err()),
        str![[r"
error: invalid request: --chart-version: 'v1.4.0'; expected one exact SemVer 2 version, such as 1.4.0 or 1.4.0-rc.1+build.7
  → leave out the 'v': write '1.4.0'

"]]
    );
    let two = one.replace("\"web\"", "\"wbe\"");
    assert_data_eq!(
        told(parse(&args(&two), no_keys).unwrap_err()),
        str![[r"
error: invalid request: 2 things to correct
  | --chart-version: 'v1.4.0'
  |   expected one exact SemVer 2 version, such as 1.4.0 or 1.4.0-rc.1+build.7
  |   → leave out the 'v': write '1.4.0'
  | --images, key 'wbe': not a key of a signal
  |   expected one of the keys api, web, worker
  |   → did you mean web?
  → nothing was run; correct these in the workflow, then send the signal again

"]]
    );
}

#[test]
fn a_flood_of_violations_is_bounded() {
    let members: Vec<String> = (0..5000).map(|at| format!("\"k{at}\":1")).collect();
    let images = format!("{{{}}}", members.join(","));
    assert!(images.len() < super::images::MAX);
    let message = told(with_images(&images, no_keys).unwrap_err());
    assert!(message.lines().count() < 100);
    assert!(message.contains("… and "), "{message}");
    let words = vec![OsString::from("x"); 100_000];
    assert!(told(parse(&words, no_keys).unwrap_err()).len() < 1000);
}
