//! Jobs that are collected when they have ended (`ttlSecondsAfterFinished`).

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::words::target;
use super::{change, word};
use crate::rollout::baseline::Baseline;
use crate::rollout::cache::ReleaseCache;
use crate::rollout::model::{Change, Elapsed, ResourceKind};
use crate::rollout::verdict::judge;
use crate::rollout::workload_ref::{NamespacedName, WorkloadKind, WorkloadRef};

/// The Job `seed`, with this condition where it has ended.
fn job(uid: &str, condition: &str) -> Value {
    let conditions = if condition.is_empty() {
        json!([])
    } else {
        json!([{"type": condition, "status": "True", "message": "BackoffLimitExceeded"}])
    };
    json!({"kind": "Job", "metadata": {"namespace": "shop", "name": "seed", "uid": uid, "generation": 1},
        "spec": {"template": {}}, "status": {"active": i32::from(condition.is_empty()), "conditions": conditions}})
}

fn key() -> NamespacedName {
    NamespacedName::new("shop", "seed")
}

fn gone() -> Change {
    Change::Gone(ResourceKind::Workload(WorkloadKind::Job), key())
}

fn jobs(there: bool) -> BTreeSet<WorkloadRef> {
    let seed = WorkloadRef::new(WorkloadKind::Job, key());
    there.then_some(seed).into_iter().collect()
}

/// A release of one plain Job that was there before, or was not.
fn release(changed: bool, before: Option<&Value>) -> (ReleaseCache, Baseline) {
    let mut target = target("Job", "seed", false);
    target.template_changed = changed;
    let mut cache = ReleaseCache::of(&[target]);
    if let Some(before) = before {
        cache.apply(change(before), Elapsed::default());
    }
    let baseline = Baseline::of(&cache, Duration::from_secs(300));
    (cache, baseline)
}

fn status(cache: &ReleaseCache, baseline: &Baseline) -> String {
    let verdicts = judge(cache, baseline, at(9));
    word(&verdicts[0].status).to_owned()
}

const fn at(seconds: u64) -> Elapsed {
    Elapsed(Duration::from_secs(seconds))
}

/// Case A9: how a Job ended counts, also where it has been collected since; one of
/// which that was not seen stays missing.
#[test]
fn a_job_that_was_collected_counts_as_it_ended() {
    let listed = || {
        Change::Listed(
            ResourceKind::Workload(WorkloadKind::Job),
            "shop".to_owned(),
            BTreeSet::new(),
        )
    };
    for (condition, expected) in [
        ("Complete", "ready"),
        ("Failed", "job-failed"),
        ("FailureTarget", "job-failed"),
        ("", "waiting"),
    ] {
        for removal in [gone(), listed()] {
            let (mut cache, baseline) = release(true, None);
            assert_eq!(status(&cache, &baseline), "waiting", "not applied yet");
            cache.apply(change(&job("new", "")), at(1));
            cache.apply(change(&job("new", condition)), at(2));
            cache.apply(removal, at(4));
            assert_eq!(status(&cache, &baseline), expected, "{condition}");
            cache.apply(gone(), at(5));
            cache.note_jobs_after_helm(jobs(false));
            assert_eq!(status(&cache, &baseline), expected, "{condition}");
        }
    }
}

/// Case A9: a Job of the deploy before that is collected may be about to be made anew,
/// until helm has ended and it is still not there.
#[test]
fn a_job_from_before_counts_once_helm_has_ended_without_it() {
    let before = job("old", "Complete");
    let (mut cache, baseline) = release(false, Some(&before));
    assert_eq!(status(&cache, &baseline), "ready");
    cache.apply(gone(), at(1));
    assert_eq!(
        status(&cache, &baseline),
        "waiting",
        "helm may make it anew"
    );

    let mut collected_after = cache.clone();
    collected_after.note_jobs_after_helm(jobs(false));
    assert_eq!(
        status(&collected_after, &baseline),
        "ready",
        "helm applied it before"
    );

    cache.note_jobs_after_helm(jobs(true));
    assert_eq!(
        status(&cache, &baseline),
        "waiting",
        "helm has made it anew"
    );
    cache.apply(change(&job("new", "")), at(3));
    assert_eq!(status(&cache, &baseline), "waiting");
    cache.apply(change(&job("new", "Complete")), at(4));
    cache.apply(gone(), at(6));
    assert_eq!(status(&cache, &baseline), "ready");

    let (mut cache, baseline) = release(false, Some(&before));
    cache.note_jobs_after_helm(jobs(true));
    cache.apply(gone(), at(6));
    assert_eq!(
        status(&cache, &baseline),
        "ready",
        "collected after helm's end"
    );

    let (mut cache, baseline) = release(true, Some(&before));
    cache.apply(gone(), at(1));
    cache.note_jobs_after_helm(jobs(false));
    assert_eq!(
        status(&cache, &baseline),
        "waiting",
        "it is not the one that was asked for"
    );
}

/// Case A9: a Job that failed before and is collected is not this deploy's failure.
#[test]
fn a_failure_from_before_is_not_told() {
    let (mut cache, baseline) = release(true, Some(&job("old", "Failed")));
    cache.apply(gone(), at(1));
    assert_eq!(status(&cache, &baseline), "waiting");
    cache.apply(change(&job("new", "Failed")), at(2));
    cache.apply(gone(), at(3));
    assert_eq!(status(&cache, &baseline), "job-failed");
}
