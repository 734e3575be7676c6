#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use serde_json::json;

use super::{Environment, EventName, check, logs_may_be_shown, read_payload, refuse_pull_requests};
use crate::error::Kind;

#[path = "../../../tests/data/github_events.rs"]
mod github_events;

use github_events::GITHUB;

fn inside(event: &str) -> Environment {
    Environment::from_iter([
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_EVENT_NAME", event),
        ("GITHUB_REF", "refs/heads/main"),
        ("GITHUB_REPOSITORY", "acme/shop"),
    ])
}

fn list(events: &[&str]) -> BTreeSet<EventName> {
    events.iter().map(|event| event.parse().unwrap()).collect()
}

/// The refusal, or nothing.
fn verdict(
    environment: &Environment,
    allowed: Option<&[&str]>,
    payload: &serde_json::Value,
) -> Option<String> {
    let allowed = allowed.map(list);
    let bytes = serde_json::to_vec(payload).unwrap();
    let error = check(environment, allowed.as_ref(), Ok(&bytes)).err()?;
    assert_eq!(error.kind(), Kind::Policy);
    assert!(!error.hints().is_empty() || error.to_string().contains("workflow run of the event"));
    Some(error.to_string())
}

#[test]
fn every_event_of_github() {
    let payload = json!({
        "repository": { "full_name": "acme/shop" },
        "workflow_run": { "event": "push", "head_repository": { "full_name": "Acme/Shop" } },
    });
    for (event, by_default, can) in GITHUB {
        let environment = inside(event);
        assert_eq!(
            verdict(&environment, None, &payload).is_none(),
            by_default,
            "{event}"
        );
        assert_eq!(event.parse::<EventName>().is_ok(), can, "{event}");
        assert_eq!(refuse_pull_requests(&environment).is_ok(), can, "{event}");
        if can {
            assert_eq!(
                verdict(&environment, Some(&[event, "push"]), &payload),
                None,
                "{event}"
            );
            assert!(
                verdict(&environment, Some(&[]), &payload).is_some(),
                "{event}"
            );
        }
    }
}

#[test]
fn what_belongs_to_a_pull_request_never_deploys() {
    let of = |name, value| {
        let variables = [
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_EVENT_NAME", "push"),
            (name, value),
        ];
        verdict(
            &Environment::from_iter(variables),
            Some(&["push"]),
            &json!({}),
        )
    };
    assert_eq!(of("GITHUB_REF", "refs/heads/main"), None);
    assert_eq!(of("GITHUB_REF", "refs/tags/v1"), None);
    assert_eq!(of("GITHUB_HEAD_REF", ""), None);
    for (name, value) in [
        ("GITHUB_REF", "refs/pull/1/merge"),
        ("GITHUB_REF", "refs/pull/1/head"),
        ("GITHUB_REF", "refs/heads/gh-readonly-queue/main/pr-1-abc"),
        (
            "GITHUB_WORKFLOW_REF",
            "a/b/.github/workflows/x.yml@refs/pull/1/merge",
        ),
        ("GITHUB_HEAD_REF", "patch-1"),
        ("GITHUB_EVENT_NAME", "pull_request_new_kind"),
    ] {
        assert!(
            of(name, value)
                .unwrap()
                .contains("never runs for a pull request"),
            "{name}"
        );
    }
    for (event, payload) in [
        ("push", json!({ "pull_request": { "number": 1 } })),
        (
            "issue_comment",
            json!({ "issue": { "pull_request": { "url": "x" } } }),
        ),
        (
            "deployment",
            json!({ "deployment": { "ref": "refs/pull/1/head" } }),
        ),
        (
            "deployment",
            json!({ "deployment": { "ref": "pull/1/head" } }),
        ),
        (
            "deployment",
            json!({ "workflow_run": { "event": "pull_request" } }),
        ),
    ] {
        let told = verdict(&inside(event), Some(&[event]), &payload).unwrap();
        assert!(told.contains("never runs for a pull request"), "{told}");
    }
    let issue = json!({ "issue": { "pull_request": null }, "pull_request": null });
    assert_eq!(
        verdict(&inside("issue_comment"), Some(&["issue_comment"]), &issue),
        None
    );
}

#[test]
fn a_workflow_run_stands_for_the_event_before_it() {
    let run = |event: &str, head: &str, branch: &str| {
        json!({
            "repository": { "full_name": "acme/shop" },
            "workflow_run": {
                "event": event,
                "head_branch": branch,
                "head_repository": { "full_name": head },
            },
        })
    };
    let allowed: &[&str] = &["push", "workflow_run"];
    for (payload, told) in [
        (run("push", "acme/shop", "main"), None),
        (run("push", "ACME/Shop", "main"), None),
        (
            run("schedule", "acme/shop", "main"),
            Some("'schedule' is not allowed to deploy; this node allows push, workflow_run"),
        ),
        (
            run("workflow_run", "acme/shop", "main"),
            Some("a workflow run of the event 'workflow_run' is not allowed to deploy"),
        ),
        (
            run("pull_request", "acme/shop", "x"),
            Some("never runs for a pull request"),
        ),
        (
            run("pull_request_target", "acme/shop", "x"),
            Some("never runs for a pull request"),
        ),
        (
            run("merge_group", "acme/shop", "x"),
            Some("never runs for a pull request"),
        ),
        (
            run("push", "acme/shop", "gh-readonly-queue/main/pr-1"),
            Some("never runs for a pull request"),
        ),
        (
            run("push", "evil/shop", "main"),
            Some("came from the repository 'evil/shop', expected 'acme/shop'"),
        ),
        (
            json!({ "repository": { "full_name": "acme/shop" } }),
            Some("says nothing of the workflow run"),
        ),
        (
            json!({ "workflow_run": {} }),
            Some("does not say which event"),
        ),
        (
            json!({ "workflow_run": { "event": "push" } }),
            Some("which repository the run came from"),
        ),
        (
            json!({ "workflow_run": { "event": "push", "head_repository": null }, "repository": { "full_name": "acme/shop" } }),
            Some("which repository"),
        ),
    ] {
        let seen = verdict(&inside("workflow_run"), Some(allowed), &payload);
        match (&seen, told) {
            (None, None) => {}
            (Some(seen), Some(told)) => assert!(seen.contains(told), "{seen}"),
            _ => panic!("{payload}: {seen:?}"),
        }
    }
    // The payload is the fork's own where a fork runs the workflow.
    let mut fork = run("push", "evil/shop", "main");
    fork["repository"]["full_name"] = "evil/shop".into();
    assert!(verdict(&inside("workflow_run"), Some(allowed), &fork).is_some());
}

#[test]
fn what_cannot_be_told_is_refused() {
    let unnamed = Environment::from_iter([("GITHUB_ACTIONS", "true")]);
    let empty = inside("");
    for environment in [&unnamed, &empty] {
        assert!(
            verdict(environment, None, &json!({}))
                .unwrap()
                .contains("GITHUB_EVENT_NAME is not set")
        );
    }
    for payload in [
        &b""[..],
        b"{",
        b"[]",
        b"null",
        b"\"push\"",
        b"\xff",
        b"{} {}",
        b"{\"repository\": 1}",
    ] {
        let error = check(&inside("push"), None, Ok(payload)).unwrap_err();
        assert_eq!(error.kind(), Kind::Policy);
        assert!(
            error.to_string().contains("payload cannot be read"),
            "{error}"
        );
    }
    let error = check(&inside("push"), None, Err("GITHUB_EVENT_PATH is not set")).unwrap_err();
    assert!(error.to_string().contains("GITHUB_EVENT_PATH is not set"));
}

#[test]
fn by_hand_everything_may() {
    for value in [None, Some("false"), Some("1"), Some("TRUE"), Some("")] {
        let mut variables = vec![("GITHUB_EVENT_NAME", "pull_request")];
        variables.extend(value.map(|value| ("GITHUB_ACTIONS", value)));
        let environment = Environment::from_iter(variables);
        assert!(check(&environment, None, Err("none")).is_ok());
        assert!(logs_may_be_shown(&environment, Err("none")));
    }
}

#[test]
fn the_payload_is_read_with_a_bound() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("event.json");
    let environment = Environment::from_iter([("GITHUB_EVENT_PATH", path.to_str().unwrap())]);
    assert!(
        read_payload(&environment)
            .unwrap_err()
            .contains("No such file")
    );
    std::fs::write(&path, "{}").unwrap();
    assert_eq!(read_payload(&environment).unwrap(), b"{}");
    std::fs::File::create(&path)
        .unwrap()
        .set_len(25_000_001)
        .unwrap();
    assert!(
        read_payload(&environment)
            .unwrap_err()
            .contains("larger than 25 MB")
    );
    let folder = Environment::from_iter([("GITHUB_EVENT_PATH", scratch.path().to_str().unwrap())]);
    assert!(
        read_payload(&folder)
            .unwrap_err()
            .contains("is a directory")
    );
    assert_eq!(
        read_payload(&Environment::default()).unwrap_err(),
        "GITHUB_EVENT_PATH is not set"
    );
}

#[test]
fn logs_are_shown_of_private_repositories_only() {
    for (payload, shown) in [
        (&br#"{"repository":{"private":true}}"#[..], true),
        (br#"{"repository":{"private":false}}"#, false),
        (br#"{"repository":{}}"#, false),
        (b"{}", false),
        (b"broken", false),
    ] {
        assert_eq!(logs_may_be_shown(&inside("push"), Ok(payload)), shown);
    }
    assert!(!logs_may_be_shown(&inside("push"), Err("none")));
}
