//! Writes the verdict into the release's records: helm calls a revision
//! `deployed` as soon as it is applied, and only whoever waited for the workloads
//! knows whether it is good ([`judgement`]).
//!
//! A record that changed meanwhile is left alone: then the exit code alone tells
//! the verdict. Nothing here touches a workload.

use super::context::Run;
use super::observed::{ReleaseObservation, patiently};
use crate::error::{Kind, Result};
use crate::release::judgement;
use crate::release::record::{Driver, Record, Status};
use crate::release::store;

/// Every workload of the revision is Ready: it counts as good from now on. A cluster
/// that does not answer is waited for: it makes no good revision a bad one.
pub(super) async fn good(run: &Run<'_>, found: &ReleaseObservation, record: &Record) -> Result<()> {
    let said = judgement::good(run.id);
    let client = &found.cluster.client;
    patiently(run, client, async || {
        write(run, found, record, Status::Deployed, &said).await
    })
    .await
}

/// The newest revision, which helm applied after `before`, is not good, for this
/// cause; the release goes back to `target` next, where it does. The good revision
/// is `deployed` again, so that helm compares with it, keeps it and takes its
/// values.
pub(super) async fn failed(
    run: &Run<'_>,
    found: &ReleaseObservation,
    before: Option<u32>,
    target: Option<u32>,
    cause: &str,
) -> Result<()> {
    let mut records = found.cluster.records(run.plan).await?;
    let last = records.last_mut();
    let Some(last) = last.filter(|last| Some(last.revision) > before) else {
        return Ok(());
    };
    // A helm that was stopped in a rollback leaves it pending, and none is at work now.
    // A pending install or upgrade is for recovery to settle: what it does hangs on that.
    if matches!(
        last.status,
        Status::Deployed | Status::Failed | Status::PendingRollback
    ) {
        let said = judgement::failed(run.id, target, cause);
        write(run, found, last, Status::Failed, &said).await?;
        last.status = Status::Failed;
        last.description = said;
    }
    put_back_good(run, found, &records).await
}

/// Makes the good revision `deployed` again, where none is: helm was killed
/// between its last two writes, or a newer one was judged failed.
pub(super) async fn put_back(run: &Run<'_>, found: &ReleaseObservation) -> Result<()> {
    let records = found.cluster.records(run.plan).await?;
    put_back_good(run, found, &records).await
}

async fn put_back_good(
    run: &Run<'_>,
    found: &ReleaseObservation,
    records: &[Record],
) -> Result<()> {
    let life = judgement::life(records);
    let is_deployed = |record: &Record| record.status == Status::Deployed;
    if life.iter().any(is_deployed) {
        return Ok(());
    }
    match judgement::last_good(records) {
        Some(good) => write(run, found, good, Status::Deployed, &good.description).await,
        None => Ok(()),
    }
}

async fn write(
    run: &Run<'_>,
    found: &ReleaseObservation,
    record: &Record,
    status: Status,
    said: &str,
) -> Result<()> {
    if found.cluster.driver == Driver::ConfigMaps
        || (record.status == status && record.description == said)
    {
        return Ok(());
    }
    let client = &found.cluster.client;
    match store::mark(client, &run.plan.release, record, status, said).await {
        Err(error) if error.kind() == Kind::Locked => {
            run.events.note(format!(
                "the verdict is not in the release's records: {error}"
            ));
            Ok(())
        }
        written => written,
    }
}
