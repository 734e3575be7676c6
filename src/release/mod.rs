//! The release: its records, how they are read and settled, and what a dead helm
//! left of it.
//!
//! Nothing here runs helm, and nothing here touches a workload, a claim or a
//! namespace.

pub mod hook_jobs;
pub mod record;
pub mod recovery;
pub mod store;

pub use record::{Driver, Hook, Record, Status};
