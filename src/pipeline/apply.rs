//! Runs `helm upgrade --install` with the rollout watched beside it.

use std::collections::BTreeSet;
use std::pin::Pin;

use tokio::sync::oneshot;

use super::look::Found;
use super::prove::with_overrides;
use super::{Course, failure, rollback, wait};
use crate::chart::Proof;
use crate::cluster::discovery::Presence;
use crate::cluster::namespace::create_owned;
use crate::error::{Error, Result};
use crate::event::Phase;
use crate::helm::{Dialect, Ended, Upgrade};
use crate::manifest::Object;
use crate::release::record::next_is_server_side;
use crate::rollout::{Doom, Known, Target, Watch, labels, promises};

/// Ends when helm shall be stopped.
pub(super) type Stop = Pin<Box<dyn Future<Output = ()>>>;

/// Why helm was stopped by us.
pub(super) enum Halt {
    /// The rollout cannot come right.
    Doomed(Doom),
    /// The lease is lost: another deploy may be at work.
    Lost(Error),
}

/// Installs or upgrades the release and waits until it is ready.
pub(super) async fn upgrade(course: &mut Course<'_>, found: &Found, proof: &Proof) -> Result<()> {
    let begun = course.begin(Phase::Rollout);
    let values = with_overrides(course.plan, found, "overrides.json", &proof.overrides)?;
    let allowed = wait::allowed(course, found).await?;
    own_namespace(course, found, proof).await?;
    rollback::residue(course, found, proof).await?;
    let upgrade = Upgrade {
        chart: &found.archive,
        values: &values,
        create_namespace: found.cluster.namespace == Presence::Absent,
        wait: wait::suited(course, found, allowed, &proof.objects),
        server_side: next_is_server_side(found.last()),
        timeout: course.left(),
    };
    let mut watch = watch(course, found, proof).await;
    let deadline = course.deadline;
    let helm = |stop| found.helm.upgrade(&upgrade, deadline, stop);
    let (ended, halt) = raced(course, found, &mut watch, helm).await?;
    let Some(error) = failure::of(course, &mut watch, ended, halt).await else {
        course.end(Phase::Rollout, begun);
        return Ok(());
    };
    drop(watch);
    Err(rollback::answer(course, found, allowed, error).await)
}

/// Helm 3 cannot begin a release whose chart renders the release's own
/// namespace, which is not there yet. Helm 4 applies over the one it made.
async fn own_namespace(course: &Course<'_>, found: &Found, proof: &Proof) -> Result<()> {
    let plan = course.plan;
    let rendered = |object: &Object| {
        object.kind == "Namespace" && object.name == plan.namespace && object.hooks.is_empty()
    };
    let missing = found.cluster.namespace == Presence::Absent;
    if !missing || found.helm.dialect() != Dialect::Three || !proof.objects.iter().any(rendered) {
        return Ok(());
    }
    let created = create_owned(&found.cluster.client, &plan.namespace, &plan.release);
    course.unless_cancelled(created).await
}

/// Watches what the render makes, each in its own namespace.
async fn watch(course: &Course<'_>, found: &Found, proof: &Proof) -> Watch {
    let before = found.serving().map(|record| record.manifest.as_str());
    let requested: BTreeSet<String> = course
        .plan
        .request
        .images
        .values()
        .map(ToString::to_string)
        .collect();
    let known = Known {
        server: found.cluster.capabilities.version.clone(),
        budget: course.left(),
        requested,
        promised: promises(proof.objects.iter().map(|object| &object.value)),
    };
    let targets = targets(
        course,
        before.unwrap_or_default(),
        proof.objects.iter().collect(),
    );
    Watch::start(found.cluster.client.clone(), &targets, known, course.events).await
}

/// What is waited for of these objects, where the manifest `before` is what the
/// cluster holds.
pub(super) fn targets(course: &Course<'_>, before: &str, objects: Vec<&Object>) -> Vec<Target> {
    let before = Object::parse(before).unwrap_or_default();
    let target = |object: &Object| {
        let namespace = object.namespace.as_deref();
        Target::new(
            namespace.unwrap_or(&course.plan.namespace),
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
pub(super) async fn raced<H: Future<Output = Result<Ended>>>(
    course: &Course<'_>,
    found: &Found,
    watch: &mut Watch,
    helm: impl FnOnce(Stop) -> H,
) -> Result<(Ended, Option<Halt>)> {
    let (stop, stopped) = oneshot::channel::<()>();
    let asked = async {
        if stopped.await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    course.helm_begins();
    let at_work = found.helm.at_work();
    let lost = async {
        match course.lease.get() {
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
            if matches!(ended, Ended::Well) {
                watch.catch_up(course.events).await;
            }
            return Ok((ended, None));
        }
        error = lost => Halt::Lost(error),
        doom = watch.doomed(course.events) => Halt::Doomed(doom),
    };
    match &halt {
        Halt::Doomed(doom) => tracing::debug!(rule = doom.rule, "doomed: helm is told to end"),
        Halt::Lost(error) => tracing::debug!(%error, "helm is told to end"),
    }
    let _ = stop.send(());
    Ok((helm.await?, Some(halt)))
}
