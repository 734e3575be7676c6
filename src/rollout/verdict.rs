//! The verdict on every workload of a release: a pure function of what was seen,
//! what was before and what time it is.

use super::baseline::Baseline;
use super::cause::Doom;
use super::model::{Id, Kind, Moment};
use super::readiness::{self, Readiness};
use super::rules::{RULES, Scene};
use super::world::World;

/// Where a workload stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// As it should be.
    Ready,
    /// It need not be ready, and why.
    Exempt(&'static str),
    /// Not yet, and what it waits for.
    Waiting(String),
    /// It cannot come right by waiting.
    Doomed(Box<Doom>),
}

/// The verdict on one workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Which workload.
    pub workload: Id,
    /// Where it stands.
    pub standing: Standing,
}

/// Judges every target of the world.
pub fn judge(world: &World, baseline: &Baseline, now: Moment) -> Vec<Verdict> {
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
            let doom = may_be_doomed
                .then(|| Scene::of(world, baseline, target, waiting == own, now))
                .flatten()
                .and_then(|scene| RULES.iter().find_map(|rule| (rule.check)(&scene)));
            let standing = match (doom, readiness) {
                (Some(doom), _) => Standing::Doomed(Box::new(doom)),
                (None, Readiness::Ready) => Standing::Ready,
                (None, Readiness::Exempt(why)) => Standing::Exempt(why),
                (None, Readiness::Missing(what)) => Standing::Waiting(what),
            };
            Verdict {
                workload: target.id.clone(),
                standing,
            }
        })
        .collect()
}

/// The doom that is told where there are several: that of the rule that stands first.
pub fn most_telling(verdicts: Vec<Verdict>) -> Option<Doom> {
    let dooms = verdicts
        .into_iter()
        .filter_map(|verdict| match verdict.standing {
            Standing::Doomed(doom) => Some(*doom),
            _ => None,
        });
    dooms.min_by_key(|doom| RULES.iter().position(|rule| rule.name == doom.rule))
}
