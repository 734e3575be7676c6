//! Workloads whose containers say nothing of whether they are ready.
//!
//! Pure. A container without a probe counts as ready from its start to its end, so that one
//! that crashes is Ready for a moment each time. What was Ready before the deploy is not
//! held up.

use std::time::Duration;

use super::cache::ReleaseCache;
use super::model::{AvailableOnce, Elapsed};
use super::target::WatchTarget;

/// How long such a workload has to stay Ready. Who wants another time says so by
/// `minReadySeconds`, which its controller keeps.
const STAYS: Duration = Duration::from_secs(5);

/// For how long a watch has to see the release Ready before it is known to stay so, where
/// what was there when the watch began is to be judged too: nobody knows since when that is.
pub(super) fn seen_ready_for(cache: &ReleaseCache) -> Duration {
    let is_unprobed = |target: &WatchTarget| {
        let workload = cache.workload(&target.id);
        workload.is_some_and(|workload| workload.available_once == AvailableOnce::Running)
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
    if workload.available_once == AvailableOnce::Proven {
        return None;
    }
    let since = cache.timeline.ready_since(&workload.id)?;
    (now.since(since) < STAYS).then(|| {
        format!(
            "it to stay ready for {}s, since a container has no readiness probe",
            STAYS.as_secs()
        )
    })
}
