//! The cluster: a client made of the plan's own say, what the server can do,
//! and what runs there.

pub mod client;
pub mod discovery;
pub mod jobs;
mod kubeconfig;
pub mod lease;
pub mod namespace;
pub mod objects;
pub(crate) mod proxy;
pub mod recovery;
pub mod rights;
pub mod verify;
