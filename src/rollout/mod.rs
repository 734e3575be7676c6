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
//! 1. [`RolloutWatcher::start`] right before helm, with a [`WatchTarget`] for each rendered object
//!    of a kind that is waited for (hooks too, tests not) and what is [`RolloutContext`].
//! 2. [`RolloutWatcher::doomed`] raced against helm's end; [`RolloutWatcher::last_look`] where helm
//!    failed by itself, as it does at once when a hook fails.
//! 3. [`gather`] before anything is undone, then [`TerminalFailure::error`]; where time is up,
//!    [`explain_timeout`] says what stood in the way.
//!
//! Nothing here may change the cluster, poll it, or fail a deploy because it
//! could not look: what cannot be watched is said once and then left to helm.

pub mod baseline;
mod cache;
pub mod cause;
mod convert;
pub mod evidence;
mod explain;
mod informers;
pub mod logs;
pub mod model;
pub mod progress;
pub mod readiness;
mod recheck;
pub mod rules;
mod runtime_messages;
mod selectors;
mod target;
mod trimmed;
pub mod verdict;
pub mod watcher;
mod workload_ref;

#[cfg(test)]
mod tests;

pub use baseline::{Baseline, ClusterFacts, promises};
pub use cache::ReleaseCache;
pub use cause::{Cause, TerminalFailure};
pub use evidence::{Evidence, gather};
pub use explain::explain_timeout;
pub use model::{Change, Elapsed};
pub use progress::progress;
pub use recheck::has_autoscaler;
pub use selectors::labels;
pub use target::WatchTarget;
pub use verdict::{Status, Verdict, judge, most_telling};
pub use watcher::{RolloutContext, RolloutWatcher};
pub use workload_ref::{GroupKind, NamespacedName, WorkloadKind, WorkloadRef};
