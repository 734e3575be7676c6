//! Whole runs as a terminal of 80 columns shows them.

use std::time::Duration;

use snapbox::{assert_data_eq, str};

use super::{Screen, workload, workloads};
use crate::error::{Error, Kind};
use crate::event::{Event, Phase, Report, Summary};

fn summary() -> Summary {
    Summary {
        run: "20261129T011506Z-7d0d77".to_owned(),
        release: "shop".to_owned(),
        namespace: "shop".to_owned(),
        chart: "oci://ghcr.io/acme-industries/charts/shop 0.2.0".to_owned(),
        images: vec![
            ("api".to_owned(), "ghcr.io/acme-industries/shop/api:sha-5f2b9c1".to_owned()),
            (
                "web".to_owned(),
                "ghcr.io/acme-industries/shop/web@sha256:0f2b9c1d7c1b4c58a1a54c7f8f0f3b1d2c3e4f5a6b7c8d9e0f1a2b3c4d5e6f70".to_owned(),
            ),
        ],
    }
}

fn begin(screen: &mut Screen) {
    screen.shows(&Event::Planned(&summary()));
    for (phase, ms) in [
        (Phase::Lock, 10),
        (Phase::Preflight, 1400),
        (Phase::Heal, 20),
        (Phase::Prove, 310),
    ] {
        screen.shows(&Event::Started(phase));
        screen.shows(&Event::Done(phase, Duration::from_millis(ms)));
    }
    screen.shows(&Event::Started(Phase::Rollout));
}

/// The line that explains a crash stands right under the cause.
#[test]
fn a_failing_run() {
    let mut screen = Screen::new(80, 50);
    begin(&mut screen);
    screen.shows(&workloads(&[
        workload("shop-api", 0, 1, Some("container api of pod shop-api-6dffdd5d48-lq999 to be ready: Readiness probe failed: connection refused")),
        workload("shop-web", 1, 1, None),
    ]));
    screen.shows(&Event::Progress(
        "Deployment shop-api: container api of pod shop-api-6dffdd5d48-lq999 ended 3 times, last with exit code 3; going back to revision 3",
    ));
    screen.shows(&Event::Started(Phase::Rollback));
    screen.shows(&Event::Done(Phase::Rollback, Duration::from_millis(4200)));
    let error = Error::new(
        Kind::RolledBack,
        "Deployment shop-api: container api of pod shop-api-6dffdd5d48-lq999 ended 3 times, last with exit code 3",
    );
    let error = error
        .into_problem()
        .log(
            [
                "log of container api of pod shop-api-6dffdd5d48-lq999:",
                "  app t2 starts: listening on 0.0.0.0:8080, workers 4, environment production, commit 5f2b9c1",
                "  connecting to db:5432",
                "  FATAL: no database",
            ]
            .map(str::to_owned),
        )
        .of_kind(Kind::RolledBack)
        .details([
            "pod shop-api-6dffdd5d48-lq999 on localhost is not ready",
            "  container api waits: CrashLoopBackOff, before that it ended with exit code 3 Error (restarts: 2)",
            "  Unhealthy (2×): Readiness probe failed: Get \"http://10.244.0.13:8080/readyz\": dial tcp 10.244.0.13:8080: connect: connection refused",
        ])
        .hint("rolled back: revision 5 serves, a copy of revision 3")
        .hint("the end of its log says why it ended");
    assert_data_eq!(
        screen.shows(&Event::Failed(&error)),
        str![[r#"
shop in namespace shop ← oci://ghcr.io/acme-industries/charts/shop 0.2.0
  api       ghcr.io/acme-industries/shop/api:sha-5f2b9c1
  web       ghcr.io/acme-industries/shop/web@sha256:0f2b9c1d7c1b4c58a1a54c7f8f0f3b1d2c3e4f5a6b7c8d9e0f1a2b3c4d5e6f70
  run       20261129T011506Z-7d0d77
  lock         0.0s  the release's lock is held
  preflight    1.4s  chart pulled, cluster reached
  heal         0.0s  nothing is left of an interrupted deploy
  prove        0.3s  every image stands where it should
  · shop-api 0/1 ready – waiting for container api of pod
      shop-api-6dffdd5d48-lq999 to be ready: Readiness probe failed: connection
      refused
  · shop-web 1/1 ready
  · Deployment shop-api: container api of pod shop-api-6dffdd5d48-lq999 ended 3
      times, last with exit code 3; going back to revision 3
  rollback     4.2s  the last good revision is restored
error: Deployment shop-api: container api of pod shop-api-6dffdd5d48-lq999 ended
  3 times, last with exit code 3
  | log of container api of pod shop-api-6dffdd5d48-lq999:
  |   app t2 starts: listening on 0.0.0.0:8080, workers 4, environment
  |     production, commit 5f2b9c1
  |   connecting to db:5432
  |   FATAL: no database
  | pod shop-api-6dffdd5d48-lq999 on localhost is not ready
  |   container api waits: CrashLoopBackOff, before that it ended with exit code
  |     3 Error (restarts: 2)
  |   Unhealthy (2×): Readiness probe failed: Get
  |     "http://10.244.0.13:8080/readyz": dial tcp 10.244.0.13:8080: connect:
  |     connection refused
  → rolled back: revision 5 serves, a copy of revision 3
  → the end of its log says why it ended
"#]]
    );
}

#[test]
fn a_slow_run() {
    let mut screen = Screen::new(80, 30);
    begin(&mut screen);
    screen.shows(&Event::Warning(
        "Service shop-web is of type LoadBalancer and has no address yet: this cluster may have nothing that gives one",
    ));
    let all = [
        workload(
            "shop-api",
            1,
            3,
            Some(
                "container api of pod shop-api-6dffdd5d48-lq999 to be ready: Readiness probe failed: HTTP probe failed with statuscode: 503",
            ),
        ),
        workload("shop-web", 1, 1, None),
        workload(
            "shop-worker",
            0,
            2,
            Some("image ghcr.io/acme-industries/shop/worker:sha-5f2b9c1 to be pulled"),
        ),
    ];
    assert_data_eq!(
        screen.shows(&workloads(&all)),
        str![[r"
shop in namespace shop ← oci://ghcr.io/acme-industries/charts/shop 0.2.0
  api       ghcr.io/acme-industries/shop/api:sha-5f2b9c1
  web       ghcr.io/acme-industries/shop/web@sha256:0f2b9c1d7c1b4c58a1a54c7f8f0f3b1d2c3e4f5a6b7c8d9e0f1a2b3c4d5e6f70
  run       20261129T011506Z-7d0d77
  lock         0.0s  the release's lock is held
  preflight    1.4s  chart pulled, cluster reached
  heal         0.0s  nothing is left of an interrupted deploy
  prove        0.3s  every image stands where it should
warning: Service shop-web is of type LoadBalancer and has no address yet: this
  cluster may have nothing that gives one
  rollout        0s  helm applies it, and its pods become ready
  · shop-api 1/3 ready – waiting for container api of pod
      shop-api-6dffdd5d48-lq999 to be ready: Readiness probe failed: HTTP probe
      failed with statuscode: 503
  · shop-web 1/1 ready
  · shop-worker 0/2 ready – waiting for image
      ghcr.io/acme-industries/shop/worker:sha-5f2b9c1 to be pulled
"]]
    );
    let ready = [
        workload("shop-api", 3, 3, None),
        workload("shop-web", 1, 1, None),
        workload("shop-worker", 2, 2, None),
    ];
    screen.shows(&workloads(&ready));
    screen.shows(&Event::Done(Phase::Rollout, Duration::from_millis(94_300)));
    let summary = summary();
    let placed = summary.images.iter().map(|(key, image)| {
        let place = format!("Deployment shop-{key} container {key}");
        (key.clone(), image.clone(), vec![place])
    });
    let report = Report {
        before: Some(6),
        revision: Some(7),
        unchanged: false,
        dry_run: false,
        preview: None,
        restored: None,
        json: false,
        forward: None,
        targets: Vec::new(),
        placed: placed.collect(),
        took: Duration::from_millis(97_100),
        summary: summary.clone(),
    };
    assert_data_eq!(
        screen.shows(&Event::Finished(&report)),
        str![[r"
shop in namespace shop ← oci://ghcr.io/acme-industries/charts/shop 0.2.0
  api       ghcr.io/acme-industries/shop/api:sha-5f2b9c1
  web       ghcr.io/acme-industries/shop/web@sha256:0f2b9c1d7c1b4c58a1a54c7f8f0f3b1d2c3e4f5a6b7c8d9e0f1a2b3c4d5e6f70
  run       20261129T011506Z-7d0d77
  lock         0.0s  the release's lock is held
  preflight    1.4s  chart pulled, cluster reached
  heal         0.0s  nothing is left of an interrupted deploy
  prove        0.3s  every image stands where it should
warning: Service shop-web is of type LoadBalancer and has no address yet: this
  cluster may have nothing that gives one
  · shop-api 3/3 ready
  · shop-web 1/1 ready
  · shop-worker 2/2 ready
  rollout     94.3s  helm applied it and all is ready
deployed shop revision 7 in 97.1s (before: 6)
  api       ghcr.io/acme-industries/shop/api:sha-5f2b9c1
            in Deployment shop-api container api
  web       ghcr.io/acme-industries/shop/web@sha256:0f2b9c1d7c1b4c58a1a54c7f8f0f3b1d2c3e4f5a6b7c8d9e0f1a2b3c4d5e6f70
            in Deployment shop-web container web
"]]
    );
}
