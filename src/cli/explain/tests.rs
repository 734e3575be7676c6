#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use super::{CODE, Entry, PAGE, code, codes, explained, fits, named, parts, plain};
use crate::error::{Error, Exit, Kind};
use crate::rollout::{Cause, TerminalFailure, WorkloadKind, WorkloadRef};

#[test]
fn a_message_fits_as_it_is_quoted() {
    for (quoted, message, expected) in [
        ("a", "a", true),
        ("a", "ab", false),
        ("a…", "ab", true),
        ("…b", "ab", true),
        ("…b", "ba", false),
        ("a…b", "a b", true),
        ("a…b…c", "a c b c", true),
        ("a…b…c", "a c c b", false),
        ("ab…ba", "aba", false),
        ("…", "", true),
    ] {
        assert_eq!(fits(quoted, message), expected, "{quoted} {message}");
    }
}

/// Every exit code has a part, with the words of the code.
#[test]
fn every_exit_code_is_explained() {
    let titles: Vec<&str> = parts()
        .map(|(title, _)| title)
        .filter(|title| title.starts_with(&CODE[3..]))
        .collect();
    let meant: Vec<String> = Exit::ALL
        .iter()
        .map(|exit| format!("Exit code {}: {}", exit.code(), exit.meaning()))
        .collect();
    assert_eq!(titles, meant);
    for exit in Exit::ALL {
        assert!(code(exit).len() > 2, "{exit:?}");
        assert_eq!(explained(&exit.code().to_string()).unwrap(), code(exit));
        let line = format!("{:<10}{}", exit.code(), exit.meaning());
        assert!(codes().contains(&line), "{line}");
    }
}

/// Every entry quotes a message, says something, and has a name of its own.
#[test]
fn every_entry_is_whole() {
    let entries: Vec<Entry> = Entry::all().collect();
    assert!(entries.len() >= 40, "{}", entries.len());
    let names: BTreeSet<&str> = entries.iter().map(|entry| entry.name).collect();
    assert_eq!(names.len(), entries.len(), "a name stands twice");
    assert_eq!(PAGE.matches("\n### ").count(), entries.len());
    for entry in entries {
        assert!(entry.messages().count() > 0, "{}", entry.name);
        let mut said = plain(entry.text).into_iter();
        let told = said.any(|line| line.len() > 20 && !line.starts_with("  "));
        assert!(told, "{}", entry.name);
        assert!(explained(entry.name).is_ok());
        // What it quotes leads to it, not to one that stands before it.
        for message in entry.messages() {
            let message = message.replace('…', "~");
            let found = Entry::all().find(|entry| entry.tells_of(&message));
            assert_eq!(found.unwrap().name, entry.name, "{message}");
        }
    }
}

/// Each cause of a rollout has the entry of its name, by the headline that is
/// printed of it.
#[test]
fn every_cause_of_a_rollout_is_explained() {
    let missing = |key: Option<&str>| Cause::Missing {
        kind: "Secret",
        name: "login".to_owned(),
        key: key.map(str::to_owned),
    };
    let held = Cause::HeldByOldPod {
        what: "host port TCP 80".to_owned(),
        by: "api-1".to_owned(),
    };
    let causes = [
        Cause::ImageNotFound,
        Cause::ImageDenied,
        Cause::ImageInvalid,
        Cause::ImageNeverPulled,
        Cause::WrongPlatform,
        missing(None),
        missing(Some("user")),
        Cause::BadContainer,
        Cause::CannotStart,
        Cause::CrashLoop {
            crashes: 3,
            code: 1,
        },
        Cause::OomLoop { crashes: 3 },
        Cause::Quota,
        Cause::Admission,
        Cause::Unschedulable,
        held,
        Cause::JobFailed,
        Cause::PodFailed,
        Cause::NoVolume,
        Cause::DeadlineExceeded,
    ];
    let words: BTreeSet<&str> = causes.iter().map(Cause::word).collect();
    let entries = Entry::all().filter(|entry| entry.part == "Causes of a failed rollout");
    let entries: BTreeSet<&str> = entries.map(|entry| entry.name).collect();
    let untried: Vec<_> = entries.difference(&words).collect();
    assert_eq!(untried, [&"timed-out"]);
    for cause in causes {
        for said in [vec![], vec!["0/1 nodes are available".to_owned()]] {
            let failure = TerminalFailure {
                rule: "x",
                cause: cause.clone(),
                workload: WorkloadRef {
                    namespace: "shop".to_owned(),
                    kind: WorkloadKind::Deployment,
                    name: "api".to_owned(),
                },
                hook: false,
                pod: None,
                container: None,
                image: Some("ghcr.io/acme/shop/api:1".to_owned()),
                said,
            };
            let error = named(Error::new(Kind::Broken, failure.headline()));
            let hint = format!("more about it: deploy explain {}", cause.word());
            assert_eq!(error.hints(), [hint], "{}", failure.headline());
        }
    }
}

#[test]
fn what_has_no_entry_is_named_by_its_code() {
    let error = named(Error::new(Kind::Node, "the moon is full"));
    assert_eq!(error.hints(), ["more about it: deploy explain 3"]);
}

#[test]
fn what_is_not_known_is_told_with_what_is_near() {
    let error = explained("imag-not-found").unwrap_err();
    assert_eq!(error.kind(), Kind::Request);
    assert_eq!(
        error.hints()[0],
        "did you mean deploy explain image-not-found?"
    );
    assert!(explained("10").is_err());
    assert!(explained("").is_err());
}

/// A message can be given as it was printed.
#[test]
fn a_message_is_explained() {
    let lines = explained("error: helm is not in PATH").unwrap();
    assert!(lines[0].starts_with("no-helm: Exit code 3"), "{lines:?}");
}
