//! Workloads that are short of pods: as short as before the deploy, for the same cause,
//! is not the deploy's failure.
//!
//! Pure. A pod whose cause is not known is never excused, nor is a workload of which
//! no pod is ready.

use std::time::Duration;

use super::baseline::Baseline;
use super::cache::ReleaseCache;
use super::missing::{Stuck, missing, stuck};
use super::model::{Elapsed, PodPresence};
use super::target::WatchTarget;
use super::target_readiness;
use super::unprobed;
use crate::text;

/// A pod that is short for the same cause as before has to stay so for this long: what
/// just began may look the same for a moment.
const STEADY: Duration = Duration::from_secs(30);

/// Whether a release is Ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseReadiness {
    /// Whether every workload is Ready, need not be, or is as short of pods as before.
    pub ready: bool,
    /// The workloads that are as short of pods as before, with pod and cause; safe to show.
    pub warnings: Vec<String>,
}

/// Whether every workload of the release is Ready, need not be, or was as short of pods
/// before the deploy, for the same cause. What cannot be watched is left out.
pub(super) fn of_release(
    cache: &ReleaseCache,
    baseline: &Baseline,
    now: Elapsed,
) -> ReleaseReadiness {
    let mut all = ReleaseReadiness {
        ready: true,
        warnings: Vec::new(),
    };
    for target in cache.targets().filter(|target| !target.hook) {
        if is_whole(cache, target, now) {
            continue;
        }
        let is_short = !target_readiness::of(cache, target).is_ready();
        match as_before(cache, baseline, target).filter(|_| is_short) {
            Some(stuck) if stuck.iter().all(|one| is_steady(one, cache, now)) => {
                all.warnings.push(warning(cache, target, &stuck));
            }
            _ => all.ready = false,
        }
    }
    all
}

/// Whether every workload of the release is Ready or need not be, as [`of_release`] says
/// it, but for those that are short as before. Ends at the first that is not.
pub(super) fn is_ready_in_full(cache: &ReleaseCache, now: Elapsed) -> bool {
    let mut own = cache.targets().filter(|target| !target.hook);
    own.all(|target| is_whole(cache, target, now))
}

/// Whether nothing of a workload is waited for.
fn is_whole(cache: &ReleaseCache, target: &WatchTarget, now: Elapsed) -> bool {
    cache.is_unwatchable(target)
        || (target_readiness::of(cache, target).is_ready()
            && unprobed::waits_for(cache, target, now).is_none())
}

/// Whether a workload's missing pods are no more than before, each for a cause of before.
pub(super) fn is_as_before(
    cache: &ReleaseCache,
    baseline: &Baseline,
    target: &WatchTarget,
) -> bool {
    as_before(cache, baseline, target).is_some()
}

/// Whether a pod has been missing for long enough.
fn is_steady(one: &Stuck<'_>, cache: &ReleaseCache, now: Elapsed) -> bool {
    let since = one
        .pod
        .map_or_else(Elapsed::default, |pod| cache.since(pod));
    let left = cache.last_pod_removed.unwrap_or_default();
    now.since(since.max(left)) >= STEADY
}

fn as_before<'a>(
    cache: &'a ReleaseCache,
    baseline: &Baseline,
    target: &WatchTarget,
) -> Option<Vec<Stuck<'a>>> {
    let workload = cache.workload(&target.id)?;
    let before = baseline
        .workloads
        .get(&target.id)
        .filter(|before| before.uid == workload.uid && before.shortage.missing > 0)?;
    let has_passed = !target.template_changed
        || (workload.generation > before.generation && workload.revision != before.revision);
    let is_settled = !cache.is_outdated(workload)
        && workload.observed >= workload.generation
        && workload.total == workload.updated
        && cache
            .pods_of(&target.id)
            .iter()
            .all(|pod| pod.presence == PodPresence::Here && cache.is_current(workload, pod));
    let missing = missing(workload);
    if !has_passed || !is_settled || missing > before.shortage.missing || workload.ready < 1 {
        return None;
    }
    let stuck = stuck(cache, workload);
    if stuck.len() != usize::try_from(missing).ok()? {
        return None;
    }
    let mut known = before.shortage.causes.clone();
    for one in &stuck {
        let at = known.iter().position(|cause| *cause == one.key)?;
        known.swap_remove(at);
    }
    Some(stuck)
}

fn warning(cache: &ReleaseCache, target: &WatchTarget, stuck: &[Stuck<'_>]) -> String {
    let wanted = cache
        .workload(&target.id)
        .map_or(0, |workload| workload.wanted);
    let pods: Vec<String> = stuck
        .iter()
        .map(|one| match one.pod {
            Some(pod) => format!(
                "pod {} waits for {}",
                text::line(&pod.key.name, text::VALUE),
                one.shown
            ),
            None => format!("a pod is refused: {}", one.shown),
        })
        .collect();
    format!(
        "{} is short of {} of {wanted} pods, as before the deploy: {}",
        target.id,
        stuck.len(),
        pods.join("; ")
    )
}
