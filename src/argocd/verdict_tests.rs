//! Verdicts on Applications as Argo CD 3.2 writes them.
#![allow(clippy::unwrap_used, clippy::too_many_lines)]

use serde_json::{Value, json};

use super::{Asked, Verdict, of};
use crate::argocd::Application;

#[path = "verdict_after_tests.rs"]
mod after;

/// A source as Argo CD compares it.
fn source(version: &str) -> Value {
    json!({"repoURL": "ghcr.io/acme/charts", "chart": "shop", "targetRevision": version,
           "helm": {"valuesObject": {"api": {"image": {"tag": "2"}}}}})
}

/// The Application right after the operation has succeeded and was compared: all good.
fn good() -> Value {
    json!({
        "metadata": {"name": "shop-eu", "uid": "u1", "resourceVersion": "9"},
        "spec": {"project": "default", "source": source("2.0.0"), "destination": {"name": "eu"}},
        "status": {
            "sync": {"status": "Synced", "revision": "2.0.0", "comparedTo": {"source": source("2.0.0")}},
            "health": {"status": "Healthy"},
            "operationState": {
                "phase": "Succeeded", "message": "successfully synced (all tasks run)",
                "startedAt": "2026-11-29T10:00:01Z", "finishedAt": "2026-11-29T10:00:03Z",
                "operation": {"initiatedBy": {"username": "deploy"}, "info": [{"name": "deploy", "value": "run/0"}]},
                "syncResult": {"revision": "2.0.0", "source": source("2.0.0"), "resources": []},
            },
            "summary": {"images": ["ghcr.io/acme/shop/api:2"]},
            "resources": [{"group": "apps", "kind": "Deployment", "namespace": "shop", "name": "api", "status": "Synced"}],
        },
    })
}

fn asked() -> Asked {
    Asked {
        id: "run/0".to_owned(),
        uid: "u1".to_owned(),
        earlier: Some("2026-11-28T10:00:00Z".to_owned()),
        chart: "shop".to_owned(),
        version: "2.0.0".to_owned(),
        images: vec!["ghcr.io/acme/shop/api:2".to_owned()],
        drifted: Vec::new(),
    }
}

/// The verdict in a word, and what is told.
fn told(object: &Value, compared: bool) -> (&'static str, String) {
    let application = Application::read(object).unwrap();
    match of(&application, &asked(), compared) {
        Verdict::Waits(what) => ("waits", what),
        Verdict::Blocked => ("blocked", String::new()),
        Verdict::Synced => ("synced", String::new()),
        Verdict::Serves(warnings) => ("serves", warnings.join("\n")),
        Verdict::Degraded(problem) => ("degraded", all(&problem)),
        Verdict::Failed(problem) => ("failed", all(&problem)),
        Verdict::Unknown(problem) => ("unknown", all(&problem)),
        Verdict::Unreached(problem) => ("unreached", all(&problem)),
    }
}

fn all(problem: &crate::error::Problem) -> String {
    [
        vec![problem.to_string()],
        problem.evidence(),
        problem.hints().to_vec(),
    ]
    .concat()
    .join("\n")
}

/// Argo CD before 3.3 merges the state of an operation into that of the one before.
#[test]
fn a_note_that_outlived_its_operation_is_not_believed() {
    let eve = json!({"initiatedBy": {"username": "eve"}, "sync": {"revision": "9.9.9"}});
    let object = with(&[
        ("/operation", eve),
        ("/status/operationState/phase", json!("Running")),
        (
            "/status/operationState/operation/initiatedBy/username",
            json!("eve"),
        ),
    ]);
    let (word, said) = told(&object, false);
    assert_eq!(word, "waits");
    assert_eq!(said, "another sync is in progress, asked for by 'eve'");
    assert!(crate::argocd::state::is_others(
        &Application::read(&object).unwrap()
    ));
}

/// `good`, with these pointers set to these values; null takes away.
fn with(changes: &[(&str, Value)]) -> Value {
    let mut object = good();
    for (pointer, value) in changes {
        let (above, key) = pointer.rsplit_once('/').unwrap();
        let above = object.pointer_mut(above).unwrap().as_object_mut().unwrap();
        if value.is_null() {
            above.remove(key);
        } else {
            above.insert(key.to_owned(), value.clone());
        }
    }
    object
}

const STATE: &str = "/status/operationState";

#[test]
fn all_good_serves_only_after_a_comparison() {
    assert_eq!(told(&good(), false).0, "synced");
    assert_eq!(told(&good(), true), ("serves", String::new()));
}

/// The green of before: the operation has not begun, has another's id, or began before.
#[test]
fn an_older_green_is_never_this_ones() {
    let older = |id: &str| {
        json!({"phase": "Succeeded", "startedAt": "2026-11-28T10:00:00Z", "finishedAt": "2026-11-28T10:00:09Z",
               "operation": {"info": [{"name": "deploy", "value": id}]}, "syncResult": {"source": source("2.0.0")}})
    };
    let ours = json!({"info": [{"name": "deploy", "value": "run/0"}]});
    for (object, word, said) in [
        (
            with(&[(STATE, older("old/0")), ("/operation", ours.clone())]),
            "waits",
            "has not begun",
        ),
        (
            with(&[(STATE, Value::Null), ("/operation", ours)]),
            "waits",
            "has not begun",
        ),
        (
            with(&[(STATE, older("old/0"))]),
            "failed",
            "taken away before Argo CD began it",
        ),
        (
            with(&[(STATE, Value::Null)]),
            "failed",
            "taken away before Argo CD began it",
        ),
        (
            with(&[("/status/sync/comparedTo/source", source("1.0.0"))]),
            "waits",
            "has not compared this version yet",
        ),
    ] {
        for compared in [false, true] {
            if word == "waits" && said.contains("compared") && !compared {
                continue;
            }
            let (verdict, told) = told(&object, compared);
            assert_eq!(verdict, word, "{told}");
            assert!(told.contains(said), "{told}");
        }
    }
}

#[test]
fn each_end_of_the_operation_is_told_by_its_cause() {
    let state = |phase: &str, message: &str, resources: Value| {
        let mut state = good().pointer(STATE).unwrap().clone();
        state["phase"] = json!(phase);
        state["message"] = json!(message);
        state["syncResult"]["resources"] = resources;
        if !matches!(phase, "Failed" | "Error" | "Succeeded") {
            state.as_object_mut().unwrap().remove("finishedAt");
        }
        with(&[(STATE, state)])
    };
    let refused = json!([
        {"kind": "Service", "namespace": "shop", "name": "api", "status": "Synced", "message": "service/api unchanged"},
        {"kind": "Deployment", "namespace": "shop", "name": "api", "status": "SyncFailed", "message": "admission webhook \"deny\" denied the request: no"},
        {"kind": "Deployment", "namespace": "shop", "name": "web", "status": "SyncFailed", "message": "exceeded quota"},
    ]);
    let hook = json!([{"kind": "Job", "namespace": "shop", "name": "migrate", "hookType": "PreSync",
                       "hookPhase": "Failed", "message": "Job has reached the specified backoff limit"}]);
    let nothing = json!([]);
    for (object, word, said) in [
        (state("Running", "", nothing.clone()), "waits", "syncing"),
        (
            state(
                "Running",
                "waiting for completion of hook batch/Job/migrate",
                nothing.clone(),
            ),
            "waits",
            "syncing: waiting for completion of hook batch/Job/migrate",
        ),
        (
            state(
                "Running",
                "one or more objects failed to apply. Retrying attempt #1 at 10:00AM.",
                refused.clone(),
            ),
            "waits",
            "Retrying attempt #1",
        ),
        (
            state("Terminating", "", nothing.clone()),
            "waits",
            "is being ended",
        ),
        (
            state("Failed", "one or more objects failed to apply", refused),
            "failed",
            "Deployment shop/api: admission webhook \"deny\" denied the request: no\nDeployment shop/web: exceeded quota\nArgo CD: one or more",
        ),
        (
            state(
                "Failed",
                "one or more synchronization tasks completed unsuccessfully",
                hook,
            ),
            "failed",
            "Job shop/migrate, a hook (PreSync), failed: Job has reached the specified backoff limit",
        ),
        (
            state("Failed", "Operation terminated", nothing.clone()),
            "failed",
            "the sync was ended by somebody else",
        ),
        (
            state(
                "Error",
                "ComparisonError: Failed to load live state: failed to get cluster info for \"https://10.0.0.1\": connection refused",
                nothing.clone(),
            ),
            "unreached",
            "Argo CD cannot reach the cluster 'eu': nobody knows what it serves\nArgo CD: ComparisonError",
        ),
        (
            state(
                "Failed",
                "one or more objects failed to apply, reason: Post \"https://10.0.0.1/api\": dial tcp 10.0.0.1:443: connect: connection refused",
                nothing.clone(),
            ),
            "unreached",
            "Argo CD cannot reach the cluster 'eu'",
        ),
        // What the operation itself says does not tell why.
        (
            state(
                "Failed",
                "one or more synchronization tasks are not valid",
                json!([{"kind": "Service", "namespace": "shop", "name": "api", "status": "SyncFailed",
                        "message": "failed to discover server resources for group version v1: Get \"https://10.0.0.1/api/v1\": dial tcp 10.0.0.1:443: connect: connection refused"}]),
            ),
            "unreached",
            "nobody knows what it serves\nArgo CD: failed to discover server resources",
        ),
        (
            state(
                "Failed",
                "failed calling webhook \"x\": Post \"https://x.svc\": dial tcp 10.1.1.1:443: connect: connection refused",
                nothing.clone(),
            ),
            "failed",
            "the sync failed: failed calling webhook",
        ),
        (
            state(
                "Error",
                "ComparisonError: Failed to load target state: failed to generate manifest: dial tcp: lookup ghcr.io: no such host",
                nothing,
            ),
            "failed",
            "Failed to load target state",
        ),
    ] {
        let (verdict, told) = told(&object, false);
        assert_eq!(verdict, word, "{told}");
        assert!(told.contains(said), "{told}");
    }
}
