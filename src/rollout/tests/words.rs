//! What people read: progress, the end of time, and causes.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::{change, object};
use crate::event::{Unit, WorkloadProgress};
use crate::rollout::baseline::Baseline;
use crate::rollout::cache::ReleaseCache;
use crate::rollout::cause::{Cause, TerminalFailure};
use crate::rollout::explain::explain_timeout;
use crate::rollout::model::{Change, Elapsed, ResourceKind};
use crate::rollout::progress::{ReportedProgress, progress};
use crate::rollout::rules::RULES;
use crate::rollout::target::WatchTarget;
use crate::rollout::verdict::{judge, most_telling};
use crate::rollout::workload_ref::{NamespacedName, WorkloadKind};

pub(super) fn target(kind: &str, name: &str, hook: bool) -> WatchTarget {
    WatchTarget::new(&object("shop", kind, name), true, hook).unwrap()
}

pub(super) fn deployment(wanted: i32, ready: i32) -> Value {
    json!({"kind": "Deployment", "metadata": {"namespace": "shop", "name": "api", "uid": "d", "generation": 1},
        "spec": {"replicas": wanted, "selector": {}, "template": {}},
        "status": {"observedGeneration": 1, "replicas": wanted, "updatedReplicas": wanted, "readyReplicas": ready, "availableReplicas": ready}})
}

pub(super) fn replica_set() -> Value {
    json!({"kind": "ReplicaSet", "metadata": {"namespace": "shop", "name": "api-1", "uid": "r",
        "annotations": {"deployment.kubernetes.io/revision": "1"},
        "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "api", "uid": "d", "controller": true}]},
        "spec": {"replicas": 2, "selector": {}}, "status": {"replicas": 2}})
}

pub(super) fn pod(name: &str, ready: bool, status: &Value) -> Value {
    json!({"kind": "Pod", "metadata": {"namespace": "shop", "name": name, "uid": name,
        "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "api-1", "uid": "r", "controller": true}]},
        "spec": {"containers": [{"name": "api", "image": "ghcr.io/acme/api:1", "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}}}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}], "containerStatuses": [status]}})
}

pub(super) fn container(ready: bool, state: &Value) -> Value {
    json!({"name": "api", "image": "", "imageID": "", "ready": ready, "restartCount": 0, "state": state})
}

pub(super) fn event(name: &str, reason: &str, message: &str, count: i32) -> Value {
    json!({"kind": "Event", "metadata": {"namespace": "shop", "name": "e", "uid": format!("{name}{reason}")},
        "involvedObject": {"apiVersion": "v1", "kind": "Pod", "name": name, "namespace": "shop", "uid": name, "fieldPath": "spec.containers{api}"},
        "reason": reason, "message": message, "count": count})
}

pub(super) fn cache(objects: &[Value]) -> ReleaseCache {
    let mut cache = ReleaseCache::of(&[target("Deployment", "api", false)]);
    for object in objects {
        cache.apply(change(object), Elapsed::default());
    }
    cache
}

fn lines(cache: &ReleaseCache) -> Vec<String> {
    progress(cache, Elapsed::default())
        .iter()
        .map(|(_, line)| line.to_string())
        .collect()
}

#[test]
fn a_run_of_a_job_that_ended_well_does_not_start_again() {
    let job = json!({"kind": "Job", "metadata": {"namespace": "shop", "name": "migrate", "uid": "j"},
        "spec": {"template": {}}, "status": {"active": 1}});
    let run = |policy: &str| {
        let ended = json!({"terminated": {"exitCode": 0, "reason": "Completed"}});
        let mut pod = pod("migrate-a", false, &container(false, &ended));
        pod["metadata"]["ownerReferences"][0] = json!({"apiVersion": "batch/v1", "kind": "Job", "name": "migrate", "uid": "j", "controller": true});
        pod["spec"]["restartPolicy"] = json!(policy);
        let mut cache = ReleaseCache::of(&[target("Job", "migrate", true)]);
        for object in [&job, &pod] {
            cache.apply(change(object), Elapsed::default());
        }
        lines(&cache)
    };
    assert_eq!(
        run("Never"),
        ["migrate 0/1 done – waiting for 1 of 1 completions"]
    );
    assert_eq!(
        run("Always"),
        [
            "migrate 0/1 done – waiting for container api to start again (restarts: 0, last exit code 0)"
        ]
    );
}

#[test]
fn progress_says_what_is_waited_for() {
    let running = json!({"running": {}});
    let ready = pod("api-1-a", true, &container(true, &running));
    for (other, events, line) in [
        (
            pod("api-1-b", false, &container(false, &running)),
            vec![],
            "api 1/2 ready – waiting for container api to be ready",
        ),
        (
            pod("api-1-b", false, &container(false, &running)),
            vec![event(
                "api-1-b",
                "Unhealthy",
                "Readiness probe failed: HTTP probe failed with statuscode: 503",
                9,
            )],
            "api 1/2 ready – waiting for container api to be ready (Readiness probe failed: HTTP probe failed with statuscode: 503)",
        ),
        (
            pod(
                "api-1-b",
                false,
                &container(false, &json!({"waiting": {"reason": "ContainerCreating"}})),
            ),
            vec![event("api-1-b", "Pulling", "Pulling image", 1)],
            "api 1/2 ready – waiting for container api to get its image",
        ),
        (
            pod(
                "api-1-b",
                false,
                &container(false, &json!({"waiting": {"reason": "Bad\u{1b}[31m"}})),
            ),
            vec![],
            "api 1/2 ready – waiting for container api: Bad\\x1b[31m",
        ),
    ] {
        let mut objects = vec![deployment(2, 1), replica_set(), ready.clone(), other];
        objects.extend(events);
        assert_eq!(lines(&cache(&objects)), [line]);
    }
    assert_eq!(
        lines(&cache(&[deployment(1, 1), replica_set(), ready])),
        ["api 1/1 ready"]
    );
    assert!(
        lines(&cache(&[])).is_empty(),
        "what is not applied yet has no line"
    );
}

#[test]
fn only_what_matters_is_told() {
    let line = |ready, wanted, waits_for: &str| {
        let line = WorkloadProgress {
            name: "api".to_owned(),
            ready,
            wanted,
            unit: Unit::ReadyPods,
            waits_for: (!waits_for.is_empty()).then(|| waits_for.to_owned()),
        };
        (target("Deployment", "api", false).id, line)
    };
    // An upgrade, in tenths of a second.
    let mut told = ReportedProgress::of(vec![line(2, 2, "")], Elapsed::default());
    for (at, seen, news) in [
        (1, line(2, 2, "its controller"), None),
        (2, line(0, 2, "a node"), Some("api 0/2 ready")),
        (3, line(0, 2, "its image"), None),
        (20, line(0, 2, "its image"), None),
        (
            33,
            line(0, 2, "its image"),
            Some("api 0/2 ready – waiting for its image"),
        ),
        (60, line(0, 2, "its image"), None),
        (61, line(0, 2, "its start"), None),
        (62, line(1, 2, "its start"), Some("api 1/2 ready")),
        (63, line(2, 2, "an old pod to leave"), Some("api 2/2 ready")),
        (64, line(2, 2, ""), None),
    ] {
        let shown: Vec<String> = told
            .news(vec![seen], Elapsed(Duration::from_millis(at * 100)))
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(shown, Vec::from_iter(news), "{at}");
    }
    let mut told = ReportedProgress::default();
    let begun = told.news(vec![line(0, 1, "a node")], Elapsed::default());
    assert_eq!(begun[0].to_string(), "api 0/1 ready", "what is new begins");
}

#[test]
fn the_end_of_time_names_the_probe_and_its_last_answer() {
    let stuck = pod("api-1-b", false, &container(false, &json!({"running": {}})));
    let objects = [
        deployment(1, 0),
        replica_set(),
        stuck,
        event(
            "api-1-b",
            "Unhealthy",
            "Readiness probe failed: HTTP probe failed with statuscode: 503",
            40,
        ),
    ];
    assert_eq!(
        explain_timeout(&cache(&objects), Elapsed::default()),
        [
            "Deployment api waits for 1 of 1 pods to be available",
            "  container api of pod api-1-b runs and is not ready: its readiness probe (GET :8080/ready) last said: Readiness probe failed: HTTP probe failed with statuscode: 503",
        ]
    );
}

#[test]
fn a_headline_is_one_safe_line() {
    let id = target("Deployment", "api", false).id;
    let failure = TerminalFailure {
        rule: RULES[1].name,
        cause: Cause::ImageNotFound,
        workload: id,
        hook: false,
        pod: Some(NamespacedName::new("shop", "api-7d")),
        container: Some("api".to_owned()),
        image: Some("ghcr.io/acme/shop/api:abc\n::error::".to_owned()),
        said: vec!["a\u{1b}b".to_owned()],
    };
    assert_eq!(
        failure.headline(),
        "Deployment api: container api of pod api-7d cannot pull ghcr.io/acme/shop/api:abc\\n::error::: not found"
    );
    assert_eq!(failure.lines(), ["a\\x1bb"]);
}

#[test]
fn a_new_list_drops_what_is_gone_but_a_hooks_pod() {
    let hook = target("Job", "migrate", true);
    let mut cache = ReleaseCache::of(&[target("Deployment", "api", false), hook]);
    let job_pod = json!({"kind": "Pod", "metadata": {"namespace": "shop", "name": "migrate-x", "uid": "m",
        "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": "migrate", "uid": "j", "controller": true}]}, "spec": {"containers": []}});
    let stranger = json!({"kind": "Pod", "metadata": {"namespace": "shop", "name": "api-gateway-1-x", "uid": "s",
        "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "api-gateway-1", "uid": "t", "controller": true}]}, "spec": {"containers": []}});
    let own = pod("api-1-a", false, &container(false, &json!({"running": {}})));
    for (object, what) in [(&job_pod, ResourceKind::JobPod), (&own, ResourceKind::Pod)] {
        assert_eq!(cache.apply(change(object), Elapsed::default()), Some(what));
    }
    assert_eq!(
        cache.apply(change(&own), Elapsed::default()),
        None,
        "nothing changed"
    );
    assert_eq!(
        cache.apply(change(&stranger), Elapsed::default()),
        None,
        "not of the release"
    );
    let later = Elapsed(Duration::from_secs(5));
    assert_eq!(
        cache.apply(
            Change::Listed(ResourceKind::Pod, "elsewhere".to_owned(), BTreeSet::new()),
            later
        ),
        None
    );
    assert_eq!(
        cache.apply(
            Change::Listed(ResourceKind::Pod, "shop".to_owned(), BTreeSet::new()),
            later
        ),
        Some(ResourceKind::Pod)
    );
    assert_eq!(
        cache.apply(
            Change::Listed(ResourceKind::JobPod, "shop".to_owned(), BTreeSet::new()),
            later
        ),
        Some(ResourceKind::JobPod)
    );
    let left: Vec<&str> = cache.pods.keys().map(|key| key.name.as_str()).collect();
    assert_eq!(left, ["migrate-x"]);
    assert_eq!(cache.last_pod_removed, Some(later));
}

#[test]
fn a_failed_hook_is_known_when_helm_has_deleted_it() {
    let mut cache = ReleaseCache::of(&[target("Job", "migrate", true)]);
    let baseline = Baseline::of(&cache, Duration::from_secs(300));
    let job = json!({"kind": "Job", "metadata": {"namespace": "shop", "name": "migrate", "uid": "j"}, "spec": {"template": {}},
        "status": {"conditions": [{"type": "Failed", "status": "True", "message": "Job has reached the specified backoff limit"}]}});
    let key = NamespacedName::new("shop", "migrate");
    cache.apply(change(&job), Elapsed::default());
    cache.apply(
        Change::Gone(ResourceKind::Workload(WorkloadKind::Job), key),
        Elapsed::default(),
    );
    let failure = most_telling(judge(&cache, &baseline, Elapsed::default())).unwrap();
    assert_eq!(failure.cause, Cause::JobFailed);
}

#[test]
fn the_root_of_several_failures_is_told() {
    let waiting = |reason: &str, message: &str| {
        container(
            false,
            &json!({"waiting": {"reason": reason, "message": message}}),
        )
    };
    let mut cache = ReleaseCache::of(&[
        target("Deployment", "api", false),
        target("Job", "migrate", true),
    ]);
    let baseline = Baseline::of(&cache, Duration::from_secs(300));
    let job = json!({"kind": "Job", "metadata": {"namespace": "shop", "name": "migrate", "uid": "j"}, "spec": {"template": {}},
        "status": {"conditions": [{"type": "Failed", "status": "True", "message": "Job has reached the specified backoff limit"}]}});
    let objects = [
        deployment(1, 0),
        replica_set(),
        pod("api-1-a", false, &waiting("InvalidImageName", "x")),
        job,
    ];
    for object in &objects {
        cache.apply(change(object), Elapsed::default());
    }
    let failure = most_telling(judge(&cache, &baseline, Elapsed::default())).unwrap();
    assert_eq!(
        failure.headline(),
        "hook Job migrate: the Job failed: Job has reached the specified backoff limit"
    );
}
