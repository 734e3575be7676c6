//! Case C3: what a pod misses may be made by somebody a while after helm has applied
//! what asks for it.

use std::time::Duration;

use serde_json::{Value, json};

use super::words::{cache, container, deployment, event, pod, replica_set};
use super::{change, word};
use crate::rollout::baseline::Baseline;
use crate::rollout::model::Elapsed;
use crate::rollout::verdict::judge;

/// The kubelet's words on a Secret that is not there, or that lacks a key
/// (`pkg/kubelet/kubelet_pods.go` of Kubernetes 1.34; recorded-secret.json and
/// recorded-key.json have them).
fn misses(message: &str) -> Value {
    let waiting = json!({"waiting": {"reason": "CreateContainerConfigError", "message": message}});
    pod("api-1-a", false, &container(false, &waiting))
}

/// The same of a volume (recorded-mount.json).
fn mounts(message: &str) -> Vec<Value> {
    let waiting = json!({"waiting": {"reason": "ContainerCreating"}});
    vec![
        pod("api-1-a", false, &container(false, &waiting)),
        event("api-1-a", "FailedMount", message, 2),
    ]
}

fn judged(objects: &[Value], baseline: &Baseline, seconds: u64) -> String {
    let mut cache = cache(&[]);
    let seen = Elapsed(Duration::from_secs(2));
    for object in [deployment(1, 0), replica_set()].iter().chain(objects) {
        cache.apply(change(object), seen);
    }
    let now = Elapsed(Duration::from_secs(seconds));
    word(&judge(&cache, baseline, now)[0].status).to_owned()
}

#[test]
fn what_an_operator_makes_has_its_time() {
    let plain = || Baseline::of(&cache(&[]), Duration::from_secs(300));
    let (mut operated, mut new) = (plain(), plain());
    operated
        .expected
        .custom_resources
        .insert("mail-db".to_owned());
    new.expected.new_namespaces.insert("shop".to_owned());
    let derived = [misses(r#"secret "mail-db-app" not found"#)];
    let key = [misses("couldn't find key uri in Secret shop/mail-db-app")];
    let other = [misses(r#"secret "login" not found"#)];
    let mounted =
        mounts(r#"MountVolume.SetUp failed for volume "v" : secret "mail-db-ca" not found"#);
    let mounted_key = mounts(
        r#"MountVolume.SetUp failed for volume "v" : references non-existent secret key: ca.crt"#,
    );
    for (objects, baseline, seconds, expected) in [
        (&derived[..], &operated, 3, "waiting"),
        (&derived, &operated, 21, "waiting"),
        (&derived, &operated, 62, "missing-object"),
        (&key, &operated, 21, "waiting"),
        (&key, &operated, 62, "missing-object"),
        (&mounted, &operated, 21, "waiting"),
        (&mounted, &operated, 62, "missing-object"),
        (&mounted_key, &operated, 21, "waiting"),
        (&mounted_key, &operated, 62, "bad-container"),
        (&other, &operated, 3, "missing-object"),
        (&other, &new, 21, "waiting"),
        (&other, &new, 62, "missing-object"),
        (&derived, &plain(), 3, "missing-object"),
        (&mounted_key, &plain(), 3, "bad-container"),
    ] {
        assert_eq!(
            judged(objects, baseline, seconds),
            expected,
            "{objects:#?}, {seconds} s"
        );
    }
}

#[test]
fn the_grace_is_never_longer_than_half_of_the_budget() {
    let mut baseline = Baseline::of(&cache(&[]), Duration::from_secs(40));
    baseline.expected.new_namespaces.insert("shop".to_owned());
    let objects = [misses(r#"secret "login" not found"#)];
    assert_eq!(judged(&objects, &baseline, 19), "waiting");
    assert_eq!(judged(&objects, &baseline, 20), "missing-object");
}
