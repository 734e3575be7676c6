//! A real single-node Kubernetes cluster and a registry that answers as ghcr.io does, in
//! namespaces of their own, for tests, the demo and people.
//!
//! [`Testbed::join_or_start`] is all that a test needs.

mod archive;
pub mod build;
pub mod chart;
pub mod cli;
pub mod client;
pub mod cluster;
pub mod crowd;
pub mod fleet;
pub mod ghcr;
pub mod image;
pub mod pki;
pub mod program;
pub mod progress;
pub mod push;
pub mod site;
pub mod supervisor;

mod hex;

pub use client::{Info, Options, Testbed};
