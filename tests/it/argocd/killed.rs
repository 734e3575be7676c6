//! Kills of `deploy` at any instant: the next signal converges, and each cluster serves one version
//! whole.
//!
//! `cargo test` goes through a few that are always the same; `DEPLOY_SOAK` and `DEPLOY_SOAK_SEED`
//! make them many and random.

use std::time::Duration;

use rustix::process::Signal;

use super::fleet::{Fleet, PLACES};
use crate::harness::Helm;
use crate::harness::soak::{self, Dice};

/// The most that a good signal through three waves takes, more or less.
const GOOD: Duration = Duration::from_secs(12);

/// What `cargo test` takes: in a later wave, when the first serves already.
const FIXED: [u64; 1] = [6_000];

/// The rounds of a soak, where nobody says how many.
const ROUNDS: u64 = 50;

/// The instants to kill at: these, or so many random ones in a soak of fifty rounds.
pub(super) fn instants(what: &str, fixed: &[u64], soak: u64) -> Vec<Duration> {
    let Some(rounds) = soak::rounds() else {
        return fixed.iter().copied().map(Duration::from_millis).collect();
    };
    let mut dice = Dice::new(what, Helm::V3);
    let good = u64::try_from(GOOD.as_millis()).unwrap();
    (0..rounds * soak / ROUNDS)
        .map(|_| Duration::from_millis(dice.below(good)))
        .collect()
}

#[test]
fn after_a_killed_deploy_the_next_signal_converges() {
    let fleet = Fleet::new("killed");
    fleet.first();
    for (count, instant) in instants("kills of deploy", &FIXED, 30)
        .into_iter()
        .enumerate()
    {
        let images = fleet.images(&format!("killed-{count}"));
        let mut running = fleet.signal("0.1.0", &images).start();
        if !running.ends_within(instant) {
            running.signal(Signal::KILL);
        }
        running.wait();
        converges(&fleet, &format!("after-{count}"), instant);
    }
}

/// The next signal deploys what it asks for, and nothing else runs in any cluster. Gives its images.
#[track_caller]
pub(super) fn converges(fleet: &Fleet, tag: &str, when: impl std::fmt::Debug) -> [String; 2] {
    let images = fleet.images(tag);
    let ran = fleet.signal("0.1.0", &images).run();
    assert!(ran.status.success(), "after {when:?}: {}", ran.told());
    for place in PLACES {
        fleet.runs(place, &images);
    }
    images
}
