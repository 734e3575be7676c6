//! The registry: the node's own credentials, and what GHCR's answers mean.

pub mod answer;
pub mod credentials;
pub mod preflight;
