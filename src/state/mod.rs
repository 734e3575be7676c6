//! What a node keeps: locks, the journal and the evidence of failed
//! deploys, in one directory.
//!
//! A workflow never chooses that directory. Nothing here holds a secret, and
//! nothing here fails a deploy but a lock that cannot be had.

mod directory;
pub mod evidence;
pub mod freeze;
pub mod helm_version;
pub mod history;
pub mod journal;
pub mod lock;
pub mod received;
pub mod show;
pub mod tokens;

pub use directory::{Directory, SYSTEM, directory};
