//! The chart: what lies in it, where its images stand in the values, and the
//! proof that the requested ones take effect.
//!
//! Everything here is a function from data to data; running helm is the
//! caller's, through [`Render`]. Nothing here reads a file, asks a cluster or
//! prints. A chart and what it renders are outside text: bounded when read,
//! escaped when shown.

pub mod archive;
pub mod layout;
pub mod live;
pub mod proof;
pub mod reference;
pub mod values;

mod advice;
mod dependencies;
mod judge;
mod names;
mod places;
mod residue;
mod search;
mod sentinel;
mod sight;
#[cfg(test)]
mod tests;
mod trial;
mod ways;

use std::future::Future;

pub use archive::Chart;
pub use layout::Layout;
pub use proof::{Placed, Proof, prove, verify_record};
pub use residue::residue;

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
