//! Case C6: a full quota that somebody may free, and one that nobody can.

use std::time::Duration;

use serde_json::{Value, json};

use super::words::{cache, container, deployment, pod, replica_set};
use super::{change, word};
use crate::rollout::baseline::Baseline;
use crate::rollout::model::Elapsed;
use crate::rollout::verdict::judge;

/// A Deployment of two pods, of which one runs and the other is refused so
/// (recorded-quota.json has the words, of Kubernetes 1.34).
fn refused(quota: &str) -> Vec<Value> {
    let message = format!("pods \"api-1-b\" is forbidden: exceeded quota: small, {quota}");
    let mut deployment = deployment(2, 1);
    deployment["status"]["replicas"] = json!(1);
    let mut set = replica_set();
    set["status"] = json!({"replicas": 1, "conditions": [
        {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}]});
    let mut runs = pod("api-1-a", true, &container(true, &json!({"running": {}})));
    runs["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "500m"}});
    let event = json!({"kind": "Event", "metadata": {"namespace": "shop", "name": "e", "uid": "e"},
        "involvedObject": {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "api-1", "namespace": "shop", "uid": "r"},
        "reason": "FailedCreate", "message": format!("Error creating: {message}"), "count": 1});
    vec![deployment, set, runs, event]
}

#[test]
fn a_quota_that_others_use_may_come_free() {
    let full = "requested: pods=1, used: pods=4, limited: pods=4";
    let own = "requested: pods=1, used: pods=1, limited: pods=1";
    let never = "requested: requests.cpu=2, used: requests.cpu=500m, limited: requests.cpu=1";
    let others = "requested: requests.cpu=500m, used: requests.cpu=1, limited: requests.cpu=1";
    let unknown =
        "requested: limits.memory=1Gi, used: limits.memory=1Gi, limited: limits.memory=1Gi";
    for (quota, seconds, expected) in [
        (full, 12, "waiting"),
        (full, 61, "quota"),
        (others, 12, "waiting"),
        (others, 61, "quota"),
        (unknown, 12, "waiting"),
        (unknown, 61, "quota"),
        // Only its own pod uses it, and that one stays.
        (own, 3, "quota"),
        // Too small, whoever leaves.
        (never, 1, "quota"),
    ] {
        let mut cache = cache(&[]);
        let baseline = Baseline::of(&cache, Duration::from_secs(300));
        for object in refused(quota) {
            cache.apply(change(&object), Elapsed::default());
        }
        let now = Elapsed(Duration::from_secs(seconds));
        let status = &judge(&cache, &baseline, now)[0].status;
        assert_eq!(word(status), expected, "{quota}, {seconds} s");
    }
}
