//! Renders the chart: without the cluster where that is the truth, with it
//! where the chart looks things up there.

use serde_json::Value;
use tokio::time::Instant;

use super::cancel::{Cancel, cancelled};
use super::command::{self, Render, Target};
use super::failure::{self, Doing};
use super::process::{Ran, Runner, Stopped};
use super::records;
use crate::error::{Error, Kind, Result};
use crate::text;

/// How a chart is rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// `helm template`: 0.06 s.
    Local,
    /// `helm upgrade --dry-run=server`: 0.7 s; for charts that use `lookup` or
    /// `.Release.Revision`.
    Server,
}

/// One stream of YAML documents: manifest and hooks, without those of tests.
pub(super) async fn render(
    runner: &Runner,
    target: &Target,
    way: Way,
    render: &Render<'_>,
    cancel: &Cancel,
    deadline: Instant,
) -> Result<String> {
    let call = match way {
        Way::Local => command::template(target, render),
        Way::Server => command::server_render(target, render),
    };
    let ran = runner
        .run(&call, cancel, deadline, std::future::pending())
        .await?;
    match ran.stopped {
        Some(Stopped::Cancelled(signal)) => return Err(cancelled(signal)),
        Some(_) => {
            return Err(Error::new(Kind::Chart, "the chart did not render in time")
                .hint("see that its templates end, and that the cluster answers"));
        }
        None => {}
    }
    if !ran.status.success() {
        return Err(failure::read(Doing::Render, &ran.stderr).error);
    }
    if ran.cut {
        return Err(Error::new(
            Kind::Chart,
            "the chart renders to more than 64 MiB",
        ));
    }
    match way {
        Way::Local => Ok(ran.stdout),
        Way::Server => documents(&ran),
    }
}

/// The documents of a release that helm printed as JSON.
fn documents(ran: &Ran) -> Result<String> {
    let unreadable = || {
        Error::new(Kind::Node, "helm's dry run did not print a release")
            .details(text::tail(&ran.stderr, 5))
    };
    // A warning may stand before it.
    let json = ran.stdout.find('{').map_or("", |at| &ran.stdout[at..]);
    let mut json: Value =
        serde_json::from_str(json).map_err(|error| unreadable().because(error))?;
    // Its config and chart are large, and not needed.
    for key in ["config", "chart"] {
        json.as_object_mut().and_then(|release| release.remove(key));
    }
    Ok(records::read(json).map_err(|_| unreadable())?.documents())
}

#[cfg(test)]
#[path = "render_tests.rs"]
mod tests;
