//! Helm at work, with the rollout watched and the Lease kept beside it: whichever
//! knows the end first.
//!
//! It never judges what an end means for the release.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::time::Duration;

use tokio::sync::oneshot;

use super::context::Run;
use super::observed::ReleaseObservation;
use crate::error::{Error, Result};
use crate::helm::HelmOutcome;
use crate::manifest::Object;
use crate::rollout::{
    RolloutContext, RolloutWatcher, TerminalFailure, WatchTarget, labels, promises,
};

/// Ends when helm shall be stopped.
pub(super) type Stop = Pin<Box<dyn Future<Output = ()>>>;

/// Why helm was stopped by us.
pub(super) enum Halt {
    /// The rollout has failed for good.
    Failed(TerminalFailure),
    /// The lease is lost: another deploy may be at work.
    Lost(Error),
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
    };
    let targets = targets(run, before, objects);
    RolloutWatcher::start(found.cluster.client.clone(), &targets, known, run.events).await
}

/// What is waited for of these objects, where the manifest `before` is what the
/// cluster holds.
fn targets(run: &Run<'_>, before: &str, objects: Vec<&Object>) -> Vec<WatchTarget> {
    let before = Object::parse(before).unwrap_or_default();
    let target = |object: &Object| {
        let reference = object.reference.clone();
        WatchTarget::new(
            &reference.within(&run.plan.release.namespace),
            !before.iter().any(|old| same_template(old, object)),
            !object.hooks.is_empty(),
        )
        .map(|target| target.labelled(labels(&object.value)))
    };
    objects.into_iter().filter_map(target).collect()
}

/// Whether two are the same object with the same pod template.
pub(super) fn same_template(old: &Object, new: &Object) -> bool {
    old.reference.is_same(&new.reference)
        && old.value.pointer("/spec/template") == new.value.pointer("/spec/template")
}

/// Helm, the watch and the lease beside each other: whichever knows the end
/// first. A terminal failure stops helm, and so does the loss of the lease.
pub(super) async fn supervise<H: Future<Output = Result<HelmOutcome>>>(
    run: &Run<'_>,
    found: &ReleaseObservation,
    watch: &mut RolloutWatcher,
    helm: impl FnOnce(Stop) -> H,
) -> Result<(HelmOutcome, Option<Halt>)> {
    let (stop, stopped) = oneshot::channel::<()>();
    let asked = async {
        if stopped.await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    run.helm_begins();
    let at_work = found.helm.at_work();
    let lost = async {
        match run.lease.get() {
            Some(lease) => lease.guard(at_work).await,
            None => std::future::pending().await,
        }
    };
    let helm = helm(Box::pin(asked));
    tokio::pin!(helm);
    let halt = tokio::select! {
        biased;
        ended = &mut helm => {
            let ended = ended?;
            if matches!(ended, HelmOutcome::Succeeded) {
                watch.catch_up(run.events).await;
            }
            return Ok((ended, None));
        }
        error = lost => Halt::Lost(error),
        failure = watch.stalled(run.events) => Halt::Failed(failure),
    };
    match &halt {
        Halt::Failed(failure) => {
            tracing::debug!(rule = failure.rule, "failed for good: helm is told to end");
        }
        Halt::Lost(error) => tracing::debug!(%error, "helm is told to end"),
    }
    let _ = stop.send(());
    Ok((helm.await?, Some(halt)))
}
