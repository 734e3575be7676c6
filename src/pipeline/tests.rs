//! What the steps decide: apply, recover, go back. Helm is a script, the cluster lies in
//! memory.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::context::Run;
use super::failure::Failure;
use super::observed::ReleaseObservation;
use super::verify::{self, Applied};
use super::world::{Objects, World};
use super::{apply, judge, recover, remediate, rollback};
use crate::chart::{self, Chart, Proof, Render};
use crate::cluster::lease::Lease;
use crate::error::{Error, Kind, Problem, UnixSignal};
use crate::plan::{ImageRules, OnFailure};

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
    match apply::upgrade(run, found, &proof).await {
        Ok(applied) => Ok(applied),
        Err(failure) => {
            let error = remediate::remediate(run, found, failure).await;
            run.settled = error.kind() == Kind::Locked || recover::after(run, found).await;
            Err(error)
        }
    }
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
    let (lease, lose) = Lease::in_hand();
    assert!(run.lease.set(lease).is_ok());
    let proof = proof(PLAIN).await;
    let begun = Instant::now();
    let lost = async {
        while world.calls().is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        lose(Error::new(Kind::Locked, "another deploy took over"));
    };
    let clear = rollback::clear_leftover_fields(&run, &mut found, &proof);
    let (failure, ()) = tokio::join!(clear, lost);
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
        objects.record(3, "deployed", "Rollback to 1", PLAIN)
    });
    let (run, mut found) = (world.run(), world.found("v3.22.0").await);
    rollback::clear_leftover_fields(&run, &mut found, &proof)
        .await
        .unwrap();
    assert_eq!(found.serving().unwrap().revision, 3);
    let call = &world.calls()[0];
    assert!(call.starts_with("rollback shop 1"), "{call}");
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

/// The revision that helm has just applied, and a cluster that goes away then.
async fn applied_and_silent(world: &World, silent: u64) -> (Run<'_>, ReleaseObservation, Proof) {
    let (run, mut found) = (world.run(), world.found("v4.3.1").await);
    found.records.pop();
    let proof = proof(NEXT).await;
    // From here on time passes by itself: nothing but the cluster is waited for.
    tokio::time::pause();
    world.is_silent_for(Duration::from_secs(silent));
    (run, found, proof)
}

fn applied() -> World {
    let world = World::new();
    let mark = world.mark();
    world.with(|objects| {
        objects.record(1, "superseded", GOOD, PLAIN);
        objects.record(2, "deployed", &mark, NEXT);
    })
}

/// Case A8: the API server is gone between helm's end and the verdict, and comes back.
#[tokio::test]
async fn a_cluster_that_comes_back_is_waited_for() {
    let world = applied();
    let (mut run, found, proof) = applied_and_silent(&world, 5).await;
    let applied = verify::applied(&mut run, &found, &proof).await.unwrap();
    world.is_silent_for(Duration::from_secs(5));
    judge::good(&run, &found, &applied.record).await.unwrap();
    assert_eq!(world.left().await[1], "2 deployed deploy: good");
    assert!(
        world
            .said()
            .contains("the cluster does not answer: waiting for it")
    );
}

/// Case A8: it never comes back, or the run is cancelled first.
#[tokio::test]
async fn what_could_not_be_verified_is_told() {
    let world = applied();
    let (mut run, found, proof) = applied_and_silent(&world, 3600).await;
    let error = ended(verify::applied(&mut run, &found, &proof).await);
    assert_eq!(error.kind(), Kind::Broken);
    let said = "revision 2 is deployed, not verified";
    assert!(error.to_string().starts_with(said), "{error}");

    for step in ["record", "verdict"] {
        tokio::time::resume();
        let world = applied();
        let (mut run, found, proof) = applied_and_silent(&world, 0).await;
        let record = found.cluster.last(run.plan).await.unwrap().unwrap();
        world.is_silent_for(Duration::from_secs(3600));
        let cancel = async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            world.trigger.fire(UnixSignal::Terminate);
        };
        let verdict = async {
            if step == "record" {
                verify::applied(&mut run, &found, &proof).await.map(|_| ())
            } else {
                let judged = judge::good(&run, &found, &record).await;
                judged.map_err(|error| verify::unverified(record.revision, error))
            }
        };
        let (failure, ()) = tokio::join!(verdict, cancel);
        let error = ended(failure);
        assert_eq!(
            error.kind(),
            Kind::Cancelled(UnixSignal::Terminate),
            "{step}"
        );
        let told = error.hints().join("\n");
        assert!(told.contains(said), "{step}: {told}");
    }
}

/// Case A8: the cancel is answered with the same words, and what nobody judged is
/// failed, so that the next signal does not take it for good.
#[tokio::test]
async fn a_cancel_before_the_verdict_is_settled() {
    let world = applied();
    let (mut run, found, proof) = applied_and_silent(&world, 3).await;
    world.trigger.fire(UnixSignal::Interrupt);
    let error = ended(verify::applied(&mut run, &found, &proof).await);
    assert_eq!(error.kind(), Kind::Cancelled(UnixSignal::Interrupt));
    tokio::time::advance(Duration::from_secs(4)).await;
    assert!(recover::after(&run, &found).await);
    assert_eq!(
        world.left().await,
        ["1 deployed deploy: good", "2 failed deploy: judged failed"]
    );
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
    let objects = crate::manifest::Object::parse(API).unwrap();
    let restored = verify::restored(&mut run, &found, good, &objects, Some(failed)).await;
    let Err(Failure::Rollout(problem)) = restored else {
        panic!("{restored:?}");
    };
    let said = "Deployment api still has the container beside, which only the failed revision had";
    assert_eq!(problem.to_string(), said);
}

/// Case B2: a custom resource that is not Ready fails nothing, and is named.
#[tokio::test]
async fn a_custom_resource_that_is_not_ready_is_a_warning() {
    const MAIL: &str = "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: mail}\nspec: {target: {name: mail-login}}\n";
    let world = World::new();
    let mark = world.mark();
    let kinds = json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "external-secrets.io/v1",
        "resources": [{"name": "externalsecrets", "singularName": "", "namespaced": true,
            "kind": "ExternalSecret", "verbs": ["get"]}]});
    let mail = json!({"apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret",
        "metadata": {"name": "mail", "namespace": "prod", "generation": 1},
        "status": {"conditions": [{"type": "Ready", "status": "False",
            "reason": "SecretSyncedError", "message": "could not get secret"}]}});
    let world = world
        .with(|objects| {
            objects.put("/apis/external-secrets.io/v1", kinds);
            objects.put(
                "/apis/external-secrets.io/v1/namespaces/prod/externalsecrets/mail",
                mail,
            );
        })
        .helm("exit 0", move |objects| {
            objects.record(1, "deployed", &mark, MAIL)
        });
    let (mut run, mut found) = (world.run(), world.found("v4.3.1").await);
    let proof = proof(MAIL).await;
    apply::upgrade(&mut run, &mut found, &proof).await.unwrap();
    let said = "ExternalSecret mail is not Ready: SecretSyncedError: could not get secret";
    assert_eq!(world.said(), said);

    let lacks =
        Problem::new("container api of pod api-1 needs Secret mail-login, which does not exist");
    let custom = chart_custom(MAIL, &found).await;
    let named = super::failure::made_by(lacks, custom);
    assert!(
        named
            .to_string()
            .ends_with(&format!("which does not exist; {said}")),
        "{named}"
    );
}

async fn chart_custom(manifest: &str, found: &ReleaseObservation) -> Vec<crate::rollout::NotReady> {
    let objects = crate::manifest::Object::parse(manifest).unwrap();
    let custom = crate::rollout::CustomResources::of(&objects, "prod");
    custom.not_ready(&found.cluster.client).await
}
