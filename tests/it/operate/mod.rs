//! What is asked for by hand: previews, status, drift, freezes and rollbacks.

mod freeze;
mod objects;
mod preview;
mod rollback;
