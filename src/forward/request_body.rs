//! What a controller is sent: the signal as JSON, docs/forward-protocol.md.
//!
//! Nothing of the node's goes with it: the controller decides where and how.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::answer::DeployIdentity;
use crate::error::{Error, Kind, Result};
use crate::run::{RunId, SignedToken, Who};
use crate::signal::Request;

/// The signal, and who sends it.
#[derive(Serialize)]
struct RequestBody<'a> {
    id: &'a str,
    app: &'a str,
    chart: String,
    chart_version: String,
    images: BTreeMap<String, String>,
    timeout_seconds: u64,
    who: &'a Who,
    /// GitHub's token for the signal, where one came with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
}

/// The document, and the deploy that its answer has to be about.
pub fn document(
    request: &Request,
    run: &RunId,
    who: &Who,
    budget: Duration,
    token: Option<&SignedToken>,
) -> Result<(String, DeployIdentity)> {
    let deploy = DeployIdentity {
        id: run.to_string(),
        app: request.app.to_string(),
        chart_version: request.version.to_string(),
    };
    let signal = RequestBody {
        id: &deploy.id,
        app: &deploy.app,
        chart: request.chart.to_string(),
        chart_version: deploy.chart_version.clone(),
        images: request
            .images
            .iter()
            .map(|(key, image)| (key.to_string(), image.to_string()))
            .collect(),
        timeout_seconds: budget.as_secs().max(1),
        who,
        token: token.map(SignedToken::as_str),
    };
    let document = serde_json::to_string(&signal).map_err(|error| {
        Error::new(Kind::Internal, "the signal cannot be written as JSON").with_source(error)
    })?;
    Ok((document, deploy))
}
