#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::json;

use super::{Stand, Target, Targets, WayBack};
use crate::engine::{Observed, Wanted};
use crate::error::Kind;
use crate::event::waves::TargetOutcome;
use crate::plan::OnFailure;

const ALL: [Stand; 14] = [
    Stand::Waiting,
    Stand::Unchanged,
    Stand::Refused,
    Stand::Asked,
    Stand::Serves,
    Stand::NotNoted,
    Stand::Good,
    Stand::Failed,
    Stand::Unknown,
    Stand::Returning,
    Stand::Back,
    Stand::BackRefused,
    Stand::NotBack,
    Stand::BackUnknown,
];

fn wanted(version: &str) -> Wanted {
    Wanted {
        chart: "oci://ghcr.io/acme/charts/shop".parse().unwrap(),
        version: version.parse().unwrap(),
        digest: None,
        values: json!({}),
    }
}

fn target(stand: Stand, held: Option<&str>, good: Option<&str>) -> Target<()> {
    Target {
        name: "shop-eu".parse().unwrap(),
        wave: 1,
        observed: Observed {
            held: held.map(wanted),
            good: good.map(wanted),
            cluster: "eu".to_owned(),
            warnings: Vec::new(),
        },
        wanted: wanted("2.0.0"),
        operation: None,
        stand,
        failure: None,
        back: None,
    }
}

#[test]
fn what_is_done_about_a_target_of_a_failed_wave() {
    use OnFailure::{Keep, Rollback};
    let good = wanted("1.0.0");
    let (one, two) = (Some("1.0.0"), Some("2.0.0"));
    for (stand, held, good_one, on_failure, way) in [
        (Stand::Failed, one, one, Rollback, WayBack::To(&good)),
        (Stand::Failed, one, one, Keep, WayBack::Kept),
        (Stand::Asked, one, one, Rollback, WayBack::To(&good)),
        (Stand::Serves, one, one, Rollback, WayBack::To(&good)),
        (Stand::Unknown, one, one, Rollback, WayBack::To(&good)),
        (Stand::NotNoted, one, one, Rollback, WayBack::To(&good)),
        (Stand::Failed, None, None, Rollback, WayBack::Nowhere),
        (Stand::Failed, one, None, Rollback, WayBack::Nowhere),
        // What failed is no way back from itself.
        (Stand::Failed, one, two, Rollback, WayBack::Nowhere),
        (Stand::Unchanged, two, two, Rollback, WayBack::Stays),
        (Stand::Good, one, one, Rollback, WayBack::Stays),
        (Stand::Waiting, one, one, Rollback, WayBack::Stays),
        (Stand::Refused, one, one, Rollback, WayBack::Stays),
        (Stand::Refused, one, None, Rollback, WayBack::Stays),
        // What a killed run left goes back as well.
        (
            Stand::Refused,
            Some("1.5.0"),
            one,
            Rollback,
            WayBack::To(&good),
        ),
        (Stand::Refused, Some("1.5.0"), one, Keep, WayBack::Kept),
    ] {
        let target = target(stand, held, good_one);
        assert_eq!(
            target.way_back(on_failure),
            way,
            "{stand:?} {held:?} {good_one:?}"
        );
    }
}

#[test]
fn what_is_already_served_and_good_is_left_alone() {
    let (one, two) = (Some("1.0.0"), Some("2.0.0"));
    for (held, good, is_done) in [
        (two, two, true),
        (two, one, false),
        (two, None, false),
        (one, two, false),
        (one, one, false),
        (None, two, false),
        (None, None, false),
    ] {
        let target = target(Stand::Waiting, held, good);
        assert_eq!(target.is_done(), is_done, "{held:?} {good:?}");
    }
    // A moved tag is another chart, where both digests are known.
    let mut target = target(Stand::Waiting, two, two);
    let digest = |of: &str| format!("sha256:{}", of.repeat(64)).parse().ok();
    target.wanted.digest = digest("a");
    assert!(target.is_done());
    let held = target.observed.held.as_mut().unwrap();
    held.digest = digest("b");
    target.observed.good.clone_from(&target.observed.held);
    assert!(!target.is_done());
}

proptest! {
    /// 7 is told exactly where every target serves the old version or the new one whole.
    #[test]
    fn the_kind_follows_from_the_outcomes(
        all in proptest::collection::vec((0..ALL.len(), any::<bool>()), 1..6),
    ) {
        let targets: Vec<Target<()>> = all.iter().map(|(at, is_left_over)| {
            let held = if *is_left_over { "1.5.0" } else { "1.0.0" };
            target(ALL[*at], Some(held), Some("1.0.0"))
        }).collect();
        let needs = |target: &Target<()>| !target.outcome().is_whole();
        let needs = targets.iter().any(needs);
        let whole = [TargetOutcome::NotReached, TargetOutcome::Unchanged, TargetOutcome::Deployed,
            TargetOutcome::RolledBack, TargetOutcome::Refused];
        for target in &targets {
            prop_assert_eq!(target.outcome().is_whole(), whole.contains(&target.outcome()));
            // Of what nobody judged no version is called whole.
            if target.is_left_over() && matches!(target.stand, Stand::Waiting | Stand::Refused) {
                prop_assert_eq!(target.outcome(), TargetOutcome::NotJudged);
            }
        }
        let kind = Targets(targets).kind();
        prop_assert_eq!(kind == Kind::Broken, needs);
        prop_assert_eq!(kind == Kind::RolledBack, !needs);
    }
}
