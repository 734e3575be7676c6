//! The ways to fail, and how the cluster reports each of them.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use testbed::chart::{Chart, Hook, Shop};
use testbed::image::{Platform, Spec};

/// The version of the charts that fail.
pub(super) const BAD: &str = "1.1.0";

const API: &str = "templates/api.yaml";

/// A way to fail.
pub(super) struct Cause {
    pub(super) name: &'static str,
    /// What the error must say.
    pub(super) says: &'static str,
    pub(super) exit: i32,
    /// The chart that fails.
    pub(super) chart: fn() -> Result<Chart>,
    /// The image that fails; none where its tag is not there at all.
    pub(super) image: fn() -> Option<Spec>,
    /// The part of the bare helm's time that it may take; none where that ends at once, as
    /// with a failed hook.
    pub(super) part: Option<f64>,
    /// Whether the registry denies the image to `deploy`, and only the kubelet may look.
    pub(super) denied: bool,
    /// Where the cluster reports it, and what that looks like; none where it is not asked.
    pub(super) report: Option<Report>,
}

/// Where the cluster reports a cause: a resource, and how an object of it looks then.
pub(super) struct Report {
    pub(super) resource: &'static str,
    pub(super) is: fn(&Value) -> bool,
    /// How soon after it the end must come, in milliseconds.
    pub(super) bar: f64,
}

/// The kubelet's or the scheduler's, on a pod.
const fn report(is: fn(&Value) -> bool) -> Report {
    Report {
        resource: "pods",
        is,
        bar: 3000.0,
    }
}

const PART: f64 = 0.05;

/// The same where it can come right by itself: the kubelet's first back-off has to pass
/// (10 to 15 s until it looks again), or a node may get a label within 15 s.
const PATIENT: f64 = 0.08;

/// A way to fail by a good image in a good chart; the rest is said where it differs.
const fn cause(name: &'static str, says: &'static str, report: Option<Report>) -> Cause {
    Cause {
        name,
        says,
        exit: 8,
        chart: || Ok(Shop::new("shop", BAD).chart()),
        image: || Some(Spec::default()),
        part: Some(PART),
        denied: false,
        report,
    }
}

/// One that a pod reports, and that is waited for.
const fn patient(name: &'static str, says: &'static str, is: fn(&Value) -> bool) -> Cause {
    Cause {
        part: Some(PATIENT),
        ..cause(name, says, Some(report(is)))
    }
}

fn other_platform() -> Platform {
    match Platform::here() {
        Platform::Amd64 => Platform::Arm64,
        Platform::Arm64 => Platform::Amd64,
    }
}

/// All of them.
pub(super) fn all() -> [Cause; 9] {
    let pull: fn(&Value) -> bool = |pod| waits(pod, &["ErrImagePull", "ImagePullBackOff"]);
    [
        Cause {
            exit: 5,
            image: || None,
            ..cause("tag-not-found", "does not have the image", None)
        },
        Cause {
            image: || None,
            denied: true,
            chart: || edited(CONTAINERS, &format!("{PULL_SECRET}{CONTAINERS}")),
            ..cause("tag-not-found-denied", ": not found", Some(report(pull)))
        },
        Cause {
            image: || Some(Spec::behaving("exit 3")),
            ..patient("crash-loop", "last with exit code 3", crashed_again)
        },
        Cause {
            chart: || with_container("envFrom: [{secretRef: {name: mail}}]"),
            ..cause(
                "missing-secret",
                "needs Secret mail",
                Some(report(|pod| waits(pod, &["CreateContainerConfigError"]))),
            )
        },
        Cause {
            chart: || with_container("resources: {requests: {cpu: 2}}"),
            ..cause(
                "quota",
                "exceeded quota",
                Some(Report {
                    resource: "replicasets",
                    is: |set| holds(set, "ReplicaFailure", "True"),
                    bar: 3000.0,
                }),
            )
        },
        Cause {
            chart: || {
                let selector = "      nodeSelector: {disk: golden}\n";
                edited(CONTAINERS, &format!("{selector}{CONTAINERS}"))
            },
            part: Some(PATIENT),
            ..cause(
                "unschedulable",
                "no node can take",
                // A node may get the label within 15 s.
                Some(Report {
                    bar: 18_000.0,
                    ..report(|pod| holds(pod, "PodScheduled", "False"))
                }),
            )
        },
        Cause {
            image: || Some(Spec::behaving("eat-memory 256Mi;hang")),
            chart: || with_container("resources: {limits: {memory: 32Mi}}"),
            ..patient("oom", "more memory than its limit", crashed_again)
        },
        Cause {
            image: || {
                Some(Spec {
                    binary: Some(other_platform()),
                    ..Spec::default()
                })
            },
            ..patient(
                "wrong-architecture",
                "not built for the platform of the cluster's node",
                never_started,
            )
        },
        Cause {
            exit: 7,
            part: None,
            chart: || {
                let hook = Hook {
                    args: ["once", "print no such column", "once-exit 5"]
                        .map(str::to_owned)
                        .to_vec(),
                    ..Hook::default()
                };
                Ok(Shop::new("shop", BAD).hook(hook).chart())
            },
            ..cause(
                "failed-hook",
                "the Job failed",
                Some(Report {
                    resource: "jobs",
                    is: |job| holds(job, "Failed", "True"),
                    bar: 1000.0,
                }),
            )
        },
    ]
}

const CONTAINERS: &str = "      containers:\n";
const PULL_SECRET: &str = "      imagePullSecrets: [{name: ghcr}]\n";

/// The shop's chart with a text of the api's template replaced.
fn edited(from: &str, to: &str) -> Result<Chart> {
    let chart = Shop::new("shop", BAD).chart();
    let text = chart.file(API).context(API)?;
    ensure!(text.contains(from), "{API} does not hold {from:?}");
    let text = text.replace(from, to);
    Ok(chart.with(API, &text))
}

fn with_container(more: &str) -> Result<Chart> {
    let name = "        - name: api\n";
    edited(name, &format!("{name}          {more}\n"))
}

fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    pod["status"]["containerStatuses"]
        .as_array()
        .into_iter()
        .flatten()
}

fn waits(pod: &Value, reasons: &[&str]) -> bool {
    containers(pod).any(|one| {
        let reason = one["state"]["waiting"]["reason"].as_str();
        reason.is_some_and(|reason| reasons.contains(&reason))
    })
}

/// The third end, the first that follows a back-off.
fn crashed_again(pod: &Value) -> bool {
    let down = |one: &Value| {
        !one["state"]["terminated"].is_null()
            || one["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    };
    containers(pod).any(|one| one["restartCount"].as_u64() >= Some(2) && down(one))
}

/// The runtime's word where it has one; a program for another platform may also just end, and end
/// again.
fn never_started(pod: &Value) -> bool {
    waits(pod, &["RunContainerError", "CreateContainerError"]) || crashed_again(pod)
}

fn holds(object: &Value, condition: &str, status: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    conditions
        .into_iter()
        .flatten()
        .any(|one| one["type"] == condition && one["status"] == status)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn reports_are_recognised() {
        let pod = |status: Value| json!({"status": {"containerStatuses": [status]}});
        let end = |restarts: u64| json!({"restartCount": restarts, "state": {"terminated": {"exitCode": 3}}});
        assert!(!crashed_again(&pod(end(1))));
        assert!(crashed_again(&pod(end(2))));
        let waiting = json!({"state": {"waiting": {"reason": "ErrImagePull"}}});
        assert!(waits(&pod(waiting.clone()), &["ErrImagePull"]));
        assert!(!waits(&pod(waiting), &["ImagePullBackOff"]));
        let failed = json!({"status": {"conditions": [{"type": "Failed", "status": "True"}]}});
        assert!(holds(&failed, "Failed", "True") && !holds(&failed, "Complete", "True"));
    }

    #[test]
    fn every_chart_can_be_made() {
        for cause in all() {
            assert!((cause.chart)().is_ok(), "{}", cause.name);
        }
    }
}
