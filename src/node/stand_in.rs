//! What stands in for a signal where there is none: for whoever only looks at an
//! app, or goes back.

use super::machine::Node;
use crate::error::{Error, Kind, Result};
use crate::signal::{App, Request};

/// A request for an app that is never sent: only its app counts, and the chart that
/// deploy.toml pins.
pub fn stand_in(app: &App, node: &Node) -> Result<Request> {
    let broken = |_| Error::new(Kind::Internal, "the stand-in is no request");
    let pinned = node.config.apps.get(app).and_then(|app| app.chart.clone());
    let chart = pinned.map_or_else(
        || {
            format!("oci://ghcr.io/{app}/charts/{app}")
                .parse()
                .or_else(|_| "oci://ghcr.io/none/charts/none".parse())
        },
        Ok,
    );
    Ok(Request {
        app: app.clone(),
        chart: chart.map_err(broken)?,
        version: "0.0.0".parse().map_err(broken)?,
        images: std::collections::BTreeMap::new(),
    })
}
