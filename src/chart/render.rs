//! The one thing that the proof asks of helm.

use std::future::Future;

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
