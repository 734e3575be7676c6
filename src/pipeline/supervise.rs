//! Helm at work, with the rollout watched and the Lease kept beside it: whichever
//! knows the end first.
//!
//! It never judges what an end means for the release.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::context::Run;
use super::observed::ReleaseObservation;
use super::stuck_pods::Standstill;
use super::{overtaken, stuck_pods};
use crate::cluster::discovery::NamespacePresence;
use crate::error::{Error, Problem, Result, UnixSignal};
use crate::helm::HelmOutcome;
use crate::manifest::{Object, ObjectRef};
use crate::release::record::Record;
use crate::rollout::{
    CustomResources, Expected, RolloutContext, RolloutWatcher, TerminalFailure, WatchTarget,
    canary_target, is_judged, labels, promises,
};

/// Ends when helm shall be stopped.
pub(super) type Stop = Pin<Box<dyn Future<Output = ()>>>;

/// Why helm was stopped by us.
pub(super) enum Halt {
    /// The rollout has failed for good.
    Failed(Box<TerminalFailure>),
    /// The lease is lost: another deploy may be at work.
    Lost(Error),
}

/// How the wait for the workloads ended.
pub(super) enum WaitEnd {
    /// Every workload is Ready, or need not be.
    Ready,
    /// Time is up.
    TimeUp,
    /// The run was cancelled.
    Cancelled(UnixSignal),
    /// A workload of another group says that it has failed.
    Foreign(Problem),
    /// Ended early.
    Halted(Halt),
}

/// Watches what `objects` make, each in its own namespace, where the manifest
/// `before` is what the cluster holds. `images` are those that are asked for.
pub(super) async fn watcher(
    run: &Run<'_>,
    found: &ReleaseObservation,
    before: &str,
    objects: Vec<&Object>,
    images: BTreeSet<String>,
    budget: Duration,
) -> RolloutWatcher {
    let known = RolloutContext {
        server: found.cluster.capabilities.version.clone(),
        budget,
        requested: images,
        promised: promises(objects.iter().map(|object| &object.value)),
        expected: expected(run, found, &objects),
        foreign: foreign(run, &objects),
        custom: CustomResources::of(objects.iter().copied(), &run.plan.release.namespace),
    };
    let targets = targets(run, before, objects);
    RolloutWatcher::start(found.cluster.client.clone(), &targets, known, run.events).await
}

/// What may still come that these objects ask for, and what has just been seen.
fn expected(run: &Run<'_>, found: &ReleaseObservation, objects: &[&Object]) -> Expected {
    let mut expected = Expected::of(objects.iter().map(|object| &object.value));
    if found.cluster.namespace == NamespacePresence::Absent {
        let namespace = run.plan.release.namespace.clone();
        expected.new_namespaces.insert(namespace);
    }
    let has_digest = |key| run.facts.digests.contains_key(key);
    let seen = run.images.iter();
    expected.seen_images = seen
        .filter(|(key, _)| has_digest(*key))
        .map(|(_, image)| image.to_string())
        .collect();
    expected
}

/// The objects that are judged by their own status.
fn foreign(run: &Run<'_>, objects: &[&Object]) -> Vec<ObjectRef> {
    let namespace = &run.plan.release.namespace;
    let own = objects.iter().filter(|object| object.hooks.is_empty());
    own.map(|object| object.reference.clone().within(namespace))
        .filter(is_judged)
        .collect()
}

/// What is waited for of these objects, where the manifest `before` is what the
/// cluster holds.
fn targets(run: &Run<'_>, before: &str, objects: Vec<&Object>) -> Vec<WatchTarget> {
    let before = Object::parse(before).unwrap_or_default();
    // Flagger scales what a Canary leads, and the Canary itself says how it went.
    let led: Vec<ObjectRef> = objects
        .iter()
        .filter_map(|object| canary_target(&object.value))
        .collect();
    let target = |object: &Object| {
        let reference = object.reference.clone();
        WatchTarget::new(
            &reference.within(&run.plan.release.namespace),
            !before.iter().any(|old| same_template(old, object)),
            !object.hooks.is_empty(),
        )
        .map(|target| target.labelled(labels(&object.value)))
    };
    let is_led = |object: &&Object| led.iter().any(|led| led.is_same(&object.reference));
    objects
        .into_iter()
        .filter(|object| !is_led(object))
        .filter_map(target)
        .collect()
}

/// Whether two are the same object with the same pod template.
pub(super) fn same_template(old: &Object, new: &Object) -> bool {
    old.reference.is_same(&new.reference)
        && old.value.pointer("/spec/template") == new.value.pointer("/spec/template")
}

/// Helm, the watcher and the Lease beside each other: whichever knows the end
/// first. A terminal failure stops helm, and so does the loss of the Lease.
pub(super) async fn supervise<H: Future<Output = Result<HelmOutcome>>>(
    run: &Run<'_>,
    found: &ReleaseObservation,
    watcher: &mut RolloutWatcher,
    helm: impl FnOnce(Stop) -> H,
) -> Result<(HelmOutcome, Option<Halt>)> {
    // Before helm begins: what it begins is noted.
    let at_work = found.helm.at_work();
    let halted = async {
        tokio::select! {
            biased;
            error = lease_lost(run, Some(at_work)) => Halt::Lost(error),
            failure = stuck_pods::stalled(run, watcher) => Halt::Failed(failure),
        }
    };
    beside(run, found, halted, helm).await
}

/// Helm with only the Lease beside it; the error is that it was lost.
pub(super) async fn guard<H: Future<Output = Result<HelmOutcome>>>(
    run: &Run<'_>,
    found: &ReleaseObservation,
    helm: impl FnOnce(Stop) -> H,
) -> Result<(HelmOutcome, Option<Error>)> {
    let at_work = found.helm.at_work();
    let lost = async { Halt::Lost(lease_lost(run, Some(at_work)).await) };
    let (outcome, halt) = beside(run, found, lost, helm).await?;
    match halt {
        Some(Halt::Lost(error)) => Ok((outcome, Some(error))),
        _ => Ok((outcome, None)),
    }
}

/// Runs helm until it ends, or until `halted` tells why it has to be stopped.
async fn beside<H: Future<Output = Result<HelmOutcome>>>(
    run: &Run<'_>,
    found: &ReleaseObservation,
    halted: impl Future<Output = Halt>,
    helm: impl FnOnce(Stop) -> H,
) -> Result<(HelmOutcome, Option<Halt>)> {
    let (stop, stopped) = oneshot::channel::<()>();
    let asked = async {
        if stopped.await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    // Stopped before, for longer than the Lease lasts: another can be at work.
    if let Some(lease) = run.lease.get()
        && let Some(error) = lease.loss().await
    {
        return Err(error);
    }
    let noted = run.helm_begins();
    let helm = helm(Box::pin(asked));
    tokio::pin!(helm);
    let halt = tokio::select! {
        biased;
        ended = &mut helm => {
            run.helm_ends(noted);
            let lost = overtaken::of(run, found, noted).await;
            return Ok((ended?, lost.map(Halt::Lost)));
        }
        halt = halted => halt,
    };
    tracing::debug!("helm is told to end");
    let _ = stop.send(());
    let ended = helm.await;
    run.helm_ends(noted);
    let halt = match halt {
        Halt::Lost(error) => Halt::Lost(overtaken::told(run, found, noted, error).await),
        failed @ Halt::Failed(_) => failed,
    };
    Ok((ended?, Some(halt)))
}

/// Waits until every workload is Ready, has failed for good, or time is up; the
/// Lease is kept beside it.
pub(super) async fn until_ready(
    run: &Run<'_>,
    watcher: &mut RolloutWatcher,
    deadline: Instant,
) -> WaitEnd {
    let end = tokio::select! {
        biased;
        signal = run.cancel.cancelled() => WaitEnd::Cancelled(signal),
        error = lease_lost(run, None) => WaitEnd::Halted(Halt::Lost(error)),
        end = stuck_pods::settled(run, watcher) => match end {
            None => WaitEnd::Ready,
            Some(Standstill::Failed(failure)) => WaitEnd::Halted(Halt::Failed(failure)),
            Some(Standstill::Foreign(problem)) => WaitEnd::Foreign(problem),
        },
        () = tokio::time::sleep_until(deadline) => WaitEnd::TimeUp,
    };
    if matches!(end, WaitEnd::Cancelled(_) | WaitEnd::Halted(Halt::Lost(_))) {
        return end;
    }
    // Stopped meanwhile, for longer than the Lease lasts: another can be at work.
    match overtaken::lost(run).await {
        Some(error) => WaitEnd::Halted(Halt::Lost(error)),
        None => end,
    }
}

/// Ends with the reason when the Lease is lost, where the run has one. Each helm
/// that begins meanwhile is noted with it.
async fn lease_lost(run: &Run<'_>, at_work: Option<watch::Receiver<Option<u32>>>) -> Error {
    match run.lease.get() {
        Some(lease) => {
            // Of no helm nothing is to be noted.
            let idle = || watch::channel(None).1;
            lease.guard(at_work.unwrap_or_else(idle)).await
        }
        None => std::future::pending().await,
    }
}

/// Whether every workload of a revision is Ready as it stands: at one look, and for some
/// seconds where a container has no probe.
pub(super) async fn is_ready_now(
    run: &Run<'_>,
    found: &ReleaseObservation,
    record: &Record,
) -> Result<bool> {
    let objects = Object::parse(&record.manifest)?;
    let workloads = objects.iter().filter(|object| object.hooks.is_empty());
    let mut watcher = watcher(
        run,
        found,
        &record.manifest,
        workloads.collect(),
        BTreeSet::new(),
        run.left(),
    )
    .await;
    Ok(watcher.stays_ready(run.events).await)
}
