//! Looks at all that a deploy in waves needs, before any target is touched: the chart,
//! the images, the Lease in the engine's own cluster, and what each target holds.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use futures::future::join_all;

use crate::chart::Chart;
use crate::engine::{Engine, Observed};
use crate::error::{Error, Result};
use crate::event::Phase;
use crate::helm::Helm;
use crate::pipeline::context::Run;
use crate::pipeline::origin::OriginCheck;
use crate::pipeline::preflight;
use crate::plan::fleet::{Fleet, TargetName};

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
    let begun = run.begin(Phase::Preflight);
    let plan = run.plan;
    let check = run.unless_cancelled(OriginCheck::of(plan)).await?;
    let chart = preflight::chart(run, check.as_ref());
    let images = preflight::images(plan, check.as_ref());
    let work = async { tokio::try_join!(chart, images, targets(run, engine, fleet)) };
    let ((helm, pulled, chart, origin), (images, origins), (targets, waited)) =
        run.unless_cancelled(work).await?;
    // The wait for others is not this deploy's own time.
    run.deadline += waited;
    preflight::are_proven(run, origin, origins);
    preflight::tell(run, &pulled, &images);
    run.facts.chart_digest = pulled.digest;
    let found = FleetObservation {
        helm,
        archive: pulled.archive,
        chart,
        targets,
    };
    run.end(Phase::Preflight, begun);
    Ok(found)
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
