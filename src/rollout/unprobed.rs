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
