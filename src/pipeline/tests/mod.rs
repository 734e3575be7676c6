//! What the steps decide: apply, recover, go back. Helm is a script, the cluster lies in
//! memory.

#![allow(clippy::unwrap_used)]

mod api_server;
mod custom;
mod going_back;
mod silent;
pub(in crate::pipeline) mod world;

use std::collections::BTreeMap;

use serde_json::json;

use super::context::Run;
use super::failure::Failure;
use super::observed::ReleaseObservation;
use super::recover;
use super::verify::Applied;
use crate::chart::{self, Chart, Proof, Render};
use crate::error::{Error, Kind};
use crate::event::Phase;
use crate::plan::{ImageRules, OnFailure};
use api_server::Objects;
use world::World;

const GOOD: &str = "deploy: good (run 20261124T175106Z-000000)";

/// A release without workloads: Ready as soon as it is applied.
const PLAIN: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: shop}\ndata: {a: b}\n";

/// The same, of a later revision.
const NEXT: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: shop}\ndata: {a: c}\n";

struct Fixed(&'static str);

impl Render for Fixed {
    async fn render(&self, _: &serde_json::Value) -> crate::Result<String> {
        Ok(self.0.to_owned())
    }
}

/// What is going to be applied.
async fn proof(manifest: &'static str) -> Proof {
    let (rules, images) = (ImageRules::default(), BTreeMap::new());
    chart::prove(&Chart::default(), &[], &rules, &images, &Fixed(manifest))
        .await
        .unwrap()
}

/// A world in which revision 1 serves.
fn serving(manifest: &'static str) -> World {
    World::new().with(|objects| objects.record(1, "deployed", GOOD, manifest))
}

/// Helm fails, and leaves revision 2 as a failed one.
fn fails(world: World) -> World {
    world.helm(
        "echo 'Error: UPGRADE FAILED: the server refuses it' >&2; exit 1",
        |objects| {
            objects.record(2, "failed", "Upgrade \"shop\" failed", NEXT);
        },
    )
}

/// All of an upgrade, as the pipeline does it.
async fn upgrade(run: &mut Run<'_>, found: &mut ReleaseObservation) -> Result<Applied, Error> {
    let proof = proof(NEXT).await;
    super::applied(run, found, &proof).await
}

fn ended(failure: Result<impl std::fmt::Debug, Failure>) -> Error {
    match failure {
        Err(Failure::Ended(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_good_upgrade_counts_as_good() {
    let world = serving(PLAIN);
    let mark = world.mark();
    let world = world.helm("exit 0", move |objects| {
        objects.record(1, "superseded", GOOD, PLAIN);
        objects.record(2, "deployed", &mark, NEXT);
    });
    let (mut run, mut found) = (world.run(), world.found("v4.3.1").await);
    let applied = upgrade(&mut run, &mut found).await.unwrap();
    assert_eq!(applied.record.revision, 2);
    assert_eq!(
        world.left().await,
        ["1 superseded deploy: good", "2 deployed deploy: good"]
    );
    assert_eq!(world.said(), "");
    let call = &world.calls()[0];
    assert!(call.starts_with("upgrade --install shop /c.tgz"), "{call}");
    assert!(!call.contains("--wait"), "{call}");
}

/// The API server restarts while helm writes its record.
#[tokio::test]
async fn a_helm_that_lost_the_way_runs_once_more() {
    let lost = "Put \\\"https://127.0.0.1:1/secrets/sh.helm.release.v1.shop.v2\\\": read: connection reset by peer";
    let world = serving(PLAIN);
    let (left, mark) = (world.mark(), world.mark());
    let world = world
        .helm(
            &format!(
                "echo \"Error: UPGRADE FAILED: update: failed to update: {lost}\" >&2; exit 1"
            ),
            move |objects| objects.record(2, "failed", &left, NEXT),
        )
        .helm("exit 0", move |objects| {
            objects.record(1, "superseded", GOOD, PLAIN);
            objects.record(3, "deployed", &mark, NEXT);
        });
    let (mut run, mut found) = (world.run(), world.found("v4.3.1").await);
    let applied = upgrade(&mut run, &mut found).await.unwrap();
    assert_eq!(applied.record.revision, 3);
    let said = world.said();
    assert!(said.contains("helm runs once more"), "{said}");
}

#[tokio::test]
async fn a_failed_upgrade_is_rolled_back() {
    let world = fails(serving(PLAIN));
    let mark = world.mark();
    let world = world.helm("exit 0", move |objects| {
        objects.record(1, "superseded", GOOD, PLAIN);
        objects.record(3, "deployed", &mark, PLAIN);
    });
    let (mut run, mut found) = (world.run(), world.found("v4.3.1").await);
    let error = upgrade(&mut run, &mut found).await.unwrap_err();
    assert_eq!(error.kind(), Kind::RolledBack);
    let said = error.evidence().join("\n");
    assert!(
        format!("{error}\n{said}").contains("the server refuses it"),
        "{error}\n{said}"
    );
    let left = [
        "1 superseded deploy: good",
        "2 failed deploy: judged failed; rolling back to 1",
        "3 deployed deploy: good",
    ];
    assert_eq!(world.left().await, left);
    let calls = world.calls();
    assert!(calls[1].starts_with("rollback shop 1"), "{calls:?}");
    assert_eq!(calls.len(), 2);
    // The one that failed took its time, too.
    let phases = run.into_facts().phases;
    let phases: Vec<Phase> = phases.iter().map(|timing| timing.phase).collect();
    assert_eq!(phases, [Phase::Rollout, Phase::Rollback]);
}

#[tokio::test]
async fn what_a_failed_helm_changed_decides() {
    fn failed(objects: &mut Objects, phase: &str) {
        let hook = json!({"name": "mig", "kind": "Job", "events": ["pre-upgrade"],
            "last_run": {"phase": phase}});
        objects.record_with(&json!({"name": "shop", "version": 2, "manifest": NEXT,
            "hooks": [hook], "info": {"status": "failed", "description": "x"}}));
    }
    let script = "echo 'Error: UPGRADE FAILED: the server refuses it' >&2; exit 1";
    // Nothing was written; only a hook ran; the node keeps what is there.
    for (leaves, on_failure, kind, calls) in [
        (None, OnFailure::Rollback, Kind::RolledBack, 1),
        (Some("Failed"), OnFailure::Rollback, Kind::RolledBack, 1),
        (Some("Succeeded"), OnFailure::Keep, Kind::Broken, 1),
    ] {
        let mut world = serving(PLAIN).helm(script, move |objects| {
            if let Some(phase) = leaves {
                failed(objects, phase);
            }
        });
        world.plan.on_failure = on_failure;
        let (mut run, mut found) = (world.run(), world.found("v4.3.1").await);
        let error = upgrade(&mut run, &mut found).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{leaves:?}: {error}");
        assert_eq!(world.calls().len(), calls, "{leaves:?}");
        assert_eq!(world.left().await[0], "1 deployed deploy: good");
    }
}

#[tokio::test]
async fn what_nobody_judged_is_judged_by_one_look() {
    for (manifest, expected) in [
        (
            NEXT,
            ["1 superseded deploy: good", "2 deployed deploy: good"],
        ),
        // Its Deployment is not there.
        (
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: api}\nspec: {template: {spec: {containers: [{name: api, image: a}]}}}\n",
            ["1 deployed deploy: good", "2 failed deploy: judged failed"],
        ),
    ] {
        let world = World::new();
        let mark = world.mark();
        let world = world.with(|objects| {
            objects.record(1, "superseded", GOOD, PLAIN);
            objects.record(2, "deployed", &mark, manifest);
        });
        let (mut run, mut found) = (world.run(), world.found("v4.3.1").await);
        recover::before(&mut run, &mut found).await.unwrap();
        assert_eq!(world.left().await, expected);
    }
}
