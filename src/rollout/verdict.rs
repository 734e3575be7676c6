//! The verdict on every workload of a release: a pure function of what was seen,
//! what was before and what time it is.

use super::baseline::Baseline;
use super::cache::ReleaseCache;
use super::cause::TerminalFailure;
use super::model::Elapsed;
use super::readiness::Readiness;
use super::rules::{RULES, RuleContext};
use super::shortage;
use super::target_readiness;
use super::workload_ref::{WorkloadKind, WorkloadRef};

/// The status of a workload, as kstatus knows it: Current, `InProgress`, Failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// As it should be.
    Ready,
    /// It need not be ready, and why.
    Exempt(&'static str),
    /// Not yet, and what it waits for.
    Waiting(String),
    /// It cannot come right by waiting.
    Failed(Box<TerminalFailure>),
}

/// The verdict on one workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub workload: WorkloadRef,
    pub status: Status,
}

/// Judges every target.
pub(super) fn judge(cache: &ReleaseCache, baseline: &Baseline, now: Elapsed) -> Vec<Verdict> {
    let all: Vec<_> = cache
        .targets()
        .map(|target| (target, target_readiness::of(cache, target)))
        .collect();
    let waiting = all
        .iter()
        .filter(|(target, readiness)| !target.hook && !readiness.is_ready())
        .count();
    all.into_iter()
        .map(|(target, readiness)| {
            let own = usize::from(!target.hook && !readiness.is_ready());
            let can_fail = (!readiness.is_ready()
                || target.id.kind == WorkloadKind::PersistentVolumeClaim)
                && !shortage::is_as_before(cache, baseline, target);
            let failure = can_fail
                .then(|| RuleContext::of(cache, baseline, target, waiting == own, now))
                .flatten()
                .and_then(|context| RULES.iter().find_map(|rule| (rule.check)(&context)));
            let status = match (failure, readiness) {
                (Some(failure), _) => Status::Failed(Box::new(failure)),
                (None, Readiness::Ready) => Status::Ready,
                (None, Readiness::Exempt(why)) => Status::Exempt(why),
                (None, Readiness::Missing(what)) => Status::Waiting(what),
            };
            Verdict {
                workload: target.id.clone(),
                status,
            }
        })
        .collect()
}

/// The failure that is told where there are several: that of the rule that stands first.
pub(super) fn most_telling(verdicts: Vec<Verdict>) -> Option<TerminalFailure> {
    let failures = verdicts
        .into_iter()
        .filter_map(|verdict| match verdict.status {
            Status::Failed(failure) => Some(*failure),
            _ => None,
        });
    failures.min_by_key(|failure| RULES.iter().position(|rule| rule.name == failure.rule))
}
