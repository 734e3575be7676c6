//! How long an operation is waited for, and how that ends.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::hub::{Does, Hub};
use super::{
    application, asked, ended, ends_as, engine, engine_beside, good, nothing, progressing, target,
    told,
};
use crate::engine::Engine as _;

fn health(status: &'static str) -> impl FnOnce(&mut Value) + Send + 'static {
    move |object| object["status"]["health"]["status"] = json!(status)
}

/// Argo CD cannot compare, since the cluster does not answer.
fn out_of_reach(object: &mut Value) {
    progressing(object);
    object["status"]["sync"]["status"] = json!("Unknown");
    object["status"]["conditions"] =
        json!([{"type": "ComparisonError", "message": "Failed to load live state: refused"}]);
}

/// A sync that fails since the cluster does not answer.
fn refused(object: &mut Value) {
    ends_as(object, "Failed", "Healthy");
    object["status"]["operationState"]["message"] =
        json!("one or more synchronization tasks are not valid");
    object["status"]["operationState"]["syncResult"]["resources"] = json!([{"kind": "Service", "name": "api", "status": "SyncFailed",
                "message": "failed to discover server resources for group version v1: refused"}]);
}

/// What Argo CD does, what changes after so many seconds, and how it ends: how, when, with what.
type Case = (
    Does,
    Option<(u64, fn(&mut Value))>,
    &'static str,
    u64,
    &'static str,
);

const CASES: [Case; 10] = [
    (good, None, "serves", 0, ""),
    // What was healthy before is no answer.
    (
        nothing,
        None,
        "time is up",
        120,
        "it was not good in time: Argo CD has not begun the sync yet",
    ),
    (
        progressing,
        None,
        "time is up",
        120,
        "it was not good in time: synced, not healthy yet",
    ),
    (
        progressing,
        Some((40, |object| health("Healthy")(object))),
        "serves",
        40,
        "",
    ),
    (
        progressing,
        Some((40, |object| health("Degraded")(object))),
        "failed",
        50,
        "the Application is degraded",
    ),
    (
        out_of_reach,
        None,
        "unknown",
        30,
        "Argo CD cannot reach the cluster 'eu'",
    ),
    (
        out_of_reach,
        Some((20, |object| {
            object["status"]["conditions"] = json!([]);
            object["status"]["sync"]["status"] = json!("Synced");
            health("Healthy")(object);
        })),
        "serves",
        20,
        "",
    ),
    (
        refused,
        None,
        "unknown",
        0,
        "Argo CD cannot reach the cluster 'eu'",
    ),
    (
        progressing,
        Some((5, |object| {
            object["metadata"]["deletionTimestamp"] = json!("2026-11-29T10:00:00Z");
        })),
        "failed",
        5,
        "the Application is being deleted",
    ),
    (
        progressing,
        Some((5, |object| {
            object["spec"]["source"]["targetRevision"] = json!("3.0.0");
        })),
        "failed",
        5,
        "somebody else changed the Application meanwhile: it asks for shop 3.0.0",
    ),
];

#[tokio::test(start_paused = true)]
async fn each_end_comes_in_its_time() {
    for (does, change, word, after, said) in CASES {
        let hub = Hub::with(application(), does);
        let engine = engine(&hub);
        let operation = asked(&engine).await;
        if let Some((seconds, change)) = change {
            hub.after(seconds, change);
        }
        let (is, why, took) = ended(&engine, &operation).await;
        assert_eq!((is, took), (word, after), "{why}");
        assert!(why.contains(said), "{why}");
    }
}

/// What is degraded for a moment only is no failure: it counts from the last time on.
#[tokio::test(start_paused = true)]
async fn a_passing_degradation_is_no_failure() {
    let hub = Hub::with(application(), progressing);
    let engine = engine(&hub);
    let operation = asked(&engine).await;
    for (after, status) in [
        (1, "Degraded"),
        (9, "Progressing"),
        (12, "Degraded"),
        (20, "Healthy"),
    ] {
        hub.after(after, health(status));
    }
    assert_eq!(ended(&engine, &operation).await.0, "serves");
}

/// A hub that restarts is no end; one that is gone is.
#[tokio::test(start_paused = true)]
async fn a_hub_that_does_not_answer_is_given_half_a_minute() {
    for (silent, word) in [(20, "serves"), (60, "unknown")] {
        let hub = Hub::with(application(), progressing);
        let engine = engine(&hub);
        let operation = asked(&engine).await;
        hub.silent(silent);
        hub.after(silent + 5, health("Healthy"));
        let (is, why, took) = ended(&engine, &operation).await;
        assert_eq!(is, word, "{why}");
        assert!(took <= 35, "{took} s: {why}");
    }
}

/// Argo CD goes on from what it knew of a cluster that is gone: the node, which looks there, does
/// not.
#[tokio::test(start_paused = true)]
async fn a_cluster_that_does_not_answer_is_given_half_a_minute() {
    for (silent, word) in [(20, "serves"), (300, "unknown")] {
        let (hub, cluster) = (
            Hub::with(application(), progressing),
            Hub::with(json!({}), nothing),
        );
        let engine = engine_beside(&hub, &cluster);
        let operation = asked(&engine).await;
        cluster.silent(silent);
        hub.after(40, health("Healthy"));
        let (is, why, took) = ended(&engine, &operation).await;
        assert_eq!(is, word, "{why}");
        assert!(took <= 40, "{took} s: {why}");
    }
    // Nor does it believe a green of then.
    let (hub, cluster) = (
        Hub::with(application(), good),
        Hub::with(json!({}), nothing),
    );
    let engine = engine_beside(&hub, &cluster);
    let operation = asked(&engine).await;
    cluster.silent(300);
    let (is, why, _) = ended(&engine, &operation).await;
    assert_eq!(is, "unknown");
    assert!(why.contains("its cluster does not answer"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn what_has_to_stay_good_is_watched() {
    for (change, word, after) in [
        (None, "serves", 60),
        (Some((20, "Degraded")), "failed", 30),
        (Some((20, "Progressing")), "time is up", 60),
    ] {
        let hub = Hub::with(application(), good);
        let engine = engine(&hub);
        let operation = asked(&engine).await;
        assert_eq!(ended(&engine, &operation).await.0, "serves");
        if let Some((seconds, status)) = change {
            hub.after(seconds, health(status));
        }
        let begun = Instant::now();
        let until = begun + Duration::from_secs(60);
        let (is, why) = told(engine.stays(&target(), &operation, until).await);
        assert_eq!((is, begun.elapsed().as_secs()), (word, after), "{why}");
    }
}
