//! Failed deploys: how long it takes until the cause is named, beside a bare helm that waits.
//!
//! `deploy` goes through the causes one by one; the bare helms wait all at once, since each of them
//! waits its whole time. Both keep what failed as it is.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Deserializer, Value};

use super::site::Site;
use super::{Figure, Held, Unit, alone};
use crate::chart::{Chart, Hook, Shop};
use crate::client::Info;
use crate::ghcr::{Access, Policy, Visibility};
use crate::image::{Platform, Spec};
use crate::push::Pusher;

const GOOD: &str = "1.0.0";
const BAD: &str = "1.1.0";
const API: &str = "templates/api.yaml";

/// The part of the bare helm's time that it may take.
const PART: f64 = 0.05;

/// A way to fail.
struct Cause {
    name: &'static str,
    /// What the error must say.
    says: &'static str,
    exit: i32,
    /// The chart that fails.
    chart: fn() -> Result<Chart>,
    /// The image that fails; none where its tag is not there at all.
    image: fn() -> Option<Spec>,
    /// Whether the registry denies the image to `deploy`, and only the kubelet may look.
    denied: bool,
    /// Where the cluster reports it, and what that looks like; none where it is not asked.
    report: Option<Report>,
}

/// Where the cluster reports a cause: a resource, and how an object of it looks then.
struct Report {
    resource: &'static str,
    is: fn(&Value) -> bool,
    /// How soon after it the end must come, in milliseconds.
    bar: f64,
}

/// The kubelet's or the scheduler's, on a pod.
const fn report(is: fn(&Value) -> bool) -> Report {
    Report {
        resource: "pods",
        is,
        bar: 3000.0,
    }
}

/// A way to fail by a good image in a good chart; the rest is said where it differs.
const fn cause(name: &'static str, says: &'static str, report: Option<Report>) -> Cause {
    Cause {
        name,
        says,
        exit: 8,
        chart: || Ok(Shop::new("shop", BAD).chart()),
        image: || Some(Spec::default()),
        denied: false,
        report,
    }
}

fn other_platform() -> Platform {
    match Platform::here() {
        Platform::Amd64 => Platform::Arm64,
        Platform::Arm64 => Platform::Amd64,
    }
}

fn all() -> [Cause; 9] {
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
            ..cause(
                "crash-loop",
                "last with exit code 3",
                Some(report(crashed_twice)),
            )
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
            ..cause(
                "unschedulable",
                "no node can take",
                Some(report(|pod| holds(pod, "PodScheduled", "False"))),
            )
        },
        Cause {
            image: || Some(Spec::behaving("eat-memory 256Mi")),
            chart: || with_container("resources: {limits: {memory: 32Mi}}"),
            ..cause(
                "oom",
                "more memory than its limit",
                Some(report(crashed_twice)),
            )
        },
        Cause {
            image: || {
                Some(Spec {
                    binary: Some(other_platform()),
                    ..Spec::default()
                })
            },
            ..cause(
                "wrong-architecture",
                "not built for this node's platform",
                Some(report(never_started)),
            )
        },
        Cause {
            exit: 7,
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

fn crashed_twice(pod: &Value) -> bool {
    let down = |one: &Value| {
        !one["state"]["terminated"].is_null()
            || one["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    };
    containers(pod).any(|one| one["restartCount"].as_u64() >= Some(1) && down(one))
}

/// The runtime's word, in whatever form the kubelet passes it on.
fn never_started(pod: &Value) -> bool {
    let said = |end: &Value| {
        matches!(
            end["reason"].as_str(),
            Some("StartError" | "ContainerCannotRun")
        ) || end["exitCode"].as_u64() == Some(255)
    };
    waits(pod, &["RunContainerError", "CreateContainerError"])
        || containers(pod)
            .any(|one| said(&one["state"]["terminated"]) || said(&one["lastState"]["terminated"]))
}

fn holds(object: &Value, condition: &str, status: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    conditions
        .into_iter()
        .flatten()
        .any(|one| one["type"] == condition && one["status"] == status)
}

/// The figures of each cause: from start to exit against a bare helm that may wait for `limit`, and
/// from the cluster's own report to exit.
pub fn causes(info: &Info, deploy: &std::path::Path, limit: Duration) -> Result<Vec<Figure>> {
    let pusher = Pusher::new(info)?;
    let id = std::process::id();
    let all = all();
    let names = |whose: &str| {
        all.iter()
            .map(|cause| format!("{whose}-{}-{id}", cause.name))
            .collect::<Vec<_>>()
    };
    let (ours, theirs) = (names("ours"), names("theirs"));
    let namespaces = [ours.clone(), theirs.clone()].concat();
    let keep = "on_failure = \"keep\"\n";
    let site = Site::new(info, &info.helm4, deploy, keep, namespaces)?;
    for (cause, apps) in all.iter().zip(ours.iter().zip(&theirs)) {
        prepare(&site, &pusher, cause, [apps.0, apps.1])?;
    }
    let mut ends = Vec::new();
    for (cause, app) in all.iter().zip(&ours) {
        ends.push(name(&site, cause, app)?);
    }
    let mut waiting = Vec::new();
    for (cause, app) in all.iter().zip(&theirs) {
        waiting.push(Bare::start(&site, cause, app, limit)?);
    }
    let mut figures = Vec::new();
    for ((cause, named), bare) in all.iter().zip(ends).zip(waiting) {
        let bare = bare
            .join()
            .map_err(|_| anyhow::anyhow!("a bare helm was lost"))??;
        figures.extend(figures_of(cause, &named, bare));
    }
    Ok(figures)
}

fn ms(took: Duration) -> f64 {
    took.as_secs_f64() * 1000.0
}

fn figures_of(cause: &Cause, named: &Named, bare: Duration) -> Vec<Figure> {
    let what = cause.name.replace('-', " ");
    let whole = Figure {
        other: Some(("bare helm".to_owned(), ms(bare))),
        held: Held::Part,
        ..alone(format!("{what}: named"), Unit::Ms, ms(named.took), PART)
    };
    let after = match (&cause.report, named.after_report) {
        (Some(report), Some(after)) => {
            let what = format!("{what}: after the cluster's report");
            alone(what, Unit::Ms, ms(after), report.bar)
        }
        // The registry's answer to `deploy` itself: the cluster is not asked.
        _ => alone(
            format!("{what}: by preflight"),
            Unit::Ms,
            ms(named.took),
            1000.0,
        ),
    };
    vec![whole, after]
}

fn owner(cause: &Cause) -> String {
    format!("bench-{}", cause.name)
}

/// A good release of both, and all that the bad one needs.
fn prepare(site: &Site<'_>, pusher: &Pusher, cause: &Cause, apps: [&str; 2]) -> Result<()> {
    let owner = owner(cause);
    pusher.chart(&owner, &Shop::new("shop", GOOD).chart())?;
    pusher.chart(&owner, &(cause.chart)()?)?;
    for key in ["api", "web"] {
        pusher.image(&format!("{owner}/shop/{key}"), "good", &Spec::default())?;
    }
    if let Some(image) = (cause.image)() {
        pusher.image(&format!("{owner}/shop/api"), "bad", &image)?;
    }
    let [ours, theirs] = apps;
    let tags = ["good", "good"];
    ended(&mut site.signal(ours, &owner, GOOD, tags), 0, "")?;
    ended(&mut site.bare(theirs, &owner, GOOD, tags), 0, "")?;
    for app in apps {
        if cause.name == "quota" {
            site.kubectl(&[
                "create",
                "quota",
                "small",
                "--hard=requests.cpu=1",
                "--namespace",
                app,
            ])?;
        }
        if cause.denied {
            deny(site, pusher, &owner, app)?;
        }
    }
    Ok(())
}

/// From now on the registry shows the api to the kubelet alone.
fn deny(site: &Site<'_>, pusher: &Pusher, owner: &str, app: &str) -> Result<()> {
    let (user, word) = ("kubelet", "a-made-up-word");
    let policy = Policy::public()
        .package("shop/api", Visibility::Private)
        .user(user, word, Access::Read);
    pusher.policy(owner, &policy)?;
    let (user, word) = (
        format!("--docker-username={user}"),
        format!("--docker-password={word}"),
    );
    let server = "--docker-server=ghcr.io";
    let secret = [
        "create",
        "secret",
        "docker-registry",
        "ghcr",
        server,
        &user,
        &word,
    ];
    site.kubectl(&[&secret[..], &["--namespace", app]].concat())?;
    Ok(())
}

/// How soon a cause was named.
struct Named {
    took: Duration,
    after_report: Option<Duration>,
}

/// `deploy` until it has named the cause and ended.
fn name(site: &Site<'_>, cause: &Cause, app: &str) -> Result<Named> {
    let sight = match &cause.report {
        Some(report) => Some(Sight::of(site, app, report)?),
        None => None,
    };
    let begun = Instant::now();
    let mut signal = site.signal(app, &owner(cause), BAD, ["bad", "good"]);
    ended(&mut signal, cause.exit, cause.says)?;
    let end = Instant::now();
    let reported = sight.map(Sight::end).transpose();
    let reported = reported.with_context(|| cause.name)?;
    Ok(Named {
        took: end - begun,
        after_report: reported.map(|at| end.saturating_duration_since(at)),
    })
}

/// Runs it to its end, which must be this one.
fn ended(command: &mut Command, exit: i32, says: &str) -> Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let as_wanted = output.status.code() == Some(exit) && said.contains(says);
    ensure!(
        as_wanted,
        "{} ended with {}, expected exit code {exit} and {says:?}:\n{said}",
        command.get_program().display(),
        output.status
    );
    Ok(())
}

/// How much later than `deploy` somebody else may hear of a report.
const LATER: Duration = Duration::from_secs(10);

/// Somebody else who watches for the cluster's report.
struct Sight {
    kubectl: Child,
    seen: mpsc::Receiver<Instant>,
}

impl Sight {
    fn of(site: &Site<'_>, namespace: &str, report: &Report) -> Result<Self> {
        let mut kubectl = site
            .command(&site.info.kubectl)
            .args(["get", report.resource, "--namespace", namespace])
            .args(["--watch", "--output", "json"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let stream = kubectl.stdout.take().context("kubectl has no output")?;
        let (is, (sender, seen)) = (report.is, mpsc::channel());
        std::thread::spawn(move || tell(stream, is, &sender));
        Ok(Self { kubectl, seen })
    }

    /// When it was first seen.
    fn end(mut self) -> Result<Instant> {
        let seen = self.seen.recv_timeout(LATER);
        self.kubectl.kill()?;
        self.kubectl.wait()?;
        seen.context("the cluster reported nothing by the time that deploy had ended")
    }
}

/// Tells when an object came that is so. The rest is read, too.
fn tell(stream: impl Read, is: fn(&Value) -> bool, seen: &mpsc::Sender<Instant>) {
    let objects = Deserializer::from_reader(stream).into_iter::<Value>();
    for object in objects.map_while(Result::ok) {
        if is(&object) {
            // Only the first is waited for.
            let _ = seen.send(Instant::now());
        }
    }
}

/// A bare helm.
struct Bare;

impl Bare {
    /// Starts it; gives how long it took.
    fn start(
        site: &Site<'_>,
        cause: &Cause,
        app: &str,
        limit: Duration,
    ) -> Result<JoinHandle<Result<Duration>>> {
        let mut helm = site
            .bare(app, &owner(cause), BAD, ["bad", "good"])
            .arg(format!("--timeout={}s", limit.as_secs()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let begun = Instant::now();
        let name = cause.name;
        Ok(std::thread::spawn(move || {
            if helm.wait()?.success() {
                bail!("bare helm deployed {name}, which cannot be");
            }
            Ok(begun.elapsed())
        }))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn reports_are_recognised() {
        let pod = |status: Value| json!({"status": {"containerStatuses": [status]}});
        let first = json!({"restartCount": 0, "state": {"terminated": {"exitCode": 3}}});
        let second = json!({"restartCount": 1, "state": {"terminated": {"exitCode": 3}}});
        assert!(!crashed_twice(&pod(first)));
        assert!(crashed_twice(&pod(second)));
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
