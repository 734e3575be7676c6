//! Workloads that are short of pods.

use std::time::Duration;

use serde_json::{Value, json};

use super::words::target;
use super::{change, word};
use crate::rollout::baseline::Baseline;
use crate::rollout::cache::ReleaseCache;
use crate::rollout::model::{Change, Elapsed, ResourceKind};
use crate::rollout::shortage::of_release;
use crate::rollout::target_readiness;
use crate::rollout::verdict::judge;
use crate::rollout::workload_ref::NamespacedName;

fn at(seconds: u64) -> Elapsed {
    Elapsed(Duration::from_secs(seconds))
}

/// The Deployment `api` of four pods in this revision, of which so many are ready, and its
/// `ReplicaSet`.
fn api(revision: u64, ready: i32, updated: i32) -> Vec<Value> {
    let set = format!("api-{revision}");
    vec![
        json!({"kind": "Deployment", "metadata": {"namespace": "shop", "name": "api", "uid": "d", "generation": revision,
            "annotations": {"deployment.kubernetes.io/revision": revision.to_string()}},
            "spec": {"replicas": 4, "selector": {}, "template": {}},
            "status": {"observedGeneration": revision, "replicas": updated, "updatedReplicas": updated, "readyReplicas": ready, "availableReplicas": ready}}),
        json!({"kind": "ReplicaSet", "metadata": {"namespace": "shop", "name": set, "uid": set,
            "annotations": {"deployment.kubernetes.io/revision": revision.to_string()},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "api", "uid": "d", "controller": true}]},
            "spec": {"replicas": 4, "selector": {}}, "status": {"replicas": 4}}),
    ]
}

/// A pod of it: ready, or with this state of its container, or (null) without a node.
fn pod(revision: u64, name: &str, state: Option<&Value>) -> Value {
    let set = format!("api-{revision}");
    let ready = state.is_none();
    let up = json!({"running": {}});
    let mut pod = json!({"kind": "Pod", "metadata": {"namespace": "shop", "name": format!("{set}-{name}"), "uid": format!("{set}-{name}"),
        "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": set, "uid": set, "controller": true}]},
        "spec": {"containers": [{"name": "api"}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}],
            "containerStatuses": [{"name": "api", "image": "", "imageID": "", "ready": ready, "restartCount": 3, "state": state.unwrap_or(&up),
                "lastState": {"terminated": {"exitCode": 3}}}]}});
    if state.is_some_and(Value::is_null) {
        let message = format!("0/{revision} nodes are available: {revision} Insufficient cpu.");
        pod["status"] = json!({"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}]});
    }
    pod
}

fn four(revision: u64, fourth: Option<&Value>) -> Vec<Value> {
    let mut all = api(revision, if fourth.is_none() { 4 } else { 3 }, 4);
    all.extend(["a", "b", "c"].map(|name| pod(revision, name, None)));
    all.push(pod(revision, "d", fourth));
    all
}

fn waiting(reason: &str) -> Value {
    json!({"waiting": {"reason": reason}})
}

/// An upgrade of four pods: what the fourth did before, what it does now.
fn upgrade(before: Option<&Value>, now: &Value) -> (ReleaseCache, Baseline) {
    let mut cache = ReleaseCache::of(&[target("Deployment", "api", false)]);
    for object in four(1, before) {
        cache.apply(change(&object), Elapsed::default());
    }
    let baseline = Baseline::of(&cache, Duration::from_secs(600));
    for name in ["a", "b", "c", "d"] {
        let key = NamespacedName::new("shop", format!("api-1-{name}"));
        cache.apply(Change::Gone(ResourceKind::Pod, key), at(2));
    }
    for object in four(2, Some(now)) {
        cache.apply(change(&object), at(3));
    }
    (cache, baseline)
}

/// Case A1: three of four pods are not Ready, whatever `maxUnavailable` says; a workload that
/// was short by as many before, for the same cause, is Ready with a warning.
#[test]
fn as_short_as_before_is_ready_with_a_warning() {
    let no_node = Value::Null;
    let (crash, pull) = (waiting("CrashLoopBackOff"), waiting("ImagePullBackOff"));
    for (before, now, ready) in [
        (None, &crash, false),
        (None, &no_node, false),
        (Some(&crash), &crash, true),
        (Some(&no_node), &no_node, true),
        (Some(&pull), &waiting("ErrImagePull"), true),
        (Some(&no_node), &crash, false),
        (Some(&crash), &pull, false),
        (Some(&crash), &waiting("ContainerCreating"), false),
    ] {
        let (cache, baseline) = upgrade(before, now);
        let target = cache.targets().next().unwrap();
        assert!(!target_readiness::of(&cache, target).is_ready());
        let soon = of_release(&cache, &baseline, at(10));
        assert!(!soon.ready, "it may only have begun");
        let later = of_release(&cache, &baseline, at(40));
        assert_eq!(later.ready, ready, "{before:?} {now}");
        assert_eq!(later.warnings.len(), usize::from(ready));
        if ready {
            let status = word(&judge(&cache, &baseline, at(500))[0].status).to_owned();
            assert_eq!(status, "waiting", "no failure of this deploy's");
        }
    }
    let (cache, baseline) = upgrade(Some(&no_node), &no_node);
    assert_eq!(
        of_release(&cache, &baseline, at(40)).warnings,
        [
            "Deployment api is short of 1 of 4 pods, as before the deploy: pod api-2-d waits for a node (0/2 nodes are available: 2 Insufficient cpu.)"
        ]
    );
}

/// Case A1: a workload of which no pod is ready is never Ready, nor one whose old pods are
/// still there.
#[test]
fn nothing_ready_is_never_excused() {
    let crash = waiting("CrashLoopBackOff");
    let (mut cache, baseline) = upgrade(Some(&crash), &crash);
    let mut more = api(2, 3, 4).swap_remove(0);
    more["status"]["replicas"] = json!(5);
    cache.apply(change(&more), at(4));
    assert!(
        !of_release(&cache, &baseline, at(60)).ready,
        "an old pod is still there"
    );

    let mut cache = ReleaseCache::of(&[target("Deployment", "api", false)]);
    let mut all = api(1, 0, 4);
    all.extend(["a", "b", "c", "d"].map(|name| pod(1, name, Some(&crash))));
    for object in &all {
        cache.apply(change(object), Elapsed::default());
    }
    let baseline = Baseline::of(&cache, Duration::from_secs(600));
    let mut all = api(2, 0, 4);
    all.extend(["a", "b", "c", "d"].map(|name| pod(2, name, Some(&crash))));
    for object in &all {
        cache.apply(change(object), at(3));
    }
    assert!(!of_release(&cache, &baseline, at(60)).ready);
}
