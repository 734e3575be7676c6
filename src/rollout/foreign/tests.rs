#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{ForeignStatus, canary_target, nobody_waits_for, not_waited_for, status};
use crate::manifest::Object;

fn rollout(observed: &Value, rest: &Value) -> Value {
    let mut object = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
        "metadata": {"name": "api", "generation": 3},
        "spec": {"strategy": {"canary": {"steps": [{"setWeight": 20}, {"pause": {}}, {"pause": {"duration": "10m"}}]}}},
        "status": rest});
    object["status"]["observedGeneration"] = observed.clone();
    object
}

/// Case A7: a Rollout is judged by its own status, and its `observedGeneration` is a
/// string.
#[test]
fn a_rollout_says_itself_how_it_stands() {
    let waiting = |what: &str| ForeignStatus::Waiting(what.to_owned());
    let failed = |why: &str| ForeignStatus::Failed(why.to_owned());
    for (observed, rest, expected) in [
        (
            json!("3"),
            json!({"phase": "Healthy"}),
            ForeignStatus::Ready,
        ),
        (json!(3), json!({"phase": "Healthy"}), ForeignStatus::Ready),
        (
            json!("10"),
            json!({"phase": "Healthy"}),
            ForeignStatus::Ready,
        ),
        // The old revision was healthy.
        (
            json!("2"),
            json!({"phase": "Healthy"}),
            waiting("its controller to observe the change"),
        ),
        (
            Value::Null,
            json!({}),
            waiting("its controller to observe the change"),
        ),
        (
            json!("2"),
            json!({"phase": "Degraded", "abort": true}),
            waiting("its controller to observe the change"),
        ),
        // Before 1.0 it was a hash.
        (
            json!("6f7c5d"),
            json!({"phase": "Healthy"}),
            ForeignStatus::Ready,
        ),
        (
            json!("3"),
            json!({"phase": "Progressing", "message": "more replicas need to be updated"}),
            waiting("more replicas need to be updated"),
        ),
        (
            json!("3"),
            json!({"phase": "Degraded", "message": "ProgressDeadlineExceeded:\nno"}),
            failed("ProgressDeadlineExceeded:\\nno"),
        ),
        (
            json!("3"),
            json!({"phase": "Degraded", "abort": true, "message": "RolloutAborted: metric success-rate"}),
            failed("RolloutAborted: metric success-rate"),
        ),
        (
            json!("3"),
            json!({"phase": "Healthy", "abort": true}),
            failed("the rollout was aborted"),
        ),
        (
            json!("3"),
            json!({"phase": "Paused", "message": "CanaryPauseStep", "currentStepIndex": 1}),
            ForeignStatus::Paused("CanaryPauseStep".to_owned()),
        ),
        (
            json!("3"),
            json!({"phase": "Paused", "message": "CanaryPauseStep", "currentStepIndex": 2}),
            waiting("a pause of 10m to end"),
        ),
        (json!("3"), json!({}), ForeignStatus::Unknown),
        (json!("3"), json!({"phase": "Odd"}), ForeignStatus::Unknown),
    ] {
        let object = rollout(&observed, &rest);
        assert_eq!(status(&object, None), Some(expected), "{object}");
    }
}

fn canary(phase: &str, applied: &str) -> Value {
    json!({"apiVersion": "flagger.app/v1beta1", "kind": "Canary",
        "metadata": {"name": "api", "namespace": "shop"},
        "spec": {"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "api"}},
        "status": {"phase": phase, "lastAppliedSpec": applied, "lastTransitionTime": "2026-11-28T10:00:00Z", "canaryWeight": 20}})
}

/// Case A7: a Canary is judged by its own status, and not by that of the deploy before.
#[test]
fn a_canary_says_itself_how_it_stands() {
    let waiting = |what: &str| ForeignStatus::Waiting(what.to_owned());
    let before = canary("Succeeded", "v1");
    for (phase, applied, expected) in [
        ("Succeeded", "v1", waiting("Flagger to notice the change")),
        ("Failed", "v1", waiting("Flagger to notice the change")),
        ("Succeeded", "v2", ForeignStatus::Ready),
        (
            "Failed",
            "v2",
            ForeignStatus::Failed("the canary analysis failed".to_owned()),
        ),
        (
            "Progressing",
            "v2",
            waiting("its analysis, progressing (20 %)"),
        ),
        ("Promoting", "v2", waiting("its analysis, promoting (20 %)")),
        (
            "WaitingPromotion",
            "v2",
            ForeignStatus::Paused("it waits for its confirmation webhook".to_owned()),
        ),
        ("Terminated", "v2", ForeignStatus::Unknown),
        ("", "v2", ForeignStatus::Unknown),
    ] {
        let object = canary(phase, applied);
        assert_eq!(
            status(&object, Some(&before)),
            Some(expected),
            "{phase} {applied}"
        );
    }
    let initialized = canary("Initialized", "v1");
    assert_eq!(status(&initialized, None), Some(ForeignStatus::Ready));
    let led = canary_target(&initialized).unwrap();
    assert_eq!(led.to_string(), "Deployment api");
    assert_eq!(led.namespace.as_deref(), Some("shop"));
    assert_eq!(canary_target(&json!({"kind": "Canary"})), None);
}

#[test]
fn other_kinds_are_not_judged() {
    for (api_version, kind) in [
        ("apps/v1", "Deployment"),
        ("acme.io/v1", "Rollout"),
        ("rollouts.kruise.io/v1beta1", "Rollout"),
        ("serving.knative.dev/v1", "Service"),
    ] {
        let object =
            json!({"apiVersion": api_version, "kind": kind, "status": {"phase": "Healthy"}});
        assert_eq!(status(&object, None), None, "{api_version} {kind}");
    }
}

/// Case A6: a kind that carries a requested image and that nobody waits for is named.
#[test]
fn what_nobody_waits_for_is_named() {
    let manifest = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec: {template: {spec: {containers: [{name: web, image: 'ghcr.io/acme/web:2'}]}}}
---
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: api}
spec: {template: {spec: {containers: [{name: api, image: 'ghcr.io/acme/api:2'}]}}}
---
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: judged}
spec: {template: {spec: {containers: [{name: api, image: 'ghcr.io/acme/api:2'}]}}}
---
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: bare}
spec: {template: {spec: {containers: [{name: api, image: 'ghcr.io/acme/api:2'}]}}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: sweep}
spec: {jobTemplate: {spec: {template: {spec: {containers: [{name: api, image: 'ghcr.io/acme/api:2'}]}}}}}
---
apiVersion: postgresql.cnpg.io/v1
kind: Cluster
metadata: {name: db}
spec: {image: 'ghcr.io/acme/postgres:16'}
---
apiVersion: batch.volcano.sh/v1alpha1
kind: Job
metadata: {name: parts}
spec: {image: {repository: ghcr.io/acme/api, tag: 2}}
";
    let objects = Object::parse(manifest).unwrap();
    let requested = BTreeSet::from([
        "ghcr.io/acme/api:2".to_owned(),
        "ghcr.io/acme/web:2".to_owned(),
    ]);
    let named = nobody_waits_for(&objects, &requested);
    let found: Vec<String> = named.iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "Service api",
            "Rollout judged",
            "ReplicaSet bare",
            "Job parts"
        ]
    );
    assert_eq!(
        not_waited_for(&named[0]),
        "Service api (serving.knative.dev/v1) carries a requested image, and deploy does not know when it is ready: whether its pods run was not checked"
    );
}
