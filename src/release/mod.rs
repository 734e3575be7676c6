//! The release: its records, how they are read and settled, and what a dead helm
//! left of it.
//!
//! `job_start`, `judgement`, `obstacles`, `ownership`, `record`, `recovery` and
//! `target` are pure; `store` and `hook_jobs` ask the cluster.
//! Nothing here runs helm, and nothing here touches a claim, a namespace or a
//! workload other than a hook's ended Job.

pub mod hook_jobs;
mod job_start;
pub mod judgement;
pub mod obstacles;
pub mod ownership;
pub mod record;
pub mod recovery;
pub mod store;
pub mod target;
#[cfg(test)]
mod tests;

pub use record::{Driver, Hook, Record, Status};
