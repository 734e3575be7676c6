//! Signals that go through three waves, and those that stop in one of them.

use serde_json::json;

use super::failing::{Failure, only_reads};
use super::fleet::{Fleet, PLACES};
use crate::harness::{RUNNER, Ran, soak};

/// The last Application is made of a template; in the second, automated sync is switched off.
#[test]
fn a_good_signal_goes_through_three_waves() {
    let fleet = Fleet::new("good");
    fleet.templated("us");
    let first = fleet.first_beside(&PLACES[..2]);
    fleet.patch("eu", &json!({"spec": {"syncPolicy": {"automated": null}}}));
    let images = fleet.images("t2");
    fleet.signal("0.1.0", &images).run().exits(0);
    assert_eq!(fleet.outcomes(), ["deployed"; 3]);
    for place in PLACES {
        fleet.runs(place, &images);
    }
    // One after the other.
    let times = PLACES.map(|place| {
        let state = fleet.of(place)["status"]["operationState"].clone();
        ["startedAt", "finishedAt"].map(|at| state[at].as_str().unwrap().to_owned())
    });
    for pair in times.windows(2) {
        assert!(pair[0][1] <= pair[1][0], "{times:?}");
    }
    // A second time, all is there.
    fleet.signal("0.1.0", &images).run().exits(0);
    assert_eq!(fleet.outcomes(), ["unchanged"; 3]);
    by_hand(&fleet, &first);
}

/// What operators ask for, of an app whose first signal brought these images.
fn by_hand(fleet: &Fleet, first: &[String; 2]) {
    let app = fleet.node.name.as_str();
    let call = |args: &[&str]| fleet.node.by_hand(RUNNER, args).wait();
    let doctor = call(&["doctor", app]);
    doctor.says("Applications of argocd can be written");
    let status = call(&["status", app]);
    status.exits(0);
    for place in PLACES {
        let shown = format!(
            "{}: shop 0.1.0 in {place}: Synced, Healthy",
            fleet.app(place)
        );
        doctor.says(&shown);
        let mut lines = status.stdout.lines();
        let line = lines.find(|line| line.starts_with(&fleet.app(place)));
        assert!(
            line.is_some_and(|line| line.ends_with("0.1.0  good")),
            "{}",
            status.told()
        );
    }
    let run = fleet.node.journal()[0]["run"].as_str().unwrap().to_owned();
    call(&["history", app]).exits(0).says(&run);
    call(&["show", &run])
        .exits(0)
        .says(&fleet.app("us"))
        .says("deployed");
    call(&["freeze", app, "--reason", "an incident"]).exits(0);
    fleet
        .signal("0.1.0", first)
        .run()
        .exits(4)
        .says("an incident");
    let ran = call(&["rollback", app, &run]);
    ran.exits(0).says("a rollback by hand goes through");
    assert_eq!(fleet.outcomes(), ["deployed"; 3]);
    for place in PLACES {
        fleet.runs(place, first);
    }
}

/// `cargo test` takes one of each kind of wave, the soak all.
#[test]
fn a_failed_wave_goes_back_and_later_ones_are_not_touched() {
    let all = Failure::ALL.map(|failure| [(failure, 0), (failure, 1)]);
    let all = all.as_flattened();
    let cases = if soak::is_on() {
        all
    } else {
        &[(Failure::Crash, 1), (Failure::Secret, 0)]
    };
    std::thread::scope(|scope| {
        for &(failure, wave) in cases {
            scope.spawn(move || fails(failure, wave));
        }
    });
}

fn fails(failure: Failure, wave: usize) {
    let fleet = Fleet::new(&format!("{failure:?}-{wave}").to_lowercase());
    let place = PLACES[wave];
    only_reads(&fleet, place);
    let old = fleet.first();
    let new = failure.push(&fleet, "0.2.0", place);
    let later = || {
        PLACES[wave + 1..]
            .iter()
            .map(|later| fleet.untouched(later))
            .collect::<Vec<_>>()
    };
    let before = later();
    let ran = fleet.signal("0.2.0", &new).run();
    ran.exits(7);
    names(&ran, place, failure.named());
    assert_eq!(before, later(), "{}", ran.told());
    let outcomes: Vec<&str> = (0..PLACES.len())
        .map(|at| match at.cmp(&wave) {
            std::cmp::Ordering::Less => "deployed",
            std::cmp::Ordering::Equal => "rolled-back",
            std::cmp::Ordering::Greater => "not-reached",
        })
        .collect();
    assert_eq!(fleet.outcomes(), outcomes, "{}", ran.told());
    for (at, place) in PLACES.iter().enumerate() {
        fleet.runs(place, if at < wave { &new } else { &old });
    }
}

/// The line that names the cause has the cluster and these parts; those of a log may stand below.
#[track_caller]
fn names(ran: &Ran, place: &str, parts: &[&str]) {
    let error = ran.stderr.lines().find(|line| line.starts_with("error: "));
    let error = error.unwrap_or_else(|| panic!("no error in\n{}", ran.told()));
    assert!(error.contains(place), "no {place:?} in {error:?}");
    for part in parts {
        ran.says(part);
    }
}
