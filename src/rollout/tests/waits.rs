//! What is said while a workload waits, and at the end of time.

use std::time::Duration;

use serde_json::json;

use super::words::{cache, container, deployment, event, pod, replica_set, target};
use crate::event::{Unit, WorkloadProgress};
use crate::rollout::baseline::Baseline;
use crate::rollout::explain::explain_timeout;
use crate::rollout::model::Elapsed;
use crate::rollout::progress::{ReportedProgress, progress};
use crate::rollout::verdict::{judge, most_telling};

const REFUSED: &str = "Readiness probe failed: HTTP probe failed with statuscode: 503";

/// Case B7: the probe's last answer is told while the workload waits: as soon as there is
/// one, and then no oftener than now and then where it says the time of day.
#[test]
fn the_probes_answer_is_told_while_it_waits() {
    let line = |waits_for: &str| {
        let line = WorkloadProgress {
            name: "api".to_owned(),
            ready: 0,
            wanted: 1,
            unit: Unit::ReadyPods,
            waits_for: Some(waits_for.to_owned()),
        };
        (target("Deployment", "api", false).id, line)
    };
    let bare = "container api to be ready";
    let mut told = ReportedProgress::of(vec![line("a node")], Elapsed::default());
    for (at, answer, is_told) in [
        (1, "", false),
        (4, "", true),
        (5, "", false),
        (6, "503 at 10:06", true),
        (7, "503 at 10:07", false),
        (20, "503 at 10:20", false),
        (36, "503 at 10:36", true),
        (37, "503 at 10:37", false),
    ] {
        let wait = if answer.is_empty() {
            bare.to_owned()
        } else {
            format!("{bare} ({answer})")
        };
        let news = told.news(vec![line(&wait)], Elapsed(Duration::from_secs(at)));
        let expected: Vec<String> = is_told
            .then(|| format!("api 0/1 ready – waiting for {wait}"))
            .into_iter()
            .collect();
        let news: Vec<String> = news.iter().map(ToString::to_string).collect();
        assert_eq!(news, expected, "{at} s");
    }
}

/// Case B7: the end of time names the probe that answered, and what else a pod waits for.
#[test]
fn the_end_of_time_says_what_is_waited_for() {
    let running = json!({"running": {}});
    let not_ready = || pod("api-1-b", false, &container(false, &running));
    let mut gated = pod("api-1-b", false, &container(true, &running));
    gated["status"]["conditions"] = json!([{"type": "Ready", "status": "False", "reason": "ReadinessGatesNotReady",
        "message": "corresponding condition of pod readiness gate \"acme.io/lb\" does not exist."}]);
    for (pod, events, line, wait) in [
        (
            not_ready(),
            vec![event(
                "api-1-b",
                "Unhealthy",
                "Startup probe failed: connection refused",
                3,
            )],
            "  container api of pod api-1-b runs and is not ready: its probe last said: Startup probe failed: connection refused",
            "container api to be ready (Startup probe failed: connection refused)",
        ),
        (
            not_ready(),
            vec![],
            "  container api of pod api-1-b runs and is not ready: its readiness probe (GET :8080/ready) has not answered yet",
            "container api to be ready",
        ),
        (
            gated,
            vec![],
            "  pod api-1-b waits for a readiness gate: corresponding condition of pod readiness gate \"acme.io/lb\" does not exist.",
            "a readiness gate (corresponding condition of pod readiness gate \"acme.io/lb\" does not exist.)",
        ),
    ] {
        let mut objects = vec![deployment(1, 0), replica_set(), pod];
        objects.extend(events);
        let cache = cache(&objects);
        assert_eq!(explain_timeout(&cache, Elapsed::default())[1], line);
        let said = progress(&cache, Elapsed::default())[0].1.waits_for.clone();
        assert_eq!(said.as_deref(), Some(wait));
    }
}

/// Case B7: a deadline that has passed names what its pod waits for.
#[test]
fn a_passed_deadline_names_the_probes_answer() {
    let mut failed = deployment(1, 0);
    failed["status"]["conditions"] = json!([{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded",
        "message": "ReplicaSet \"api-1\" has timed out progressing."}]);
    let cache = cache(&[
        failed,
        replica_set(),
        pod("api-1-b", false, &container(false, &json!({"running": {}}))),
        event("api-1-b", "Unhealthy", REFUSED, 40),
    ]);
    let baseline = Baseline {
        budget: Duration::from_secs(300),
        ..Baseline::default()
    };
    let failure = most_telling(judge(&cache, &baseline, Elapsed::default())).unwrap();
    assert_eq!(
        failure.headline(),
        format!(
            "Deployment api: it made no progress within its own deadline: pod api-1-b waits for container api to be ready ({REFUSED})"
        )
    );
    assert_eq!(
        failure.said[1],
        "ReplicaSet \"api-1\" has timed out progressing."
    );
}
