//! The rollout: what the release's objects do while helm works, and whether
//! they can still come right.
//!
//! | step | modules |
//! |---|---|
//! | watch: one informer for each kind and namespace, with the narrowest selector; objects are trimmed while they are read | `informers`, `selectors`, `trimmed`, `convert` |
//! | keep: the release's objects as last seen, by group, kind and name, and since when; what was before helm, and what can still come | `cache`, `event_log`, `timeline`, `collected`, `ran`, `kept_images`, `ownership`, `model`, `workload_ref`, `target`, `baseline`, `expected`, `taints` |
//! | judge (pure): is a workload Ready, or as short of pods as before, and if not, does a rule say that waiting is in vain? | `readiness`, `target_readiness`, `unprobed`, `missing`, `shortage`, `foreign`, `rules`, `verdict`, `cause` |
//! | find what its controller will not replace (pure) | `stuck` |
//! | ask once more before a verdict that rests on something missing | `recheck`, `recheck_jobs` |
//! | tell: what is waited for, what stood in the way when time was up | `need`, `progress`, `explain` |
//! | gather what is lost when things are undone | `evidence`, `logs` |
//!
//! `watcher` runs all of it; modules import from the steps above their own, never
//! both ways. How it is used, around one run of helm:
//!
//! 1. [`RolloutWatcher::start`] right before helm, with a [`WatchTarget`] for each rendered
//!    object that is waited for (hooks too, tests not) and a [`RolloutContext`].
//! 2. [`RolloutWatcher::stalled`] raced against helm's end; [`RolloutWatcher::last_look`]
//!    where helm failed by itself, as it does at once when a hook fails.
//! 3. [`gather`] before anything is undone, then [`TerminalFailure::problem`]; where time is
//!    up, [`RolloutWatcher::explain_timeout`] says what stood in the way.
//!
//! Nothing here changes the cluster, polls it, or fails a deploy because it could not
//! look: what cannot be watched is said once and then left to helm.

mod baseline;
mod cache;
mod cause;
mod collected;
mod convert;
mod custom;
mod event_log;
mod evidence;
mod expected;
mod explain;
mod foreign;
mod foreign_watch;
mod informers;
mod kept_images;
mod logs;
mod missing;
mod model;
mod need;
mod ownership;
mod progress;
mod ran;
mod readiness;
mod recheck;
mod recheck_jobs;
mod rules;
mod runtime_messages;
mod selectors;
mod shortage;
mod stuck;
mod taints;
mod target;
mod target_readiness;
mod timeline;
mod trimmed;
mod unprobed;
mod verdict;
mod watcher;
mod workload_ref;

#[cfg(test)]
mod tests;

pub use baseline::promises;
pub use cache::ReleaseCache;
pub use cause::{Cause, TerminalFailure};
pub use custom::{CustomResources, NotReady, is_load_balancer};
pub use evidence::{Evidence, gather};
pub use expected::Expected;
pub use foreign::{canary_target, is_judged, nobody_waits_for, not_waited_for};
pub use logs::{Log, Logs};
pub use ran::RanImage;
pub use recheck::has_autoscaler;
pub use rules::{RULES, Rule, RuleContext};
pub use selectors::labels;
pub use shortage::ReleaseReadiness;
pub use stuck::StuckPod;
pub use target::WatchTarget;
pub use watcher::{RolloutContext, RolloutWatcher, Stall};
pub use workload_ref::{NamespacedName, WorkloadKind, WorkloadRef};
