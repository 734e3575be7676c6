//! What is asked for by hand: previews, status, drift, freezes and rollbacks.

mod objects;
mod preview;
