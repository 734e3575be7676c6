//! What Jobs and bare pods ran for this run: noted while it can be seen, and never of an
//! earlier run.

use std::time::Duration;

use serde_json::{Value, json};

use super::change;
use super::words::target;
use crate::rollout::cache::ReleaseCache;
use crate::rollout::model::{Change, Elapsed, ResourceKind};
use crate::rollout::workload_ref::{NamespacedName, WorkloadKind, WorkloadRef};

fn job(name: &str, uid: &str) -> Value {
    json!({"kind": "Job", "metadata": {"namespace": "shop", "name": name, "uid": uid, "generation": 1},
        "spec": {"template": {}}, "status": {"conditions": [{"type": "Complete", "status": "True"}]}})
}

/// A pod whose one container runs `id`; of a Job, where there is one: its group, name
/// and uid.
fn pod(name: &str, uid: &str, owner: Option<[&str; 3]>, id: &str) -> Value {
    let owners: Vec<Value> = owner
        .into_iter()
        .map(|[api, name, uid]| json!({"apiVersion": api, "kind": "Job", "name": name, "uid": uid, "controller": true}))
        .collect();
    json!({"kind": "Pod", "metadata": {"namespace": "shop", "name": name, "uid": uid, "ownerReferences": owners},
        "spec": {"containers": [{"name": "run", "image": "ghcr.io/acme/api:1"}]},
        "status": {"phase": "Running", "containerStatuses": [
            {"name": "run", "image": "ghcr.io/acme/api:1", "imageID": id, "ready": true, "restartCount": 0}]}})
}

fn gone(resource: ResourceKind, name: &str) -> Change {
    Change::Gone(resource, NamespacedName::new("shop", name))
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn only_what_ran_for_this_run_is_noted() {
    const OLD: Option<[&str; 3]> = Some(["batch/v1", "seed", "old"]);
    const NEW: Option<[&str; 3]> = Some(["batch/v1", "seed", "new"]);
    const ELSEWHERE: Option<[&str; 3]> = Some(["batch.volcano.sh/v1", "seed", "new"]);
    const CRON: Option<[&str; 3]> = Some(["batch/v1", "cron-29", "cron"]);
    let of_job = |owner| change(&pod("seed-1", "p", owner, "sha256:a"));
    let bare = |uid: &str, id: &str| change(&pod("seed", uid, None, id));
    let no_longer = |resource| gone(resource, "seed-1");
    let job_kind = ResourceKind::Workload(WorkloadKind::Job);
    for (name, kind, hook, before, after, expected) in [
        (
            "a hook's pod that helm deletes",
            "Job",
            true,
            vec![],
            vec![
                change(&job("seed", "new")),
                of_job(NEW),
                no_longer(ResourceKind::JobPod),
                gone(job_kind, "seed"),
            ],
            &["sha256:a"][..],
        ),
        (
            "a pod that comes before its Job",
            "Job",
            false,
            vec![],
            vec![of_job(NEW), change(&job("seed", "new"))],
            &["sha256:a"],
        ),
        (
            "an image that the kubelet names later",
            "Job",
            false,
            vec![],
            vec![change(&pod("seed-1", "p", NEW, "")), of_job(NEW)],
            &["sha256:a"],
        ),
        (
            "a retry that ran something else",
            "Job",
            true,
            vec![],
            vec![of_job(NEW), change(&pod("seed-2", "q", NEW, "sha256:b"))],
            &["sha256:a", "sha256:b"],
        ),
        (
            "a Job from before, and its next pod",
            "Job",
            false,
            vec![
                change(&job("seed", "old")),
                change(&pod("seed-0", "o", OLD, "sha256:o")),
            ],
            vec![of_job(OLD)],
            &[],
        ),
        (
            "a hook's pod from before that goes as the next one comes",
            "Job",
            true,
            vec![
                change(&job("seed", "old")),
                change(&pod("seed-0", "o", OLD, "sha256:o")),
            ],
            vec![
                change(&pod("seed-0", "o", OLD, "sha256:p")),
                gone(job_kind, "seed"),
                change(&job("seed", "new")),
                of_job(NEW),
            ],
            &["sha256:a"],
        ),
        (
            "a CronJob's",
            "Job",
            false,
            vec![],
            vec![change(&job("cron-29", "cron")), of_job(CRON)],
            &[],
        ),
        (
            "a Job's of another group",
            "Job",
            false,
            vec![],
            vec![of_job(ELSEWHERE)],
            &[],
        ),
        (
            "a bare hook that is made anew",
            "Pod",
            true,
            vec![bare("o", "sha256:o")],
            vec![
                bare("o", "sha256:p"),
                gone(ResourceKind::Pod, "seed"),
                bare("n", "sha256:a"),
            ],
            &["sha256:a"],
        ),
        (
            "a bare pod that stays",
            "Pod",
            false,
            vec![bare("o", "sha256:a")],
            vec![],
            &["sha256:a"],
        ),
    ] {
        let mut cache = ReleaseCache::of(&[target(kind, "seed", hook)]);
        for change in before {
            cache.apply(change, Elapsed::default());
        }
        for change in after {
            cache.apply(change, Elapsed(Duration::from_secs(1)));
        }
        let workload = cache.targets().next().unwrap().id.clone();
        let ran: Vec<&str> = cache
            .ran(&workload)
            .map(|it| it.image_id.as_str())
            .collect();
        assert_eq!(ran, expected, "{name}");
    }
}

/// A Job of this run that has ended has run, whether or not its pods were seen.
#[test]
fn whether_a_job_has_run_is_known_by_the_job() {
    let seed = WorkloadRef::new(WorkloadKind::Job, NamespacedName::new("shop", "seed"));
    let has_run = |before: Option<&str>, after: Option<&str>| {
        let mut cache = ReleaseCache::of(&[target("Job", "seed", true)]);
        for (uid, at) in [(before, 0), (after, 1)] {
            if let Some(uid) = uid {
                cache.apply(change(&job("seed", uid)), Elapsed(Duration::from_secs(at)));
            }
        }
        cache.has_run(&seed)
    };
    assert!(has_run(None, Some("new")));
    assert!(has_run(Some("old"), Some("new")));
    assert!(!has_run(Some("old"), Some("old")), "it ran before");
    assert!(!has_run(None, None), "a hook that is not run");
}

/// The pods of a workload count as seen once as many are there as it wants, each with the
/// images of all its containers.
#[test]
fn what_is_kept_is_known_once_all_of_it_was_seen() {
    let set = json!({"kind": "StatefulSet", "metadata": {"namespace": "shop", "name": "api", "uid": "s"},
        "spec": {"replicas": 2, "selector": {}, "serviceName": "", "template": {}}, "status": {"replicas": 2, "updateRevision": "new"}});
    let pod = |name: &str, id: &str| {
        let mut pod = pod(name, name, Some(["apps/v1", "api", "s"]), id);
        pod["metadata"]["ownerReferences"][0]["kind"] = json!("StatefulSet");
        pod["metadata"]["labels"] = json!({"controller-revision-hash": "new"});
        pod
    };
    let old = |mut pod: Value| {
        pod["metadata"]["labels"]["controller-revision-hash"] = json!("old");
        pod
    };
    let leaving = |mut pod: Value| {
        pod["metadata"]["deletionTimestamp"] = json!("2026-11-27T10:00:00Z");
        pod
    };
    let (first, second) = (pod("api-0", "sha256:a"), pod("api-1", "sha256:b"));
    for (name, pods, expected) in [
        (
            "all",
            vec![&first, &second],
            Some(vec!["sha256:a", "sha256:b"]),
        ),
        ("one of two", vec![&first], None),
        (
            "one that is not named",
            vec![&first, &pod("api-1", "")],
            None,
        ),
        (
            "one of the old template",
            vec![&first, &old(second.clone())],
            None,
        ),
        (
            "one that leaves",
            vec![&first, &leaving(second.clone())],
            None,
        ),
        (
            "one more that leaves",
            vec![&first, &second, &leaving(pod("api-2", "sha256:o"))],
            Some(vec!["sha256:a", "sha256:b"]),
        ),
    ] {
        let api = target("StatefulSet", "api", false);
        let mut cache = ReleaseCache::of(&[api]);
        for object in std::iter::once(&set).chain(pods) {
            cache.apply(change(object), Elapsed::default());
        }
        let workload = cache.targets().next().unwrap().id.clone();
        let images = cache.kept_images(&workload);
        let ids = images
            .as_ref()
            .map(|images| images.iter().map(|it| it.image_id.as_str()).collect());
        assert_eq!(ids, expected, "{name}");
    }
}
