//! Runs `helm upgrade --install` with the rollout watched beside it.

use std::collections::BTreeSet;
use std::pin::Pin;

use tokio::sync::oneshot;

use super::preflight::ReleaseObservation;
use super::prove::with_overrides;
use super::{Run, failure, rollback, wait_strategy};
use crate::chart::Proof;
use crate::cluster::discovery::NamespacePresence;
use crate::cluster::namespace::create_owned;
use crate::error::{Error, Result};
use crate::event::Phase;
use crate::helm::{HelmMajor, HelmOutcome, Upgrade};
use crate::manifest::Object;
use crate::release::record::next_is_server_side;
use crate::rollout::{
    RolloutContext, RolloutWatcher, TerminalFailure, WatchTarget, labels, promises,
};

/// Ends when helm shall be stopped.
pub(super) type Stop = Pin<Box<dyn Future<Output = ()>>>;

/// Why helm was stopped by us.
pub(super) enum Halt {
    /// The rollout cannot come right.
    Doomed(TerminalFailure),
    /// The lease is lost: another deploy may be at work.
    Lost(Error),
}

/// Installs or upgrades the release and waits until it is ready.
pub(super) async fn upgrade(
    run: &mut Run<'_>,
    found: &ReleaseObservation,
    proof: &Proof,
) -> Result<()> {
    let begun = run.begin(Phase::Rollout);
    let values = with_overrides(run.plan, found, "overrides.json", &proof.overrides)?;
    let allowed = wait_strategy::allowed(run, found).await?;
    own_namespace(run, found, proof).await?;
    rollback::clear_leftover_fields(run, found, proof).await?;
    let upgrade = Upgrade {
        chart: &found.archive,
        values: &values,
        create_namespace: found.cluster.namespace == NamespacePresence::Absent,
        wait: wait_strategy::suited(run, found, allowed, &proof.objects),
        server_side: next_is_server_side(found.last()),
        timeout: run.left(),
    };
    let mut watch = watch(run, found, proof).await;
    let deadline = run.deadline;
    let helm = |stop| found.helm.upgrade(&upgrade, deadline, stop);
    let (ended, halt) = raced(run, found, &mut watch, helm).await?;
    let Some(error) = failure::of(run, &mut watch, ended, halt).await else {
        run.end(Phase::Rollout, begun);
        return Ok(());
    };
    drop(watch);
    Err(rollback::remediate(run, found, allowed, error).await)
}

/// Helm 3 cannot begin a release whose chart renders the release's own
/// namespace, which is not there yet. Helm 4 applies over the one it made.
async fn own_namespace(run: &Run<'_>, found: &ReleaseObservation, proof: &Proof) -> Result<()> {
    let plan = run.plan;
    let rendered = |object: &Object| {
        object.kind == "Namespace"
            && object.name == plan.release.namespace
            && object.hooks.is_empty()
    };
    let missing = found.cluster.namespace == NamespacePresence::Absent;
    if !missing || found.helm.major() != HelmMajor::Three || !proof.objects.iter().any(rendered) {
        return Ok(());
    }
    let created = create_owned(&found.cluster.client, &plan.release);
    run.unless_cancelled(created).await
}

/// Watches what the render makes, each in its own namespace.
async fn watch(run: &Run<'_>, found: &ReleaseObservation, proof: &Proof) -> RolloutWatcher {
    let before = found.serving().map(|record| record.manifest.as_str());
    let requested: BTreeSet<String> = run
        .plan
        .request
        .images
        .values()
        .map(ToString::to_string)
        .collect();
    let known = RolloutContext {
        server: found.cluster.capabilities.version.clone(),
        budget: run.left(),
        requested,
        promised: promises(proof.objects.iter().map(|object| &object.value)),
    };
    let targets = targets(
        run,
        before.unwrap_or_default(),
        proof.objects.iter().collect(),
    );
    RolloutWatcher::start(found.cluster.client.clone(), &targets, known, run.events).await
}

/// What is waited for of these objects, where the manifest `before` is what the
/// cluster holds.
pub(super) fn targets(run: &Run<'_>, before: &str, objects: Vec<&Object>) -> Vec<WatchTarget> {
    let before = Object::parse(before).unwrap_or_default();
    let target = |object: &Object| {
        let namespace = object.namespace.as_deref();
        WatchTarget::new(
            namespace.unwrap_or(&run.plan.release.namespace),
            &object.kind,
            &object.name,
            !before.iter().any(|old| same_template(old, object)),
            !object.hooks.is_empty(),
        )
        .map(|target| target.labelled(labels(&object.value)))
    };
    objects.into_iter().filter_map(target).collect()
}

/// Whether two are the same object with the same pod template.
pub(super) fn same_template(old: &Object, new: &Object) -> bool {
    old.kind == new.kind
        && old.name == new.name
        && old.namespace == new.namespace
        && old.value.pointer("/spec/template") == new.value.pointer("/spec/template")
}

/// Helm, the watch and the lease beside each other: whichever knows the end
/// first. A doom stops helm, and so does the loss of the lease.
pub(super) async fn raced<H: Future<Output = Result<HelmOutcome>>>(
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
            if matches!(ended, HelmOutcome::Well) {
                watch.catch_up(run.events).await;
            }
            return Ok((ended, None));
        }
        error = lost => Halt::Lost(error),
        doom = watch.stalled(run.events) => Halt::Doomed(doom),
    };
    match &halt {
        Halt::Doomed(doom) => tracing::debug!(rule = doom.rule, "doomed: helm is told to end"),
        Halt::Lost(error) => tracing::debug!(%error, "helm is told to end"),
    }
    let _ = stop.send(());
    Ok((helm.await?, Some(halt)))
}
