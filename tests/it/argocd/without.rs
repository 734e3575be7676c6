//! A part of Argo CD, or a cluster, that goes away: a scenario that has the testbed for itself. It
//! comes last by its name, so that none of the others waits for it.

use std::time::Duration;

use testbed::image::Spec;

use super::fleet::Fleet;
use super::killed::{converges, instants};
use crate::harness::{soak, until};

#[test]
fn what_goes_away_is_told() {
    let fleet = Fleet::alone("without");
    let first = fleet.first();
    let old = part(&fleet, first);
    cluster(&fleet, &old);
}

/// The next signal converges. Gives the images that run then, before which these do.
fn part(fleet: &Fleet, mut runs: [String; 2]) -> [String; 2] {
    let parts = ["argocd-application-controller", "argocd-repo-server"];
    let instants = instants("kills of Argo CD", &[1_500], 20);
    for (count, (instant, part)) in instants
        .into_iter()
        .zip(parts.into_iter().cycle())
        .enumerate()
    {
        let images = fleet.images(&format!("killed-{count}"));
        let mut running = fleet.signal("0.1.0", &images).start();
        if !running.ends_within(instant) {
            fleet.stop(part);
            fleet.start(part);
        }
        running.wait();
        runs = converges(fleet, &format!("after-{count}"), instant);
    }
    runs
}

/// Offline before its wave: Argo CD still tells the health of before, which counts for nothing.
fn cluster(fleet: &Fleet, old: &[String; 2]) {
    fleet.configures("rollback_timeout = \"3s\"");
    fleet.offline("us");
    let stale = fleet.of("us")["status"].clone();
    assert_eq!(stale["health"]["status"], "Healthy", "{stale}");
    assert_eq!(stale["sync"]["status"], "Synced", "{stale}");
    let before = fleet.signal("0.1.0", &fleet.images("t2")).run();
    before.exits(8).says("cannot reach the cluster 'us'");
    assert_eq!(fleet.outcomes(), ["deployed", "deployed", "unknown"]);
    fleet.online("us");
    fleet.runs("us", old);
    if soak::is_on() {
        later(fleet);
    }
}

/// After its wave was judged good nothing is said of it any more; during its wave nobody knows what
/// it serves.
fn later(fleet: &Fleet) {
    let slow = || Spec::behaving("slow-start 5s");
    let images = ["api", "web"].map(|key| fleet.node.image_with(key, "t3", slow()).by_tag());
    let mut running = fleet.signal("0.1.0", &images).start();
    until("the last wave is synced", || {
        assert!(!running.ends_within(Duration::ZERO), "it has ended");
        let of = fleet.of("us");
        of["status"]["operationState"]["phase"] == "Succeeded"
            && of["status"]["health"]["status"] == "Progressing"
    });
    fleet.offline("eu");
    fleet.offline("us");
    let ran = running.wait();
    ran.exits(8)
        .says("its cluster does not answer: nobody knows what it serves")
        .never_says("(eu): its cluster");
    assert_eq!(
        fleet.outcomes(),
        ["deployed", "deployed", "unknown"],
        "{}",
        ran.told()
    );
    for place in ["eu", "us"] {
        fleet.online(place);
        // One that holds a lease loses it with its cluster, and starts anew.
        let manager = format!("kube-controller-manager-{place}");
        fleet.stop(&manager);
        fleet.start(&manager);
    }
    converges(fleet, "after", "clusters that were offline");
}
