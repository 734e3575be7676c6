//! The chart: what lies in it, where its images stand in the values, and the
//! proof that the requested ones take effect.
//!
//! Everything here is a function from data to data; running helm is the
//! caller's, through [`Render`]. Nothing here reads a file, asks a cluster or
//! prints. A chart and what it renders are outside text: bounded when read,
//! escaped when shown.

pub mod archive;
pub mod autoscaled;
pub mod hook_needs;
pub mod immutability;
pub mod layout;
pub mod proof;
pub mod reference;
pub mod values;

mod beside;
mod check;
mod coalesce;
mod dependencies;
mod diagnostics;
mod equation;
mod foreign;
mod label_rules;
mod layout_candidates;
mod leftover_fields;
mod likeliest;
mod lists;
mod locate;
mod mentions;
mod model;
mod probe;
mod prove;
mod reading;
#[cfg(test)]
mod reading_tests;
mod render;
mod repository;
mod search;
mod sentinel;
mod sentinel_scan;
mod suggestions;
#[cfg(test)]
mod tests;
mod trials;

pub use archive::Chart;
pub use layout::Layout;
pub use leftover_fields::leftover_fields;
pub use model::Placement;
pub use proof::{Proof, verify_record};
pub use prove::{prove, prove_preferring};
pub use render::Render;
