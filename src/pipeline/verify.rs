//! Compares what the cluster holds with what was asked: the stored record, not
//! the render, is the claim.

use super::context::Run;
use super::failure::Failure;
use super::observed::{ReleaseObservation, patiently};
use crate::chart::{Proof, verify_record};
use crate::cluster::verify::{Difference, Template, compare, live, stays, template};
use crate::error::{Error, Kind, Problem, Result};
use crate::event::Phase;
use crate::manifest::{Object, ObjectRef};
use crate::release::record::{Record, Status};
use crate::text;

/// What helm applied, as the cluster holds it.
#[derive(Debug)]
pub(super) struct Applied {
    /// The release's newest record.
    pub(super) record: Record,
    /// The generation of each workload right after helm: what is seen of an older
    /// one is not about this revision.
    pub(super) generations: Vec<(ObjectRef, i64)>,
    /// Where the workloads' pod templates differ from the record.
    differences: Vec<Difference>,
}

/// The release is deployed, and its stored manifest and hooks carry the requested
/// images.
pub(super) async fn applied(
    run: &mut Run<'_>,
    found: &ReleaseObservation,
    proof: &Proof,
) -> Result<Applied, Failure> {
    let before = found.last().map_or(0, |last| last.revision);
    let record = newest(run, found, before).await?;
    let hooks: Vec<&str> = record
        .hooks
        .iter()
        .filter(|hook| !hook.is_test())
        .map(|hook| hook.manifest.as_str())
        .collect();
    let wrong = verify_record(&record.manifest, &hooks, proof)?;
    if !wrong.is_empty() {
        let message = format!(
            "revision {} does not carry what was asked, though the render did",
            record.revision
        );
        return Err(Failure::Rollout(
            Problem::new(message)
                .details(wrong)
                .hint("see whether the chart renders differently each time"),
        ));
    }
    workloads(run, found, record, &proof.objects, &[]).await
}

/// A rollback took effect: the newest record is newer than that of the `failed`
/// revision, deployed and holds what the good one held; and no container is left that
/// only the failed one had.
pub(super) async fn restored(
    run: &mut Run<'_>,
    found: &ReleaseObservation,
    good: &Record,
    objects: &[Object],
    failed: Option<&Record>,
) -> Result<Applied, Failure> {
    let after = failed.map_or(0, |failed| failed.revision);
    let record = newest(run, found, after).await?;
    if record.manifest != good.manifest {
        return Err(Failure::Rollout(Problem::new(format!(
            "revision {} does not hold what revision {} held",
            record.revision, good.revision
        ))));
    }
    let left = match failed {
        Some(failed) => Object::parse(&failed.manifest)?,
        None => Vec::new(),
    };
    workloads(run, found, record, objects, &left).await
}

/// Whether the workloads of the cluster are as this revision's record says, so
/// that nothing of a newer one has reached them.
pub(super) async fn carries(
    run: &Run<'_>,
    found: &ReleaseObservation,
    record: &Record,
) -> Result<bool> {
    let objects = Object::parse(&record.manifest)?;
    let wanted = templates(run, &objects);
    let client = &found.cluster.client;
    let live = patiently(run, client, async || live(client, &wanted).await).await?;
    Ok(compare(&wanted, &live).is_empty())
}

/// The pod templates of a manifest's workloads.
fn templates(run: &Run<'_>, objects: &[Object]) -> Vec<Template> {
    objects
        .iter()
        .filter(|object| object.hooks.is_empty())
        .filter_map(|object| template(&object.value, &run.plan.release.namespace))
        .collect()
}

/// Tells where the workloads carry another image than the record says. That is
/// the work of a webhook or a mirror: a note.
pub(super) fn report(run: &mut Run<'_>, applied: &Applied) {
    run.begin(Phase::Verify);
    for difference in &applied.differences {
        if let Difference::Image {
            workload,
            container,
            wanted,
            found,
        } = difference
        {
            let found = found.as_deref().unwrap_or("nothing of that name");
            run.events.note(format!(
                "{workload}, container {container}: the cluster holds {found} where the release says {wanted}; a webhook or a mirror may have changed it"
            ));
        }
    }
    run.end();
}

/// The newest record, which helm has just deployed, after revision `before`.
async fn newest(
    run: &mut Run<'_>,
    found: &ReleaseObservation,
    before: u32,
) -> Result<Record, Failure> {
    let client = &found.cluster.client;
    let read = patiently(run, client, async || found.cluster.last(run.plan).await).await;
    let record = match read {
        Ok(record) => record,
        Err(error) => return Err(unverified(before + 1, error)),
    };
    let Some(record) = record else {
        let release = &run.plan.release.name;
        return Err(Failure::Ended(Error::new(
            Kind::Broken,
            format!("helm succeeded, but release {release} has no record"),
        )));
    };
    run.facts.revision = Some(record.revision);
    if record.status == Status::Deployed && record.revision > before {
        return Ok(record);
    }
    Err(Failure::Ended(Error::new(
        Kind::Broken,
        format!(
            "helm succeeded, but the newest record is revision {} and {}, expected one after {before} that is deployed",
            record.revision,
            record.status.name()
        ),
    )))
}

/// Helm applied this revision, and the cluster could not be asked about it any more.
/// Nothing is undone: it may be good, and the next signal judges it.
pub(super) fn unverified(revision: u32, error: Error) -> Failure {
    let said = format!("revision {revision} is deployed, not verified");
    match error.kind() {
        Kind::Internal | Kind::Locked => error.into(),
        Kind::Cancelled(_) => Failure::Ended(error.outcome(said)),
        _ => Failure::Ended(
            Error::new(Kind::Broken, format!("{said}: {error}"))
                .details(error.evidence())
                .hint(
                    "send the signal again once the cluster answers: it judges that revision first",
                ),
        ),
    }
}

/// The pod templates of the cluster, right after helm; `left` is what it left.
async fn workloads(
    run: &Run<'_>,
    found: &ReleaseObservation,
    record: Record,
    objects: &[Object],
    left: &[Object],
) -> Result<Applied, Failure> {
    let wanted = templates(run, objects);
    let client = &found.cluster.client;
    let live = patiently(run, client, async || live(client, &wanted).await).await;
    let live = live.map_err(|error| unverified(record.revision, error))?;
    let differences = compare(&wanted, &live);
    let missing = differences.iter().find_map(|difference| match difference {
        Difference::Missing(workload) => Some(workload),
        Difference::Image { .. } => None,
    });
    if let Some(workload) = missing {
        let message = format!("{workload} is not there, though helm applied it");
        return Err(Failure::Rollout(Problem::new(message)));
    }
    if let Some((workload, container)) = stays(&templates(run, left), &wanted, &live) {
        let container = text::line(&container, text::VALUE);
        return Err(Failure::Rollout(
            Problem::new(format!(
                "{workload} still has the container {container}, which only the failed revision had"
            ))
            .hint(format!(
                "see who holds that field: kubectl --namespace {} get {} {} --show-managed-fields --output yaml",
                workload.namespace.as_deref().unwrap_or_default(),
                workload.kind.to_lowercase(),
                workload.name
            )),
        ));
    }
    let generations = live
        .into_iter()
        .flatten()
        .filter_map(|template| Some((template.workload, template.generation?)))
        .collect();
    Ok(Applied {
        record,
        generations,
        differences,
    })
}
