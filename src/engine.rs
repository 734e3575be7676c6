//! The seam between a deploy and what carries it out beyond this node: apply this,
//! watch it, tell how it ended.
//!
//! Data and one trait. What an engine is, and how it tells one operation from another,
//! is its own; in which order its targets come, when to stop and what goes back is
//! decided above it, and by nothing here.

use std::future::Future;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep_until};

use crate::error::{Problem, Result};
use crate::plan::fleet::TargetName;
use crate::signal::{ChartRef, ChartVersion, Digest};

/// How often an engine that has nothing better looks whether a target stays good.
const LOOK: Duration = Duration::from_secs(5);

/// What a target is asked to serve: all that a signal says of it, and nothing else.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// The chart.
    pub chart: ChartRef,
    /// Its version.
    pub version: ChartVersion,
    /// The chart's digest in the registry, where it is known.
    pub digest: Option<Digest>,
    /// The values that carry the images, and no other: a mapping.
    pub values: Value,
}

impl Wanted {
    /// Whether both are the same to serve: a digest that is not known says nothing.
    pub fn is_same(&self, other: &Self) -> bool {
        let is_same_digest = match (&self.digest, &other.digest) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        };
        is_same_digest
            && self.chart == other.chart
            && self.version == other.version
            && self.values == other.values
    }
}

/// What a target holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// What it is asked to serve now; none where nothing was asked for yet.
    pub held: Option<Wanted>,
    /// What it last served and was judged good; none where nothing was.
    pub good: Option<Wanted>,
    /// The cluster's name, for people.
    pub cluster: String,
    /// What a person should know of it before it is touched, a line each.
    pub warnings: Vec<String>,
}

impl Observed {
    /// Whether what it holds was judged good, as far as anybody judged.
    pub fn is_good(&self) -> bool {
        match (&self.held, &self.good) {
            (Some(held), Some(good)) => held.is_same(good),
            _ => false,
        }
    }
}

/// How the work on a target ended. A problem does not name the target: that is done above.
#[derive(Debug)]
pub enum Ended {
    /// It serves what was asked, and all of it is healthy.
    Serves,
    /// It cannot come right, and why.
    Failed(Problem),
    /// Time is up, and what stood in the way.
    TimeUp(Problem),
    /// Nobody knows: its cluster, or the engine, does not answer.
    Unknown(Problem),
}

/// An engine: what applies a chart in clusters beyond this node. Its futures may be
/// dropped at any time (a cancel): whatever they began is then ended by
/// [`Engine::stop`], or found by the next [`Engine::observe`].
pub trait Engine {
    /// What was asked of a target, so that it can be told from every other operation.
    type Operation;

    /// What a target holds, and whether it can be worked on: [`crate::error::Kind::Node`]
    /// where it is not there, is being deleted or cannot be reached,
    /// [`crate::error::Kind::Locked`] where somebody else is at work on it.
    fn observe(&self, target: &TargetName) -> impl Future<Output = Result<Observed>>;

    /// Asks a target for this. Nothing that somebody else owns is taken over
    /// ([`crate::error::Kind::Policy`], with the owner).
    fn apply(
        &self,
        target: &TargetName,
        wanted: &Wanted,
    ) -> impl Future<Output = Result<Self::Operation>>;

    /// Waits until this operation, and no older one, has ended. `tell` gets a line
    /// whenever something changed.
    fn watch(
        &self,
        target: &TargetName,
        operation: &Self::Operation,
        deadline: Instant,
        tell: &dyn Fn(String),
    ) -> impl Future<Output = Ended>;

    /// Watches until `until` that what this operation brought stays good: ends before
    /// where it does not, and with [`Ended::Serves`] where it did. An engine that is told
    /// of changes does better than to look again and again.
    fn stays(
        &self,
        target: &TargetName,
        operation: &Self::Operation,
        until: Instant,
    ) -> impl Future<Output = Ended> {
        async move {
            loop {
                match self.watch(target, operation, until, &|_| {}).await {
                    Ended::Serves => {}
                    other => return other,
                }
                sleep_until(until.min(Instant::now() + LOOK)).await;
                if Instant::now() >= until {
                    return Ended::Serves;
                }
            }
        }
    }

    /// Ends what is still at work of this operation, and of no other.
    fn stop(
        &self,
        target: &TargetName,
        operation: &Self::Operation,
    ) -> impl Future<Output = Result<()>>;

    /// Notes that what the target serves was judged good: what a later failure goes
    /// back to.
    fn note_good(&self, target: &TargetName, wanted: &Wanted) -> impl Future<Output = Result<()>>;
}
