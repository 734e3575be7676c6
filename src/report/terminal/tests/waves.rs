//! Runs in several clusters, as a terminal of 80 columns and a pipe show them.

use std::time::Duration;

use snapbox::{assert_data_eq, str};

use super::{Screen, report, shown};
use crate::error::{Error, Kind};
use crate::event::waves::{TargetNews, TargetOutcome, TargetReport, Wave, WaveNews};
use crate::event::{Event, Phase, Report, RunFacts, Summary};

fn summary() -> Summary {
    Summary {
        release: "shop".to_owned(),
        namespace: "argocd".to_owned(),
        images: Vec::new(),
        ..report().summary
    }
}

fn news(name: &str, said: &str) -> WaveNews {
    WaveNews::Target(TargetNews {
        name: name.to_owned(),
        cluster: name.trim_start_matches("shop-").to_owned(),
        said: said.to_owned(),
    })
}

fn targets(outcomes: [TargetOutcome; 3], cause: Option<&str>) -> Vec<TargetReport> {
    let target = |(at, outcome): (usize, TargetOutcome)| TargetReport {
        name: ["shop-canary", "shop-eu", "shop-us"][at].to_owned(),
        wave: at.min(1) + 1,
        cluster: ["canary", "eu", "https://10.0.0.7:6443"][at].to_owned(),
        outcome,
        version: Some(
            if outcome == TargetOutcome::RolledBack {
                "1.0.0"
            } else {
                "1.1.0"
            }
            .to_owned(),
        ),
        cause: cause.filter(|_| at == 1).map(str::to_owned),
    };
    outcomes.into_iter().enumerate().map(target).collect()
}

#[test]
fn a_terminal_shows_where_each_target_of_a_wave_is() {
    let mut screen = Screen::new(80, 30);
    screen.shows(&Event::Planned(&summary()));
    screen.shows(&Event::Started(Phase::Waves));
    let (one, two) = (Wave { number: 1, of: 2 }, Wave { number: 2, of: 2 });
    let begins = |wave, names: &[&str]| {
        WaveNews::Begins(wave, names.iter().map(|name| (*name).to_owned()).collect())
    };
    for news in [
        begins(one, &["shop-canary"]),
        news("shop-canary", "asked to serve 1.1.0"),
        news("shop-canary", "serves 1.1.0"),
        WaveNews::Bakes(one, Duration::from_secs(300)),
        WaveNews::Ends(one, Duration::from_secs(312)),
        begins(two, &["shop-eu", "shop-us"]),
        news("shop-eu", "Syncing: Deployment shop-api 0/2 ready"),
        news("shop-us", "asked to serve 1.1.0"),
        news("shop-eu", "serves 1.1.0"),
    ] {
        screen.shows(&Event::Wave(&news));
    }
    assert_data_eq!(
        screen.shows(&Event::Wave(&news(
            "shop-us",
            "Syncing: Deployment shop-api 1/2 ready"
        ))),
        str![[r"
shop in namespace argocd ← oci://ghcr.io/acme/charts/pytoya 0.1.0
  run       20261124T175106Z-a1b2c3
  · wave 1 of 2: shop-canary
  · shop-canary (canary): serves 1.1.0
  · wave 1 of 2 serves it, and has to stay good for 5m
  · wave 1 of 2 is good after 5m12s
  · wave 2 of 2: shop-eu, shop-us
  waves          0s  Argo CD applies it, wave by wave
  · shop-eu (eu): serves 1.1.0
  · shop-us (us): Syncing: Deployment shop-api 1/2 ready
"]]
    );
    screen.shows(&Event::Done(Phase::Waves, Duration::from_millis(341_200)));
    let report = Report {
        targets: targets(
            [
                TargetOutcome::Unchanged,
                TargetOutcome::Deployed,
                TargetOutcome::Deployed,
            ],
            None,
        ),
        summary: summary(),
        placed: Vec::new(),
        took: Duration::from_millis(345_600),
        ..report()
    };
    assert_data_eq!(
        screen.shows(&Event::Finished(&report)),
        str![[r"
shop in namespace argocd ← oci://ghcr.io/acme/charts/pytoya 0.1.0
  run       20261124T175106Z-a1b2c3
  · wave 1 of 2: shop-canary
  · shop-canary (canary): serves 1.1.0
  · wave 1 of 2 serves it, and has to stay good for 5m
  · wave 1 of 2 is good after 5m12s
  · wave 2 of 2: shop-eu, shop-us
  · shop-eu (eu): serves 1.1.0
  · shop-us (us): Syncing: Deployment shop-api 1/2 ready
  waves      341.2s  every wave serves it and was judged good
deployed shop in 345.6s: 3 targets, 2 waves
  TARGET       WAVE  CLUSTER                VERSION  OUTCOME
  shop-canary  1     canary                 1.1.0    serves it already
  shop-eu      2     eu                     1.1.0    deployed
  shop-us      2     https://10.0.0.7:6443  1.1.0    deployed
"]]
    );
}

#[test]
fn a_failed_wave_is_told_with_what_is_where() {
    let cause =
        "api: container api of pod shop-api-7d cannot pull ghcr.io/acme/shop/api:1.1.0: not found";
    let facts = RunFacts {
        targets: targets(
            [
                TargetOutcome::Deployed,
                TargetOutcome::RolledBack,
                TargetOutcome::Unknown,
            ],
            Some(cause),
        ),
        ..RunFacts::default()
    };
    let error = Error::new(Kind::Broken, format!("shop-eu (eu): {cause}"))
        .hint("wave 2 of 2 failed; serves 1.1.0: shop-canary; rolled back to 1.0.0: shop-eu; what it serves is not known: shop-us");
    let begins = WaveNews::Begins(Wave { number: 2, of: 2 }, vec!["shop-eu".to_owned()]);
    let failed = news("shop-eu", cause);
    let events = [
        Event::Started(Phase::Waves),
        Event::Wave(&begins),
        Event::Wave(&failed),
        Event::RunFacts(&facts),
        Event::Failed(&error),
    ];
    assert_data_eq!(
        shown(&events, false),
        str![[r"
  · wave 2 of 2: shop-eu
  · shop-eu (eu): api: container api of pod shop-api-7d cannot pull ghcr.io/acme/shop/api:1.1.0: not found
  TARGET       WAVE  CLUSTER                VERSION  OUTCOME
  shop-canary  1     canary                 1.1.0    deployed
  shop-eu      2     eu                     1.0.0    rolled back
    api: container api of pod shop-api-7d cannot pull ghcr.io/acme/shop/api:1.1.0: not found
  shop-us      2     https://10.0.0.7:6443  1.1.0    not known
error: shop-eu (eu): api: container api of pod shop-api-7d cannot pull ghcr.io/acme/shop/api:1.1.0: not found
  → wave 2 of 2 failed; serves 1.1.0: shop-canary; rolled back to 1.0.0: shop-eu; what it serves is not known: shop-us

"]]
    );
    assert_data_eq!(
        shown(&events, true),
        str![[r"
error: shop-eu (eu): api: container api of pod shop-api-7d cannot pull ghcr.io/acme/shop/api:1.1.0: not found
  → wave 2 of 2 failed; serves 1.1.0: shop-canary; rolled back to 1.0.0: shop-eu; what it serves is not known: shop-us

"]]
    );
}
