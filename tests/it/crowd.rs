//! Many signals for several apps at once: one after the other for each app, all
//! apps beside each other, and none is lost.
//!
//! By default five signals for each of four apps; with `DEPLOY_SOAK` ten for ten, and
//! then they are held against the longest chain, on a machine that does nothing else.

#![expect(clippy::print_stdout, reason = "the figures of a soak")]

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;

use crate::harness::{Helm, Node, soak};

/// A run of the journal, in milliseconds.
#[derive(Debug, PartialEq)]
struct Run {
    /// When it began, and how long it waited for the lock.
    begun: i64,
    waited: i64,
    /// How long the phases took in which it held the lock.
    held: i64,
    /// How long all of it took: with what lies between phases, and behind them,
    /// when the lock is free again.
    took: i64,
}

impl Run {
    fn of(line: &Value) -> Self {
        let at: Timestamp = line["at"].as_str().unwrap().parse().unwrap();
        let laps = line["phases"].as_array().unwrap();
        let (lock, rest): (Vec<&Value>, Vec<&Value>) =
            laps.iter().partition(|lap| lap["phase"] == "lock");
        let sum = |laps: Vec<&Value>| laps.iter().map(|lap| lap["ms"].as_i64().unwrap()).sum();
        Self {
            begun: at.as_millisecond(),
            waited: sum(lock),
            held: sum(rest),
            took: line["took_ms"].as_i64().unwrap(),
        }
    }

    /// The latest time at which it can have got the lock.
    fn locked(&self) -> i64 {
        self.begun + self.took - self.held
    }

    /// The earliest time at which it can have let it go.
    fn free(&self) -> i64 {
        self.begun + self.waited + self.held
    }
}

#[test]
fn many_signals_at_once() {
    let soak = soak::is_on();
    let (apps, signals) = if soak { (10, 10) } else { (4, 5) };
    let nodes: Vec<Node> = (0..apps)
        .map(|app| {
            let node = Node::new("crowd", if app % 2 == 0 { Helm::V3 } else { Helm::V4 });
            node.shop("0.1.0");
            node.image("web", "t1");
            (0..signals).for_each(|signal| drop(node.image("api", &format!("t{signal}"))));
            node
        })
        .collect();
    let image =
        |node: &Node, key: &str, tag: &str| format!("ghcr.io/{}/shop/{key}:{tag}", node.name);
    let begun = Instant::now();
    let running: Vec<_> = (0..signals)
        .flat_map(|signal| nodes.iter().map(move |node| (node, format!("t{signal}"))))
        .map(|(node, tag)| {
            let (api, web) = (image(node, "api", &tag), image(node, "web", "t1"));
            node.signal("0.1.0")
                .image("api", api)
                .image("web", web)
                .start()
        })
        .collect();
    for ran in running {
        ran.wait().exits(0);
    }
    let wall = begun.elapsed();

    let mut longest = Duration::ZERO;
    for node in &nodes {
        let journal = node.journal();
        assert_eq!(journal.len(), signals, "none is lost");
        let mut runs: Vec<_> = journal.iter().map(Run::of).collect();
        runs.sort_unstable_by_key(Run::locked);
        let overlap = runs
            .windows(2)
            .find(|pair| pair[0].free() > pair[1].locked());
        assert_eq!(overlap, None, "{runs:?}");
        let chain = runs.iter().map(|run| run.took - run.waited).sum::<i64>();
        longest = longest.max(Duration::from_millis(chain.try_into().unwrap()));
        let last = journal
            .iter()
            .max_by_key(|line| line["revision"].as_u64())
            .unwrap();
        assert_eq!(last["revision"], signals, "{last}");
        let asked = last["request"]["images"]["api"].as_str().unwrap();
        node.runs(&[asked, &image(node, "web", "t1")]);
    }
    let ratio = wall.as_secs_f64() / longest.as_secs_f64();
    println!(
        "{apps} apps, {signals} signals each: {wall:?}, the longest chain {longest:?}, ratio {ratio:.3}"
    );
    assert!(
        !soak || ratio < 1.2,
        "{wall:?} for a longest chain of {longest:?}"
    );
}
