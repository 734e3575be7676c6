//! What is asked of an Application, and when nothing is.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::hub::Hub;
use super::{application, asked, at_work, ended, engine, engine_of, good, nothing, target, wanted};
use crate::argocd::ArgoCd;
use crate::engine::Engine as _;
use crate::error::Kind;

/// Why an Application cannot be worked on.
async fn refused(engine: &ArgoCd) -> (Kind, String) {
    let error = engine.observe(&target()).await.unwrap_err();
    let again = engine.apply(&target(), &wanted("2.0.0")).await;
    assert_eq!(again.err().map(|again| again.kind()), Some(error.kind()));
    (error.kind(), error.to_string())
}

#[tokio::test(start_paused = true)]
async fn what_is_served_and_was_noted_is_good() {
    let hub = Hub::with(application(), good);
    let engine = engine(&hub);
    let before = engine.observe(&target()).await.unwrap();
    // Nobody judged it, and Argo CD calls it good.
    assert!(before.is_good());
    assert_eq!(before.cluster, "eu");
    let operation = asked(&engine).await;
    assert_eq!(ended(&engine, &operation).await.0, "serves");
    let between = engine.observe(&target()).await.unwrap();
    let version = |wanted: Option<crate::engine::Wanted>| wanted.unwrap().version.to_string();
    assert_eq!(version(between.held), "2.0.0");
    engine.note_good(&target(), &wanted("2.0.0")).await.unwrap();
    let after = engine.observe(&target()).await.unwrap();
    assert_eq!(version(after.good), "2.0.0");
}

#[tokio::test(start_paused = true)]
async fn an_application_that_nobody_can_work_on_is_left_alone() {
    let deleted = json!({"metadata": {"deletionTimestamp": "2026-11-29T10:00:00Z"}});
    let skipped =
        json!({"metadata": {"annotations": {"argocd.argoproj.io/skip-reconcile": "true"}}});
    for (more, said) in [
        (deleted, "the Application is being deleted"),
        (skipped, "Argo CD leaves the Application alone"),
    ] {
        let mut object = application();
        for (key, value) in more["metadata"].as_object().unwrap() {
            object["metadata"][key] = value.clone();
        }
        let hub = Hub::with(object, nothing);
        let (kind, why) = refused(&engine(&hub)).await;
        assert_eq!(kind, Kind::Node);
        assert!(why.contains(said), "{why}");
        assert_eq!(hub.written(), Vec::<Value>::new());
    }
}

#[tokio::test(start_paused = true)]
async fn a_sync_of_somebody_else_is_waited_for_and_never_ended() {
    let busy = || {
        let mut object = application();
        at_work(&mut object, None);
        Hub::with(object, good)
    };
    let hub = busy();
    let begun = Instant::now();
    let (kind, why) = refused(&engine(&hub)).await;
    assert_eq!(kind, Kind::Locked);
    assert!(
        why.contains("asked for by 'mallory', since 2026-11-29T09:00:00Z"),
        "{why}"
    );
    assert_eq!(
        begun.elapsed(),
        Duration::from_secs(60),
        "twice half a minute"
    );
    assert_eq!(hub.written(), Vec::<Value>::new());

    // As long as the node waits for others, where that is less.
    let begun = Instant::now();
    assert_eq!(
        refused(&engine_of(&hub, Duration::ZERO, BTreeMap::new()))
            .await
            .0,
        Kind::Locked
    );
    assert_eq!(begun.elapsed(), Duration::ZERO);

    let hub = busy();
    hub.after(20, |object| {
        object.as_object_mut().unwrap().remove("operation");
        object["status"]["operationState"]["phase"] = json!("Failed");
    });
    let engine = engine(&hub);
    engine.observe(&target()).await.unwrap();
    let operation = asked(&engine).await;
    assert_eq!(ended(&engine, &operation).await.0, "serves");
}

/// Argo CD, asked to end a sync.
fn ends(object: &mut Value) {
    if object["status"]["operationState"]["phase"] == "Terminating" {
        object.as_object_mut().unwrap().remove("operation");
        object["status"]["operationState"]["phase"] = json!("Failed");
    } else {
        good(object);
    }
}

#[tokio::test(start_paused = true)]
async fn a_sync_of_an_earlier_run_is_ended_and_the_application_asked_anew() {
    let mut object = application();
    at_work(&mut object, Some("an-earlier-run/3"));
    let hub = Hub::with(object, ends);
    let engine = engine(&hub);
    let seen = engine.observe(&target()).await.unwrap();
    assert!(seen.warnings[0].contains("a sync of an earlier run is still at work"));
    let operation = asked(&engine).await;
    assert_eq!(ended(&engine, &operation).await.0, "serves");
    let phases: Vec<Value> = hub
        .written()
        .iter()
        .map(|document| document["status"]["operationState"]["phase"].clone())
        .collect();
    assert_eq!(phases[..2], [json!("Terminating"), Value::Null]);
}

#[tokio::test(start_paused = true)]
async fn a_cancel_ends_the_sync_that_it_began_and_no_other() {
    let hub = Hub::with(application(), nothing);
    let engine = engine(&hub);
    let operation = asked(&engine).await;
    // Argo CD has not begun it: it is taken away.
    engine.stop(&target(), &operation).await.unwrap();
    assert!(hub.written().last().unwrap()["operation"].is_null());
    assert_eq!(hub.object()["operation"], Value::Null);

    // Meanwhile somebody else's, or another run's, is at work.
    for note in [None, Some("another-run/0")] {
        let hub = Hub::with(application(), nothing);
        let engine = super::engine(&hub);
        let operation = asked(&engine).await;
        hub.after(0, move |object| at_work(object, note));
        tokio::time::sleep(Duration::from_secs(1)).await;
        let before = hub.written().len();
        engine.stop(&target(), &operation).await.unwrap();
        assert_eq!(hub.written().len(), before, "{note:?}");
    }
}

/// Argo CD ends nothing while a window is closed, and has begun nothing either.
#[tokio::test(start_paused = true)]
async fn a_sync_that_waits_for_a_window_is_withdrawn() {
    let blocked = |object: &mut Value| {
        if !object["operation"].is_null() {
            object["status"]["operationState"] = json!({"phase": "Running",
                "operation": object["operation"], "startedAt": "2026-11-29T10:00:00Z",
                "message": "Sync operation blocked by sync window"});
        }
    };
    let hub = Hub::with(application(), blocked);
    let engine = engine(&hub);
    let operation = asked(&engine).await;
    engine.stop(&target(), &operation).await.unwrap();
    let left = hub.object();
    assert_eq!(left["operation"], Value::Null);
    assert_eq!(left["status"]["operationState"]["phase"], "Failed");
}

#[tokio::test(start_paused = true)]
async fn that_argo_cd_cannot_reach_a_cluster_is_told_before() {
    let mut object = application();
    object["status"]["conditions"] = json!([{"type": "ComparisonError",
        "message": "Failed to load live state: failed to get cluster info for \"https://10.0.0.1\""}]);
    let hub = Hub::with(object, nothing);
    let seen = engine(&hub).observe(&target()).await.unwrap();
    assert_eq!(
        seen.warnings,
        ["Argo CD could not reach the cluster 'eu' when it last looked"]
    );
}
