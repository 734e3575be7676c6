//! Pods that nobody replaces.

use std::time::Duration;

use serde_json::{Value, json};

use super::change;
use super::words::target;
use crate::rollout::cache::ReleaseCache;
use crate::rollout::model::Elapsed;
use crate::rollout::stuck::stuck_pods;

const SEEN: Elapsed = Elapsed(Duration::from_secs(1));

/// The `StatefulSet` `db` of two pods.
fn db(policy: &str, strategy: &str, partition: i32, observed: i64) -> Value {
    json!({"kind": "StatefulSet", "metadata": {"namespace": "shop", "name": "db", "uid": "s", "generation": 3},
        "spec": {"replicas": 2, "serviceName": "db", "selector": {}, "template": {}, "podManagementPolicy": policy,
            "updateStrategy": {"type": strategy, "rollingUpdate": {"partition": partition}}},
        "status": {"observedGeneration": observed, "replicas": 2, "readyReplicas": 1, "currentRevision": "db-1", "updateRevision": "db-1"}})
}

fn db_pod(ordinal: u32, revision: &str, ready: bool, phase: &str) -> Value {
    json!({"kind": "Pod", "metadata": {"namespace": "shop", "name": format!("db-{ordinal}"), "uid": format!("p{ordinal}"),
        "labels": {"controller-revision-hash": revision},
        "ownerReferences": [{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "uid": "s", "controller": true}]},
        "spec": {"containers": [{"name": "db"}]},
        "status": {"phase": phase, "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}]}})
}

/// Case A16: only a pod that is not Ready, of a revision that is not wanted, and that its
/// controller waits for, is stuck.
#[test]
fn a_pod_that_its_controller_will_not_replace_is_stuck() {
    let ordered = db("OrderedReady", "RollingUpdate", 0, 3);
    for (set, pods, stuck) in [
        (
            &ordered,
            vec![
                db_pod(0, "db-2", false, "Running"),
                db_pod(1, "db-1", true, "Running"),
            ],
            vec!["db-0"],
        ),
        (
            &ordered,
            vec![
                db_pod(1, "db-2", false, "Pending"),
                db_pod(0, "db-2", false, "Running"),
            ],
            vec!["db-0", "db-1"],
        ),
        // Wanted, and only not ready yet.
        (&ordered, vec![db_pod(0, "db-1", false, "Running")], vec![]),
        // Ready: the controller replaces it in its turn.
        (&ordered, vec![db_pod(0, "db-2", true, "Running")], vec![]),
        // It replaces what has failed.
        (&ordered, vec![db_pod(0, "db-2", false, "Failed")], vec![]),
        // It does not wait for any.
        (
            &db("Parallel", "RollingUpdate", 0, 3),
            vec![db_pod(0, "db-2", false, "Running")],
            vec![],
        ),
        // Somebody else deletes them.
        (
            &db("OrderedReady", "OnDelete", 0, 3),
            vec![db_pod(0, "db-2", false, "Running")],
            vec![],
        ),
        // Those below the partition keep their revision.
        (
            &db("OrderedReady", "RollingUpdate", 1, 3),
            vec![
                db_pod(0, "db-2", false, "Running"),
                db_pod(1, "db-2", false, "Running"),
            ],
            vec!["db-1"],
        ),
        // What is wanted is not known yet.
        (
            &db("OrderedReady", "RollingUpdate", 0, 2),
            vec![db_pod(0, "db-2", false, "Running")],
            vec![],
        ),
    ] {
        let mut cache = ReleaseCache::of(&[target("StatefulSet", "db", false)]);
        cache.apply(change(set), SEEN);
        for pod in &pods {
            cache.apply(change(pod), SEEN);
        }
        let found = stuck_pods(&cache);
        let names: Vec<&str> = found.iter().map(|pod| pod.pod.name.as_str()).collect();
        assert_eq!(names, stuck, "{set} {pods:?}");
        if let Some(first) = found.first() {
            assert_eq!(
                (first.revision.as_str(), first.wanted.as_str()),
                ("db-2", "db-1")
            );
        }
    }
    let mut leaving = db_pod(0, "db-2", false, "Running");
    leaving["metadata"]["deletionTimestamp"] = json!("2026-11-28T10:00:00Z");
    let mut cache = ReleaseCache::of(&[target("StatefulSet", "db", false)]);
    cache.apply(change(&ordered), SEEN);
    cache.apply(change(&leaving), SEEN);
    assert_eq!(stuck_pods(&cache), []);
}
