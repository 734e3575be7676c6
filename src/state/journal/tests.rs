#![allow(clippy::unwrap_used)]

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt;

use proptest::prelude::*;

use super::{Entry, RecordedPhase, RecordedRequest, append, file, read};
use crate::error::{Exit, Kind};
use crate::event::Phase;
use crate::host::{Accounts, Environment};
use crate::run::{RunId, Who, now};

pub(crate) fn entry(app: &str, exit: Exit) -> Entry {
    let at = "2026-11-24T17:51:06.123Z".parse().unwrap();
    Entry {
        run: RunId::new(at),
        at,
        took_ms: 4_321,
        who: Who {
            user: "runner".into(),
            uid: 1001,
            ..Who::default()
        },
        request: RecordedRequest {
            app: app.into(),
            chart: "oci://ghcr.io/acme/charts/shop".into(),
            version: "1.2.3".into(),
            images: [("api".to_owned(), "ghcr.io/acme/api:1".to_owned())].into(),
        },
        release: Some(app.into()),
        namespace: Some("prod".into()),
        chart_digest: None,
        digests: std::collections::BTreeMap::new(),
        proven: super::RecordedOrigins::default(),
        running: std::collections::BTreeMap::new(),
        layout: Vec::new(),
        phases: vec![RecordedPhase {
            phase: Phase::Preflight.name().to_owned(),
            ms: 210,
        }],
        before: Some(6),
        revision: Some(7),
        targets: Vec::new(),
        forward: None,
        operation: None,
        reason: None,
        dry_run: false,
        outcome: exit.outcome().into(),
        exit: exit.code(),
        cause: None,
    }
}

#[test]
fn lines_are_appended_and_read_newest_first() {
    let state = tempfile::tempdir().unwrap();
    let below = state.path().join("made/by/us");
    assert_eq!(read(&below, 9, |_| true).unwrap(), []);
    let (first, second) = (
        entry("shop", Exit::Deployed),
        entry("other", Exit::Failed(Kind::Broken)).with_cause("a\n::error::b"),
    );
    append(&below, &first).unwrap();
    append(&below, &second).unwrap();
    assert_eq!(second.cause.as_deref(), Some("a\\n::error::b"));
    assert_eq!(read(&below, 9, |_| true).unwrap(), [second, first.clone()]);
    assert_eq!(
        read(&below, 9, |entry| entry.request.app == "shop").unwrap(),
        [first]
    );
    assert_eq!(read(&below, 1, |_| true).unwrap()[0].request.app, "other");
    assert_eq!(file(&below).metadata().unwrap().mode() & 0o777, 0o600);
    assert_eq!(fs::read_to_string(file(&below)).unwrap().lines().count(), 2);
}

#[test]
fn a_torn_line_costs_only_itself() {
    let state = tempfile::tempdir().unwrap();
    append(state.path(), &entry("a", Exit::Deployed)).unwrap();
    let mut journal = OpenOptions::new()
        .append(true)
        .open(file(state.path()))
        .unwrap();
    journal.write_all(b"{\"run\":\"2026").unwrap();
    assert_eq!(read(state.path(), 9, |_| true).unwrap().len(), 1);
    append(state.path(), &entry("b", Exit::Deployed)).unwrap();
    journal.write_all(b"\n\xff\xfe\n[]\n{}\n").unwrap();
    append(state.path(), &entry("c", Exit::Deployed)).unwrap();
    let apps: Vec<String> = read(state.path(), 9, |_| true)
        .unwrap()
        .into_iter()
        .map(|entry| entry.request.app)
        .collect();
    assert_eq!(apps, ["c", "b", "a"]);
}

#[test]
fn several_processes_may_append_at_once() {
    let state = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let state = state.path();
            scope.spawn(move || {
                for _ in 0..25 {
                    append(state, &entry(&format!("app-{writer}"), Exit::Deployed)).unwrap();
                }
            });
        }
    });
    assert_eq!(read(state.path(), 1000, |_| true).unwrap().len(), 100);
}

#[test]
fn what_cannot_be_written_is_told() {
    let state = tempfile::tempdir().unwrap();
    assert!(append(&state.path().join("none\0"), &entry("a", Exit::Deployed)).is_err());
    fs::write(state.path().join("file"), "").unwrap();
    assert!(append(&state.path().join("file"), &entry("a", Exit::Deployed)).is_err());
}

#[test]
fn who_ran_it_comes_from_the_environment() {
    let variables = [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_ACTOR", "octocat\u{1b}[31m"),
        ("GITHUB_REPOSITORY", "acme/shop"),
        ("GITHUB_SERVER_URL", "https://github.com"),
        ("GITHUB_RUN_ID", "42"),
        ("GITHUB_SHA", "abc"),
        ("GITHUB_REF", "refs/heads/main"),
        ("GITHUB_EVENT_NAME", "push"),
        ("GITHUB_TOKEN", "s3cret"),
    ];
    let accounts = Accounts::parse("runner:x:1001:1001::/home/runner:/bin/sh\n", "");
    let who = Who::of(&Environment::from_iter(variables), 1001, &accounts);
    let text = serde_json::to_string(&who).unwrap();
    assert_eq!(
        text,
        r#"{"user":"runner","uid":1001,"workflow":{"actor":"octocat\\x1b[31m","repository":"acme/shop","url":"https://github.com/acme/shop/actions/runs/42","sha":"abc","ref":"refs/heads/main","event":"push"}}"#
    );
    let by_hand = Who::of(
        &Environment::from_iter([("GITHUB_ACTOR", "x")]),
        7,
        &accounts,
    );
    assert_eq!((by_hand.user.as_str(), by_hand.workflow), ("7", None));
}

#[test]
fn an_old_line_stays_readable() {
    let old = r#"{"run":"20261124T175106Z-1a2b3c","at":"2026-11-24T17:51:06Z","took_ms":1,"who":{"user":"r"},"request":{"app":"a","chart":"c","version":"1","images":{}},"outcome":"deployed","exit":0,"of_a_later_version":1}"#;
    let entry: Entry = serde_json::from_str(old).unwrap();
    assert_eq!(entry.revision, None);
    assert!(entry.at < now());
}

proptest! {
    #[test]
    fn every_entry_is_one_line_and_comes_back(cause in ".{0,600}", user in ".{0,40}", revision in any::<Option<u32>>()) {
        let mut entry = entry("shop", Exit::Failed(Kind::RolledBack)).with_cause(&cause);
        entry.who.user = user;
        entry.revision = revision;
        let line = serde_json::to_string(&entry).unwrap();
        prop_assert!(!line.contains('\n'));
        prop_assert_eq!(serde_json::from_str::<Entry>(&line).unwrap(), entry);
    }
}
