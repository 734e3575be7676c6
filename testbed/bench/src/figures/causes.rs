//! Failed deploys: how long it takes until the cause is named, beside a bare helm that waits.
//!
//! `deploy` goes through the causes one by one; the bare helms wait all at once, since each of them
//! waits its whole time. Both keep what failed as it is.

mod table;

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Deserializer, Value};

use self::table::{BAD, Cause, Report, all};
use super::{Figure, Held, Unit, alone};
use testbed::chart::Shop;
use testbed::client::Info;
use testbed::ghcr::{Access, Policy, Visibility};
use testbed::image::Spec;
use testbed::push::Pusher;
use testbed::site::Site;

const GOOD: &str = "1.0.0";

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
        ..alone(
            format!("{what}: named"),
            Unit::Ms,
            ms(named.took),
            cause.part.unwrap_or(f64::INFINITY),
        )
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
