//! What a deploy meets in clusters that others use too: each has its exit code and its words.

use serde_json::{Value, json};

use super::fleet::{Fleet, PLACES};

/// Sends a signal with new images, which must end so.
#[track_caller]
fn ends(fleet: &Fleet, tag: &str, code: i32, says: &[&str]) {
    let images = fleet.images(tag);
    let ran = fleet.signal("0.1.0", &images).run();
    ran.exits(code);
    for text in says {
        ran.says(text);
    }
}

/// Somebody else owns the version of one: they are named, and nothing is touched anywhere.
#[test]
fn a_foreign_owner_of_a_field_is_named() {
    let fleet = Fleet::new("owner");
    let old = fleet.first();
    let mut source = fleet.open("eu");
    source["targetRevision"] = "0.1.0".into();
    fleet.application("eu", &source);
    fleet.node.push(&super::fleet::shop("0.2.0"));
    let images = fleet.images("t2");
    let ran = fleet.signal("0.2.0", &images).run();
    ran.exits(4).says("people").says("targetRevision");
    for place in PLACES {
        fleet.runs(place, &old);
    }
}

/// A window keeps Argo CD from syncing: it is told as that, before time is up.
#[test]
fn a_closed_sync_window_is_told() {
    let fleet = Fleet::new("window");
    let old = fleet.first();
    let project = |windows: Value| {
        json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "AppProject",
            "metadata": {"name": fleet.node.name, "namespace": "argocd"},
            "spec": {
                "sourceRepos": ["*"],
                "destinations": [{"namespace": "*", "server": "*"}],
                "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
                "syncWindows": windows,
            },
        })
    };
    let always = json!([{
        "kind": "deny",
        "schedule": "* * * * *",
        "duration": "24h",
        "applications": ["*"],
    }]);
    fleet.apply("canary", &project(always));
    fleet.patch("eu", &json!({"spec": {"project": fleet.node.name}}));
    ends(&fleet, "t2", 7, &["sync window"]);
    fleet.runs("eu", &old);
}

/// A sync that somebody else asked for, and that Argo CD tries again and again, is
/// waited for a while and never ended.
#[test]
fn an_operation_of_somebody_else_is_left_alone() {
    let fleet = Fleet::new("other");
    let old = fleet.first();
    fleet.patch(
        "eu",
        &json!({"operation": {
            "initiatedBy": {"username": "eve"},
            "sync": {"revision": "9.9.9"},
            "retry": {"limit": 1000, "backoff": {"duration": "1s", "factor": 1, "maxDuration": "10m"}},
        }}),
    );
    ends(&fleet, "t2", 9, &["asked for by 'eve'"]);
    for place in PLACES {
        fleet.runs(place, &old);
    }
}

/// A cluster that does not answer, and of which Argo CD still tells the health of before.
#[test]
fn an_offline_cluster_is_said_to_be_that() {
    let fleet = Fleet::alone("offline");
    let old = fleet.first();
    fleet.offline("us");
    ends(
        &fleet,
        "t2",
        8,
        &["connection refused", "needs manual action"],
    );
    let outcomes = fleet.outcomes();
    assert_eq!(outcomes, ["deployed", "deployed", "failed"]);
    fleet.online("us");
    fleet.runs("us", &old);
}
