//! A wave that fails until its cause is named, beside `argocd app wait --health` for the same
//! failure of another Application in the same cluster. Both keep what failed as it is.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testbed::chart::{Chart, Shop};
use testbed::client::{FleetInfo, Info};
use testbed::fleet::NAMESPACE;
use testbed::ghcr::{Policy, Visibility};
use testbed::image::Spec;
use testbed::push::Pusher;
use testbed::site::Site;

use super::{OWNER, PATIENCE, VERSION, apply, asks, hand_over, made, signalled, tag};
use crate::figures::{Figure, Held, Unit, alone};

/// The part of the other's time that it may take.
const PART: f64 = 0.1;

/// The cluster in which it fails.
const PLACE: &str = "eu";

/// A way to fail.
struct Failure {
    name: &'static str,
    /// What the error must say.
    says: &'static str,
    version: &'static str,
    /// The tag of the api.
    api: &'static str,
}

/// The one that makes the api's package private stands last: no pull of the others comes later.
const ALL: [Failure; 4] = [
    Failure {
        name: "crash",
        says: "last with exit code 3",
        version: VERSION,
        api: "crash",
    },
    Failure {
        name: "missing-secret",
        says: "needs Secret shop-db",
        version: "1.0.1",
        api: "r0",
    },
    Failure {
        name: "quota",
        says: "exceeded quota",
        version: "1.0.2",
        api: "r0",
    },
    Failure {
        name: PRIVATE,
        says: "cannot pull",
        version: VERSION,
        api: "gone",
    },
];

/// The registry tells neither `deploy` nor the kubelet of an image that is not there.
const PRIVATE: &str = "missing-image";

/// The figures of each; the others may wait for `limit`.
pub(super) fn causes(
    info: &Info,
    known: &FleetInfo,
    deploy: &Path,
    limit: Duration,
) -> Result<Vec<Figure>> {
    let pusher = Pusher::new(info)?;
    let crash = Spec::behaving("exit 3");
    pusher.image(&format!("{OWNER}/shop/api"), "crash", &crash)?;
    pusher.image(
        &format!("{OWNER}/shop/api"),
        "hang",
        &Spec::behaving("hang"),
    )?;
    let secret = "envFrom: [{secretRef: {name: shop-db}}]";
    pusher.chart(OWNER, &with_container("1.0.1", secret)?)?;
    let large = with_container("1.0.2", "resources: {requests: {cpu: 2}}")?;
    pusher.chart(OWNER, &large.with("templates/quota.yaml", QUOTA))?;
    let mut ours = Vec::new();
    let mut sites = Vec::new();
    for failure in &ALL {
        let app = format!("bench-cause-{}", failure.name);
        let names = [(format!("{app}-{PLACE}"), PLACE)];
        let waves = vec![vec![names[0].0.clone()]];
        let keep = "on_failure = \"keep\"\n";
        let site = made(info, known, deploy, &app, &names, &waves, keep)?;
        if sites.is_empty() {
            reachable(&site)?;
        }
        signalled(&site, &app, &tag(0))?;
        let by_hand = by_hand(failure);
        super::changed(&site, &by_hand, PLACE, &tag(0))?;
        if failure.name == PRIVATE {
            let policy = Policy::public().package("shop/api", Visibility::Private);
            pusher.policy(OWNER, &policy)?;
        }
        ours.push(named(&site, &app, failure)?);
        sites.push(site);
    }
    // Each of them waits its whole time.
    let theirs: Vec<Result<Duration>> = std::thread::scope(|scope| {
        let waiting: Vec<_> = ALL
            .iter()
            .zip(&sites)
            .map(|(failure, site)| scope.spawn(|| waited(site, known, failure, limit)))
            .collect();
        let lost = |_| Err(anyhow::anyhow!("a wait was lost"));
        waiting
            .into_iter()
            .map(|wait| wait.join().unwrap_or_else(lost))
            .collect()
    });
    let mut figures = Vec::new();
    for ((failure, ours), theirs) in ALL.iter().zip(ours).zip(theirs) {
        let ms = |took: Duration| took.as_secs_f64() * 1000.0;
        let what = format!("{} in a wave: named", failure.name.replace('-', " "));
        figures.push(Figure {
            other: Some(("argocd app wait --health".to_owned(), ms(theirs?))),
            held: Held::Part,
            ..alone(what, Unit::Ms, ms(ours), PART)
        });
    }
    Ok(figures)
}

fn by_hand(failure: &Failure) -> String {
    format!("bench-wait-{}", failure.name)
}

/// Lets Argo CD's command reach the repo-server: without a server of its own it looks for a pod of
/// that name, and here that is a process beside the node.
fn reachable(site: &Site<'_>) -> Result<()> {
    let name = "argocd-repo-server";
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "labels": {"app.kubernetes.io/name": name},
        },
        "spec": {
            "hostNetwork": true,
            "containers": [{"name": "none", "image": format!("ghcr.io/{OWNER}/shop/api:hang")}],
        },
    });
    apply(site, &pod)?;
    let ready = [
        "wait",
        "--for=condition=Ready",
        "--timeout=60s",
        "pod",
        name,
    ];
    site.kubectl(&[&ready[..], &["--namespace", NAMESPACE]].concat())?;
    Ok(())
}

/// Less than one pod of the version that comes with it asks for.
const QUOTA: &str = "apiVersion: v1
kind: ResourceQuota
metadata: {name: small}
spec: {hard: {requests.cpu: 1}}
";

/// A chart whose api has another line in its container.
fn with_container(version: &str, more: &str) -> Result<Chart> {
    let (file, name) = ("templates/api.yaml", "        - name: api\n");
    let chart = Shop::new("shop", version).chart();
    let text = chart.file(file).context(file)?;
    ensure!(text.contains(name), "{file} does not hold {name:?}");
    let text = text.replace(name, &format!("{name}          {more}\n"));
    Ok(chart.with(file, &text))
}

/// `deploy` until it has named the cause and ended.
fn named(site: &Site<'_>, app: &str, failure: &Failure) -> Result<Duration> {
    let begun = Instant::now();
    let mut signal = site.signal(app, OWNER, failure.version, [failure.api, "r0"]);
    let output = signal.stdin(Stdio::null()).output()?;
    let took = begun.elapsed();
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.code() == Some(8) && said.contains(failure.says),
        "deploy ended with {}, expected exit code 8 and {:?}:\n{said}",
        output.status,
        failure.says
    );
    Ok(took)
}

/// The same by hand, and Argo CD's own command until it gives up. It is begun once the new version
/// is not healthy yet: before that it would be content with the health of the old one.
fn waited(
    site: &Site<'_>,
    known: &FleetInfo,
    failure: &Failure,
    limit: Duration,
) -> Result<Duration> {
    let name = format!("{}-{PLACE}", by_hand(failure));
    let begun = Instant::now();
    let tags = [failure.api, "r0"];
    hand_over(site, &name, PLACE, failure.version, tags)?;
    let is_on_its_way = |of: &Value| {
        let status = &of["status"];
        status["sync"]["comparedTo"]["source"] == of["spec"]["source"]
            && status["operationState"]["phase"] == "Succeeded"
            && status["health"]["status"] != "Healthy"
    };
    while !is_on_its_way(&asks(site, &name)?) {
        ensure!(begun.elapsed() < PATIENCE, "{name} is not on its way");
        std::thread::sleep(Duration::from_millis(100));
    }
    // Without a server of its own the command looks where the kubeconfig leads.
    let hub = site.path(&format!("{name}.kubeconfig"));
    let text = fs::read_to_string(&site.info.kubeconfig)?;
    fs::write(&hub, text)?;
    let file = hub.to_str().context("a path that is no text")?;
    let namespace = format!("--namespace={NAMESPACE}");
    let current = ["config", "set-context", "--current", "--kubeconfig", file];
    site.kubectl(&[&current[..], &[&namespace]].concat())?;
    let left = limit.saturating_sub(begun.elapsed()).as_secs().max(1);
    let output = site
        .command(&known.argocd)
        .env("KUBECONFIG", &hub)
        .args(["app", "wait", &name, "--core", "--health"])
        .arg(format!("--timeout={left}"))
        .stdin(Stdio::null())
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(!output.status.success(), "argocd calls {name} healthy");
    let (early, end) = (begun.elapsed() < Duration::from_secs(5), output.status);
    ensure!(!early, "argocd did not wait for {name} ({end}):\n{said}");
    Ok(begun.elapsed())
}
