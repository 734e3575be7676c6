//! What goes back, and what is left where that fails.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::super::failure::Failure;
use super::super::{recover, rollback, verify};
use super::world::World;
use super::{GOOD, PLAIN, ended, fails, proof, serving, upgrade};
use crate::cluster::lease::Lease;
use crate::error::{Error, Kind, UnixSignal};
use crate::manifest::Object;
use crate::plan::OnFailure;

/// Case B9: what this run's own helm leaves is no dead helm's.
#[tokio::test]
async fn a_rollback_that_fails_is_this_runs_own() {
    let world = fails(serving(PLAIN)).helm("echo 'Error: it cannot be' >&2; exit 1", |objects| {
        objects.record(3, "pending-rollback", "Rollback to 1", PLAIN);
    });
    let (mut run, mut found) = (world.run(), world.found("v3.22.0").await);
    let error = upgrade(&mut run, &mut found).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Broken);
    let left = [
        "1 deployed deploy: good",
        "2 failed deploy: judged failed; rolling back to 1",
        "3 failed deploy: judged failed",
    ];
    assert_eq!(world.left().await, left);
    let said = world.said();
    assert!(said.contains("going back to revision 1"), "{said}");
    assert!(
        !said.contains("unfinished") && !said.contains("dead"),
        "{said}"
    );
}

/// Case B9, where the rollback is cancelled: helm settles none of its own.
#[tokio::test]
async fn a_rollback_that_is_cancelled_is_this_runs_own() {
    let mut world = fails(serving(PLAIN)).helm("exec sleep 60", |objects| {
        objects.record(3, "pending-rollback", "Rollback to 1", PLAIN);
    });
    // There is no lock here that says whose helm it was.
    world.plan.stale_after = Duration::ZERO;
    let (mut run, mut found) = (world.run(), world.found("v4.3.1").await);
    let cancel = async {
        while world.calls().len() < 2 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        world.trigger.fire(UnixSignal::Interrupt);
    };
    let (ended, ()) = tokio::join!(upgrade(&mut run, &mut found), cancel);
    assert_eq!(
        ended.unwrap_err().kind(),
        Kind::Cancelled(UnixSignal::Interrupt)
    );
    assert!(run.settled);
    let said = world.said();
    assert!(
        said.contains("left unfinished by this run's helm"),
        "{said}"
    );
    assert_eq!(world.records().await.len(), 2, "{said}");
}

/// What revision 2 left would stay: helm compares the next with revision 1.
fn with_leftovers() -> World {
    const LEFT: &str =
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: shop}\ndata: {a: b, z: z}\n";
    World::new().with(|objects| {
        objects.record(1, "deployed", GOOD, PLAIN);
        objects.record(2, "failed", "x", LEFT);
    })
}

/// Case E3: where the node keeps what fails, the fields are named, and nothing is done.
#[tokio::test]
async fn leftover_fields_are_kept_where_the_node_keeps() {
    let mut world = with_leftovers();
    world.plan.on_failure = OnFailure::Keep;
    let (run, mut found) = (world.run(), world.found("v3.22.0").await);
    let proof = proof(PLAIN).await;
    let error = ended(rollback::clear_leftover_fields(&run, &mut found, &proof).await);
    assert_eq!(error.kind(), Kind::Broken);
    assert!(
        error.to_string().contains("ConfigMap shop, data.z"),
        "{error}"
    );
    assert_eq!(world.calls(), [""; 0]);
}

/// Case E3: what goes back before an upgrade is helm as any other, and ends with the
/// Lease; what it wrote is told, and nothing is undone.
#[tokio::test]
async fn leftover_fields_are_cleared_under_the_lease() {
    let world = with_leftovers().helm("exec sleep 60", |objects| {
        objects.record(3, "pending-rollback", "Rollback to 1", PLAIN);
    });
    let (run, mut found) = (world.run(), world.found("v3.22.0").await);
    let (lease, lose) = Lease::in_hand().unwrap();
    assert!(run.lease.set(lease).is_ok());
    let proof = proof(PLAIN).await;
    let begun = Instant::now();
    let taken_over = async {
        while world.calls().is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        lose(Error::new(Kind::Locked, "another deploy took over"));
    };
    let clear = rollback::clear_leftover_fields(&run, &mut found, &proof);
    let (failure, ()) = tokio::join!(clear, taken_over);
    let error = ended(failure);
    assert_eq!(error.kind(), Kind::Locked);
    assert!(
        begun.elapsed() < Duration::from_secs(30),
        "helm was not ended"
    );
    let told = error.evidence().join("\n");
    assert!(told.contains("helm had written revision 3"), "{told}");
    assert!(
        !recover::after(&run, &found).await,
        "nothing must be touched"
    );
    assert_eq!(world.left().await[2], "3 pending-rollback Rollback to 1");
}

/// Case E3: the node died in it. What the rollback was undoing is there still, so its
/// record goes and the next one begins anew.
#[tokio::test]
async fn leftover_fields_are_cleared_again_by_the_next() {
    let mut world = with_leftovers().with(|objects| {
        objects.record_with(&json!({"name": "shop", "version": 3, "manifest": PLAIN,
            "info": {"status": "pending-rollback", "description": "Rollback to 1",
                "last_deployed": "2026-01-01T00:00:00Z"}}));
    });
    world.plan.stale_after = Duration::from_secs(1);
    let (mut run, mut found) = (world.run(), world.found("v3.22.0").await);
    recover::before(&mut run, &mut found).await.unwrap();
    assert_eq!(
        world.left().await,
        ["1 deployed deploy: good", "2 failed x"]
    );
    assert!(
        world
            .said()
            .contains("left unfinished by a helm that is dead"),
        "{}",
        world.said()
    );
    let proof = proof(PLAIN).await;
    let world = world.helm("exit 0", |objects| {
        objects.record(3, "deployed", "Rollback to 1", PLAIN);
    });
    let (run, mut found) = (world.run(), world.found("v3.22.0").await);
    rollback::clear_leftover_fields(&run, &mut found, &proof)
        .await
        .unwrap();
    assert_eq!(found.serving().unwrap().revision, 3);
    let call = &world.calls()[0];
    assert!(call.starts_with("rollback shop 1"), "{call}");
}

/// Case A14: what only the failed revision had must be gone, or nothing is said to serve.
#[tokio::test]
async fn a_rollback_that_leaves_a_container_is_none() {
    const API: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: api, namespace: prod}\nspec: {template: {spec: {containers: [{name: api, image: a}]}}}\n";
    const BESIDE: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: api, namespace: prod}\nspec: {template: {spec: {containers: [{name: api, image: a}, {name: beside, image: b}]}}}\n";
    let path = "/apis/apps/v1/namespaces/prod/deployments/api";
    let live = json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "api", "namespace": "prod"},
        "spec": {"template": {"spec": {"containers":
            [{"name": "api", "image": "a"}, {"name": "beside", "image": "b"}]}}}});
    let world = World::new();
    let mark = world.mark();
    let world = world.with(|objects| {
        objects.record(1, "superseded", GOOD, API);
        objects.record(2, "failed", "x", BESIDE);
        objects.record(3, "deployed", &mark, API);
        objects.put(path, live);
    });
    let (mut run, found) = (world.run(), world.found("v4.3.1").await);
    let [good, failed, _] = &found.records[..] else {
        panic!("three records");
    };
    let objects = Object::parse(API).unwrap();
    let restored = verify::restored(&mut run, &found, good, &objects, Some(failed)).await;
    let Err(Failure::Rollout(problem)) = restored else {
        panic!("{restored:?}");
    };
    let said = "Deployment api still has the container beside, which only the failed revision had";
    assert_eq!(problem.to_string(), said);
}
