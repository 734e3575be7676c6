//! The verdict on every workload of a release: a pure function of what was seen,
//! what was before and what time it is.

use super::baseline::Baseline;
use super::cache::ReleaseCache;
use super::cause::TerminalFailure;
use super::model::{Elapsed, Id, Kind};
use super::readiness::{self, Readiness};
use super::rules::{RULES, RuleContext};

/// Where a workload stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// As it should be.
    Ready,
    /// It need not be ready, and why.
    Exempt(&'static str),
    /// Not yet, and what it waits for.
    Waiting(String),
    /// It cannot come right by waiting.
    Doomed(Box<TerminalFailure>),
}

/// The verdict on one workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Which workload.
    pub workload: Id,
    /// Where it stands.
    pub standing: Status,
}

/// Judges every target of the world.
pub fn judge(world: &ReleaseCache, baseline: &Baseline, now: Elapsed) -> Vec<Verdict> {
    let standings: Vec<_> = world
        .targets()
        .map(|target| (target, readiness::of_target(world, target)))
        .collect();
    let waiting = standings
        .iter()
        .filter(|(target, readiness)| !target.hook && !readiness.is_ready())
        .count();
    standings
        .into_iter()
        .map(|(target, readiness)| {
            let own = usize::from(!target.hook && !readiness.is_ready());
            let may_be_doomed =
                !readiness.is_ready() || target.id.kind == Kind::PersistentVolumeClaim;
            let failure = may_be_doomed
                .then(|| RuleContext::of(world, baseline, target, waiting == own, now))
                .flatten()
                .and_then(|scene| RULES.iter().find_map(|rule| (rule.check)(&scene)));
            let standing = match (failure, readiness) {
                (Some(failure), _) => Status::Doomed(Box::new(failure)),
                (None, Readiness::Ready) => Status::Ready,
                (None, Readiness::Exempt(why)) => Status::Exempt(why),
                (None, Readiness::Missing(what)) => Status::Waiting(what),
            };
            Verdict {
                workload: target.id.clone(),
                standing,
            }
        })
        .collect()
}

/// The failure that is told where there are several: that of the rule that stands first.
pub fn most_telling(verdicts: Vec<Verdict>) -> Option<TerminalFailure> {
    let failures = verdicts
        .into_iter()
        .filter_map(|verdict| match verdict.standing {
            Status::Doomed(failure) => Some(*failure),
            _ => None,
        });
    failures.min_by_key(|failure| RULES.iter().position(|rule| rule.name == failure.rule))
}
