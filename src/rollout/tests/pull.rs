//! Denied pulls of a pod that names a pull secret.

use std::time::Duration;

use serde_json::{Value, json};

use super::words::{cache, container, deployment, event, pod, replica_set};
use super::{change, word};
use crate::rollout::baseline::Baseline;
use crate::rollout::model::{Elapsed, ResourceKind};
use crate::rollout::verdict::judge;

const IMAGE: &str = "ghcr.io/acme/api:1";

fn denied() -> Value {
    let message = format!(
        "failed to pull and unpack image \"{IMAGE}\": failed to authorize: failed to fetch anonymous token: 401 Unauthorized"
    );
    let mut container = container(
        false,
        &json!({"waiting": {"reason": "ErrImagePull", "message": message}}),
    );
    container["image"] = json!(IMAGE);
    let mut pod = pod("api-1-a", false, &container);
    pod["status"]["phase"] = json!("Pending");
    pod["spec"]["imagePullSecrets"] = json!([{"name": "ghcr"}]);
    pod
}

fn failed(count: i32) -> Value {
    let message = format!("Failed to pull image \"{IMAGE}\": 401 Unauthorized");
    event("api-1-a", "Failed", &message, count)
}

fn not_found() -> Value {
    let message = format!("Failed to pull image \"{IMAGE}\": {IMAGE}: not found");
    let mut event = event("api-1-a", "Failed", &message, 1);
    event["metadata"]["uid"] = json!("another");
    event
}

fn without() -> Value {
    let message = "Unable to retrieve some image pull secrets (ghcr); attempting to pull the image may not succeed.";
    event("api-1-a", "FailedToRetrieveImagePullSecret", message, 1)
}

#[test]
fn a_pull_secret_may_come_a_moment_late() {
    // events, whether the Secret is there, the time in seconds, what it comes to
    for (events, present, at, expected) in [
        // The events are on their way.
        (vec![], false, 3, "waiting"),
        (vec![], false, 200, "image-denied"),
        (vec![failed(1)], false, 3, "image-denied"),
        (vec![without(), failed(1)], false, 3, "missing-object"),
        // The kubelet's first try was without it.
        (vec![without(), failed(1)], true, 3, "waiting"),
        (vec![without(), failed(2)], true, 14, "image-denied"),
        // The next try had it, and its answer is not in the pod's status yet.
        (vec![without(), failed(1), not_found()], true, 14, "waiting"),
    ] {
        let mut cache = cache(&[]);
        let mut baseline = Baseline::of(&cache, Duration::from_secs(300));
        if present {
            baseline.facts.present.insert("Secret/ghcr".to_owned());
        }
        let now = Elapsed(Duration::from_secs(at));
        let objects = [deployment(1, 0), replica_set(), denied()];
        for object in objects.iter().chain(&events) {
            cache.apply(change(object), now);
        }
        let status = &judge(&cache, &baseline, now)[0].status;
        assert_eq!(word(status), expected, "{events:#?}");
    }
}

#[test]
fn a_denial_counts_at_once_where_events_may_not_be_seen() {
    let mut cache = cache(&[]);
    cache.mark_unwatchable(ResourceKind::Event, "shop".to_owned());
    let baseline = Baseline::of(&cache, Duration::from_secs(300));
    let now = Elapsed(Duration::from_secs(3));
    for object in &[deployment(1, 0), replica_set(), denied()] {
        cache.apply(change(object), now);
    }
    assert_eq!(
        word(&judge(&cache, &baseline, now)[0].status),
        "image-denied"
    );
}

#[test]
fn a_longer_tag_is_another_image() {
    let mut other = failed(1);
    other["metadata"]["uid"] = json!("sidecar");
    other["message"] = json!(format!(
        "Failed to pull image \"{IMAGE}0\": 401 Unauthorized"
    ));
    let mut cache = cache(&[]);
    let mut baseline = Baseline::of(&cache, Duration::from_secs(300));
    baseline.facts.present.insert("Secret/ghcr".to_owned());
    let now = Elapsed(Duration::from_secs(3));
    let objects = [deployment(1, 0), replica_set(), denied()];
    for object in objects.iter().chain(&[without(), failed(1), other]) {
        cache.apply(change(object), now);
    }
    assert_eq!(word(&judge(&cache, &baseline, now)[0].status), "waiting");
}
