//! The chart: what lies in it, where its images stand in the values, and the
//! proof that the requested ones take effect.
//!
//! Everything here is a function from data to data; running helm is the
//! caller's, through [`Render`]. Nothing here reads a file, asks a cluster or
//! prints. A chart and what it renders are outside text: bounded when read,
//! escaped when shown.

pub mod archive;
pub mod immutability;
pub mod layout;
pub mod proof;
pub mod reference;
pub mod values;

mod check;
mod dependencies;
mod diagnostics;
mod label_rules;
mod layout_candidates;
mod leftover_fields;
mod probe;
mod search;
mod sentinel;
mod sentinel_scan;
mod suggestions;
#[cfg(test)]
mod tests;

use std::future::Future;

pub use archive::Chart;
pub use layout::Layout;
pub use leftover_fields::leftover_fields;
pub use proof::{Placed, Proof, prove, verify_record};

/// Something that renders the chart with the node's values and, after them,
/// `overrides`: `helm template` or a server-side dry run.
pub trait Render {
    /// The manifest with its hooks, without test hooks, as one stream of YAML
    /// documents. Fails with the kind of what went wrong: a chart that does
    /// not render is [`crate::Kind::Chart`].
    fn render(
        &self,
        overrides: &serde_json::Value,
    ) -> impl Future<Output = crate::Result<String>> + Send;
}
