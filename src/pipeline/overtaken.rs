//! A helm that worked while the Lease was lost, or not renewed for too long:
//! stopped, or ended by its guard while `deploy` itself was stopped or the machine
//! paused. Nothing is undone then, since another deploy can be at work.

use std::time::Duration;

use super::context::Run;
use super::observed::ReleaseObservation;
use crate::error::Error;
use crate::release::record::Record;
use crate::release::recovery;
use crate::run::HelmSpan;

/// How long the cluster may take to give the records.
const LOOK: Duration = Duration::from_secs(3);

/// Why nothing must be touched after this helm, which has ended: the Lease ran
/// out meanwhile. None where it is held still.
pub(super) async fn of(run: &Run<'_>, found: &ReleaseObservation, helm: HelmSpan) -> Option<Error> {
    let lost = lost(run).await?;
    Some(told(run, found, helm, lost).await)
}

/// Why the Lease is lost; none where it is held, or there is none.
pub(super) async fn lost(run: &Run<'_>) -> Option<Error> {
    run.lease.get()?.loss().await
}

/// The error, with what this helm had written before it was stopped.
pub(super) async fn told(
    run: &Run<'_>,
    found: &ReleaseObservation,
    helm: HelmSpan,
    error: Error,
) -> Error {
    let looked = tokio::time::timeout(LOOK, found.cluster.records(run.plan)).await;
    let Ok(Ok(records)) = looked else {
        return error;
    };
    let own = recovery::written_by(&records, helm.end());
    let error = match own {
        Some(record) => error.detail(format!(
            "helm had written revision {} before it was stopped; it is {} now",
            record.revision,
            record.status.name()
        )),
        None => error.detail("helm had written no revision before it was stopped"),
    };
    let before = found.last().map_or(0, |last| last.revision);
    let others = |record: &&Record| {
        record.revision > before && own.is_none_or(|own| own.revision != record.revision)
    };
    match records.iter().rfind(others) {
        Some(record) => error.detail(format!(
            "revision {} was written by another, and is {}",
            record.revision,
            record.status.name()
        )),
        None => error,
    }
}
