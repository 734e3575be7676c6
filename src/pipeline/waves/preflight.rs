//! Looks at all that a deploy in waves needs, before any target is touched: the chart,
//! the images, the Lease in the engine's own cluster, and what each target holds.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use futures::future::join_all;

use crate::chart::Chart;
use crate::engine::{Engine, Observed};
use crate::error::{Error, Result};
use crate::event::{Origin, Phase};
use crate::helm::{Helm, PulledChart};
use crate::pipeline::context::Run;
use crate::pipeline::origin::OriginCheck;
use crate::pipeline::preflight;
use crate::plan::fleet::{Fleet, TargetName};
use crate::registry::preflight::Preflight;
use crate::signal::ImageKey;

/// What is known of the chart and of each target before anything is touched.
pub(super) struct FleetObservation {
    /// It renders the proof; it applies nothing.
    pub(super) helm: Helm,
    /// The chart as it was pulled.
    pub(super) archive: PathBuf,
    /// What is in it.
    pub(super) chart: Chart,
    /// What each target holds.
    pub(super) targets: BTreeMap<TargetName, Observed>,
}

/// Chart and images are asked for at once, while the Lease is taken; then every target
/// is looked at. The first definite answer ends it.
pub(super) async fn preflight<E: Engine>(
    run: &mut Run<'_>,
    engine: &E,
    fleet: &Fleet,
) -> Result<FleetObservation> {
    run.begin(Phase::Preflight);
    let work = async { tokio::try_join!(artifacts(run), targets(run, engine, fleet)) };
    let (artifacts, (targets, waited)) = run.unless_cancelled(work).await?;
    // The wait for others is not this deploy's own time.
    run.deadline += waited;
    let found = artifacts.noted(run, targets);
    run.end();
    Ok(found)
}

/// The chart and the images, as the registry has them.
struct Artifacts {
    helm: Helm,
    pulled: PulledChart,
    chart: Chart,
    origin: Option<Origin>,
    images: Preflight,
    origins: BTreeMap<ImageKey, Origin>,
}

async fn artifacts(run: &Run<'_>) -> Result<Artifacts> {
    let check = OriginCheck::of(run.plan).await?;
    let chart = preflight::chart(run, check.as_ref());
    let images = preflight::images(run.plan, check.as_ref());
    let ((helm, pulled, chart, origin), (images, origins)) = tokio::try_join!(chart, images)?;
    Ok(Artifacts {
        helm,
        pulled,
        chart,
        origin,
        images,
        origins,
    })
}

impl Artifacts {
    /// Notes what the journal wants to know of them.
    fn noted(self, run: &mut Run<'_>, targets: BTreeMap<TargetName, Observed>) -> FleetObservation {
        preflight::are_proven(run, self.origin, self.origins);
        preflight::tell(run, &self.pulled, &self.images);
        run.facts.chart_digest = self.pulled.digest;
        FleetObservation {
            helm: self.helm,
            archive: self.pulled.archive,
            chart: self.chart,
            targets,
        }
    }
}

/// What every target holds, once no other deploy is at work on them; and how long that
/// took to be so.
pub(super) async fn targets<E: Engine>(
    run: &Run<'_>,
    engine: &E,
    fleet: &Fleet,
) -> Result<(BTreeMap<TargetName, Observed>, Duration)> {
    let waited = preflight::take_lease(run, preflight::begin_lease(run)?).await?;
    let observed = observe(run, engine, fleet).await?;
    Ok((observed, waited))
}

/// What every target holds; where some cannot be worked on, all of them are named.
pub(super) async fn observe<E: Engine>(
    run: &Run<'_>,
    engine: &E,
    fleet: &Fleet,
) -> Result<BTreeMap<TargetName, Observed>> {
    let asked = fleet.targets().map(async |target| {
        let observed = engine.observe(target).await;
        (target.clone(), observed)
    });
    let mut found = BTreeMap::new();
    let mut first: Option<Error> = None;
    for (target, observed) in join_all(asked).await {
        let error = match observed {
            Ok(observed) => {
                for warning in &observed.warnings {
                    run.events.warn(format!("{target}: {warning}"));
                }
                found.insert(target, observed);
                continue;
            }
            Err(error) => error,
        };
        first = Some(if let Some(first) = first.take() {
            first.detail(format!("{target}: {error}"))
        } else {
            let kind = error.kind();
            error.into_problem().headed(target.as_str()).of_kind(kind)
        });
    }
    match first {
        Some(error) => Err(error),
        None => Ok(found),
    }
}
