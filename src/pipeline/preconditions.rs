//! Fails before anything is touched where the apiserver would refuse the
//! render because of what is there already, or helm because of its records.
//!
//! It never refuses what it cannot see: an object that may not be read is no
//! obstacle here, and helm has the last word.

use super::context::Run;
use super::observed::ReleaseObservation;
use crate::chart::hook_needs::hook_needs;
use crate::chart::immutability::{Obstacle, immutable, is_worth_reading, unserved};
use crate::chart::{Proof, autoscaled};
use crate::cluster::objects::{Forbidden, absent, autoscalers, read};
use crate::error::{Error, Kind, Result};
use crate::manifest::{Object, ObjectRef};
use crate::release::{obstacles, ownership};

/// Fails with [`Kind::Policy`] where another application's chart serves, and with
/// [`Kind::Broken`] where the release is being uninstalled.
pub(super) fn release(run: &Run<'_>, found: &ReleaseObservation) -> Result<()> {
    let (plan, request) = (run.plan, &run.plan.request);
    ownership::check(
        &found.records,
        request.chart.name(),
        plan.chart_is_pinned,
        &request.app,
    )?;
    not_leaving(run, found)
}

/// Fails with [`Kind::Broken`] where the release is being uninstalled.
pub(super) fn not_leaving(run: &Run<'_>, found: &ReleaseObservation) -> Result<()> {
    match obstacles::uninstalling(&found.records, &run.plan.release) {
        Some(problem) => Err(problem.of_kind(Kind::Broken)),
        None => Ok(()),
    }
}

/// Fails with [`Kind::Broken`] where helm cannot read what it stored itself.
/// The records are those that helm will find.
pub(super) fn readable(run: &Run<'_>, found: &ReleaseObservation) -> Result<()> {
    let apis = &found.cluster.capabilities.apis;
    let served = |version: &str, kind: &str| apis.contains(&format!("{version}/{kind}"));
    match obstacles::unserved(&found.records, &run.plan.release, served) {
        Some(problem) => Err(problem.of_kind(Kind::Broken)),
        None => Ok(()),
    }
}

/// Fails with [`Kind::Chart`], naming the first obstacle and the cure of each.
pub(super) async fn none(run: &Run<'_>, found: &ReleaseObservation, proof: &Proof) -> Result<()> {
    let namespace = &run.plan.release.namespace;
    let is_upgrade = found.is_upgrade();
    let apis = &found.cluster.capabilities.apis;
    let served = |version: &str, kind: &str| {
        let asked = format!("{version}/{kind}");
        apis.contains(&asked)
    };
    let mut obstacles = unserved(&proof.objects, &found.chart, is_upgrade, served);
    // What a first install finds there already is not the release's: helm refuses that itself.
    if is_upgrade {
        let live = run.unless_cancelled(live(run, found, proof)).await?;
        obstacles.extend(immutable(&proof.objects, &live, namespace));
    }
    let needed = hooks(run, found, proof);
    let scaled = async { Ok::<_, Error>(autoscaled(found, proof, namespace).await) };
    let both = async { tokio::try_join!(needed, scaled) };
    let (needed, scaled) = run.unless_cancelled(both).await?;
    for warning in scaled {
        run.events.warn(warning);
    }
    obstacles.extend(needed);
    refuse(obstacles)
}

/// A warning for each workload that an autoscaler scales as well as the chart. The
/// cluster is asked only where one can be there.
async fn autoscaled(found: &ReleaseObservation, proof: &Proof, namespace: &str) -> Vec<String> {
    if !autoscaled::sets_replicas(&proof.objects) {
        return Vec::new();
    }
    let live = if found.is_upgrade() {
        autoscalers(&found.cluster.client, namespace).await
    } else {
        Vec::new()
    };
    autoscaled::warnings(&proof.objects, &live, namespace)
}

/// What a hook needs that is made only after it and is not there already.
async fn hooks(run: &Run<'_>, found: &ReleaseObservation, proof: &Proof) -> Result<Vec<Obstacle>> {
    let namespace = &run.plan.release.namespace;
    let is_upgrade = found.is_upgrade();
    let needs = hook_needs(&proof.objects, is_upgrade, namespace);
    if needs.is_empty() {
        return Ok(Vec::new());
    }
    let objects: Vec<ObjectRef> = needs.iter().map(|need| need.object.clone()).collect();
    let absent = absent(&found.cluster.client, &objects, namespace).await?;
    let missing = needs.iter().filter(|need| absent.contains(&need.object));
    Ok(missing
        .map(|need| Obstacle {
            object: need.hook.clone(),
            problem: need.problem(),
            cure: need.cure(is_upgrade),
        })
        .collect())
}

/// The live objects that the render may be unable to change, each by its name:
/// usually none at all.
async fn live(
    run: &Run<'_>,
    found: &ReleaseObservation,
    proof: &Proof,
) -> Result<Vec<serde_json::Value>> {
    let namespace = &run.plan.release.namespace;
    let before: Vec<Object> = found
        .serving()
        .and_then(|record| Object::parse(&record.manifest).ok())
        .unwrap_or_default();
    let names: Vec<ObjectRef> = proof
        .objects
        .iter()
        .filter(|object| is_worth_reading(object, &before, namespace))
        .map(|object| object.reference.clone())
        .collect();
    let found = read(
        &found.cluster.client,
        &names,
        namespace,
        Forbidden::IsAbsent,
    )
    .await?;
    Ok(found.into_iter().flatten().collect())
}

fn refuse(obstacles: Vec<Obstacle>) -> Result<()> {
    let mut obstacles = obstacles.into_iter();
    let Some(first) = obstacles.next() else {
        return Ok(());
    };
    let mut error = Error::new(Kind::Chart, first.problem).hint(first.cure);
    for obstacle in obstacles {
        error = error.detail(obstacle.problem).hint(obstacle.cure);
    }
    Err(error)
}
