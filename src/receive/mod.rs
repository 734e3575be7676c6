//! `deploy receive`: a controller of this project's own, which holds what the
//! runner's user must not: the cluster's and the registry's credentials.
//!
//! It takes signals over a socket of this machine (docs/forward-protocol.md) from
//! whom its configuration names, and runs each in a process of its own: this
//! program again, with the same pipeline as a direct deploy. So a deploy that
//! panics, is killed or runs out of memory takes no other one with it, and a
//! recovery can tell a dead deploy from a living one by its process, as ever.
//!
//! Nothing that a client names is opened, resolved or run here; all of it is
//! bounded, in size, in time and in number.

mod connections;
mod deploys;
mod document;
mod http;
mod listen;
mod notes;
mod peer;
mod receiver;
mod run;
mod server;

pub use document::{Order, SentSignal};
pub use listen::{Listener, listener};
pub use peer::PeerIdentity;
pub use receiver::Receiver;
pub use server::serve;

/// The first argument that asks for the deploy of one received signal, with the
/// configuration's path behind it and an [`Order`] on standard input.
pub const ENTRY: &str = "__deploy-received";
