//! Heals what an interrupted deploy left, so that helm can go on: records that
//! are pending though no helm is at work, and Jobs of hooks.
//!
//! It must never touch what another helm may still work on, and never a
//! workload, a claim or a namespace.

use std::os::fd::AsFd as _;
use std::time::Duration;

use tokio::time::Instant;

use super::context::Run;
use super::observed::{ReleaseObservation, patiently};
use super::{failure, judge, supervise};
use crate::cluster::lease::Lease;
use crate::error::{Error, Kind, Problem, Result};
use crate::event::Phase;
use crate::plan::Plan;
use crate::release::hook_jobs::{self, has_ended};
use crate::release::record::{Driver, Record, Status};
use crate::release::recovery::{RecoveryContext, RecoveryDecision, SETTLED, decide, interrupted};
use crate::release::{judgement, store};
use crate::run;
use crate::state::lock;

/// How long settling may take after a helm that did not end well.
const AFTERWARDS: Duration = Duration::from_secs(5);

/// Whose helm left a record pending.
#[derive(Clone, Copy)]
enum LeftBy {
    /// That of a deploy before this one.
    Dead,
    /// This run's, which has ended.
    Own,
}

/// How long after the signal a cancelled run may still settle: it has seven
/// seconds in all.
const CANCELLED: Duration = Duration::from_millis(6500);

/// Before anything else is done with the release: what was left is settled, and
/// `found` holds the records as they are then.
pub(super) async fn before(run: &mut Run<'_>, found: &mut ReleaseObservation) -> Result<()> {
    run.begin(Phase::Heal);
    let work = async {
        let decision = decide(&found.records, &facts(run));
        if let RecoveryDecision::Wait(record) = decision {
            return Err(pending(run.plan, record, &found.records));
        }
        let said = leftovers(run, found).await?;
        let settled = decision != RecoveryDecision::Leave;
        settle(run, found, &decision, LeftBy::Dead).await?;
        Ok((said, settled))
    };
    let (said, settled) = run.unless_cancelled(work).await?;
    if !said.is_empty() {
        failure::keep(run, said);
    }
    if settled {
        found.refresh(run).await?;
    }
    let judged = judge_interrupted(run, found);
    if run.unless_cancelled(judged).await? {
        found.refresh(run).await?;
    }
    run.end();
    Ok(())
}

/// A revision that helm applied, and that nobody judged: the deploy that waited
/// for it died. How its workloads are now decides; says whether there was such a revision.
async fn judge_interrupted(run: &Run<'_>, found: &ReleaseObservation) -> Result<bool> {
    let Some(record) = judgement::last_not_judged(&found.records) else {
        return Ok(false);
    };
    let revision = record.revision;
    if supervise::is_ready_now(run, found, record).await? {
        judge::good(run, found, record).await?;
        run.events.note(format!(
            "revision {revision} was applied by a deploy that was interrupted; it is Ready and counts as good"
        ));
    } else {
        judge::failed(run, found, None, None, "interrupted before it was judged").await?;
        run.events.note(format!(
            "revision {revision} was applied by a deploy that was interrupted; it is not Ready and counts as failed"
        ));
    }
    Ok(true)
}

/// The API server went away while helm worked: waits for it, settles what helm
/// left and says whether helm can go on from there.
pub(super) async fn after_break(
    run: &mut Run<'_>,
    found: &mut ReleaseObservation,
    problem: &Problem,
) -> Result<bool> {
    if run.lost() {
        return Ok(false);
    }
    run.events.warn(format!(
        "{problem}; helm runs once more as soon as the API server answers"
    ));
    let client = found.cluster.client.clone();
    let read = patiently(run, &client, async || found.cluster.records(run.plan).await).await;
    match read {
        Ok(records) => found.records = records,
        Err(error) if matches!(error.kind(), Kind::Cancelled(_)) => return Err(error),
        Err(_) => return Ok(false),
    }
    before(run, found).await?;
    Ok(true)
}

/// After a helm that did not end well: its record must not stay pending; says
/// whether it is not. Never an error, since the run ends with one already; what
/// cannot be done now the next signal does.
pub(super) async fn after(run: &Run<'_>, found: &ReleaseObservation) -> bool {
    if run.lost() {
        return false;
    }
    let work = async {
        let records = found.cluster.records(run.plan).await?;
        if !records.last().is_some_and(|last| last.status.is_pending()) {
            let ours = judgement::last_not_judged(&records).is_some();
            if ours && run.cancel.signal().is_some() {
                judge::failed(run, found, None, None, "cancelled before it was judged").await?;
            }
            return Ok::<bool, Error>(true);
        }
        let decision = match decide(&records, &facts(run)) {
            // The Job of a hook may still run. The next signal waits for it by
            // this record, and removes it then.
            RecoveryDecision::Remove(life) => life
                .last()
                .map_or(RecoveryDecision::Leave, |last| RecoveryDecision::Fail(last)),
            other => other,
        };
        settle(run, found, &decision, LeftBy::Own).await?;
        Ok(!matches!(decision, RecoveryDecision::Wait(_)))
    };
    let until = match run.cancel.since() {
        Some(since) => since + CANCELLED,
        None => Instant::now() + AFTERWARDS,
    };
    match tokio::time::timeout_at(until, work).await {
        Ok(Ok(settled)) => settled,
        Ok(Err(error)) => {
            let why = format!("the release is left as it is: {error}");
            run.events.warn(why);
            false
        }
        Err(_) => false,
    }
}

/// A run that was cancelled while helm worked says what is left.
pub(super) fn told(run: &Run<'_>, error: Error) -> Error {
    let release = &run.plan.release.name;
    match error.kind() {
        Kind::Cancelled(_) if run.settled => error.hint(format!(
            "release {release} is settled; what helm had changed by then stays; the next signal goes on from there"
        )),
        Kind::Cancelled(_) => error.hint(format!(
            "there was no time to settle release {release}: the next signal does it"
        )),
        _ => error,
    }
}

fn facts(run: &Run<'_>) -> RecoveryContext {
    let here = run
        .lock
        .as_ref()
        .and_then(|lock| lock::last_helm(lock.as_fd()));
    let anywhere = run.lease.get().and_then(Lease::last_helm);
    RecoveryContext {
        helm: here.max(anywhere),
        now: run::now(),
        stale_after: run.plan.stale_after,
    }
}

/// Waits for Jobs that an unfinished revision left, and clears those away that
/// helm would fail on; what they said.
async fn leftovers(run: &Run<'_>, found: &ReleaseObservation) -> Result<Vec<String>> {
    let mut said = Vec::new();
    let Some(last) = found.last().filter(|last| last.status != Status::Deployed) else {
        return Ok(said);
    };
    let client = &found.cluster.client;
    for leftover in hook_jobs::of(last, &run.plan.release.namespace) {
        let Some(job) = leftover.find(client).await? else {
            continue;
        };
        if !has_ended(&job) && !leftover.has_run(client, &job).await {
            let deadline = run.deadline;
            leftover.remove_unstarted(client, &job, deadline).await?;
            run.events.note(format!(
                "removed the Job {} of revision {}: no container of it ever ran",
                leftover.job.name, last.revision
            ));
            continue;
        }
        if !has_ended(&job) {
            run.events.progress(format!(
                "waiting for the Job {} of the interrupted revision {}",
                leftover.job.name, last.revision
            ));
            leftover.wait(client, run.deadline).await?;
        }
        if leftover.in_the_way && interrupted(last) {
            said.extend(leftover.remove(client, &job).await?);
            run.events.note(format!(
                "removed the ended Job {} of the interrupted revision {}: helm would not replace it",
                leftover.job.name, last.revision
            ));
        }
    }
    Ok(said)
}

async fn settle(
    run: &Run<'_>,
    found: &ReleaseObservation,
    decision: &RecoveryDecision<'_>,
    left_by: LeftBy,
) -> Result<()> {
    let plan = run.plan;
    let by = match left_by {
        LeftBy::Dead => "a helm that is dead",
        LeftBy::Own => "this run's helm, which has ended",
    };
    let (client, release) = (&found.cluster.client, &plan.release);
    if let (RecoveryDecision::Fail(record) | RecoveryDecision::Undo(record), Driver::ConfigMaps) =
        (decision, found.cluster.driver)
    {
        return Err(pending(plan, record, &found.records));
    }
    match decision {
        RecoveryDecision::Leave | RecoveryDecision::Wait(_) => {}
        RecoveryDecision::Fail(record) => {
            let why = format!("{SETTLED}, run {}", run.id);
            store::mark(client, release, record, Status::Failed, &why).await?;
            judge::put_back(run, found).await?;
            run.events.note(format!(
                "revision {} was left {} by {by}; it now counts as failed",
                record.revision,
                record.status.name()
            ));
        }
        RecoveryDecision::Undo(record) => {
            store::remove(client, release, record).await?;
            run.events.note(format!(
                "revision {} was a rollback, left unfinished by {by}; its record is removed, and helm goes on from the revision before",
                record.revision
            ));
        }
        RecoveryDecision::Remove(records) => {
            if found.cluster.driver == Driver::ConfigMaps {
                return match records.iter().find(|record| record.status.is_pending()) {
                    Some(record) => Err(pending(plan, record, &found.records)),
                    None => Ok(()),
                };
            }
            for record in records {
                store::remove(client, release, record).await?;
            }
            run.events.note(
                "the first install was interrupted; helm installs afresh and takes over what is there",
            );
        }
    }
    Ok(())
}

/// Another helm may be at work: the release is left alone.
fn pending(plan: &Plan, record: &Record, records: &[Record]) -> Error {
    let (release, namespace) = (&plan.release.name, &plan.release.namespace);
    let name = store::name(&plan.release, record.revision);
    let error = Error::new(
        Kind::Locked,
        format!(
            "release {release} is {} at revision {}: another helm is at work on it, or was killed",
            record.status.name(),
            record.revision
        ),
    )
    .detail(format!(
        "its record is the Secret {name} in namespace {namespace}, written {}",
        record.last_deployed
    ))
    .hint(format!(
        "if a helm is still at work, wait for it and send the signal again; after {} (stale_after) it counts as dead",
        crate::units::show(plan.stale_after)
    ));
    match judgement::last_good(records) {
        Some(good) => error.hint(format!(
            "if none is, go back once: helm rollback {release} {} --namespace {namespace}",
            good.revision
        )),
        None => error.hint(format!(
            "if none is, remove that record, then send the signal again: kubectl delete secret {name} --namespace {namespace}"
        )),
    }
}
