//! The node: its configuration, its policy, and the plan that follows.
//!
//! The node says where and how. Nothing here trusts what a workflow put into
//! the environment beyond the table in `host::variables`, and nothing here
//! talks to helm, the cluster or the registry.

pub mod config;
pub mod event_policy;
mod events;
mod file_permissions;
mod limits;
mod locate;
mod machine;
mod plan;
mod policy;
mod stand_in;
mod verify;

pub use config::Config;
pub use events::{EVENTS, EventName};
pub use locate::{RECEIVER, SYSTEM};
pub use machine::{Node, load, load_operated, load_receiver};
pub use plan::{plan, plan_received, plan_unchecked};
pub use stand_in::stand_in;
