//! A deploy that is stopped (Ctrl-Z, a paused machine) at any instant for longer than
//! its Lease lasts, while another machine waits: never two helms at work on the release,
//! never a lost record, and what each is told in the end is true.
//!
//! `cargo test` goes through one instant with each Helm, always the same; `DEPLOY_SOAK`
//! through 15, by `DEPLOY_SOAK_SEED`.

#![expect(
    clippy::print_stdout,
    reason = "an instant that fails is named, so that it can be repeated"
)]

use std::sync::Mutex;
use std::time::Duration;

use rustix::process::Signal;
use testbed::chart::{Hook, Shop};

use crate::harness::process::helms_that_write;
use crate::harness::soak::{self, Dice};
use crate::harness::{Helm, Node, until};

/// How many instants with each Helm in a soak, and how many at a time.
const SOAK: u64 = 15;
const AT_ONCE: usize = 3;

/// The longest that a good deploy of this chart takes, more or less.
const WHOLE: u64 = 7000;

fn stop_at(helm: Helm, instant: Duration) {
    let node = Node::new("paused", helm);
    let other = node.elsewhere("node-b");
    let hook = Hook {
        args: ["once", "once-sleep 2s"].map(str::to_owned).to_vec(),
        ..Hook::default()
    };
    node.push(&Shop::new("shop", "0.1.0").grace(1).hook(hook).chart());
    let web = node.image("web", "t1").by_tag();
    let image = |tag: &str| node.image("api", tag).by_tag();
    let images = ["t1", "t2", "t3", "t4"].map(image);
    let signal = |on: &'_ Node, api: &str| {
        let signal = on.signal("0.1.0").image("api", api).image("web", &web);
        signal.start()
    };
    signal(&node, &images[0]).wait().exits(0);

    let first = signal(&node, &images[1]);
    std::thread::sleep(instant);
    first.signal(Signal::STOP);
    let mut second = signal(&other, &images[2]);
    until("the other one has ended", || {
        let helms = helms_that_write(&node.name);
        assert!(helms.len() < 2, "two helms: {helms:?}");
        second.ends_within(Duration::from_millis(20))
    });
    let before = node.records();
    let second = second.wait();
    second.exits(0);
    first.signal(Signal::CONT);
    let first = first.wait();
    // It had ended, had not begun, or was overtaken.
    let told = format!(
        "{helm:?}, stopped after {instant:?}: {}\n{}",
        first.told(),
        second.told()
    );
    let code = first.status.code().unwrap();
    assert!(matches!(code, 0 | 9), "{told}");
    let records = node.records();
    assert!(
        records.starts_with(&before[..before.len() - 1]),
        "{before:?} {records:?} {told}"
    );
    let revisions: Vec<u32> = records.iter().map(|(revision, _)| *revision).collect();
    let expected: Vec<u32> = (1..=u32::try_from(records.len()).unwrap()).collect();
    assert_eq!(revisions, expected, "a record is lost: {told}");
    let deployed = records.iter().filter(|(_, status)| status == "deployed");
    assert_eq!(deployed.count(), 1, "{records:?} {told}");
    let last = node.journal().last().unwrap()["revision"].as_u64();
    let is_first = code == 0 && last == Some(records.len() as u64);
    node.runs(&[&images[if is_first { 1 } else { 2 }], &web]);

    signal(&node, &images[3]).wait().exits(0);
    node.runs(&[&images[3], &web]);
}

fn run(helm: Helm) {
    let mut dice = Dice::new("stopped", helm);
    let count = if soak::is_on() { SOAK } else { 1 };
    let instants = (0..count).map(|_| Duration::from_millis(dice.below(WHOLE)));
    let instants: Mutex<Vec<Duration>> = Mutex::new(instants.collect());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some(instant) = instants.lock().unwrap().pop() else {
                        return;
                    };
                    println!("stopped after {instant:?} with {helm:?}");
                    stop_at(helm, instant);
                }
            });
        }
    });
}

#[test]
fn helm3() {
    run(Helm::V3);
}

#[test]
fn helm4() {
    run(Helm::V4);
}
