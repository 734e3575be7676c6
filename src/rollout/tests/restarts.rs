//! Restarts: what is a crash loop, and what may come right with the next start.

use std::time::Duration;

use serde_json::{Value, json};

use super::words::target;
use super::{change, word};
use crate::rollout::baseline::Baseline;
use crate::rollout::cache::ReleaseCache;
use crate::rollout::model::Elapsed;
use crate::rollout::target::WatchTarget;
use crate::rollout::verdict::judge;

/// A Deployment of one pod, with its `ReplicaSet`.
fn deployment(name: &str, revision: u64, ready: bool) -> [Value; 2] {
    let set = format!("{name}-{revision}");
    [
        json!({"kind": "Deployment", "metadata": {"namespace": "shop", "name": name, "uid": name, "generation": revision,
            "annotations": {"deployment.kubernetes.io/revision": revision.to_string()}},
            "spec": {"replicas": 1, "selector": {}, "template": {}},
            "status": {"observedGeneration": revision, "replicas": 1, "updatedReplicas": 1,
                "readyReplicas": i32::from(ready), "availableReplicas": i32::from(ready)}}),
        json!({"kind": "ReplicaSet", "metadata": {"namespace": "shop", "name": set, "uid": set,
            "annotations": {"deployment.kubernetes.io/revision": revision.to_string()},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": name, "uid": name, "controller": true}]},
            "spec": {"replicas": 1, "selector": {}}, "status": {"replicas": 1}}),
    ]
}

/// A pod of that Deployment with these containers.
fn pod(name: &str, revision: u64, ready: bool, containers: &[Value]) -> Value {
    let set = format!("{name}-{revision}");
    let specs: Vec<Value> = containers
        .iter()
        .map(|container| json!({"name": container["name"]}))
        .collect();
    json!({"kind": "Pod", "metadata": {"namespace": "shop", "name": format!("{set}-a"), "uid": format!("{set}-a"),
        "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": set, "uid": set, "controller": true}]},
        "spec": {"containers": specs},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}],
            "containerStatuses": containers}})
}

fn container(name: &str, restarts: u32, ready: bool, state: &Value) -> Value {
    let last = if restarts == 0 {
        json!({})
    } else {
        json!({"terminated": {"exitCode": 3, "reason": "Error"}})
    };
    json!({"name": name, "image": "", "imageID": "", "ready": ready, "restartCount": restarts, "state": state, "lastState": last})
}

fn running(name: &str, restarts: u32, ready: bool) -> Value {
    container(name, restarts, ready, &json!({"running": {}}))
}

fn waiting(name: &str, restarts: u32, reason: &str) -> Value {
    container(
        name,
        restarts,
        false,
        &json!({"waiting": {"reason": reason}}),
    )
}

/// The new api pod, whose only container has just ended after so many restarts.
fn ended(restarts: u32) -> Value {
    let end = json!({"terminated": {"exitCode": 3, "reason": "Error"}});
    pod("api", 2, false, &[container("api", restarts, false, &end)])
}

/// The same, held back by the kubelet.
fn held_back(restarts: u32) -> Value {
    pod(
        "api",
        2,
        false,
        &[waiting("api", restarts, "CrashLoopBackOff")],
    )
}

fn one(name: &str, revision: u64, restarts: u32, ready: bool) -> Value {
    pod(name, revision, ready, &[running(name, restarts, ready)])
}

/// A release of these objects, in the budget of ten minutes.
struct Release {
    cache: ReleaseCache,
    baseline: Baseline,
}

impl Release {
    fn of(targets: &[WatchTarget], before: &[Value]) -> Self {
        let mut cache = ReleaseCache::of(targets);
        for object in before {
            cache.apply(change(object), Elapsed::default());
        }
        let baseline = Baseline::of(&cache, Duration::from_secs(600));
        Self { cache, baseline }
    }

    /// api and db, both Ready, of which api is upgraded; its pods were restarted so often.
    fn upgrade(restarts: u32) -> Self {
        let targets = [target("Deployment", "api", false), unchanged("db")];
        let mut before = Vec::new();
        before.extend(deployment("api", 1, true));
        before.extend(deployment("db", 1, true));
        before.push(one("api", 1, restarts, true));
        before.push(one("db", 1, 0, true));
        Self::of(&targets, &before)
    }

    /// api beside something that is installed, too.
    fn install(other: WatchTarget) -> Self {
        Self::of(&[target("Deployment", "api", false), other], &[])
    }

    /// How api stands once these objects came.
    fn at(&mut self, seconds: u64, objects: &[Value]) -> String {
        let now = Elapsed(Duration::from_secs(seconds));
        for object in objects {
            self.cache.apply(change(object), now);
        }
        let verdicts = judge(&self.cache, &self.baseline, now);
        let api = verdicts
            .iter()
            .find(|verdict| verdict.workload.name == "api")
            .unwrap();
        word(&api.status).to_owned()
    }

    /// The upgrade of api begins.
    fn begins(&mut self) {
        let [api, set] = deployment("api", 2, false);
        let pod = pod("api", 2, false, &[waiting("api", 0, "ContainerCreating")]);
        assert_eq!(self.at(1, &[api, set, pod]), "waiting");
    }
}

fn unchanged(name: &str) -> WatchTarget {
    let mut target = target("Deployment", name, false);
    target.template_changed = false;
    target
}

/// Case C2: two ends within a second say no more than one; the third, which follows a
/// back-off, does.
#[test]
fn the_third_end_is_a_crash_loop() {
    let mut release = Release::upgrade(0);
    release.begins();
    for (seconds, pod, status) in [
        (2, ended(0), "waiting"),
        (3, ended(1), "waiting"),
        (4, held_back(1), "waiting"),
        (12, held_back(1), "waiting"),
        (13, ended(2), "crash-loop"),
        (14, held_back(2), "crash-loop"),
    ] {
        assert_eq!(release.at(seconds, &[pod]), status, "{seconds} s");
    }
}

/// Case C2: what a container needs may come with its third start.
#[test]
fn a_third_start_may_be_the_good_one() {
    let mut release = Release::upgrade(0);
    release.begins();
    assert_eq!(release.at(2, &[ended(0)]), "waiting");
    assert_eq!(release.at(3, &[ended(1)]), "waiting");
    let [api, set] = deployment("api", 2, true);
    assert_eq!(release.at(13, &[api, set, one("api", 2, 2, true)]), "ready");
}

/// Case C2: where the cluster cuts the back-off short, three ends come within seconds.
#[test]
fn a_pod_is_given_ten_seconds() {
    let mut release = Release::upgrade(0);
    release.begins();
    assert_eq!(release.at(6, &[ended(2)]), "waiting");
    assert_eq!(release.at(10, &[held_back(2)]), "waiting");
    assert_eq!(release.at(11, &[]), "crash-loop");
}

/// Case C2: a database of the release fails over. When it is back, the next start may
/// find it.
#[test]
fn a_failover_within_the_release_is_waited_for() {
    let mut release = Release::upgrade(0);
    release.begins();
    let [db, _] = deployment("db", 1, false);
    assert_eq!(
        release.at(2, &[db, one("db", 1, 0, false), ended(0)]),
        "waiting"
    );
    assert_eq!(release.at(3, &[ended(1)]), "waiting");
    assert_eq!(release.at(13, &[ended(2)]), "waiting");
    let [db, _] = deployment("db", 1, true);
    assert_eq!(release.at(30, &[db, one("db", 1, 0, true)]), "waiting");
    assert_eq!(release.at(31, &[held_back(2)]), "waiting");
    // This start followed: where it ends the same, it is the release's own doing.
    assert_eq!(release.at(34, &[ended(3)]), "crash-loop");
}

/// Case C2: what makes the good revision's pods end as well is not of this release.
#[test]
fn good_pods_that_end_as_often_are_a_hint() {
    let mut release = Release::upgrade(2);
    release.begins();
    assert_eq!(
        release.at(13, &[ended(2)]),
        "waiting",
        "they needed three starts, too"
    );
    assert_eq!(release.at(33, &[ended(3)]), "crash-loop", "but not four");

    let mut release = Release::upgrade(0);
    release.begins();
    let old = one("api", 1, 0, false);
    assert_eq!(
        release.at(13, &[old, ended(2)]),
        "waiting",
        "it is not ready"
    );
    let old = one("api", 1, 3, true);
    assert_eq!(
        release.at(14, &[old, ended(2)]),
        "waiting",
        "it was restarted as often"
    );
    let old = one("api", 1, 0, true);
    assert_eq!(release.at(15, &[old, ended(2)]), "crash-loop");

    let mut release = Release::upgrade(9);
    release.begins();
    assert_eq!(release.at(80, &[held_back(4)]), "waiting");
    assert_eq!(release.at(91, &[]), "crash-loop", "not for ever");
}

/// Case C2: a container beside it has not been started yet, or came up after its start.
#[test]
fn a_sidecar_that_comes_is_waited_for() {
    let mut release = Release::upgrade(0);
    release.begins();
    let with = |restarts: u32, mesh: Value| {
        let api = waiting("api", restarts, "CrashLoopBackOff");
        pod("api", 2, false, &[api, mesh])
    };
    let pulls = waiting("mesh", 0, "ImagePullBackOff");
    assert_eq!(release.at(14, &[with(2, pulls)]), "waiting");
    let up = running("mesh", 0, true);
    assert_eq!(release.at(20, &[with(2, up.clone())]), "waiting");
    assert_eq!(release.at(33, &[with(3, up)]), "crash-loop");
}

/// Case C1: api ends until db is Ready, which takes two minutes, or more.
#[test]
fn a_database_that_still_starts_is_waited_for() {
    for up in [120, 200] {
        let mut release = Release::install(target("Deployment", "db", false));
        let mut begin = Vec::new();
        begin.extend(deployment("api", 2, false));
        begin.extend(deployment("db", 2, false));
        begin.extend([held_back(1), one("db", 2, 0, false)]);
        assert_eq!(release.at(1, &begin), "waiting");
        assert_eq!(release.at(75, &[held_back(4)]), "waiting");
        assert_eq!(release.at(95, &[]), "waiting");
        assert_eq!(release.at(up - 1, &[held_back(5)]), "waiting");
        let [db, _] = deployment("db", 2, true);
        assert_eq!(release.at(up, &[db, one("db", 2, 0, true)]), "waiting");
        // Its next start may be five minutes away.
        assert_eq!(release.at(310, &[]), "waiting");
        let mut other = Release {
            cache: release.cache.clone(),
            baseline: release.baseline.clone(),
        };
        assert_eq!(other.at(311, &[held_back(6)]), "crash-loop", "it was there");
        let [api, set] = deployment("api", 2, true);
        assert_eq!(
            release.at(311, &[api, set, one("api", 2, 6, true)]),
            "ready"
        );
    }
}

/// Case C1: what still starts is waited for until half of the budget is gone, and only
/// while it does.
#[test]
fn what_is_on_its_way_is_not_waited_for_without_end() {
    let start = |db: Value| {
        let mut release = Release::install(target("Deployment", "db", false));
        let mut begin = Vec::new();
        begin.extend(deployment("api", 2, false));
        begin.extend(deployment("db", 2, false));
        begin.push(db);
        release.at(1, &begin);
        release.at(2, &[ended(0)]);
        release.at(75, &[held_back(4)]);
        release
    };
    for (db, late) in [
        (one("db", 2, 0, false), "waiting"),
        (one("db", 2, 1, false), "waiting"),
        (
            pod("db", 2, false, &[waiting("db", 0, "ContainerCreating")]),
            "waiting",
        ),
        (
            pod("db", 2, false, &[waiting("db", 0, "ImagePullBackOff")]),
            "waiting",
        ),
        (
            pod("db", 2, false, &[waiting("db", 4, "CrashLoopBackOff")]),
            "crash-loop",
        ),
    ] {
        let mut release = start(db.clone());
        assert_eq!(release.at(89, &[]), "waiting", "{db}");
        assert_eq!(release.at(95, &[]), late, "{db}");
        assert_eq!(release.at(300, &[]), "crash-loop", "{db}");
    }
}

/// Case C1: an init container that fails until a plain Job of three minutes is done.
#[test]
fn a_job_that_runs_is_waited_for() {
    let job = |complete: bool| {
        let done = json!([{"type": "Complete", "status": "True"}]);
        json!({"kind": "Job", "metadata": {"namespace": "shop", "name": "seed", "uid": "j"}, "spec": {"template": {}},
            "status": {"active": i32::from(!complete), "succeeded": i32::from(complete),
                "conditions": if complete { done } else { json!([]) }}})
    };
    let init = |restarts: u32, done: bool| {
        let state = if done {
            json!({"terminated": {"exitCode": 0}})
        } else {
            json!({"waiting": {"reason": "CrashLoopBackOff"}})
        };
        let mut pod = pod("api", 2, false, &[waiting("api", 0, "PodInitializing")]);
        pod["spec"]["initContainers"] = json!([{"name": "wait"}]);
        pod["status"]["initContainerStatuses"] = json!([container("wait", restarts, done, &state)]);
        pod
    };
    let mut release = Release::install(target("Job", "seed", false));
    let mut begin = deployment("api", 2, false).to_vec();
    begin.extend([job(false), init(1, false)]);
    assert_eq!(release.at(1, &begin), "waiting");
    assert_eq!(release.at(95, &[init(4, false)]), "waiting");
    assert_eq!(release.at(179, &[init(5, false)]), "waiting");
    assert_eq!(release.at(181, &[job(true)]), "waiting");
    assert_eq!(release.at(299, &[]), "waiting");
    let mut other = Release {
        cache: release.cache.clone(),
        baseline: release.baseline.clone(),
    };
    assert_eq!(other.at(310, &[init(6, false)]), "crash-loop");
    assert_eq!(release.at(310, &[init(6, true)]), "waiting");
}
