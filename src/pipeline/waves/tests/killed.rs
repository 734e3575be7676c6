//! A run that is killed at any instant: the next signal converges, whatever it asks for.

use std::time::Duration;

use proptest::prelude::*;
use tokio::time::timeout;

use super::scripted::{Does, Scripted, fleet};
use super::{THREE, deploy, end};
use crate::error::Kind;
use crate::pipeline::tests::world::World;
use crate::plan::OnFailure;

/// Runs it until it is killed after so long: nothing of it does anything more.
async fn killed(engine: &Scripted, waves: &crate::plan::fleet::Fleet, version: &str, after: u64) {
    let world = World::new();
    let mut run = world.run();
    let work = deploy(&mut run, engine, waves, version);
    let _ = timeout(Duration::from_millis(after), work).await;
}

#[tokio::test(start_paused = true)]
async fn the_next_signal_converges_whenever_a_run_was_killed() {
    let mut fleet = fleet(THREE);
    fleet.bake = Duration::from_secs(1);
    for after in (0..12_000).step_by(49) {
        // The same signal again.
        let engine = Scripted::serving(&fleet, "1.0.0").when("shop-eu", "2.0.0", Does::Serves(3));
        killed(&engine, &fleet, "2.0.0", after).await;
        let world = World::new();
        deploy(&mut world.run(), &engine, &fleet, "2.0.0")
            .await
            .unwrap();
        let left = engine.left();
        assert!(
            left.iter().all(|line| line.ends_with(" 2.0.0")),
            "{after}: {left:?}"
        );

        // Another one, which fails: it goes back to what was judged good.
        let engine = Scripted::serving(&fleet, "1.0.0")
            .when("shop-eu", "2.0.0", Does::Fails(3))
            .when("shop-us", "3.0.0", Does::Fails(3));
        killed(&engine, &fleet, "2.0.0", after).await;
        let (kind, ..) = end(deploy(&mut world.run(), &engine, &fleet, "3.0.0").await);
        assert_eq!(kind, Kind::RolledBack, "{after}");
        let left = engine.left();
        let asia = if left[0].ends_with("2.0.0") {
            "2.0.0"
        } else {
            "1.0.0"
        };
        assert_eq!(
            left,
            [
                &format!("shop-asia {asia}"),
                "shop-canary 3.0.0",
                "shop-eu 1.0.0",
                "shop-us 1.0.0",
            ],
            "{after}"
        );
    }
}

fn does() -> impl Strategy<Value = Does> {
    prop_oneof![
        4 => (0..40_u64).prop_map(Does::Serves),
        2 => (0..40_u64).prop_map(Does::Fails),
        1 => Just(Does::Hangs),
        1 => (0..40_u64).prop_map(Does::IsLost),
        1 => prop_oneof![
            Just(Kind::Policy), Just(Kind::Locked), Just(Kind::Node)
        ].prop_map(Does::Refuses),
        1 => (0..3_u32).prop_map(Does::Stutters),
        1 => (1..40_u64).prop_map(Does::Degrades),
    ]
}

const NAMES: [&str; 4] = ["shop-canary", "shop-eu", "shop-us", "shop-asia"];

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Whatever the targets do, and whenever a run is killed.
    #[test]
    fn a_run_tells_the_truth(
        new in proptest::array::uniform4(does()),
        old in proptest::array::uniform4(prop_oneof![3 => Just(Does::Serves(1)), 1 => does()]),
        after in proptest::option::of(0..100_000_u64),
        keeps in any::<bool>(),
        bake in 0..20_u64,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut fleet = fleet(THREE);
            fleet.bake = Duration::from_secs(bake);
            let mut engine = Scripted::serving(&fleet, "1.0.0");
            for at in 0..4 {
                engine = engine
                    .when(NAMES[at], "2.0.0", new[at])
                    .when(NAMES[at], "1.0.0", old[at]);
            }
            if let Some(after) = after {
                killed(&engine, &fleet, "2.0.0", after).await;
                engine.calls.take();
            }
            let before = engine.clusters.borrow().clone();
            let mut world = World::new();
            world.plan.on_failure = if keeps { OnFailure::Keep } else { OnFailure::Rollback };
            let mut run = world.run();
            let ended = deploy(&mut run, &engine, &fleet, "2.0.0").await;
            let clusters = engine.clusters.borrow();
            let asked = engine.asked();
            for report in &run.facts.targets {
                let cluster = &clusters[&report.name];
                let version = cluster.held.as_ref().map(|held| held.version.to_string());
                let good = cluster.good.as_ref().map(|good| good.version.to_string());
                // What is told to be held is held.
                if let Some(told) = &report.version {
                    assert_eq!(Some(told), version.as_ref(), "{report:?}");
                }
                // What is whole was judged good.
                if report.outcome.is_whole() {
                    assert_eq!(version, good, "{report:?}");
                }
                if report.outcome.name() == "not-reached" {
                    let touched = asked.iter().any(|call| call.contains(&report.name));
                    assert!(!touched, "{report:?} {asked:?}");
                    assert_eq!(cluster.held, before[&report.name].held);
                }
            }
            let whole = run.facts.targets.iter().all(|target| target.outcome.is_whole());
            match ended.map_err(|error| error.kind()) {
                Ok(()) => assert!(whole && engine.left().iter().all(|line| line.ends_with(" 2.0.0"))),
                Err(Kind::RolledBack) => assert!(whole),
                Err(Kind::Broken) => assert!(!whole),
                Err(Kind::Policy | Kind::Locked) => {
                    assert!(asked.iter().all(|call| call.starts_with("refuse")), "{asked:?}");
                }
                Err(other) => panic!("{other:?}"),
            }
            // A wave is asked only once every target before it was judged good.
            let first = |name: &str| asked.iter().position(|call| call == &format!("apply {name} 2.0.0"));
            if first("shop-asia").is_some() {
                for name in &NAMES[..3] {
                    let good = clusters[*name].good.as_ref().unwrap();
                    assert_eq!(good.version.to_string(), "2.0.0");
                }
            }
        });
    }
}
