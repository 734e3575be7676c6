//! The cluster: a client made from the plan alone, what the server can do, what
//! its user is allowed to do, what runs there, and the release's Lease.
//!
//! Nothing here decides what a deploy does.

pub mod client;
pub mod discovery;
pub mod dry_run;
mod kubeconfig;
pub mod lease;
pub mod namespace;
pub mod objects;
pub mod pods;
pub mod rights;
pub mod verify;

#[cfg(test)]
pub(crate) mod tests;
