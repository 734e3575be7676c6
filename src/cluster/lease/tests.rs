#![allow(clippy::unwrap_used)]

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease as Object;

use super::{
    LASTS, LeaseContext, LeaseDecision, LeaseHolder, LeaseView, Process, decide, held, released,
};
use crate::run;
use crate::run::RunId;

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// A holder on the machine with this boot; its process is the pid given.
pub(super) fn holder(run: &str, boot: &str, pid: u32, helm: Option<u32>) -> LeaseHolder {
    let lock = run::LockHolder {
        pid,
        started: 7,
        user: "runner".to_owned(),
        run: format!("20261124T175106Z-{run}").parse::<RunId>().unwrap(),
        url: Some("https://github.com/acme/shop/actions/runs/1".to_owned()),
        since: at(0),
        helm_began: helm.map(|_| at(5)),
        helm_ended: None,
    };
    LeaseHolder {
        lock,
        host: format!("host-of-{boot}"),
        boot: boot.to_owned(),
        pids: 1,
        helm: helm.map(|pid| Process { pid, started: 8 }),
    }
}

#[test]
fn what_is_written_is_read_again() {
    let mine = holder("aaaaaa", "one", 10, Some(11));
    let object = held(Object::default(), &mine, at(100));
    let seen = LeaseView::of(&object);
    assert_eq!(seen.known(), Some(&mine));
    assert_eq!((seen.renewed, seen.lasts), (Some(at(100)), LASTS));
    let line = seen.line();
    for said in [
        "20261124T175106Z-aaaaaa",
        "runner",
        "pid 10",
        "actions/runs/1",
        "host-of-one",
    ] {
        assert!(line.contains(said), "{line}");
    }
    let renewed = held(object.clone(), &mine, at(110)).spec.unwrap();
    let spec = object.spec.clone().unwrap();
    assert_eq!(renewed.acquire_time, spec.acquire_time);
    assert_eq!(renewed.lease_transitions, Some(0));
    let taken = held(object.clone(), &holder("bbbbbb", "two", 10, None), at(120));
    assert_eq!(taken.spec.unwrap().lease_transitions, Some(1));
    // The next one knows what helm was left.
    let free = LeaseView::of(&released(object));
    assert_eq!(
        (free.known(), free.last_helm().map(|helm| helm.began)),
        (None, Some(at(5)))
    );
    assert_eq!(free.line(), "nobody");
}

fn facts(me: &LeaseHolder, unchanged: u64) -> LeaseContext<'_> {
    LeaseContext {
        me,
        now: at(10_000),
        unchanged: Duration::from_secs(unchanged),
        stale_after: Duration::from_secs(3600),
    }
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn only_the_dead_are_succeeded() {
    let me = holder("aaaaaa", "one", 10, None);
    let lasts = LASTS.as_secs();
    // The process 20 and the helm 21 are gone; 30 and 31 live.
    let gone = |process: Process| process.pid < 30;
    let other_pids = LeaseHolder {
        pids: 2,
        ..holder("bbbbbb", "one", 20, None)
    };
    let no_boot = LeaseHolder {
        boot: String::new(),
        ..holder("bbbbbb", "", 20, None)
    };
    // holder, renewed (now is 10,000), seen unchanged for, decision
    for (what, other, renewed, unchanged, expected) in [
        ("mine", me.clone(), 9_990, 0, LeaseDecision::Take),
        (
            "dead here",
            holder("bbbbbb", "one", 20, None),
            9_999,
            0,
            LeaseDecision::Take,
        ),
        (
            "dead here, its helm too",
            holder("bbbbbb", "one", 20, Some(21)),
            9_999,
            0,
            LeaseDecision::Take,
        ),
        (
            "dead here, its helm not",
            holder("bbbbbb", "one", 20, Some(31)),
            9_999,
            999,
            LeaseDecision::Wait,
        ),
        (
            "stopped here, its helm not",
            holder("bbbbbb", "one", 30, Some(31)),
            9_000,
            999,
            LeaseDecision::Wait,
        ),
        (
            "stopped here, its helm is gone",
            holder("bbbbbb", "one", 30, Some(21)),
            9_000,
            lasts,
            LeaseDecision::Take,
        ),
        (
            "alive here, its helm is gone",
            holder("bbbbbb", "one", 30, Some(21)),
            9_000,
            lasts - 1,
            LeaseDecision::Wait,
        ),
        (
            "stopped here for too long",
            holder("bbbbbb", "one", 30, Some(31)),
            6_400,
            lasts,
            LeaseDecision::Take,
        ),
        (
            "in another container",
            other_pids,
            9_999,
            0,
            LeaseDecision::Wait,
        ),
        (
            "on a machine without boots",
            no_boot,
            9_999,
            0,
            LeaseDecision::Wait,
        ),
        (
            "elsewhere",
            holder("bbbbbb", "two", 20, None),
            9_999,
            lasts - 1,
            LeaseDecision::Wait,
        ),
        (
            "elsewhere, run out",
            holder("bbbbbb", "two", 30, None),
            9_999,
            lasts,
            LeaseDecision::Take,
        ),
        // Its clock may be wrong: what was seen counts.
        (
            "elsewhere, old",
            holder("bbbbbb", "two", 30, None),
            9_000,
            0,
            LeaseDecision::Wait,
        ),
        (
            "elsewhere, by a clock an hour behind",
            holder("bbbbbb", "two", 30, None),
            6_400,
            lasts - 1,
            LeaseDecision::Wait,
        ),
        (
            "elsewhere, stale",
            holder("bbbbbb", "two", 30, None),
            6_400,
            lasts,
            LeaseDecision::Take,
        ),
        (
            "in the future",
            holder("bbbbbb", "two", 30, None),
            99_999,
            0,
            LeaseDecision::Wait,
        ),
    ] {
        let seen = LeaseView::of(&held(Object::default(), &other, at(renewed)));
        assert_eq!(
            decide(&seen, &facts(&me, unchanged), gone),
            expected,
            "{what}"
        );
    }
}

#[test]
fn what_others_wrote_is_no_proof() {
    let me = holder("aaaaaa", "one", 10, None);
    // Nobody's, by a hand or another program's.
    assert_eq!(
        decide(&LeaseView::of(&Object::default()), &facts(&me, 0), |_| {
            false
        }),
        LeaseDecision::Take
    );
    // A holder that is not the one whose processes are told.
    let mut object = held(
        Object::default(),
        &holder("bbbbbb", "one", 20, None),
        at(9_999),
    );
    let spec = object.spec.as_mut().unwrap();
    spec.holder_identity = Some("somebody\u{1b}[31m".to_owned());
    spec.lease_duration_seconds = Some(-5);
    let seen = LeaseView::of(&object);
    assert_eq!(decide(&seen, &facts(&me, 0), |_| true), LeaseDecision::Wait);
    assert_eq!(
        decide(&seen, &facts(&me, LASTS.as_secs()), |_| true),
        LeaseDecision::Take
    );
    assert!(!seen.line().contains('\u{1b}'), "{}", seen.line());
    // One that says to last for a day, and is two hours old.
    let spec = object.spec.as_mut().unwrap();
    spec.lease_duration_seconds = Some(86_400);
    let day = LeaseView::of(&object);
    for (now, unchanged, expected) in [
        (17_199, 0, LeaseDecision::Wait),
        (17_199, LASTS.as_secs(), LeaseDecision::Take),
        (11_000, LASTS.as_secs(), LeaseDecision::Wait),
    ] {
        let facts = LeaseContext {
            now: at(now),
            ..facts(&me, unchanged)
        };
        assert_eq!(decide(&day, &facts, |_| true), expected, "{now}");
    }
    let annotations = object.metadata.annotations.as_mut().unwrap();
    for value in annotations.values_mut() {
        "{\"pid\": -1}".clone_into(value);
    }
    assert_eq!(
        decide(&LeaseView::of(&object), &facts(&me, 0), |_| true),
        LeaseDecision::Wait
    );
}

#[test]
fn the_end_of_a_process_is_told() {
    let own = Process::of(std::process::id());
    assert!(!own.is_gone());
    assert!(
        Process {
            started: own.started + 1,
            ..own
        }
        .is_gone(),
        "its id was given away"
    );
    assert!(
        !Process { started: 0, ..own }.is_gone(),
        "when it started is not known"
    );
    let mut child = std::process::Command::new("true").spawn().unwrap();
    let ended = Process::of(child.id());
    let begun = std::time::Instant::now();
    // A zombie until it is waited for.
    while !ended.is_gone() {
        assert!(begun.elapsed() < Duration::from_secs(20));
        std::thread::yield_now();
    }
    child.wait().unwrap();
    assert!(ended.is_gone());
    assert!(!Process { pid: 0, started: 0 }.is_gone());
}
