//! Where each target stands in a run, and what follows from that. Pure.
//!
//! It must never call a target good that nobody judged.

use std::collections::BTreeMap;

use tokio::time::Instant;

use crate::engine::{Observed, Wanted};
use crate::error::{Error, Kind, Problem, Result};
use crate::event::waves::{TargetOutcome, TargetReport, Wave, place};
use crate::plan::OnFailure;
use crate::plan::fleet::{Fleet, TargetName};

/// Where a target stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stand {
    /// Nothing was asked of it.
    Waiting,
    /// It served what is wanted before the run, and was judged good.
    Unchanged,
    /// It refused what was asked: it holds what it held.
    Refused,
    /// It was asked, and nobody knows yet how that ends.
    Asked,
    /// It serves what is wanted; the wave is not judged yet.
    Serves,
    /// It serves what is wanted, and that could not be noted.
    NotNoted,
    /// It serves what is wanted, and was judged good.
    Good,
    /// What was asked failed.
    Failed,
    /// Nobody knows what became of what was asked.
    Unknown,
    /// It was asked to go back, and nobody knows yet how that ends.
    Returning,
    /// It serves its last good version again.
    Back,
    /// It refused to go back: it holds what failed.
    BackRefused,
    /// It holds its last good version, which failed as well.
    NotBack,
    /// It was asked to go back, and nobody knows what became of that.
    BackUnknown,
}

/// Why a target failed.
#[derive(Debug)]
pub(super) struct Failure {
    /// In words, without the target's name.
    pub(super) problem: Problem,
    /// What it is where nothing was changed by it.
    pub(super) kind: Kind,
    /// When it was known: the first is the cause of a wave's end.
    pub(super) at: Instant,
}

impl Failure {
    /// One that is known from now on.
    pub(super) fn now(problem: Problem, kind: Kind) -> Self {
        Self {
            problem,
            kind,
            at: Instant::now(),
        }
    }
}

/// A target, and where it stands.
#[derive(Debug)]
pub(super) struct Target<O> {
    /// Its name.
    pub(super) name: TargetName,
    /// Its wave, from 1.
    pub(super) wave: usize,
    /// Its cluster, what it held, and what was judged good of it before the run.
    pub(super) observed: Observed,
    /// What it is asked to serve.
    pub(super) wanted: Wanted,
    /// The last operation that this run began on it.
    pub(super) operation: Option<O>,
    /// Where it stands.
    pub(super) stand: Stand,
    /// Why it failed, where it did.
    pub(super) failure: Option<Failure>,
    /// Why it could not go back, where it had to.
    pub(super) back: Option<Problem>,
}

/// What is done about a target whose wave failed.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum WayBack<'a> {
    /// It holds what it held before the run, or serves what it should.
    Stays,
    /// The node keeps what failed.
    Kept,
    /// It goes back to this.
    To(&'a Wanted),
    /// There is nothing good to go back to.
    Nowhere,
}

impl<O> Target<O> {
    /// Its name with its cluster's, for people.
    pub(super) fn place(&self) -> String {
        place(self.name.as_str(), &self.observed.cluster)
    }

    /// Whether there is nothing to do: it serves what is wanted and was judged good.
    pub(super) fn is_done(&self) -> bool {
        let held = self.observed.held.as_ref();
        self.observed.is_good() && held.is_some_and(|held| held.is_same(&self.wanted))
    }

    /// Whether it holds what a run before this one left without a verdict.
    fn is_left_over(&self) -> bool {
        let Observed { held, good, .. } = &self.observed;
        held.is_some() && good.is_some() && !self.observed.is_good()
    }

    /// Whether this run asked it for something that can have changed it.
    pub(super) const fn is_touched(&self) -> bool {
        !matches!(
            self.stand,
            Stand::Waiting | Stand::Unchanged | Stand::Refused
        )
    }

    /// Whether an operation of this run can still be at work on it.
    pub(super) const fn is_at_work(&self) -> bool {
        matches!(
            self.stand,
            Stand::Asked
                | Stand::Failed
                | Stand::Unknown
                | Stand::Returning
                | Stand::BackRefused
                | Stand::NotBack
                | Stand::BackUnknown
        )
    }

    /// What is done about it where its wave failed.
    pub(super) fn way_back(&self, on_failure: OnFailure) -> WayBack<'_> {
        let changed = match self.stand {
            Stand::Waiting | Stand::Unchanged | Stand::Good => false,
            Stand::Refused => self.is_left_over(),
            _ => true,
        };
        if !changed {
            return WayBack::Stays;
        }
        if on_failure == OnFailure::Keep {
            return WayBack::Kept;
        }
        match &self.observed.good {
            // What failed is no way back from itself.
            Some(good) if !good.is_same(&self.wanted) => WayBack::To(good),
            _ => WayBack::Nowhere,
        }
    }

    /// What became of it.
    pub(super) fn outcome(&self) -> TargetOutcome {
        match self.stand {
            Stand::Waiting | Stand::Refused if self.is_left_over() => TargetOutcome::NotJudged,
            Stand::Waiting => TargetOutcome::NotReached,
            Stand::Refused => TargetOutcome::Refused,
            Stand::Unchanged => TargetOutcome::Unchanged,
            Stand::Asked | Stand::Returning => TargetOutcome::Interrupted,
            Stand::Serves | Stand::NotNoted => TargetOutcome::NotJudged,
            Stand::Good => TargetOutcome::Deployed,
            Stand::Failed | Stand::BackRefused | Stand::NotBack => TargetOutcome::Failed,
            Stand::Unknown | Stand::BackUnknown => TargetOutcome::Unknown,
            Stand::Back => TargetOutcome::RolledBack,
        }
    }

    /// What it holds; none where that is not known, or nothing is there.
    pub(super) fn held(&self) -> Option<&Wanted> {
        match self.stand {
            Stand::Waiting | Stand::Refused => self.observed.held.as_ref(),
            Stand::Unknown | Stand::BackUnknown => None,
            Stand::Returning | Stand::Back | Stand::NotBack => self.observed.good.as_ref(),
            Stand::Unchanged
            | Stand::Asked
            | Stand::Serves
            | Stand::NotNoted
            | Stand::Good
            | Stand::Failed
            | Stand::BackRefused => Some(&self.wanted),
        }
    }

    /// What is known of it, for people and scripts.
    pub(super) fn report(&self) -> TargetReport {
        let back = self.back.as_ref().map(|why| format!("not back: {why}"));
        let failure = self.failure.as_ref();
        let failed = failure.map(|failure| failure.problem.to_string());
        let cause: Vec<String> = failed.into_iter().chain(back).collect();
        TargetReport {
            name: self.name.to_string(),
            wave: self.wave,
            cluster: self.observed.cluster.clone(),
            outcome: self.outcome(),
            version: self.held().map(|held| held.version.to_string()),
            cause: (!cause.is_empty()).then(|| cause.join("; ")),
        }
    }
}

/// All targets, in the order of their waves.
#[derive(Debug)]
pub(super) struct Targets<O>(pub(super) Vec<Target<O>>);

impl<O> Targets<O> {
    /// The targets as they were found, each with what it is asked to serve.
    /// [`Kind::Internal`] where one was not looked at or not proven.
    pub(super) fn new(
        fleet: &Fleet,
        mut observed: BTreeMap<TargetName, Observed>,
        mut wanted: BTreeMap<TargetName, Wanted>,
    ) -> Result<Self> {
        let mut all = Vec::new();
        for (at, wave) in fleet.waves.iter().enumerate() {
            for name in wave {
                let (Some(observed), Some(wanted)) = (observed.remove(name), wanted.remove(name))
                else {
                    let message = format!("target {name} was not looked at");
                    return Err(Error::new(Kind::Internal, message));
                };
                all.push(Target {
                    name: name.clone(),
                    wave: at + 1,
                    observed,
                    wanted,
                    operation: None,
                    stand: Stand::Waiting,
                    failure: None,
                    back: None,
                });
            }
        }
        Ok(Self(all))
    }

    /// How many waves there are.
    pub(super) fn waves(&self) -> usize {
        self.0.last().map_or(0, |target| target.wave)
    }

    /// A wave, by its number.
    pub(super) fn numbered(&self, number: usize) -> Wave {
        let of = self.waves();
        Wave { number, of }
    }

    /// The targets of a wave.
    pub(super) fn of(&self, number: usize) -> impl Iterator<Item = &Target<O>> {
        self.0.iter().filter(move |target| target.wave == number)
    }

    /// The same, to work on.
    pub(super) fn of_mut(&mut self, number: usize) -> impl Iterator<Item = &mut Target<O>> {
        let all = self.0.iter_mut();
        all.filter(move |target| target.wave == number)
    }

    /// Whether a wave has nothing to do.
    pub(super) fn is_done(&self, number: usize) -> bool {
        self.of(number).all(Target::is_done)
    }

    /// Whether this run changed nothing anywhere.
    pub(super) fn is_untouched(&self) -> bool {
        !self.0.iter().any(Target::is_touched)
    }

    /// What a run is that did not come to its end: the last good version serves where
    /// every target serves the old version or the new one whole.
    pub(super) fn kind(&self) -> Kind {
        if self.0.iter().all(|target| target.outcome().is_whole()) {
            Kind::RolledBack
        } else {
            Kind::Broken
        }
    }

    /// What is known of each, in the order of the waves.
    pub(super) fn reports(&self) -> Vec<TargetReport> {
        self.0.iter().map(Target::report).collect()
    }

    /// The same of a dry run.
    pub(super) fn planned(&self) -> Vec<TargetReport> {
        let planned = |target: &Target<O>| {
            let held = target.observed.held.as_ref();
            TargetReport {
                outcome: if target.is_done() {
                    TargetOutcome::Unchanged
                } else {
                    TargetOutcome::WouldDeploy
                },
                version: held.map(|held| held.version.to_string()),
                ..target.report()
            }
        };
        self.0.iter().map(planned).collect()
    }
}

#[cfg(test)]
#[path = "targets_tests.rs"]
mod tests;
