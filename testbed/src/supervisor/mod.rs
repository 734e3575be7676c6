//! Keeps a testbed: who starts it, what it runs in, and how it ends without a trace. Must never
//! change anything on the host that its end does not undo.
//!
//! Three processes make a testbed, apart from the cluster's own:
//!
//! - The *janitor* stays in the host's namespaces. It opens the listeners on the host's loopback,
//!   makes the cgroups, starts the rest, and when that is gone removes what is left.
//! - `unshare` makes the namespaces and waits for what runs in them.
//! - The *supervisor* is process 1 in them. Its end ends every process, mount and interface.
//!
//! The supervisor ends when it is told to, when nobody has used it for a while, or when its
//! janitor is gone; then it does the janitor's part too. What is left when both are killed is
//! swept by the next start: both hold the lock of the same file, which tells that one of them lives.

pub mod cgroups;
mod children;
mod control;
mod handover;
mod inner;
mod instance;
mod janitor;
mod namespaces;

pub use children::Children;
pub use control::{Ask, Reply, Status};
pub use inner::run as supervise;
pub use instance::{Instance, Settings, sweep};
pub use janitor::{enter, run as janitor};

use serde::{Deserialize, Serialize};

use crate::client::Info;

/// The hidden subcommand that is the janitor.
pub const JANITOR: &str = "__janitor";
/// The hidden subcommand that joins cgroups and goes on as another program.
pub const ENTER: &str = "__enter";
/// The hidden subcommand that is the supervisor.
pub const SUPERVISE: &str = "__supervise";

/// What a starter is told, and the janitor before it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// The supervisor runs in its namespaces.
    Entered,
    /// The cluster is ready.
    Ready(Box<Info>),
    /// It did not come up; why.
    Failed(String),
}
