//! Compares what the cluster holds with what was asked: the stored record, not
//! the render, is the claim.

use super::context::Run;
use super::observed::ReleaseObservation;
use crate::chart::{Proof, verify_record};
use crate::cluster::verify::{Difference, compare, live, template};
use crate::error::{Error, Kind, Result};
use crate::event::Phase;
use crate::manifest::Object;
use crate::release::record::{Record, Status};

/// The release is deployed, its stored manifest and hooks carry the requested
/// images, and so do the workloads. Gives the record.
pub(super) async fn release(
    run: &mut Run<'_>,
    found: &ReleaseObservation,
    proof: &Proof,
) -> Result<Record> {
    let begun = run.begin(Phase::Verify);
    let record = last(run, found).await?;
    run.facts.revision = Some(record.revision);
    deployed(found.last().map_or(0, |last| last.revision), &record)?;
    let hooks: Vec<&str> = record
        .hooks
        .iter()
        .filter(|hook| !hook.is_test())
        .map(|hook| hook.manifest.as_str())
        .collect();
    let wrong = verify_record(&record.manifest, &hooks, proof)?;
    if !wrong.is_empty() {
        return Err(broken(format!(
            "revision {} does not carry what was asked, though the render did",
            record.revision
        ))
        .details(wrong)
        .hint("see whether the chart renders differently each time"));
    }
    workloads(run, found, &proof.objects).await?;
    run.end(Phase::Verify, begun);
    Ok(record)
}

/// A rollback took effect: the last record is newer than `after`, deployed and
/// holds what the good one held, and the workloads carry its images. Gives its
/// revision.
pub(super) async fn restored(
    run: &mut Run<'_>,
    found: &ReleaseObservation,
    good: &Record,
    objects: &[Object],
    after: u32,
) -> Result<u32> {
    let record = last(run, found).await?;
    run.facts.revision = Some(record.revision);
    deployed(after, &record)?;
    if record.manifest != good.manifest {
        return Err(broken(format!(
            "revision {} does not hold what revision {} held",
            record.revision, good.revision
        )));
    }
    workloads(run, found, objects).await?;
    Ok(record.revision)
}

async fn last(run: &Run<'_>, found: &ReleaseObservation) -> Result<Record> {
    let plan = run.plan;
    let last = found.cluster.last(plan);
    run.unless_cancelled(last).await?.ok_or_else(|| {
        broken(format!(
            "helm was content, but release {} has no record",
            plan.release.name
        ))
    })
}

fn deployed(before: u32, record: &Record) -> Result<()> {
    if record.status == Status::Deployed && record.revision > before {
        return Ok(());
    }
    Err(broken(format!(
        "helm was content, but the last record is revision {} and {}, expected one after {before} that is deployed",
        record.revision,
        record.status.name()
    )))
}

/// The pod templates of the cluster. Another image there is the work of a
/// webhook or a mirror: a note.
async fn workloads(run: &Run<'_>, found: &ReleaseObservation, objects: &[Object]) -> Result<()> {
    let wanted: Vec<_> = objects
        .iter()
        .filter(|object: &&Object| object.hooks.is_empty())
        .filter_map(|object| template(&object.value, &run.plan.release.namespace))
        .collect();
    let live = run
        .unless_cancelled(live(&found.cluster.client, &wanted))
        .await?;
    for difference in compare(&wanted, &live) {
        match difference {
            Difference::Missing(workload) => {
                return Err(broken(format!(
                    "helm was content, but {workload} is not there"
                )));
            }
            Difference::Image {
                workload,
                container,
                wanted,
                found,
            } => {
                let found = found.as_deref().unwrap_or("nothing of that name");
                run.events.note(format!(
                    "{workload}, container {container}: the cluster holds {found} where the release says {wanted}; a webhook or a mirror may have changed it"
                ));
            }
        }
    }
    Ok(())
}

fn broken(message: String) -> Error {
    Error::new(Kind::Broken, message)
}
