//! What is asked for by hand: previews, status, drift, freezes and rollbacks.

mod drift;
mod freeze;
mod objects;
mod preview;
mod rollback;
