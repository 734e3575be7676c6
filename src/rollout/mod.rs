//! The rollout: what the release's objects do while helm works, and whether
//! they can still come right.
//!
//! `model` keeps what was last seen, `verdict` judges it with the `rules`,
//! `progress` and `explain` put it into words: these are pure. `observe` holds the
//! watches, `confirm` asks once more before a verdict that rests on something
//! missing, `evidence` gathers what is lost when things are undone.
//!
//! How it is used, around one run of helm:
//!
//! 1. [`Watch::start`] right before helm, with a [`Target`] for each rendered object
//!    of a kind that is waited for (hooks too, tests not) and what is [`Known`].
//! 2. [`Watch::doomed`] raced against helm's end; [`Watch::last_look`] where helm
//!    failed by itself, as it does at once when a hook fails.
//! 3. [`gather`] before anything is undone, then [`Doom::error`]; where time is up,
//!    [`explain_timeout`] says what stood in the way.
//!
//! Nothing here may change the cluster, poll it, or fail a deploy because it
//! could not look: what cannot be watched is said once and then left to helm.

pub mod baseline;
pub mod cause;
mod confirm;
mod convert;
pub mod evidence;
mod explain;
pub mod logs;
pub mod model;
mod narrow;
pub mod observe;
pub mod progress;
pub mod quantity;
pub mod readiness;
pub mod rules;
mod seen;
pub mod verdict;
mod watches;
mod world;

#[cfg(test)]
mod tests;

pub use baseline::{Baseline, Facts, Target, promises};
pub use cause::{Cause, Doom};
pub use confirm::has_autoscaler;
pub use evidence::{Evidence, gather};
pub use explain::explain_timeout;
pub use model::{Change, Kind, Moment};
pub use narrow::labels;
pub use observe::{Known, Watch};
pub use progress::progress;
pub use verdict::{Standing, Verdict, judge, most_telling};
pub use world::World;
