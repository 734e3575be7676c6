//! What helm would change in the live objects, before it does.
//!
//! Nothing is written: each object is tried on the API server. What cannot be told
//! is a warning and no failure, and what can is never guessed.

use super::context::Run;
use super::observed::ReleaseObservation;
use crate::chart::Proof;
use crate::cluster::dry_run::{Basis, DryRun, Kinds, Method, Removal};
use crate::error::{Kind, Result};
use crate::manifest::changes::{Change, HookRun, Preview};
use crate::manifest::{Object, ObjectRef};
use crate::release::judgement::life;
use crate::release::record::{Record, Status, next_is_server_side};

/// What helm is to do.
struct Work<'a> {
    /// The objects as they shall be, hooks among them.
    wanted: &'a [Object],
    /// The record that helm compares with.
    before: Option<&'a Record>,
    method: Method,
    /// The events at which hooks run, in their order.
    events: [&'static str; 2],
}

/// What the upgrade or install would change.
pub(super) async fn of_upgrade(
    run: &Run<'_>,
    found: &ReleaseObservation,
    proof: &Proof,
) -> Result<Option<Preview>> {
    let work = Work {
        wanted: &proof.objects,
        before: compared_with(&found.records),
        method: method(found, next_is_server_side(found.last())),
        events: if found.is_upgrade() {
            ["pre-upgrade", "post-upgrade"]
        } else {
            ["pre-install", "post-install"]
        },
    };
    told(run, found, &work).await
}

/// What going back to a revision would change.
pub(super) async fn of_rollback(
    run: &Run<'_>,
    found: &ReleaseObservation,
    target: &Record,
) -> Result<Option<Preview>> {
    let work = Work {
        wanted: &Object::parse(&target.documents())?,
        before: found.last(),
        method: method(found, target.server_side),
        events: ["pre-rollback", "post-rollback"],
    };
    told(run, found, &work).await
}

const fn method(found: &ReleaseObservation, server_side: bool) -> Method {
    if found.helm.major().applies_on_the_server(server_side) {
        Method::Server
    } else {
        Method::Client
    }
}

/// The record whose manifest an upgrade compares with: the one that is deployed,
/// else the last (`prepareUpgrade` in `pkg/action/upgrade.go`).
fn compared_with(records: &[Record]) -> Option<&Record> {
    let records = life(records);
    let deployed = records
        .iter()
        .rfind(|record| record.status == Status::Deployed);
    deployed.or_else(|| {
        let applied =
            |record: &&Record| matches!(record.status, Status::Failed | Status::Superseded);
        records.iter().rfind(applied)
    })
}

async fn told(
    run: &Run<'_>,
    found: &ReleaseObservation,
    work: &Work<'_>,
) -> Result<Option<Preview>> {
    match run.unless_cancelled(preview(run, found, work)).await {
        Ok(preview) => Ok(Some(preview)),
        Err(error) if matches!(error.kind(), Kind::Cancelled(_)) => Err(error),
        Err(error) => {
            run.events
                .warn(format!("what would change cannot be told: {error}"));
            Ok(None)
        }
    }
}

async fn preview(run: &Run<'_>, found: &ReleaseObservation, work: &Work<'_>) -> Result<Preview> {
    let before = match work.before {
        Some(record) => Object::parse(&record.manifest)?,
        None => Vec::new(),
    };
    let own = |object: &&Object| object.hooks.is_empty();
    let wanted: Vec<&Object> = work.wanted.iter().filter(own).collect();
    let before: Vec<&Object> = before.iter().filter(own).collect();
    let client = &found.cluster.client;
    let all = wanted.iter().chain(&before);
    let kinds = Kinds::of(client, all.map(|object| &object.reference)).await?;
    let manager = Some(found.helm.field_manager());
    let trial = DryRun::new(client, &run.plan.release, kinds, work.method, manager);
    let same = |one: &Object, other: &Object| {
        trial
            .place(&one.reference)
            .is_same(&trial.place(&other.reference))
    };
    let tried = wanted.iter().map(|object| {
        let earlier = before.iter().find(|old| same(old, object));
        let basis = earlier.map_or(Basis::Nothing, |old| Basis::Render(&old.value));
        (&object.value, basis)
    });
    let forecasts = trial.all(tried.collect()).await?;
    let mut changes: Vec<(ObjectRef, Option<Change>)> = forecasts
        .iter()
        .map(|(object, forecast)| (object.clone(), forecast.change()))
        .collect();
    for old in &before {
        if wanted.iter().any(|object| same(old, object)) {
            continue;
        }
        let change = match trial.removed(&old.reference).await? {
            Removal::Gone => continue,
            Removal::Removed => Change::Removed,
            Removal::Kept => Change::Kept,
        };
        changes.push((trial.place(&old.reference), Some(change)));
    }
    let mut preview = Preview::of(changes, run.show_logs);
    preview.hooks = hooks(work, |object| trial.place(object));
    Ok(preview)
}

/// The hooks that run, in helm's order: by event, then weight, then name.
fn hooks(work: &Work<'_>, place: impl Fn(&ObjectRef) -> ObjectRef) -> Vec<HookRun> {
    let mut found = Vec::new();
    for event in work.events {
        let runs = |object: &&Object| object.hooks.iter().any(|on| on == event);
        let mut of_event: Vec<&Object> = work.wanted.iter().filter(runs).collect();
        of_event.sort_by_key(|hook| (weight(hook), hook.reference.name.clone()));
        found.extend(of_event.into_iter().map(|hook| HookRun {
            object: place(&hook.reference),
            event: event.to_owned(),
        }));
    }
    found
}

fn weight(hook: &Object) -> i64 {
    hook.value
        .pointer("/metadata/annotations/helm.sh~1hook-weight")
        .and_then(|weight| weight.as_str()?.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::{Method, Work, compared_with, hooks};
    use crate::manifest::Object;
    use crate::release::record::read;

    #[test]
    fn helm_compares_with_what_is_deployed() {
        for (statuses, compared) in [
            (&["superseded", "deployed", "failed"][..], Some(2)),
            (&["failed"], Some(1)),
            (&["superseded", "failed"], Some(2)),
            (&["deployed", "uninstalled"], None),
            (&[], None),
        ] {
            let records: Vec<_> = statuses
                .iter()
                .enumerate()
                .map(|(at, status)| {
                    read(json!({"version": at + 1, "info": {"status": status}})).unwrap()
                })
                .collect();
            let found = compared_with(&records).map(|record| record.revision);
            assert_eq!(found, compared, "{statuses:?}");
        }
    }

    #[test]
    fn hooks_are_told_in_the_order_in_which_they_run() {
        let hook = |name: &str, on: &str, weight: &str| {
            format!(
                "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: {name}\n  annotations: {{helm.sh/hook: '{on}', helm.sh/hook-weight: '{weight}'}}\n"
            )
        };
        let manifest = [
            hook("late", "pre-upgrade", "5"),
            hook("after", "post-upgrade", "0"),
            hook("early", "pre-upgrade,post-upgrade", "-1"),
            hook("install", "pre-install", "0"),
        ]
        .join("---\n");
        let wanted = Object::parse(&manifest).unwrap();
        let work = Work {
            wanted: &wanted,
            before: None,
            method: Method::Client,
            events: ["pre-upgrade", "post-upgrade"],
        };
        let told = hooks(&work, Clone::clone);
        let told: Vec<String> = told
            .iter()
            .map(|hook| format!("{} {}", hook.object.name, hook.event))
            .collect();
        assert_eq!(
            told,
            [
                "early pre-upgrade",
                "late pre-upgrade",
                "early post-upgrade",
                "after post-upgrade"
            ]
        );
    }
}
