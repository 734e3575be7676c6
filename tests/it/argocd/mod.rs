//! Three clusters that Argo CD deploys to: what it does by itself, and what `deploy` makes of it.

mod fleet;

use crate::harness::until;

use fleet::{Fleet, PLACES};

/// The testbed's own part, without `deploy`.
#[test]
fn an_application_becomes_healthy_on_each_cluster() {
    let fleet = Fleet::new("an_application");
    let images = fleet.first();
    for place in PLACES {
        fleet.runs(place, &images);
    }
}

/// What scenarios do to the testbed, and how Argo CD tells of it.
#[test]
fn its_parts_and_a_cluster_can_be_away() {
    let fleet = Fleet::alone("away");
    fleet.first();
    for part in ["argocd-application-controller", "argocd-repo-server"] {
        fleet.stop(part);
        fleet.start(part);
    }
    fleet.offline("us");
    let images = fleet.images("t2");
    for place in ["canary", "us"] {
        fleet.application(place, "0.1.0", &images);
    }
    fleet.runs("canary", &images);
    until("Argo CD tells that it cannot reach the cluster", || {
        fleet.of("us")["status"]["sync"]["status"] == "Unknown"
    });
    fleet.online("us");
    fleet.runs("us", &images);
}
