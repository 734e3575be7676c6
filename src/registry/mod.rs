//! The registry: the node's own credentials, and what GHCR's answers mean.

pub mod credentials;
pub mod error;
pub mod preflight;
