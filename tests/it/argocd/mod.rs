//! Three clusters that Argo CD deploys to: what it does by itself, and what `deploy` makes of it.

mod failing;
mod fleet;
mod killed;
mod states;
mod waves;

use fleet::{Fleet, PLACES};

/// The testbed's own part, without `deploy`.
#[test]
fn an_application_becomes_healthy_on_each_cluster() {
    let fleet = Fleet::new("an_application");
    let images = fleet.by_people();
    for place in PLACES {
        fleet.runs(place, &images);
    }
}
