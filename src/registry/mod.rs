//! The registry: the node's own credentials, and what GHCR's answers mean.

mod answer;
pub mod artifacts;
pub mod chart;
mod client;
pub mod credentials;
pub mod error;
pub mod index;
pub mod preflight;
mod token;
