//! What a deploy in waves does, in which order, and how it ends: with an engine that is a
//! script, in time that does not pass.

#![allow(clippy::unwrap_used)]

mod by_hand;
mod ended_early;
mod failed;
mod killed;
mod scripted;

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::targets::Targets;
use super::{in_order, preflight};
use crate::error::{Error, Kind, Result};
use crate::event::waves::TargetReport;
use crate::pipeline::context::Run;
use crate::pipeline::tests::world::World;
use crate::plan::fleet::Fleet;
use scripted::{Does, Scripted, fleet, wanted};

const THREE: &[&[&str]] = &[&["shop-canary"], &["shop-eu", "shop-us"], &["shop-asia"]];

/// The whole of a run but the look at chart and images.
async fn deploy(run: &mut Run<'_>, engine: &Scripted, fleet: &Fleet, version: &str) -> Result<()> {
    deploy_while(run, engine, fleet, version, async |_: &Run<'_>| Ok(())).await
}

/// The same, where this tells whether the chart still is what was proven.
async fn deploy_while(
    run: &mut Run<'_>,
    engine: &Scripted,
    fleet: &Fleet,
    version: &str,
    is_same: impl AsyncFn(&Run<'_>) -> Result<()>,
) -> Result<()> {
    let found = preflight::observe(run, engine, fleet).await?;
    let all = fleet
        .targets()
        .map(|target| (target.clone(), wanted(version)));
    let mut targets = Targets::new(fleet, found, all.collect::<BTreeMap<_, _>>())?;
    in_order(run, engine, fleet.bake, &mut targets, is_same).await
}

/// `target version outcome` of each.
fn told(targets: &[TargetReport]) -> Vec<String> {
    let line = |target: &TargetReport| {
        let version = target.version.as_deref().unwrap_or("?");
        format!("{} {version} {}", target.name, target.outcome.name())
    };
    targets.iter().map(line).collect()
}

/// How it ended: kind, cause, what became of it.
fn end(result: Result<()>) -> (Kind, String, String) {
    let error: Error = result.unwrap_err();
    let first = error.hints().first().cloned().unwrap_or_default();
    (error.kind(), error.to_string(), first)
}

#[tokio::test(start_paused = true)]
async fn waves_come_one_after_the_other_and_the_targets_of_one_at_once() {
    let fleet = fleet(THREE);
    let engine = Scripted::serving(&fleet, "1.0.0")
        .when("shop-eu", "2.0.0", Does::Serves(30))
        .when("shop-us", "2.0.0", Does::Serves(20));
    let world = World::new();
    let mut run = world.run();
    let begun = Instant::now();
    deploy(&mut run, &engine, &fleet, "2.0.0").await.unwrap();
    // The slowest of each wave, and a moment for the requests.
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(33), "{took:?}");
    assert_eq!(
        engine.calls.take(),
        [
            "apply shop-canary 2.0.0",
            "note shop-canary 2.0.0",
            "apply shop-eu 2.0.0",
            "apply shop-us 2.0.0",
            "note shop-eu 2.0.0",
            "note shop-us 2.0.0",
            "apply shop-asia 2.0.0",
            "note shop-asia 2.0.0",
        ]
    );
    assert_eq!(
        told(&run.facts.targets),
        [
            "shop-canary 2.0.0 deployed",
            "shop-eu 2.0.0 deployed",
            "shop-us 2.0.0 deployed",
            "shop-asia 2.0.0 deployed",
        ]
    );
    let said = world.said();
    for line in [
        "wave 2 of 3: shop-eu, shop-us\n",
        "shop-eu (eu): asked to serve 2.0.0\n",
        "shop-eu (eu): Deployment api 0/1 ready\n",
        "shop-eu (eu): serves 2.0.0\n",
        "wave 2 of 3 is good after 30s\n",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    // The same once more: nothing is asked of anybody.
    let mut again = world.run();
    deploy(&mut again, &engine, &fleet, "2.0.0").await.unwrap();
    assert_eq!(engine.calls.take(), Vec::<String>::new());
    let outcomes = told(&again.facts.targets);
    assert!(
        outcomes
            .iter()
            .all(|line| line.ends_with("2.0.0 unchanged"))
    );
}

#[tokio::test(start_paused = true)]
async fn twenty_targets_of_one_wave_take_as_long_as_the_slowest() {
    let names: Vec<String> = (0..20).map(|number| format!("shop-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let fleet = fleet(&[&names]);
    let engine = Scripted::serving(&fleet, "1.0.0").when("shop-7", "2.0.0", Does::Serves(40));
    let world = World::new();
    let begun = Instant::now();
    let mut run = world.run();
    deploy(&mut run, &engine, &fleet, "2.0.0").await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(41));
    assert_eq!(engine.asked().len(), 20);
}

#[tokio::test(start_paused = true)]
async fn a_wave_has_to_stay_good_before_the_next_begins() {
    let mut fleet = fleet(THREE);
    fleet.bake = Duration::from_secs(3600);
    let engine = Scripted::serving(&fleet, "1.0.0");
    let mut world = World::new();
    world.plan.budget = Duration::from_secs(60);
    let mut run = world.run();
    let begun = Instant::now();
    // The time that the node chose to wait is none of the budget.
    deploy(&mut run, &engine, &fleet, "2.0.0").await.unwrap();
    assert!(begun.elapsed() > Duration::from_secs(7200));
    assert!(
        world
            .said()
            .contains("wave 1 of 3 serves it, and has to stay good for 1h")
    );

    let engine = Scripted::serving(&fleet, "1.0.0").when("shop-us", "2.0.0", Does::Degrades(600));
    let mut run = world.run();
    let (kind, cause, outcome) = end(deploy(&mut run, &engine, &fleet, "2.0.0").await);
    assert_eq!(kind, Kind::RolledBack);
    assert_eq!(
        cause,
        "shop-us (us): it did not stay good for 1h: api: container api crashed after 600 s"
    );
    assert_eq!(
        outcome,
        "wave 2 of 3 failed; serves 2.0.0: shop-canary; rolled back to 1.0.0: shop-eu, shop-us; not touched: shop-asia"
    );
    // Nothing was judged good that was not.
    assert_eq!(
        engine.left(),
        [
            "shop-asia 1.0.0",
            "shop-canary 2.0.0",
            "shop-eu 1.0.0",
            "shop-us 1.0.0"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_does_not_answer_for_a_moment_is_asked_again() {
    let fleet = fleet(&[&["shop-eu"]]);
    let engine = Scripted::serving(&fleet, "1.0.0").when("shop-eu", "2.0.0", Does::Stutters(3));
    let world = World::new();
    let mut run = world.run();
    deploy(&mut run, &engine, &fleet, "2.0.0").await.unwrap();
    assert_eq!(engine.asked(), ["apply shop-eu 2.0.0"]);
    assert!(world.said().contains("does not answer; it is asked again"));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_touched_where_one_target_cannot_be_worked_on() {
    let fleet = fleet(THREE);
    let engine = Scripted::serving(&fleet, "1.0.0")
        .when("shop-us", "look", Does::Refuses(Kind::Locked))
        .when("shop-asia", "look", Does::Refuses(Kind::Node));
    let world = World::new();
    let mut run = world.run();
    let error = deploy(&mut run, &engine, &fleet, "2.0.0")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Locked);
    assert_eq!(error.to_string(), "shop-us: it cannot be worked on");
    assert_eq!(error.evidence(), ["shop-asia: it cannot be worked on"]);
    assert_eq!(engine.calls.take(), Vec::<String>::new());
}
