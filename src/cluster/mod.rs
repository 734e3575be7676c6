//! The cluster: a client made of the plan's own say, what the server can do,
//! and what runs there.

pub mod client;
pub mod discovery;
mod kubeconfig;
pub mod lease;
pub mod namespace;
pub mod objects;
pub mod rights;
pub mod verify;
