//! Containers without a probe have to run for a while.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::change;
use super::words::{container, pod, replica_set, target};
use crate::rollout::baseline::Baseline;
use crate::rollout::cache::ReleaseCache;
use crate::rollout::explain::explain_timeout;
use crate::rollout::model::{Change, Elapsed};
use crate::rollout::progress::progress;
use crate::rollout::{shortage, unprobed};

const WAITS: &str = "container api to run for 5s, since it has no readiness probe";

/// The Deployment of one pod, with this template and revision.
fn deployment(spec: &Value, revision: u8, available: u8) -> Value {
    let mut object = json!({"kind": "Deployment",
        "metadata": {"namespace": "shop", "name": "api", "uid": "d", "generation": revision,
            "annotations": {"deployment.kubernetes.io/revision": revision.to_string()}},
        "spec": {"replicas": 1, "selector": {}, "template": {}},
        "status": {"observedGeneration": revision, "replicas": 1, "updatedReplicas": 1,
            "readyReplicas": available, "availableReplicas": available}});
    let fields = object["spec"].as_object_mut().unwrap();
    fields.extend(spec.as_object().unwrap().clone());
    object
}

fn seconds(seconds: f64) -> Elapsed {
    Elapsed(Duration::from_secs_f64(seconds))
}

fn is_ready(cache: &ReleaseCache, now: f64) -> bool {
    shortage::of_release(cache, &Baseline::default(), seconds(now)).ready
}

#[test]
fn a_container_without_a_probe_has_to_stay() {
    let with = |container: Value| json!({"template": {"spec": {"containers": [container]}}});
    let plain = with(json!({"name": "api", "livenessProbe": {}}));
    let mut slow = plain.clone();
    slow["minReadySeconds"] = json!(1);
    for (spec, stays) in [
        (&plain, true),
        (&slow, false),
        (&with(json!({"name": "api", "readinessProbe": {}})), false),
        (&with(json!({"name": "api", "startupProbe": {}})), false),
    ] {
        let mut cache = ReleaseCache::of(&[target("Deployment", "api", false)]);
        cache.apply(change(&deployment(spec, 1, 1)), Elapsed::default());
        assert!(is_ready(&cache, 0.1), "it was before: {spec}");
        assert_eq!(unprobed::seen_ready_for(&cache).is_zero(), !stays);

        cache.apply(change(&deployment(spec, 2, 1)), seconds(2.0));
        assert_eq!(is_ready(&cache, 2.0), !stays, "{spec}");
        assert_eq!(is_ready(&cache, 6.9), !stays, "{spec}");
        let waits = progress(&cache, seconds(6.9))[0].1.waits_for.clone();
        assert_eq!(waits.as_deref(), stays.then_some(WAITS));
        let explained = explain_timeout(&cache, seconds(6.9));
        assert_eq!(explained.len(), usize::from(stays), "{explained:?}");
        assert!(is_ready(&cache, 7.0), "{spec}");
    }
}

#[test]
fn each_end_begins_it_anew() {
    let spec = json!({"template": {"spec": {"containers": [{"name": "api"}]}}});
    let mut cache = ReleaseCache::of(&[target("Deployment", "api", false)]);
    for (at, available) in [(1.0, 1), (2.0, 0), (4.0, 1)] {
        cache.apply(change(&deployment(&spec, 1, available)), seconds(at));
        assert!(!is_ready(&cache, at));
    }
    // What is told of it again is none.
    cache.apply(change(&deployment(&spec, 1, 1)), seconds(8.0));
    assert!(!is_ready(&cache, 8.9));
    assert!(is_ready(&cache, 9.0));
}

/// Each container as `name image`, with a star where it has a probe.
#[test]
fn what_was_asked_for_has_to_run() {
    for (containers, requested, expected) in [
        (
            &["api a", "flaps a"] as &[&str],
            &["a"] as &[&str],
            &["api"] as &[&str],
        ),
        (&["api a*", "flaps a"], &["a"], &[]),
        (&["flaps a", "api a*"], &["a"], &[]),
        (&["mesh m*", "api a"], &["a"], &["api"]),
        (&["api a*", "worker w"], &["a", "w"], &["worker"]),
        (&["api a*", "flaps f"], &["a"], &[]),
        (&["redis r", "exporter e*"], &["a"], &["redis"]),
        (&["redis r*", "exporter e"], &["a"], &[]),
        (&[], &["a"], &[]),
    ] {
        let made = containers.iter().map(|text| {
            let (name, image) = text.split_once(' ').unwrap();
            let mut made = json!({"name": name, "image": image.trim_end_matches('*')});
            if image.ends_with('*') {
                made["readinessProbe"] = json!({});
            }
            made
        });
        let made: Vec<Value> = made.collect();
        let spec = json!({"template": {"spec": {"containers": made}}});
        let Change::Workload(workload) = change(&deployment(&spec, 1, 1)) else {
            panic!("no workload")
        };
        let requested: BTreeSet<String> = requested.iter().map(ToString::to_string).collect();
        assert_eq!(
            unprobed::unprobed(&workload, &requested),
            expected,
            "{containers:?}"
        );
    }
}

/// A sidecar that ends again and again makes the workload Ready for moments only, while the
/// container that was asked for runs on.
#[test]
fn a_sidecar_may_come_and_go() {
    let spec = json!({"template": {"spec": {"containers": [{"name": "api"}, {"name": "flaps"}]}}});
    let runs = |name: &str, restarts: u8, ready: bool| {
        let mut status = container(ready, &json!({"running": {}}));
        status["name"] = json!(name);
        status["restartCount"] = json!(restarts);
        status
    };
    let seen = |api: u8, flaps: u8, ready: bool| {
        let mut pod = pod("api-1-a", ready, &Value::Null);
        pod["spec"]["containers"] = json!([{"name": "api"}, {"name": "flaps"}]);
        let statuses = [runs("api", api, true), runs("flaps", flaps, ready)];
        pod["status"]["containerStatuses"] = json!(statuses);
        pod
    };
    let mut cache = ReleaseCache::of(&[target("Deployment", "api", false)]);
    cache.apply(change(&replica_set()), Elapsed::default());
    for (at, flaps) in [(1.0, 0), (3.0, 1), (5.0, 2), (5.9, 3)] {
        for available in [0, 1] {
            cache.apply(change(&seen(0, flaps, available == 1)), seconds(at));
            cache.apply(change(&deployment(&spec, 1, available)), seconds(at));
        }
        assert!(!is_ready(&cache, at), "{at}");
    }
    assert!(is_ready(&cache, 6.0));
    cache.apply(change(&seen(1, 3, true)), seconds(7.0));
    assert!(!is_ready(&cache, 11.9));
    assert!(is_ready(&cache, 12.0));
}
