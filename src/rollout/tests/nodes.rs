//! Pods that find no node: what lasts, what passes, and what is not known. The words
//! are those of the scheduler of Kubernetes 1.34 (pkg/scheduler/framework/types.go and
//! plugins/*/; recorded-selector.json and recorded-cpu.json have two of them).

use std::time::Duration;

use serde_json::{Value, json};

use super::words::{cache, container, deployment, pod, replica_set};
use super::{change, word};
use crate::manifest::quantity;
use crate::rollout::baseline::{Baseline, Node};
use crate::rollout::model::Elapsed;
use crate::rollout::taints::Taint;
use crate::rollout::verdict::{judge, most_telling};

const BUDGET: Duration = Duration::from_secs(300);
const SELECTOR: &str = "1 node(s) didn't match Pod's node affinity/selector";
const TAINT: &str = "1 node(s) had untolerated taint(s)";
const PORTS: &str = "1 node(s) didn't have free ports for the requested pod ports";

/// A pod that waits for a node.
fn waits(reasons: &str) -> Value {
    let mut pod = pod("api-1-a", false, &container(false, &json!({"waiting": {}})));
    let message = format!(
        "0/1 nodes are available: {reasons}. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
    );
    pod["status"] = json!({"phase": "Pending", "conditions": [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}]});
    pod
}

fn asks(mut pod: Value, requests: &Value) -> Value {
    pod["spec"]["containers"][0]["resources"] = json!({"requests": requests});
    pod
}

fn node(allocatable: &[(&str, &str)]) -> Node {
    let amount = |(name, text): &(&str, &str)| Some(((*name).to_owned(), quantity::milli(text)?));
    Node {
        name: "n1".to_owned(),
        allocatable: allocatable.iter().filter_map(amount).collect(),
        ..Node::default()
    }
}

fn tainted(key: &str) -> Node {
    Node {
        taints: vec![Taint {
            key: key.to_owned(),
            effect: "NoSchedule".to_owned(),
            ..Taint::default()
        }],
        ..node(&[("cpu", "2")])
    }
}

/// What a pod comes to after so many seconds, where these are the nodes, as far as they
/// may be read.
fn judged(pod: &Value, nodes: Option<Vec<Node>>, autoscaler: Option<bool>, at: u64) -> String {
    let mut cache = cache(&[]);
    let mut baseline = Baseline::of(&cache, BUDGET);
    for object in [&deployment(1, 0), &replica_set(), pod] {
        cache.apply(change(object), Elapsed::default());
    }
    baseline.facts.nodes = nodes;
    baseline.facts.autoscaler = autoscaler;
    let now = Elapsed(Duration::from_secs(at));
    word(&judge(&cache, &baseline, now)[0].status).to_owned()
}

/// Cases C5, C11.
#[test]
fn what_is_not_known_of_nodes_is_no_failure_before_it_is_late() {
    let plain = || Some(vec![node(&[("cpu", "2")])]);
    let no = Some(false);
    let big = asks(waits("1 Insufficient cpu"), &json!({"cpu": "3"}));
    let gpu = asks(
        waits("1 Insufficient nvidia.com/gpu"),
        &json!({"nvidia.com/gpu": "1"}),
    );
    let cordoned = || {
        let passing_taint = true;
        Some(vec![Node {
            passing_taint,
            ..tainted("dedicated")
        }])
    };
    let mut tolerant = waits(TAINT);
    tolerant["spec"]["tolerations"] = json!([{"key": "dedicated", "operator": "Exists"}]);
    for (pod, nodes, autoscaler, at, expected) in [
        // A label may come within a moment.
        (waits(SELECTOR), plain(), no, 5, "waiting"),
        (waits(SELECTOR), plain(), no, 15, "unschedulable"),
        // No right to read nodes.
        (waits(SELECTOR), None, no, 20, "waiting"),
        (waits(SELECTOR), None, no, 149, "waiting"),
        (waits(SELECTOR), None, no, 150, "unschedulable"),
        (big.clone(), None, no, 150, "waiting"),
        // No right to look for an autoscaler.
        (waits(SELECTOR), plain(), None, 20, "waiting"),
        (waits(SELECTOR), plain(), None, 150, "unschedulable"),
        (big.clone(), plain(), None, 20, "waiting"),
        // More than any node has, whatever leaves.
        (big, plain(), no, 1, "unschedulable"),
        // The device plugin restarts: the node offers none for a while.
        (gpu.clone(), plain(), no, 20, "waiting"),
        (gpu.clone(), plain(), no, 149, "waiting"),
        (gpu, plain(), no, 150, "unschedulable"),
        // Cordoned, not ready; and a moment later, the scheduler's words older than that.
        (waits(TAINT), cordoned(), no, 20, "waiting"),
        (waits(TAINT), plain(), no, 20, "waiting"),
        (waits(TAINT), cordoned(), no, 150, "waiting"),
        (
            waits("1 node(s) had untolerated taint {node.kubernetes.io/unreachable: }"),
            plain(),
            no,
            20,
            "waiting",
        ),
        (
            waits("1 node(s) were unschedulable"),
            cordoned(),
            no,
            20,
            "waiting",
        ),
        // A taint that stays, tolerated or not.
        (
            waits(TAINT),
            Some(vec![tainted("dedicated")]),
            no,
            10,
            "waiting",
        ),
        (
            waits(TAINT),
            Some(vec![tainted("dedicated")]),
            no,
            20,
            "unschedulable",
        ),
        (
            tolerant,
            Some(vec![tainted("dedicated")]),
            no,
            20,
            "waiting",
        ),
        // A node has come since.
        (
            waits(SELECTOR),
            Some(vec![node(&[]), node(&[])]),
            no,
            20,
            "waiting",
        ),
    ] {
        assert_eq!(
            judged(&pod, nodes.clone(), autoscaler, at),
            expected,
            "{at} s, {nodes:?}, {autoscaler:?}, {pod:#}"
        );
    }
}

/// A Deployment of one pod in the middle of its upgrade: the old pod runs on the only
/// node, the new one waits for it.
fn upgrade(missing: i32, new: &Value, old: &Value) -> Vec<Value> {
    let mut deployment = deployment(1, 1);
    deployment["metadata"]["annotations"] = json!({"deployment.kubernetes.io/revision": "2"});
    deployment["spec"]["strategy"] = json!({"type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 1, "maxUnavailable": missing}});
    deployment["status"]["replicas"] = json!(2);
    let mut earlier = replica_set();
    earlier["spec"]["replicas"] = json!(1);
    let mut later = earlier.clone();
    later["metadata"]["name"] = json!("api-2");
    later["metadata"]["uid"] = json!("s");
    later["metadata"]["annotations"] = json!({"deployment.kubernetes.io/revision": "2"});
    let mut new = new.clone();
    new["metadata"]["name"] = json!("api-2-b");
    new["metadata"]["uid"] = json!("api-2-b");
    new["metadata"]["ownerReferences"][0]["name"] = json!("api-2");
    new["metadata"]["ownerReferences"][0]["uid"] = json!("s");
    let mut old = old.clone();
    old["spec"]["nodeName"] = json!("n1");
    vec![deployment, earlier, later, old, new]
}

fn told(objects: &[Value], at: u64) -> Option<String> {
    let mut cache = cache(&[]);
    let mut baseline = Baseline::of(&cache, BUDGET);
    for object in objects {
        cache.apply(change(object), Elapsed::default());
    }
    baseline.facts.nodes = Some(vec![node(&[("cpu", "2")])]);
    baseline.facts.autoscaler = Some(false);
    let now = Elapsed(Duration::from_secs(at));
    most_telling(judge(&cache, &baseline, now)).map(|failure| failure.headline())
}

/// Case B5: neither ever moves.
#[test]
fn what_an_old_pod_holds_is_named_where_it_cannot_leave() {
    let running = pod("api-1-a", true, &container(true, &json!({"running": {}})));
    let ported = |mut pod: Value| {
        pod["spec"]["containers"][0]["ports"] = json!([{"containerPort": 8080, "hostPort": 8080}]);
        pod
    };
    let cpu = |pod: Value| asks(pod, &json!({"cpu": "1200m"}));
    let little = |pod: Value| asks(pod, &json!({"cpu": "500m"}));
    let short = waits("1 Insufficient cpu");
    let port = "Deployment api: no node can take pod api-2-b: the old pod api-1-a holds host port TCP 8080 and cannot leave: maxUnavailable is 0";
    let room = "Deployment api: no node can take pod api-2-b: the old pod api-1-a holds cpu and cannot leave: maxUnavailable is 0";
    for (missing, new, old, at, expected) in [
        (
            0,
            ported(waits(PORTS)),
            ported(running.clone()),
            5,
            Some(port),
        ),
        (0, ported(waits(PORTS)), ported(running.clone()), 3, None),
        (1, ported(waits(PORTS)), ported(running.clone()), 100, None),
        // Another's port.
        (0, ported(waits(PORTS)), running.clone(), 100, None),
        (0, cpu(short.clone()), cpu(running.clone()), 5, Some(room)),
        (1, cpu(short.clone()), cpu(running.clone()), 100, None),
        // Both fit on the node: somebody else has the rest, and may leave.
        (0, little(short.clone()), little(running.clone()), 100, None),
        // The node is cordoned besides.
        (
            0,
            ported(waits("1 node(s) were unschedulable")),
            ported(running.clone()),
            100,
            None,
        ),
    ] {
        let objects = upgrade(missing, &new, &old);
        assert_eq!(told(&objects, at).as_deref(), expected, "{missing} {new:#}");
    }
    let mut leaving = upgrade(0, &ported(waits(PORTS)), &ported(running));
    leaving[3]["metadata"]["deletionTimestamp"] = json!("2026-11-24T18:51:31Z");
    assert_eq!(told(&leaving, 100), None, "the old pod is on its way out");
}
