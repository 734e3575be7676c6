//! `deploy rollback` of an app in several clusters.

use super::super::by_hand::to_what_is_good;
use super::super::{in_order, preflight};
use super::scripted::{Does, Scripted, fleet, wanted};
use super::{THREE, told};
use crate::error::{Exit, Kind};
use crate::pipeline::tests::world::World;
use crate::state::journal::{self, Entry, RecordedTarget};

#[tokio::test(start_paused = true)]
async fn every_target_goes_back_to_its_last_good_version() {
    let fleet = fleet(THREE);
    // As on_failure = "keep" and a killed run leave it.
    let engine = Scripted::serving(&fleet, "1.0.0")
        .with("shop-canary", |cluster| {
            cluster.held = Some(wanted("2.0.0"));
        })
        .with("shop-us", |cluster| cluster.held = Some(wanted("2.0.0")))
        .with("shop-asia", |cluster| cluster.good = None);
    let world = World::new();
    let mut run = world.run();
    let found = preflight::observe(&run, &engine, &fleet).await.unwrap();
    let mut targets = to_what_is_good::<Scripted>(&run, &fleet, found).unwrap();
    let same = async |_: &crate::pipeline::Run<'_>| Ok(());
    in_order(&mut run, &engine, fleet.bake, &mut targets, same)
        .await
        .unwrap();
    assert_eq!(
        engine.asked(),
        ["apply shop-canary 1.0.0", "apply shop-us 1.0.0"]
    );
    assert_eq!(
        told(&run.facts.targets),
        [
            "shop-canary 1.0.0 deployed",
            "shop-eu 1.0.0 unchanged",
            "shop-us 1.0.0 deployed",
        ]
    );
    assert!(world.said().contains("shop-asia is left as it is"));

    // It fails as a deploy does: nothing else is good there.
    let engine = engine
        .when("shop-eu", "1.0.0", Does::Fails(2))
        .with("shop-eu", |cluster| cluster.held = Some(wanted("2.0.0")));
    let mut run = world.run();
    let found = preflight::observe(&run, &engine, &fleet).await.unwrap();
    let mut targets = to_what_is_good::<Scripted>(&run, &fleet, found).unwrap();
    let ended = in_order(&mut run, &engine, fleet.bake, &mut targets, same).await;
    assert_eq!(ended.unwrap_err().kind(), Kind::Broken);
}

#[tokio::test(start_paused = true)]
async fn where_all_is_good_the_run_to_go_back_to_has_to_be_named() {
    let fleet = fleet(THREE);
    let engine = Scripted::serving(&fleet, "2.0.0");
    let world = World::new();
    let run = world.run();
    let ask = async || {
        let found = preflight::observe(&run, &engine, &fleet).await.unwrap();
        to_what_is_good::<Scripted>(&run, &fleet, found).unwrap_err()
    };
    let error = ask().await;
    assert_eq!(error.kind(), Kind::Request);
    assert_eq!(
        error.hints(),
        ["deploy history shop lists the runs of this node"]
    );
    // Those of the journal that deployed.
    let target = RecordedTarget {
        name: "shop-eu".to_owned(),
        wave: 1,
        cluster: "eu".to_owned(),
        outcome: "deployed".to_owned(),
        version: None,
        cause: None,
    };
    for (number, version, exit) in [
        (1, "1.0.0", Exit::Deployed),
        (2, "1.5.0", Exit::Failed(Kind::RolledBack)),
        (3, "2.0.0", Exit::Deployed),
        (4, "2.0.0", Exit::Deployed),
    ] {
        let entry = journal::tests::entry("shop", exit);
        let mut request = entry.request.clone();
        version.clone_into(&mut request.version);
        let entry = Entry {
            run: format!("20261124T175106Z-00000{number}").parse().unwrap(),
            request,
            targets: vec![target.clone()],
            release: Some(world.plan.release.name.clone()),
            namespace: Some(world.plan.release.namespace.clone()),
            ..entry
        };
        journal::append(&world.plan.state, &entry).unwrap();
    }
    assert_eq!(
        ask().await.hints(),
        ["the last one before, of version 1.0.0: deploy rollback shop 20261124T175106Z-000001"]
    );
}
