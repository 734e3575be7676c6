//! Case A8: the API server is gone between helm's end and the verdict.

use std::time::Duration;

use super::super::context::Run;
use super::super::observed::ReleaseObservation;
use super::super::{judge, recover, verify};
use super::world::World;
use super::{GOOD, NEXT, PLAIN, ended, proof};
use crate::chart::Proof;
use crate::error::{Kind, UnixSignal};

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
