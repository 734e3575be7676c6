//! What a deploy meets in clusters that others use too: each has its exit code and its words.

use serde_json::json;

use super::fleet::{Fleet, PLACES, shop};
use crate::harness::until;

/// One after the other: each leaves Applications that the next can begin with.
#[test]
fn each_state_has_its_exit_code_and_words() {
    let fleet = Fleet::new("states");
    owned(&fleet);
    let old = fleet.first();
    moved(&fleet, &old);
    window(&fleet, &old);
    other(&fleet, &old);
}

/// Argo CD by itself, and then a signal: somebody else still owns the version of one Application.
/// They are named, and nothing is touched anywhere.
fn owned(fleet: &Fleet) {
    let old = fleet.by_people();
    for place in ["canary", "us"] {
        fleet.application(place, &fleet.open(place));
    }
    fleet.node.push(&shop("0.2.0"));
    let ran = fleet.signal("0.2.0", &fleet.images("t2")).run();
    ran.exits(4).says("people").says("targetRevision");
    for place in PLACES {
        fleet.runs(place, &old);
    }
}

/// A dry run proves for each Application, and changes none. A chart that is moved while the first
/// wave is at work is never asked of the second.
fn moved(fleet: &Fleet, old: &[String; 2]) {
    fleet.configures("argocd.bake = \"1s\"");
    let images = fleet.images("t2");
    let before = PLACES.map(|place| fleet.untouched(place));
    let dry = fleet.signal("0.2.0", &images).arg("--dry-run").run();
    dry.exits(0);
    for place in PLACES {
        dry.says(&format!("{}: 0.1.0 → 0.2.0", fleet.app(place)));
    }
    assert_eq!(before, PLACES.map(|place| fleet.untouched(place)));

    let running = fleet.signal("0.2.0", &images).start();
    until("the first wave is at work", || {
        fleet.of("canary")["spec"]["source"]["targetRevision"] == "0.2.0"
    });
    let other = shop("0.2.0").with("moved.txt", "another content\n");
    fleet.node.push(&other);
    let ran = running.wait();
    ran.exits(8)
        .says("has to stay good for 1s")
        .says("the chart was moved meanwhile");
    assert_eq!(fleet.outcomes(), ["deployed", "not-reached", "not-reached"]);
    assert_eq!(before[1..], [fleet.untouched("eu"), fleet.untouched("us")]);
    fleet.runs("canary", &images);
    fleet.runs("eu", old);
}

/// A window keeps Argo CD from syncing: it is told as that, before time is up.
fn window(fleet: &Fleet, old: &[String; 2]) {
    let always = json!([{
        "kind": "deny",
        "schedule": "* * * * *",
        "duration": "24h",
        "applications": ["*"],
    }]);
    let project = json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AppProject",
        "metadata": {"name": fleet.node.name, "namespace": "argocd"},
        "spec": {
            "sourceRepos": ["*"],
            "destinations": [{"namespace": "*", "server": "*"}],
            "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
            "syncWindows": always,
        },
    });
    fleet.apply("canary", &project);
    fleet.patch("eu", &json!({"spec": {"project": fleet.node.name}}));
    let ran = fleet.signal("0.1.0", &fleet.images("t3")).run();
    ran.exits(7).says("sync window");
    fleet.runs("eu", old);
}

/// A sync that somebody else asked for, and that Argo CD tries again and again, is waited for a
/// while and never ended.
fn other(fleet: &Fleet, old: &[String; 2]) {
    fleet.configures("lock_timeout = \"1s\"");
    fleet.patch(
        "us",
        &json!({"operation": {
            "initiatedBy": {"username": "eve"},
            "sync": {"revision": "9.9.9"},
            "retry": {"limit": 1000, "backoff": {"duration": "1s", "factor": 1, "maxDuration": "10m"}},
        }}),
    );
    let before = fleet.of("canary")["spec"].clone();
    let ran = fleet.signal("0.1.0", &fleet.images("t4")).run();
    ran.exits(9).says("asked for by 'eve'");
    assert_eq!(before, fleet.of("canary")["spec"]);
    assert_eq!(
        fleet.of("us")["operation"]["initiatedBy"]["username"],
        "eve"
    );
    fleet.runs("us", old);
}
