//! Runs that are cancelled, or lose the Lease.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::scripted::{Does, Scripted, fleet};
use super::{THREE, deploy, told};
use crate::cluster::lease::Lease;
use crate::error::{Error, Kind, UnixSignal};
use crate::pipeline::tests::world::World;

#[tokio::test(start_paused = true)]
async fn a_cancel_stops_what_this_run_began_and_nothing_goes_back() {
    let fleet = fleet(THREE);
    let engine = Scripted::serving(&fleet, "1.0.0")
        .when("shop-eu", "2.0.0", Does::Serves(5))
        .when("shop-us", "2.0.0", Does::Hangs);
    let world = World::new();
    let mut run = world.run();
    let cancel = async {
        sleep(Duration::from_secs(20)).await;
        world.trigger.fire(UnixSignal::Terminate);
    };
    let (ended, ()) = tokio::join!(deploy(&mut run, &engine, &fleet, "2.0.0"), cancel);
    let error = ended.unwrap_err();
    assert_eq!(error.kind(), Kind::Cancelled(UnixSignal::Terminate));
    assert_eq!(error.to_string(), "cancelled by SIGTERM");
    assert_eq!(
        error.hints(),
        [
            "serves 2.0.0: shop-canary; holds 2.0.0, not judged: shop-eu; cut short on the way to 2.0.0: shop-us; not touched: shop-asia",
            "what was begun was stopped; the next signal goes on from there",
        ]
    );
    // The one that serves is not at work any more.
    assert_eq!(engine.asked()[3..], ["stop shop-us 2.0.0"]);
    assert_eq!(told(&run.facts.targets)[2], "shop-us 2.0.0 interrupted");
    // And the next signal goes on from there.
    let engine = engine.when("shop-us", "2.0.0", Does::Serves(1));
    engine.calls.take();
    let world = World::new();
    deploy(&mut world.run(), &engine, &fleet, "2.0.0")
        .await
        .unwrap();
    assert_eq!(
        engine.asked(),
        [
            "apply shop-eu 2.0.0",
            "apply shop-us 2.0.0",
            "apply shop-asia 2.0.0"
        ]
    );
}

/// What is asked at that moment is waited for: else nobody could stop it.
#[tokio::test(start_paused = true)]
async fn a_cancel_in_the_middle_of_a_request_stops_what_it_began() {
    for millis in [1, 50, 150, 250] {
        let fleet = fleet(&[&["shop-eu", "shop-us"]]);
        let engine = Scripted::serving(&fleet, "1.0.0");
        let world = World::new();
        let mut run = world.run();
        let begun = Instant::now();
        let cancel = async {
            sleep(Duration::from_millis(millis)).await;
            world.trigger.fire(UnixSignal::Interrupt);
        };
        let (ended, ()) = tokio::join!(deploy(&mut run, &engine, &fleet, "2.0.0"), cancel);
        assert_eq!(
            ended.unwrap_err().kind(),
            Kind::Cancelled(UnixSignal::Interrupt)
        );
        assert!(begun.elapsed() < Duration::from_secs(7));
        let at_work: Vec<_> = engine
            .clusters
            .borrow()
            .values()
            .map(|cluster| cluster.at_work)
            .collect();
        assert_eq!(at_work, [None, None], "{millis}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancel_on_the_way_back_says_what_it_was_about() {
    let fleet = fleet(&[&["shop-eu"]]);
    let engine = Scripted::serving(&fleet, "1.0.0")
        .when("shop-eu", "2.0.0", Does::Fails(5))
        .when("shop-eu", "1.0.0", Does::Hangs);
    let world = World::new();
    let mut run = world.run();
    let cancel = async {
        sleep(Duration::from_secs(20)).await;
        world.trigger.fire(UnixSignal::Hangup);
    };
    let (ended, ()) = tokio::join!(deploy(&mut run, &engine, &fleet, "2.0.0"), cancel);
    let error = ended.unwrap_err();
    assert_eq!(error.kind(), Kind::Cancelled(UnixSignal::Hangup));
    assert_eq!(
        error.hints()[..2],
        [
            "wave 1 was going back, since shop-eu (eu): api: container api crashed after 5 s",
            "cut short on the way to 1.0.0: shop-eu",
        ]
    );
    assert_eq!(engine.asked().last().unwrap(), "stop shop-eu 1.0.0");
}

#[tokio::test(start_paused = true)]
async fn without_the_lease_nothing_more_is_touched() {
    let fleet = fleet(THREE);
    for (when, begins) in [(20, 3), (3, 1)] {
        let engine = Scripted::serving(&fleet, "1.0.0")
            .when("shop-canary", "2.0.0", Does::Serves(4))
            .when("shop-us", "2.0.0", Does::Hangs);
        let world = World::new();
        let mut run = world.run();
        let (lease, lose) = Lease::in_hand().unwrap();
        run.lease.set(lease).unwrap();
        let taking_over = async {
            sleep(Duration::from_secs(when)).await;
            lose(Error::new(Kind::Locked, "another deploy took over"));
        };
        let (ended, ()) = tokio::join!(deploy(&mut run, &engine, &fleet, "2.0.0"), taking_over);
        let error = ended.unwrap_err();
        assert_eq!(error.kind(), Kind::Locked);
        assert_eq!(
            error.to_string(),
            "the lease was lost, so nothing more was touched"
        );
        assert_eq!(error.evidence(), ["another deploy took over"]);
        // Not even stopped: another deploy can have begun it anew.
        let asked = engine.asked();
        assert_eq!(asked.len(), begins, "{asked:?}");
        assert!(
            asked.iter().all(|call| call.starts_with("apply")),
            "{asked:?}"
        );
    }
}
