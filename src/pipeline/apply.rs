//! Runs `helm upgrade --install` with the rollout watched beside it.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::oneshot;

use super::Course;
use super::look::Found;
use super::prove::with_overrides;
use crate::chart::{Object, Proof};
use crate::cluster::discovery::{self, Presence, WATCHED};
use crate::error::{Error, Kind, Result};
use crate::event::Phase;
use crate::helm::cancel::cancelled;
use crate::helm::records::{self, next_is_server_side};
use crate::helm::{Cause, Ended, Failure, Stopped, Upgrade, Wait};
use crate::rollout::{Doom, Known, Target, Watch, explain_timeout, gather, promises};

/// How long the watches may still bring what explains helm's own failure.
const LAST_LOOK: Duration = Duration::from_millis(1500);

/// Installs or upgrades the release and waits until it is ready.
pub(super) async fn upgrade(course: &mut Course<'_>, found: &Found, proof: &Proof) -> Result<()> {
    let begun = course.begin(Phase::Rollout);
    let values = with_overrides(course.plan, found, "overrides.json", &proof.overrides)?;
    let wait = wait(course, found).await?;
    let upgrade = Upgrade {
        chart: &found.archive,
        values: &values,
        create_namespace: found.cluster.namespace == Presence::Absent,
        wait,
        server_side: next_is_server_side(found.last()),
        timeout: course.left(),
    };
    let mut watch = watch(course, found, proof).await;
    let (ended, doom) = raced(course, found, &upgrade, &mut watch).await?;
    match settle(course, found, &mut watch, ended, doom).await {
        None => {
            course.end(Phase::Rollout, begun);
            Ok(())
        }
        Some(error) => Err(error),
    }
}

/// Helm 4 waits by watching; where we may not, it waits as Helm 3 does.
async fn wait(course: &Course<'_>, found: &Found) -> Result<Wait> {
    if !found.helm.dialect().watches() {
        return Ok(Wait::Watch);
    }
    let client = &found.cluster.client;
    let may = discovery::may_watch(client, &course.plan.namespace, &WATCHED);
    if course.unless_cancelled(may).await? {
        return Ok(Wait::Watch);
    }
    course
        .events
        .note("we may not watch in this namespace, so helm waits in its older way (--wait=legacy)");
    Ok(Wait::Poll)
}

/// Watches what the render makes, each in its own namespace.
async fn watch(course: &Course<'_>, found: &Found, proof: &Proof) -> Watch {
    let before: Vec<Object> = found
        .serving()
        .and_then(|record| Object::parse(&record.manifest).ok())
        .unwrap_or_default();
    let targets: Vec<Target> = proof
        .objects
        .iter()
        .filter_map(|object| {
            let namespace = object
                .namespace
                .as_deref()
                .unwrap_or(&course.plan.namespace);
            Target::new(
                namespace,
                &object.kind,
                &object.name,
                !before.iter().any(|old| same_template(old, object)),
                !object.hooks.is_empty(),
            )
        })
        .collect();
    let requested: BTreeSet<String> = course
        .plan
        .request
        .images
        .values()
        .map(ToString::to_string)
        .collect();
    let known = Known {
        budget: course.left(),
        requested,
        promised: promises(proof.objects.iter().map(|object| &object.value)),
    };
    Watch::start(found.cluster.client.clone(), &targets, known, course.events).await
}

fn same_template(old: &Object, new: &Object) -> bool {
    old.kind == new.kind
        && old.name == new.name
        && old.namespace == new.namespace
        && old.value.pointer("/spec/template") == new.value.pointer("/spec/template")
}

/// Helm and the watch beside each other: whichever knows the end first. A doom
/// stops helm, which settles the release before it ends.
async fn raced(
    course: &Course<'_>,
    found: &Found,
    upgrade: &Upgrade<'_>,
    watch: &mut Watch,
) -> Result<(Ended, Option<Doom>)> {
    let (stop, stopped) = oneshot::channel::<()>();
    let asked = async {
        if stopped.await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let helm = found.helm.upgrade(upgrade, course.deadline, asked);
    tokio::pin!(helm);
    let doom = tokio::select! {
        biased;
        ended = &mut helm => return Ok((ended?, None)),
        doom = watch.doomed(course.events) => doom,
    };
    let _ = stop.send(());
    Ok((helm.await?, Some(doom)))
}

/// What helm's end means for the deploy; nothing where all is well.
async fn settle(
    course: &mut Course<'_>,
    found: &Found,
    watch: &mut Watch,
    ended: Ended,
    doom: Option<Doom>,
) -> Option<Error> {
    match ended {
        // It came right in the last moment after all: verify has the last word.
        Ended::Well => None,
        Ended::Stopped {
            by: Stopped::Cancelled(signal),
            killed,
        } => Some(interrupted(course, cancelled(signal), killed)),
        Ended::Stopped {
            by: Stopped::Deadline,
            ..
        } => Some(timed_out(course, watch).await),
        Ended::Stopped { .. } => Some(match doom {
            Some(doom) => failed(course, watch, doom).await,
            None => Error::new(Kind::Internal, "helm was stopped, and nobody asked for it"),
        }),
        Ended::Failed(failure) => Some(by_itself(course, found, watch, failure).await),
    }
}

/// Helm failed by itself: the cluster may know better why.
async fn by_itself(
    course: &mut Course<'_>,
    found: &Found,
    watch: &mut Watch,
    failure: Failure,
) -> Error {
    if matches!(failure.cause, Cause::Timeout) && course.left() < Duration::from_secs(1) {
        return timed_out(course, watch).await;
    }
    if matches!(failure.cause, Cause::Hook | Cause::Timeout)
        && let Some(doom) = watch.last_look(LAST_LOOK, course.events).await
    {
        return failed(course, watch, doom).await;
    }
    course.ledger.evidence = gather(watch, None).await.all_lines();
    if touched(course, found).await {
        needs_hands(course, failure.error)
    } else {
        failure.error
    }
}

/// Whether helm wrote a record, and so may have changed the release. When in
/// doubt it did.
async fn touched(course: &mut Course<'_>, found: &Found) -> bool {
    let plan = course.plan;
    let cluster = &found.cluster;
    let last = records::last(
        &cluster.client,
        cluster.driver,
        &plan.namespace,
        &plan.release,
    );
    let after = match tokio::time::timeout(Duration::from_secs(5), last).await {
        Ok(Ok(last)) => last.map(|record| record.revision),
        _ => return true,
    };
    course.ledger.revision = after;
    after != found.last().map(|record| record.revision)
}

async fn failed(course: &mut Course<'_>, watch: &Watch, mut doom: Doom) -> Error {
    let evidence = gather(watch, Some(&mut doom)).await;
    course.ledger.evidence = evidence.all_lines();
    needs_hands(course, doom.error(Kind::Broken, &evidence))
}

async fn timed_out(course: &mut Course<'_>, watch: &Watch) -> Error {
    let lines = explain_timeout(watch.world());
    let evidence = gather(watch, None).await;
    course.ledger.evidence = evidence.all_lines();
    let budget = course.plan.budget;
    let message = match lines.first() {
        Some(line) => format!("not ready after {budget:?}: {line}"),
        None => format!("not ready after {budget:?}"),
    };
    let error = Error::new(Kind::Broken, message)
        .details(lines.into_iter().skip(1))
        .details(evidence.lines);
    needs_hands(course, error)
}

/// What a person does next about a release that is left as it is.
fn needs_hands(course: &Course<'_>, error: Error) -> Error {
    if error.kind() != Kind::Broken {
        return error;
    }
    let (release, namespace) = (&course.plan.release, &course.plan.namespace);
    let error = error.hint(format!(
        "look at it: kubectl get pods,events --namespace {namespace}"
    ));
    match course.ledger.before {
        Some(before) => error.hint(format!(
            "send the signal again once it is mended, or go back: helm rollback {release} {before} --namespace {namespace}"
        )),
        None => error.hint("nothing was deleted; send the signal again once it is mended"),
    }
}

fn interrupted(course: &Course<'_>, error: Error, killed: bool) -> Error {
    let release = &course.plan.release;
    if killed {
        error.hint(format!(
            "helm did not end in time and was killed: release {release} may be left pending"
        ))
    } else {
        error.hint(format!(
            "helm settled release {release}; what it had changed by then stays; the next signal goes on from there"
        ))
    }
}
