//! What a deploy in waves costs: its time beside Argo CD's own in each cluster, and the requests
//! and the memory of a wave of many Applications; and how soon it names a cause.

mod causes;

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use testbed::chart::Shop;
use testbed::client::{FleetInfo, Info};
use testbed::crowd::high_water;
use testbed::fleet;
use testbed::image::Spec;
use testbed::push::Pusher;
use testbed::site::Site;

use super::{Figure, Held, Unit, alone, count, median, megabytes};

const OWNER: &str = "bench-fleet";
const VERSION: &str = "1.0.0";

/// How long the program takes until it is ready: as long as many do.
const SLOW_START: &str = "slow-start 5s";

/// The most that three waves take, as a part of what the slowest clusters take by themselves.
const WAVES: f64 = 1.2;

/// How long an Application may take by itself.
const PATIENCE: Duration = Duration::from_secs(120);

/// The figures, of so many rounds and a wave of so many Applications; Argo CD's own command may
/// wait for `limit`.
pub fn fleet(
    info: &Info,
    deploy: &Path,
    rounds: usize,
    many: usize,
    limit: Duration,
) -> Result<Vec<Figure>> {
    let known = info
        .fleet
        .as_ref()
        .context("this testbed has one cluster")?;
    let pusher = Pusher::new(info)?;
    pusher.chart(OWNER, &Shop::new("shop", VERSION).chart())?;
    for round in 0..=rounds {
        for key in ["api", "web"] {
            let repository = format!("{OWNER}/shop/{key}");
            pusher.image(&repository, &tag(round), &Spec::behaving(SLOW_START))?;
        }
    }
    let mut figures = vec![waves(info, known, deploy, rounds)?];
    figures.extend(wave(info, known, deploy, many)?);
    figures.extend(causes::causes(info, known, deploy, limit)?);
    Ok(figures)
}

fn tag(round: usize) -> String {
    format!("r{round}")
}

/// Three waves of one Application each, beside the same Applications changed by hand, one after
/// the other.
fn waves(info: &Info, known: &FleetInfo, deploy: &Path, rounds: usize) -> Result<Figure> {
    let app = "bench-waves";
    let site = site(info, known, deploy, app, |names| {
        names.iter().map(|name| vec![name.clone()]).collect()
    })?;
    let by_hand = "bench-by-hand";
    signalled(&site, app, &tag(0))?;
    for cluster in &known.clusters {
        changed(&site, by_hand, &cluster.name, &tag(0))?;
    }
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        let begun = Instant::now();
        signalled(&site, app, &tag(round))?;
        ours.push(begun.elapsed().as_secs_f64() * 1000.0);
        let mut all = 0.0;
        for cluster in &known.clusters {
            all += changed(&site, by_hand, &cluster.name, &tag(round))?.as_secs_f64() * 1000.0;
        }
        theirs.push(all);
    }
    Ok(Figure {
        what: "a good deploy through three waves".to_owned(),
        times: rounds,
        unit: Unit::Ms,
        deploy: median(ours),
        other: Some((
            "the same Applications one after the other by hand".to_owned(),
            median(theirs),
        )),
        held: Held::Part,
        bar: WAVES,
    })
}

/// Many Applications in one wave.
fn wave(info: &Info, known: &FleetInfo, deploy: &Path, many: usize) -> Result<Vec<Figure>> {
    let app = "bench-wave";
    let clusters = known.clusters.iter().cycle().take(many);
    let names: Vec<(String, &str)> = clusters
        .enumerate()
        .map(|(at, cluster)| (format!("{app}-{at}"), cluster.name.as_str()))
        .collect();
    let waves = vec![names.iter().map(|(name, _)| name.clone()).collect()];
    let site = made(info, known, deploy, app, &names, &waves, "")?;
    signalled(&site, app, &tag(0))?;
    let log = site.path("wave.log");
    let child = signal(&site, app, &tag(1))
        .env("DEPLOY_LOG", "debug")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(&log)?)
        .spawn()?;
    let memory = watched(child)?;
    let log = fs::read_to_string(&log)?;
    let requests = log.lines().filter(|line| line.ends_with("requesting"));
    let requests = count(requests.count());
    Ok(vec![
        alone(
            format!("a wave of {many} Applications"),
            Unit::Requests,
            requests,
            f64::INFINITY,
        ),
        megabytes(
            format!("the most memory of deploy itself, a wave of {many} Applications"),
            memory,
            f64::INFINITY,
        ),
    ])
}

/// A node for an app with an Application for each cluster.
fn site<'a>(
    info: &'a Info,
    known: &FleetInfo,
    deploy: &Path,
    app: &str,
    waves: impl FnOnce(&[String]) -> Vec<Vec<String>>,
) -> Result<Site<'a>> {
    let clusters = known.clusters.iter().map(|cluster| cluster.name.as_str());
    let names: Vec<(String, &str)> = clusters
        .map(|cluster| (format!("{app}-{cluster}"), cluster))
        .collect();
    let all: Vec<String> = names.iter().map(|(name, _)| name.clone()).collect();
    made(info, known, deploy, app, &names, &waves(&all), "")
}

/// A node for an app with these Applications in these clusters, and these lines of its own.
fn made<'a>(
    info: &'a Info,
    known: &FleetInfo,
    deploy: &Path,
    app: &str,
    names: &[(String, &str)],
    waves: &[Vec<String>],
    more: &str,
) -> Result<Site<'a>> {
    let file = |cluster: &str| {
        let mut all = known.clusters.iter();
        let found = all.find(|known| known.name == cluster);
        let found = found.with_context(|| format!("no cluster is called {cluster}"))?;
        Ok::<_, anyhow::Error>(found.kubeconfig.display().to_string())
    };
    let mut clusters = Vec::new();
    for (name, cluster) in names {
        clusters.push((name.clone(), file(cluster)?));
    }
    let hub = info.kubeconfig.display().to_string();
    let config = fleet::config(app, &hub, waves, &clusters) + more;
    let site = Site::new(info, &info.helm3, deploy, &config, Vec::new())?;
    apply(&site, &fleet::repository(OWNER))?;
    for (name, cluster) in names {
        let source = json!({"repoURL": fleet::charts(OWNER)});
        apply(&site, &fleet::application(name, cluster, name, &source))?;
    }
    Ok(site)
}

fn apply(site: &Site<'_>, object: &Value) -> Result<()> {
    let file = site.path("object.json");
    fs::write(&file, object.to_string())?;
    let file = file.to_str().context("a path that is no text")?;
    let args = [
        "apply",
        "--server-side",
        "--field-manager=people",
        "-f",
        file,
    ];
    site.kubectl(&args).map(|_| ())
}

fn signal(site: &Site<'_>, app: &str, tag: &str) -> std::process::Command {
    site.signal(app, OWNER, VERSION, [tag, tag])
}

fn signalled(site: &Site<'_>, app: &str, tag: &str) -> Result<()> {
    let output = signal(site, app, tag).stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "deploy failed:\n{said}");
    Ok(())
}

/// Changes an Application by hand, and waits until Argo CD calls it good; how long that took.
fn changed(site: &Site<'_>, app: &str, cluster: &str, tag: &str) -> Result<Duration> {
    let name = format!("{app}-{cluster}");
    let begun = Instant::now();
    hand_over(site, &name, cluster, VERSION, [tag, tag])?;
    while begun.elapsed() < PATIENCE {
        let of = asks(site, &name)?;
        let status = &of["status"];
        if status["operationState"]["phase"] == "Succeeded"
            && status["operationState"]["operation"]["sync"]["source"] == of["spec"]["source"]
            && status["sync"]["status"] == "Synced"
            && status["health"]["status"] == "Healthy"
        {
            return Ok(begun.elapsed());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    bail!("{name} is not healthy after {} s", PATIENCE.as_secs())
}

/// Writes all of an Application by hand.
fn hand_over(
    site: &Site<'_>,
    name: &str,
    cluster: &str,
    version: &str,
    [api, web]: [&str; 2],
) -> Result<()> {
    let image = |key, tag| {
        let repository = format!("ghcr.io/{OWNER}/shop/{key}");
        json!({"image": {"repository": repository, "tag": tag}})
    };
    let source = json!({
        "repoURL": fleet::charts(OWNER),
        "chart": "shop",
        "targetRevision": version,
        "helm": {"valuesObject": {"api": image("api", api), "web": image("web", web)}},
    });
    apply(site, &fleet::application(name, cluster, name, &source))
}

/// What Argo CD says of an Application.
fn asks(site: &Site<'_>, name: &str) -> Result<Value> {
    let args = ["get", "application", name, "-n", fleet::NAMESPACE];
    let said = site.kubectl(&[&args[..], &["-o", "json"]].concat())?;
    Ok(serde_json::from_str(&said)?)
}

/// The most memory of a process until its end, in bytes.
fn watched(mut child: Child) -> Result<u64> {
    let path = format!("/proc/{}/status", child.id());
    let mut memory = 0;
    loop {
        let now = fs::read_to_string(&path).ok();
        let now = now.as_deref().and_then(high_water).unwrap_or(0);
        memory = memory.max(now * 1024);
        if let Some(status) = child.try_wait()? {
            ensure!(status.success(), "deploy ended with {status}");
            return Ok(memory);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}
