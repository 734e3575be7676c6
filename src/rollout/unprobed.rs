//! Workloads whose containers say nothing of whether they are ready.
//!
//! Pure. A container without a probe counts as ready from its start to its end, so that one
//! that crashes is Ready for a moment each time. What was Ready before the deploy is not
//! held up, and a sidecar may come and go.

use std::collections::BTreeSet;
use std::time::Duration;

use super::cache::ReleaseCache;
use super::model::{Elapsed, Pod, Workload};
use super::target::WatchTarget;

/// How long such a container has to run. Who wants another time says so by
/// `minReadySeconds`, which its controller keeps.
const STAYS: Duration = Duration::from_secs(5);

/// For how long a watch has to see the release Ready before it is known to stay so, where
/// what was there when the watch began is to be judged too: nobody knows since when that is.
pub(super) fn seen_ready_for(cache: &ReleaseCache) -> Duration {
    let is_unprobed = |target: &WatchTarget| {
        let workload = cache.workload(&target.id);
        workload.is_some_and(|workload| !unprobed(workload, &cache.requested).is_empty())
    };
    let mut own = cache.targets().filter(|target| !target.hook);
    if own.any(is_unprobed) {
        STAYS
    } else {
        Duration::ZERO
    }
}

/// What a workload that is Ready still waits for; none where nothing.
pub(super) fn waits_for(
    cache: &ReleaseCache,
    target: &WatchTarget,
    now: Elapsed,
) -> Option<String> {
    let workload = cache.workload(&target.id)?;
    let unprobed = unprobed(workload, &cache.requested);
    let first = unprobed.first()?;
    let pods = cache.current_pods(&target.id);
    let name = if usize::try_from(workload.wanted) == Ok(pods.len()) {
        let mut names = unprobed.iter();
        names.find(|name| pods.iter().any(|pod| has_just_begun(cache, pod, name, now)))
    } else {
        // Not all of them are seen: what the workload says is all that is known.
        let since = cache.timeline.ready_since(&workload.id);
        since.filter(|since| is_short(*since, now)).map(|_| first)
    };
    Some(format!(
        "container {} to run for {}s, since it has no readiness probe",
        name?,
        STAYS.as_secs()
    ))
}

/// Whether a pod's container is down, or has run for a shorter time than it has to.
fn has_just_begun(cache: &ReleaseCache, pod: &Pod, name: &str, now: Elapsed) -> bool {
    let mut containers = pod.containers.iter();
    let container = containers.find(|container| container.name == name);
    container.is_some_and(|container| {
        let since = cache.timeline.runs_since(pod, container);
        !container.ready || since.is_some_and(|since| is_short(since, now))
    })
}

fn is_short(since: Elapsed, now: Elapsed) -> bool {
    now.since(since) < STAYS
}

/// The containers of a workload that have to run for a while, by their names: of each
/// requested image the first, where none of that image has a probe. Where the workload runs
/// no requested image, it is that of its first container.
pub(super) fn unprobed<'a>(workload: &'a Workload, requested: &BTreeSet<String>) -> Vec<&'a str> {
    let containers = &workload.containers;
    let images = containers.iter().map(|container| &container.image);
    let mut images: BTreeSet<&String> = images.filter(|image| requested.contains(*image)).collect();
    if images.is_empty() {
        images.extend(containers.first().map(|first| &first.image));
    }
    let first = |image: &String| {
        let mut same = containers.iter().filter(|one| one.image == *image);
        let first = same.next()?;
        let is_probed = first.probed || same.any(|other| other.probed);
        (!is_probed).then_some(first.name.as_str())
    };
    images.into_iter().filter_map(first).collect()
}
