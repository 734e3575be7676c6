//! The rules that say a workload cannot come right by waiting.
//!
//! Each rule is a function from a [`RuleContext`] to a failure, stands in [`RULES`] with
//! what it catches, what it lets pass and where that comes from, and has a test for its
//! fast case and for its false alarm. A rule that does not know lets pass: helm's own
//! wait and the deadline are behind it.

mod config;
mod context;
mod crash;
mod create;
mod grace;
mod held;
mod image;
mod own;
mod peers;
mod quota;
mod registry;
mod schedule;
mod scheduler;
mod start;
mod volume;
mod words;

pub use context::{Rule, RuleContext};

/// All rules, the most telling first: where several apply, the first is told.
pub const RULES: [Rule; 10] = [
    own::FAILED,
    image::PULL,
    config::MISSING,
    config::MOUNT,
    start::START,
    create::CREATE,
    schedule::SCHEDULE,
    volume::VOLUME,
    crash::CRASH,
    own::DEADLINE,
];
