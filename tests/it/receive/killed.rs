//! A receiver that is killed: the client never takes it for a success, the next
//! signal converges, and each run that was taken has its end in the journal.
//!
//! Three fixed instants; with `DEPLOY_SOAK` so many by `DEPLOY_SOAK_SEED`.

#![expect(
    clippy::print_stdout,
    reason = "an instant that fails is named, so that it can be repeated"
)]

use std::collections::BTreeSet;
use std::time::Duration;

use rustix::process::Signal;

use super::{Receiver, Running, Site};
use crate::harness::process::{descendants, kill};
use crate::harness::soak::{self, Dice};
use crate::harness::{Helm, until};

/// The most that a good signal takes, more or less, in milliseconds.
const GOOD: u64 = 1800;

/// What is killed: the receiver by itself, or with all that it began, as systemd does.
#[derive(Clone, Copy, Debug)]
enum Victim {
    Receiver,
    Unit,
}

impl Victim {
    fn kill(self, mut receiver: Receiver) {
        let own = receiver.0.id();
        let below = match self {
            Self::Receiver => Vec::new(),
            Self::Unit => descendants(own),
        };
        kill(own);
        below.into_iter().for_each(kill);
        let _ = receiver.0.wait();
    }
}

impl Site {
    /// The runs of the receiver's journal, with their exit codes.
    fn ends(&self) -> Vec<(String, u64)> {
        let lines = self.journal().into_iter();
        lines
            .map(|line| {
                let run = line["run"].as_str().unwrap().to_owned();
                (run, line["exit"].as_u64().unwrap())
            })
            .collect()
    }

    /// Kills it, and holds what the client says against what is known then; gives the
    /// runs whose ends have to be in the journal later.
    fn strike(&self, victim: Victim, receiver: Receiver, running: Running) -> BTreeSet<String> {
        victim.kill(receiver);
        let taken = self.open_runs();
        let ran = running.wait();
        let run = self.node.journal().last().unwrap()["run"].clone();
        let ends = self.ends();
        let known = ends.iter().find(|(id, _)| run == **id);
        match ran.status.code() {
            Some(0) => assert_eq!(known.map(|(_, exit)| *exit), Some(0), "{}", ran.told()),
            // Nobody listened any more when it was sent.
            Some(3) => assert!(known.is_none() && taken.is_empty(), "{}", ran.told()),
            Some(8) => drop(ran.says("whether it was deployed is not known")),
            _ => panic!("{}", ran.told()),
        }
        println!("  {}", ran.status);
        taken
    }

    /// The next signal through a new receiver deploys, and nothing is left open.
    fn converges(&self, tag: &str, taken: &BTreeSet<String>) -> Receiver {
        let receiver = self.receiver();
        self.signal(tag).wait().exits(0);
        let running = self.node.running();
        let asked = self.node.image("api", tag).by_tag();
        assert!(running.contains(&asked), "{running:?}");
        until("no run is open", || self.open_runs().is_empty());
        let ends: Vec<String> = self.ends().into_iter().map(|(run, _)| run).collect();
        let once: BTreeSet<String> = ends.iter().cloned().collect();
        assert_eq!(ends.len(), once.len(), "a run ends once: {ends:?}");
        assert!(taken.is_subset(&once), "{taken:?} {ends:?}");
        receiver
    }
}

/// The instants: fixed ones, counted from when the deploy has its lock, or drawn ones
/// from before the receiver is reached to after the deploy's end.
fn instants() -> Vec<(Duration, Victim)> {
    let Some(rounds) = soak::rounds() else {
        let fixed = [
            (0, Victim::Receiver),
            (150, Victim::Unit),
            (700, Victim::Unit),
        ];
        return fixed
            .map(|(after, victim)| (Duration::from_millis(after), victim))
            .into();
    };
    let mut dice = Dice::new("a killed receiver", Helm::V3);
    (0..rounds)
        .map(|_| {
            let after = Duration::from_millis(dice.below(GOOD * 5 / 4));
            let victims = [Victim::Receiver, Victim::Unit];
            (after, victims[usize::from(dice.below(2) == 0)])
        })
        .collect()
}

#[test]
fn a_receiver_that_is_killed_leaves_nothing_to_mend() {
    let site = Site::new("killed-receiver", "");
    let node = &site.node;
    node.shop("0.1.0");
    let lock = format!("state/locks/{0}.{0}.lock", node.name);
    let held = || std::fs::read(site.inside(&lock)).unwrap_or_default();
    let is_soak = soak::is_on();
    let mut taken = BTreeSet::new();
    for (round, (after, victim)) in instants().into_iter().enumerate() {
        println!("{round}: {victim:?} after {after:?}");
        let receiver = site.receiver();
        let before = held();
        let running = site.signal(&format!("k{round}"));
        if !is_soak {
            until("the deploy has its lock", || held() != before);
        }
        std::thread::sleep(after);
        let open = site.strike(victim, receiver, running);
        assert!(is_soak || !open.is_empty(), "it was struck at work");
        taken.extend(open);
        if is_soak {
            drop(site.converges(&format!("t{round}"), &taken));
        }
    }
    let receiver = site.converges("after", &taken);

    // Told to stop: what it took goes on to its end, and nothing new is taken.
    let before = held();
    let running = site.signal("last");
    until("the deploy has its lock", || held() != before);
    receiver.signal(Signal::TERM);
    running.wait().exits(0);
    assert_eq!(receiver.ends(), Some(0));
    site.signal("none").wait().exits(3).says("is not there");
}
