//! Renders the chart: without the cluster where that is the truth, with it
//! where the chart looks things up there.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;
use tokio::time::Instant;

use super::command::{self, ReleaseTarget, RenderRequest};
use super::failure::{self, HelmOperation};
use super::foreign::{self, ForeignRender};
use super::pattern::pattern;
use crate::error::{Error, Kind, Result};
use crate::plan::Capabilities;
use crate::process::cancel::{Cancel, cancelled};
use crate::process::runner::{CommandOutput, Invocation, Runner, StopReason};
use crate::release::record;
use crate::text;

/// How a chart is rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenderMode {
    /// `helm template`: 0.06 s.
    Local,
    /// `helm upgrade --dry-run=server`: 0.7 s; for charts that use `lookup` or
    /// `.Release.Revision`.
    Server,
}

impl RenderMode {
    /// The cheapest way that is true for a chart with these templates.
    ///
    /// `helm template` has no cluster to look things up in and no revision. It
    /// also believes in every API that helm itself was built with, whatever
    /// `--api-versions` says (`DefaultVersionSet` in `pkg/chartutil`), so that
    /// a chart which asks for an old one that this server no longer has would
    /// render otherwise than it is applied.
    pub fn of<'a>(
        templates: impl IntoIterator<Item = &'a str>,
        capabilities: &Capabilities,
    ) -> Self {
        let cluster = |template: &str| {
            LOOKS_UP.is_match(template)
                || (template.contains("APIVersions")
                    && APIS
                        .captures_iter(template)
                        .map(|api| api.extract::<1>().1[0])
                        .any(|api| !capabilities.apis.iter().any(|known| known == api)))
        };
        if templates.into_iter().any(cluster) {
            Self::Server
        } else {
            Self::Local
        }
    }
}

/// What needs the cluster. Found in a comment too, which only costs time.
static LOOKS_UP: LazyLock<Regex> = LazyLock::new(|| pattern(r"\blookup\b|\.Release\.Revision\b"));

/// An API of Kubernetes itself in quotes: `policy/v1beta1`, with or without a
/// kind. Other groups helm was not built with.
static APIS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"["`]((?:[a-z]+|[a-z.]+\.k8s\.io)/v[0-9][a-z0-9]*(?:/[A-Za-z]+)?)["`]"#)
});

/// One stream of YAML documents: manifest and hooks, without those of tests.
pub(super) async fn render(
    runner: &Runner,
    target: &ReleaseTarget,
    way: RenderMode,
    render: &RenderRequest<'_>,
    cancel: &Cancel,
    deadline: Instant,
) -> Result<String> {
    let call = match way {
        RenderMode::Local => command::template(target, render),
        RenderMode::Server => command::server_render(target, render),
    };
    let ran = ran(runner, &call, cancel, deadline).await?;
    match way {
        RenderMode::Local => Ok(ran.stdout),
        RenderMode::Server => documents(&ran),
    }
}

/// The same as another engine does it.
pub(super) async fn render_foreign(
    runner: &Runner,
    render: &ForeignRender<'_>,
    cancel: &Cancel,
    deadline: Instant,
) -> Result<String> {
    let call = foreign::foreign_template(render);
    Ok(ran(runner, &call, cancel, deadline).await?.stdout)
}

async fn ran(
    runner: &Runner,
    call: &Invocation,
    cancel: &Cancel,
    deadline: Instant,
) -> Result<CommandOutput> {
    let ran = runner
        .run(call, cancel, deadline, std::future::pending())
        .await?;
    match ran.stopped {
        Some(StopReason::Cancelled(signal)) => return Err(cancelled(signal)),
        Some(_) => {
            return Err(Error::new(Kind::Chart, "the chart did not render in time")
                .hint("see that its templates end, and that the cluster answers"));
        }
        None => {}
    }
    if !ran.status.success() {
        return Err(failure::of(HelmOperation::Render, &ran).error);
    }
    if ran.cut {
        return Err(Error::new(
            Kind::Chart,
            "the chart renders to more than 64 MiB",
        ));
    }
    Ok(ran)
}

/// The documents of a release that helm printed as JSON.
fn documents(ran: &CommandOutput) -> Result<String> {
    let unreadable = || {
        Error::new(Kind::Node, "helm's dry run did not print a release")
            .details(text::tail(&ran.stderr, 5))
    };
    // A warning may stand before it.
    let json = ran.stdout.find('{').map_or("", |at| &ran.stdout[at..]);
    let mut json: Value =
        serde_json::from_str(json).map_err(|error| unreadable().with_source(error))?;
    // Its config and chart are large, and not needed.
    for key in ["config", "chart"] {
        json.as_object_mut().and_then(|release| release.remove(key));
    }
    Ok(record::read(json).map_err(|_| unreadable())?.documents())
}

#[cfg(test)]
#[path = "render_tests.rs"]
mod tests;
