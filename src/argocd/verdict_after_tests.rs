//! Verdicts after the sync, and on what comes in between.

use serde_json::{Value, json};

use super::{STATE, asked, good, source, told, with};
use crate::argocd::Application;
use crate::argocd::verdict::{Verdict, of};

#[test]
fn each_state_after_the_sync_has_its_words() {
    let resource = |status: &str, pruning: bool, health: &str, message: &str| {
        json!([{"group": "apps", "kind": "Deployment", "namespace": "shop", "name": "api", "status": status,
                "requiresPruning": pruning, "health": {"status": health, "message": message}}])
    };
    let health = |status: &str, resources: Value| {
        with(&[
            ("/status/health/status", json!(status)),
            ("/status/resources", resources),
        ])
    };
    let out_of_sync = |resources: Value| {
        with(&[
            ("/status/sync/status", json!("OutOfSync")),
            ("/status/resources", resources),
        ])
    };
    let plain = resource("Synced", false, "", "");
    let rollout = json!([{"group": "argoproj.io", "kind": "Rollout", "namespace": "shop", "name": "api", "status": "Synced"}]);
    let condition = |kind: &str, message: &str| json!([{"type": kind, "message": message}]);
    for (object, word, said) in [
        (
            health(
                "Progressing",
                resource(
                    "Synced",
                    false,
                    "Progressing",
                    "Waiting for rollout to finish",
                ),
            ),
            "waits",
            "synced, not healthy yet: Deployment shop/api: Waiting for rollout to finish",
        ),
        (
            health("Progressing", plain.clone()),
            "waits",
            "synced, not healthy yet",
        ),
        (
            health("Missing", plain.clone()),
            "waits",
            "a resource is not there",
        ),
        (
            health(
                "Degraded",
                resource(
                    "Synced",
                    false,
                    "Degraded",
                    "exceeded its progress deadline",
                ),
            ),
            "degraded",
            "Deployment shop/api is degraded: exceeded its progress deadline",
        ),
        (
            health("Degraded", plain.clone()),
            "degraded",
            "controller.resource.health.persist",
        ),
        (
            health("Suspended", plain.clone()),
            "serves",
            "a resource is suspended",
        ),
        (
            health("Suspended", rollout),
            "waits",
            "Rollout shop/api is suspended",
        ),
        (health("Unknown", plain), "waits", "its health is 'Unknown'"),
        (
            out_of_sync(resource("OutOfSync", true, "", "")),
            "serves",
            "no longer in the chart, and left: Deployment shop/api",
        ),
        (
            out_of_sync(resource("OutOfSync", false, "", "")),
            "waits",
            "out of sync after the sync: Deployment shop/api; something else writes there",
        ),
        (
            with(&[
                ("/status/sync/status", json!("Unknown")),
                (
                    "/status/conditions",
                    condition("ComparisonError", "Failed to load target state: x"),
                ),
            ]),
            "waits",
            "cannot compare it: ComparisonError: Failed to load target state: x",
        ),
        (
            with(&[
                ("/status/sync/status", json!("Unknown")),
                (
                    "/status/conditions",
                    condition("ComparisonError", "Failed to load live state: x"),
                ),
            ]),
            "unknown",
            "nobody knows what it serves",
        ),
        (
            with(&[("/status/summary/images", json!(["ghcr.io/acme/shop/api:1"]))]),
            "serves",
            "does not name ghcr.io/acme/shop/api:2 among the images that run",
        ),
        (
            with(&[
                ("/status/summary/images", json!(["ghcr.io/acme/shop/api:1"])),
                (
                    "/spec/ignoreDifferences",
                    json!([{"kind": "Deployment", "jsonPointers": ["/spec/template"]}]),
                ),
            ]),
            "failed",
            "the image is not taken: ghcr.io/acme/shop/api:2 runs nowhere",
        ),
    ] {
        let (verdict, told) = told(&object, true);
        assert_eq!(verdict, word, "{told}");
        assert!(told.contains(said), "{told}");
    }
    let mut known = asked();
    known.drifted = vec!["Deployment shop/api".to_owned()];
    let object = out_of_sync(resource("OutOfSync", false, "", ""));
    let application = Application::read(&object).unwrap();
    assert!(
        matches!(of(&application, &known, true), Verdict::Serves(told) if told[0].starts_with("out of sync as it was before"))
    );
}

#[test]
fn what_comes_in_between_is_told() {
    let other = |phase: &str, version: &str, by: Value| {
        json!({"phase": phase, "startedAt": "2026-11-29T10:01:00Z", "operation": {"initiatedBy": by},
               "syncResult": {"source": source(version)}})
    };
    let by_itself = json!({"automated": true});
    let eve = json!({"username": "eve\u{1b}[2J"});
    for (object, word, said) in [
        (
            with(&[("/metadata/deletionTimestamp", json!("2026-11-29T10:00:00Z"))]),
            "failed",
            "is being deleted",
        ),
        (
            with(&[("/metadata/uid", json!("u2"))]),
            "failed",
            "deleted and made anew",
        ),
        (
            with(&[("/spec/source/targetRevision", json!("1.0.0"))]),
            "failed",
            "it asks for shop 1.0.0, and shop 2.0.0 was set",
        ),
        // Self-heal brings the same again: that stands for it.
        (
            with(&[(STATE, other("Succeeded", "2.0.0", by_itself.clone()))]),
            "serves",
            "",
        ),
        (
            with(&[(STATE, other("Running", "2.0.0", by_itself))]),
            "waits",
            "syncing",
        ),
        (
            with(&[(STATE, other("Running", "1.0.0", eve.clone()))]),
            "waits",
            "asked for by 'eve",
        ),
        (
            with(&[(STATE, other("Succeeded", "1.0.0", eve))]),
            "failed",
            "another sync came in between",
        ),
    ] {
        let (verdict, told) = told(&object, true);
        assert_eq!(verdict, word, "{told}");
        assert!(told.contains(said), "{told}");
        assert!(!told.contains('\u{1b}'), "{told}");
    }
}

/// `SyncAppState` leaves a blocked operation running for as long as the window is closed.
#[test]
fn a_closed_window_blocks_only_what_is_not_there() {
    let mut state = good().pointer(STATE).unwrap().clone();
    state["phase"] = json!("Running");
    state["message"] = json!("Sync operation blocked by sync window");
    state.as_object_mut().unwrap().remove("finishedAt");
    let blocked = with(&[(STATE, state.clone())]);
    assert_eq!(told(&blocked, false).0, "blocked");
    // What is asked for is what is there: nothing has to be synced.
    assert_eq!(told(&blocked, true).0, "serves");
    let open = with(&[(STATE, state), ("/status/sync/status", json!("OutOfSync"))]);
    let (verdict, said) = told(&open, true);
    assert_eq!(verdict, "failed");
    assert!(
        said.contains("a sync window of the Application's project is closed"),
        "{said}"
    );
    assert!(said.contains("manualSync"), "{said}");
}
