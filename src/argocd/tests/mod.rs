//! The engine against a hub in memory: what it asks of an Application, for how long it waits, and
//! how that ends, in time that does not pass.
#![allow(clippy::unwrap_used)]

mod asking;
mod hub;
mod watching;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{ArgoCd, Look, Operation, Rendered};
use crate::engine::{Ended, Engine as _, Wanted};
use crate::helm;
use crate::plan::Capabilities;
use crate::plan::fleet::TargetName;
use hub::Hub;

fn target() -> TargetName {
    "shop-eu".parse().unwrap()
}

fn wanted(version: &str) -> Wanted {
    Wanted {
        chart: "oci://ghcr.io/acme/charts/shop".parse().unwrap(),
        version: version.parse().unwrap(),
        digest: None,
        values: json!({"api": {"image": format!("ghcr.io/acme/shop/api:{version}")}}),
    }
}

/// An Application that serves 1.0.0, by a sync of somebody's.
fn application() -> Value {
    let source = json!({"repoURL": "ghcr.io/acme/charts", "chart": "shop",
        "targetRevision": "1.0.0", "helm": {"valuesObject": {"replicas": 2}}});
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": {"name": "shop-eu", "namespace": "argocd", "uid": "u1", "resourceVersion": "1"},
        "spec": {"project": "default", "source": source,
                 "destination": {"name": "eu", "namespace": "shop"}},
        "status": {
            "sync": {"status": "Synced", "comparedTo": {"source": source}},
            "health": {"status": "Healthy"},
            "operationState": {"phase": "Succeeded", "startedAt": "2026-11-28T10:00:00Z",
                "finishedAt": "2026-11-28T10:00:01Z", "syncResult": {"source": source},
                "operation": {"initiatedBy": {"username": "eve"}}},
        },
    })
}

/// Argo CD: syncs at once what it is asked for, compares when it is asked to, and all is healthy.
fn good(object: &mut Value) {
    ends_as(object, "Succeeded", "Healthy");
}

/// The same, and it stays on its way.
fn progressing(object: &mut Value) {
    ends_as(object, "Succeeded", "Progressing");
}

/// Argo CD without its controller.
fn nothing(_: &mut Value) {}

fn ends_as(object: &mut Value, phase: &str, health: &str) {
    let source = object["spec"]["source"].clone();
    if let Some(operation) = object.as_object_mut().unwrap().remove("operation") {
        object["status"]["operationState"] = json!({
            "phase": phase, "operation": operation, "startedAt": "2026-11-29T10:00:00Z",
            "finishedAt": "2026-11-29T10:00:01Z", "syncResult": {"source": source},
        });
        object["status"]["health"]["status"] = json!(health);
    }
    if let Some(annotations) = object["metadata"]["annotations"].as_object_mut() {
        annotations.remove("argocd.argoproj.io/refresh");
        object["status"]["sync"] = json!({"status": "Synced", "comparedTo": {"source": source}});
    }
}

/// A sync that is at work, with a note where it is `deploy`'s.
fn at_work(object: &mut Value, note: Option<&str>) {
    let info = note.map(|note| json!([{"name": "deploy", "value": note}]));
    let operation = json!({"initiatedBy": {"username": "mallory"}, "info": info, "sync": {}});
    object["status"]["operationState"] = json!({
        "phase": "Running", "startedAt": "2026-11-29T09:00:00Z", "operation": operation,
    });
    object["operation"] = operation;
}

fn engine(hub: &Hub) -> ArgoCd {
    engine_of(hub, Duration::from_secs(600), BTreeMap::new())
}

/// Of a node that waits so long for others, and looks into these clusters.
fn engine_of(hub: &Hub, lock_timeout: Duration, looks: BTreeMap<TargetName, Look>) -> ArgoCd {
    let mut plan = helm::tests::plan("");
    plan.lock_timeout = lock_timeout;
    let run = "20261124T175106Z-1a2b3c".parse().unwrap();
    let hub = super::Hub::new(hub.client(), "argocd");
    ArgoCd::new(hub, &plan, &run, None, looks)
}

/// Of a node that looks into the target's own cluster.
fn engine_beside(hub: &Hub, cluster: &Hub) -> ArgoCd {
    let look = Look {
        client: cluster.client(),
        capabilities: Capabilities::default(),
    };
    let looks = [(target(), look)].into();
    let engine = engine_of(hub, Duration::from_secs(600), looks);
    engine.expect(&target(), &wanted("2.0.0"), Rendered::default());
    engine
}

/// Asks for 2.0.0.
async fn asked(engine: &ArgoCd) -> Operation {
    engine.apply(&target(), &wanted("2.0.0")).await.unwrap()
}

/// Waits for two minutes at most: how it ended, in words, and after how many seconds.
async fn ended(engine: &ArgoCd, operation: &Operation) -> (&'static str, String, u64) {
    let begun = Instant::now();
    let deadline = begun + Duration::from_secs(120);
    let end = engine.watch(&target(), operation, deadline, &|_| {}).await;
    let (word, said) = told(end);
    (word, said, begun.elapsed().as_secs())
}

fn told(end: Ended) -> (&'static str, String) {
    match end {
        Ended::Serves => ("serves", String::new()),
        Ended::Failed(problem) => ("failed", problem.to_string()),
        Ended::TimeUp(problem) => ("time is up", problem.to_string()),
        Ended::Unknown(problem) => ("unknown", problem.to_string()),
    }
}
