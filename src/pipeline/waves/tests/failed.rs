//! Waves that fail: what goes back, what stays, and which code that is.

use std::cell::Cell;
use std::time::Duration;

use super::scripted::Does::{self, Fails, Hangs, IsLost, Refuses, Serves};
use super::scripted::{Scripted, fleet, wanted};
use super::{THREE, deploy, deploy_while, end, told};
use crate::error::{Error, Kind};
use crate::pipeline::context::Run;
use crate::pipeline::tests::world::World;
use crate::plan::OnFailure::{self, Keep, Rollback};
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn a_failed_wave_goes_back_and_later_ones_are_not_touched() {
    let fleet = fleet(THREE);
    let engine = Scripted::serving(&fleet, "1.0.0")
        .when("shop-eu", "2.0.0", Does::Fails(5))
        .when("shop-us", "2.0.0", Does::Serves(300));
    let world = World::new();
    let mut run = world.run();
    let begun = Instant::now();
    let error = deploy(&mut run, &engine, &fleet, "2.0.0")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::RolledBack);
    assert_eq!(
        error.to_string(),
        "shop-eu (eu): api: container api crashed after 5 s"
    );
    assert_eq!(
        error.hints(),
        [
            "wave 2 of 3 failed; serves 2.0.0: shop-canary; rolled back to 1.0.0: shop-eu, shop-us; not touched: shop-asia",
            "look at its log",
            &format!("its log is kept on the node: deploy show {}", world.id),
        ]
    );
    // A public log does not get the pod's.
    assert_eq!(error.evidence(), ["exit code 1"]);
    assert!(run.evidence.contains(&"panic: no database".to_owned()));
    // Nobody waits for the other one: it goes back as well.
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!(
        engine.asked(),
        [
            "apply shop-canary 2.0.0",
            "apply shop-eu 2.0.0",
            "apply shop-us 2.0.0",
            "stop shop-eu 2.0.0",
            "stop shop-us 2.0.0",
            "apply shop-eu 1.0.0",
            "apply shop-us 1.0.0",
        ]
    );
    assert_eq!(
        told(&run.facts.targets),
        [
            "shop-canary 2.0.0 deployed",
            "shop-eu 1.0.0 rolled-back",
            "shop-us 1.0.0 rolled-back",
            "shop-asia 1.0.0 not-reached",
        ]
    );
    let causes: Vec<_> = run
        .facts
        .targets
        .iter()
        .map(|target| target.cause.as_deref())
        .collect();
    let cause = Some("api: container api crashed after 5 s");
    assert_eq!(causes, [None, cause, None, None]);
}

/// What shop-us does with the new version and with the old one; the end; what became of
/// shop-eu and shop-us.
type Case = (Does, Does, OnFailure, Kind, [&'static str; 2]);

const CASES: [Case; 13] = [
    (
        Fails(9),
        Serves(1),
        Rollback,
        Kind::RolledBack,
        ["rolled-back"; 2],
    ),
    (
        Hangs,
        Serves(1),
        Rollback,
        Kind::RolledBack,
        ["rolled-back"; 2],
    ),
    (
        IsLost(9),
        Serves(1),
        Rollback,
        Kind::RolledBack,
        ["rolled-back"; 2],
    ),
    (
        IsLost(9),
        IsLost(9),
        Rollback,
        Kind::Broken,
        ["rolled-back", "unknown"],
    ),
    (
        Fails(9),
        Fails(9),
        Rollback,
        Kind::Broken,
        ["rolled-back", "failed"],
    ),
    (
        Fails(9),
        Hangs,
        Rollback,
        Kind::Broken,
        ["rolled-back", "failed"],
    ),
    (
        Fails(9),
        Refuses(Kind::Policy),
        Rollback,
        Kind::Broken,
        ["rolled-back", "failed"],
    ),
    (
        Fails(9),
        Refuses(Kind::Node),
        Rollback,
        Kind::Broken,
        ["rolled-back", "unknown"],
    ),
    (
        Refuses(Kind::Node),
        Serves(1),
        Rollback,
        Kind::RolledBack,
        ["rolled-back"; 2],
    ),
    (
        Refuses(Kind::Policy),
        Serves(1),
        Rollback,
        Kind::RolledBack,
        ["rolled-back", "refused"],
    ),
    (
        Refuses(Kind::Locked),
        Serves(1),
        Keep,
        Kind::Broken,
        ["not-judged", "refused"],
    ),
    (
        Fails(9),
        Serves(1),
        Keep,
        Kind::Broken,
        ["not-judged", "failed"],
    ),
    (
        IsLost(9),
        Serves(1),
        Keep,
        Kind::Broken,
        ["not-judged", "unknown"],
    ),
];

/// What one target does decides for all: the code, and what each holds then.
#[tokio::test(start_paused = true)]
async fn how_a_run_ends_and_what_is_where() {
    let two = fleet(&[&["shop-canary"], &["shop-eu", "shop-us"]]);
    for (new, old, on_failure, kind, outcomes) in CASES {
        let engine = Scripted::serving(&two, "1.0.0")
            .when("shop-us", "2.0.0", new)
            .when("shop-us", "1.0.0", old);
        let mut world = World::new();
        world.plan.on_failure = on_failure;
        let mut run = world.run();
        let (is, why, outcome) = end(deploy(&mut run, &engine, &two, "2.0.0").await);
        let case = format!("{new:?} {old:?} {on_failure:?}: {why}; {outcome}");
        assert_eq!(is, kind, "{case}");
        let became = run.facts.targets.iter().map(|target| target.outcome.name());
        let became: Vec<_> = became.collect();
        assert_eq!(became[0], "deployed", "{case}");
        assert_eq!(became[1..], outcomes, "{case}");
        assert!(why.starts_with("shop-us (us): "), "{case}");
        let whole = run
            .facts
            .targets
            .iter()
            .all(|target| target.outcome.is_whole());
        assert_eq!(whole, kind == Kind::RolledBack, "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_go_back_is_told() {
    let fleet = fleet(&[&["shop-eu", "shop-us"]]);
    let engine = Scripted::serving(&fleet, "1.0.0")
        .when("shop-eu", "2.0.0", Does::Fails(5))
        .when("shop-eu", "1.0.0", Does::Fails(7));
    let world = World::new();
    let mut run = world.run();
    let error = deploy(&mut run, &engine, &fleet, "2.0.0")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Broken);
    let said = error.evidence();
    let back = "shop-eu (eu) could not go back: api: container api crashed after 7 s";
    assert!(said.contains(&back.to_owned()), "{said:?}");
    assert_eq!(
        error.hints()[0],
        "wave 1 of 1 failed; needs manual action, holds 1.0.0: shop-eu; rolled back to 1.0.0: shop-us"
    );
    let last = error.hints().last().unwrap();
    assert!(
        last.starts_with("nothing was deleted; send the signal again"),
        "{last}"
    );

    // Nothing was ever good there.
    let engine = Scripted::serving(&fleet, "1.0.0")
        .with("shop-eu", |cluster| {
            (cluster.held, cluster.good) = (None, None);
        })
        .when("shop-us", "2.0.0", Does::Fails(5));
    let mut run = world.run();
    let (kind, ..) = end(deploy(&mut run, &engine, &fleet, "2.0.0").await);
    assert_eq!(kind, Kind::Broken);
    assert_eq!(
        told(&run.facts.targets),
        ["shop-eu 2.0.0 not-judged", "shop-us 1.0.0 rolled-back"]
    );

    // The last good version is the one that fails now.
    let engine = Scripted::serving(&fleet, "2.0.0")
        .with("shop-eu", |cluster| cluster.held = Some(wanted("1.0.0")))
        .when("shop-eu", "2.0.0", Does::Fails(5));
    let mut run = world.run();
    let (kind, ..) = end(deploy(&mut run, &engine, &fleet, "2.0.0").await);
    assert_eq!(kind, Kind::Broken);
    assert_eq!(engine.asked(), ["apply shop-eu 2.0.0"]);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_before_anything_was_changed_is_told_as_what_it_is() {
    let fleet = fleet(THREE);
    for kind in [Kind::Locked, Kind::Policy] {
        let engine =
            Scripted::serving(&fleet, "1.0.0").when("shop-canary", "2.0.0", Does::Refuses(kind));
        let world = World::new();
        let mut run = world.run();
        let (is, cause, outcome) = end(deploy(&mut run, &engine, &fleet, "2.0.0").await);
        assert_eq!(is, kind);
        assert_eq!(
            cause,
            "shop-canary (canary): somebody else is at work on it"
        );
        assert_eq!(outcome, "wave 1 of 3 did not begin: nothing was changed");
        assert_eq!(engine.asked(), ["refuse shop-canary 2.0.0"]);
    }
}

#[tokio::test(start_paused = true)]
async fn one_budget_is_for_all_waves_and_one_for_the_way_back() {
    let fleet = fleet(THREE);
    let engine = Scripted::serving(&fleet, "1.0.0")
        .when("shop-canary", "2.0.0", Does::Serves(400))
        .when("shop-eu", "2.0.0", Does::Hangs)
        .when("shop-eu", "1.0.0", Does::Serves(500));
    let mut world = World::new();
    world.plan.budget = Duration::from_secs(600);
    world.plan.rollback_budget = Duration::from_secs(550);
    let mut run = world.run();
    let begun = Instant::now();
    let (kind, cause, _) = end(deploy(&mut run, &engine, &fleet, "2.0.0").await);
    assert_eq!(kind, Kind::RolledBack);
    assert_eq!(cause, "shop-eu (eu): Deployment api 0/1 ready");
    let took = begun.elapsed();
    assert!(
        took > Duration::from_secs(1100) && took < Duration::from_secs(1110),
        "{took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_chart_that_moves_between_two_waves_stops_the_run() {
    let fleet = fleet(THREE);
    let moved = |kind| {
        let asked = Cell::new(0);
        async move |_: &Run<'_>| {
            asked.set(asked.get() + 1);
            let error = || Error::new(kind, "shop 2.0.0 is another chart now");
            if asked.get() > 1 {
                Err(error())
            } else {
                Ok(())
            }
        }
    };
    for (is, becomes) in [
        (Kind::Broken, Kind::Broken),
        (Kind::Registry, Kind::RolledBack),
    ] {
        let engine = Scripted::serving(&fleet, "1.0.0");
        let world = World::new();
        let mut run = world.run();
        let ended = deploy_while(&mut run, &engine, &fleet, "2.0.0", moved(is)).await;
        let (kind, cause, outcome) = end(ended);
        assert_eq!(kind, becomes);
        assert_eq!(cause, "shop 2.0.0 is another chart now");
        assert_eq!(
            outcome,
            "serves 2.0.0: shop-canary, shop-eu, shop-us; not touched: shop-asia"
        );
        assert!(!engine.asked().contains(&"apply shop-asia 2.0.0".to_owned()));
    }
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_noted_is_not_undone() {
    let fleet = fleet(THREE);
    let mut engine = Scripted::serving(&fleet, "1.0.0");
    engine.forgets = true;
    let world = World::new();
    let mut run = world.run();
    let (kind, cause, outcome) = end(deploy(&mut run, &engine, &fleet, "2.0.0").await);
    assert_eq!(kind, Kind::Broken);
    assert_eq!(
        cause,
        "shop-canary (canary): it is good, and that could not be noted: the API server does not answer"
    );
    assert!(
        outcome.starts_with("holds 2.0.0, not judged: shop-canary"),
        "{outcome}"
    );
    assert_eq!(engine.asked(), ["apply shop-canary 2.0.0"]);
}

/// What a killed run left in a later wave is told, and not called whole.
#[tokio::test(start_paused = true)]
async fn what_an_earlier_run_left_in_a_later_wave_is_told() {
    let fleet = fleet(THREE);
    let engine = Scripted::serving(&fleet, "1.0.0")
        .with("shop-asia", |cluster| cluster.held = Some(wanted("1.5.0")))
        .when("shop-canary", "2.0.0", Does::Fails(5));
    let world = World::new();
    let mut run = world.run();
    let (kind, _, outcome) = end(deploy(&mut run, &engine, &fleet, "2.0.0").await);
    assert_eq!(kind, Kind::Broken);
    assert!(
        outcome.ends_with("holds 1.5.0, not judged: shop-asia"),
        "{outcome}"
    );
}

/// An engine that does not answer for a moment on the way back is asked on.
#[tokio::test(start_paused = true)]
async fn the_way_back_is_patient() {
    let fleet = fleet(&[&["shop-eu"]]);
    let world = World::new();
    for (back, kind) in [
        (Does::Stutters(20), Kind::RolledBack),
        (Does::Stutters(50), Kind::Broken),
    ] {
        let engine = Scripted::serving(&fleet, "1.0.0")
            .when("shop-eu", "2.0.0", Does::Fails(5))
            .when("shop-eu", "1.0.0", back);
        let mut run = world.run();
        let (is, _, outcome) = end(deploy(&mut run, &engine, &fleet, "2.0.0").await);
        assert_eq!(is, kind, "{outcome}");
    }
}
