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

/// The event as of this second of the day.
fn at(second: u32, mut event: Value) -> Value {
    event["lastTimestamp"] = json!(format!(
        "2026-11-24T18:{:02}:{:02}Z",
        second / 60,
        second % 60
    ));
    event
}

/// What the objects and events come to after so many seconds.
fn judged(pod: &Value, events: &[Value], baseline: &Baseline, seconds: u64) -> String {
    let mut cache = cache(&[]);
    for object in [&deployment(1, 0), &replica_set(), pod]
        .into_iter()
        .chain(events)
    {
        cache.apply(change(object), Elapsed::default());
    }
    let now = Elapsed(Duration::from_secs(seconds));
    word(&judge(&cache, baseline, now)[0].status).to_owned()
}

fn baseline() -> Baseline {
    Baseline::of(&cache(&[]), Duration::from_secs(300))
}

#[test]
fn a_pull_secret_may_come_a_moment_late() {
    // events, whether the Secret is there, the time in seconds, what it comes to
    for (events, present, now, expected) in [
        // The events are on their way.
        (vec![], false, 3, "waiting"),
        (vec![], false, 200, "image-denied"),
        (vec![at(1, failed(1))], false, 3, "image-denied"),
        (
            vec![at(1, without()), at(2, failed(1))],
            false,
            3,
            "missing-object",
        ),
        // The kubelet's first try was without it.
        (vec![at(1, without()), at(2, failed(1))], true, 3, "waiting"),
        // So were all up to now.
        (
            vec![at(25, without()), at(26, failed(3))],
            true,
            30,
            "waiting",
        ),
        (
            vec![at(1, without()), at(14, failed(2))],
            true,
            14,
            "image-denied",
        ),
        // The next try had it, and its answer is not in the pod's status yet.
        (
            vec![at(1, without()), at(2, failed(1)), at(14, not_found())],
            true,
            14,
            "waiting",
        ),
    ] {
        let mut baseline = baseline();
        if present {
            baseline.facts.present.insert("Secret/ghcr".to_owned());
        }
        assert_eq!(
            judged(&denied(), &events, &baseline, now),
            expected,
            "{events:#?}"
        );
    }
}

/// Case C3: a pull secret is copied into a namespace that this deploy makes.
#[test]
fn a_pull_secret_is_copied_into_a_new_namespace() {
    let blind = [at(20, without()), at(21, failed(2))];
    let mut new = baseline();
    new.expected.new_namespaces.insert("shop".to_owned());
    for (seconds, expected) in [(5, "waiting"), (30, "waiting"), (61, "missing-object")] {
        assert_eq!(
            judged(&denied(), &blind, &new, seconds),
            expected,
            "{seconds}"
        );
    }
    // The try that had it was denied, too.
    let seeing = [at(20, without()), at(42, failed(3))];
    assert_eq!(judged(&denied(), &seeing, &new, 43), "image-denied");
    // Where the namespace was there before, it is as missing as ever.
    assert_eq!(judged(&denied(), &blind, &baseline(), 5), "missing-object");
}

/// Case C4: a mirror that lacks the image, while the registry that has it is down.
#[test]
fn a_first_answer_passes_where_the_registry_has_just_said_otherwise() {
    let said = format!(
        "failed to pull and unpack image \"{IMAGE}\": failed to resolve reference \"{IMAGE}\": {IMAGE}: not found"
    );
    let mut pod = denied();
    pod["spec"]["imagePullSecrets"] = json!([]);
    pod["status"]["containerStatuses"][0]["state"]["waiting"]["message"] = json!(said);
    let tries = |count| {
        let mut event = not_found();
        event["count"] = json!(count);
        vec![at(1, event)]
    };
    let mut seen = baseline();
    seen.expected.seen_images.insert(IMAGE.to_owned());
    for (baseline, events, seconds, expected) in [
        (&seen, vec![], 1, "waiting"),
        (&seen, tries(1), 9, "waiting"),
        (&seen, tries(2), 14, "image-not-found"),
        (&seen, tries(1), 150, "image-not-found"),
        (&baseline(), tries(1), 1, "image-not-found"),
    ] {
        assert_eq!(
            judged(&pod, &events, baseline, seconds),
            expected,
            "{events:#?}, {seconds}"
        );
    }
}

/// Case C4: what passes is named all the same where it does not.
#[test]
fn a_layer_that_cannot_be_had_is_named_late() {
    let said = format!(
        "failed to pull and unpack image \"{IMAGE}\": failed to copy: httpReadSeeker: failed open: unexpected status code https://ghcr.io/v2/acme/api/blobs/sha256:40: 403 Forbidden"
    );
    let mut pod = denied();
    pod["spec"]["imagePullSecrets"] = json!([]);
    pod["status"]["containerStatuses"][0]["state"]["waiting"]["message"] = json!(said);
    for (seconds, expected) in [(1, "waiting"), (149, "waiting"), (150, "image-denied")] {
        assert_eq!(
            judged(&pod, &[], &baseline(), seconds),
            expected,
            "{seconds}"
        );
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
