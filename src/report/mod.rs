//! What people and scripts read. Reporters only format: they never decide, and
//! they are the only place that writes to stdout or stderr.

pub mod terminal;
