//! What a large release costs: one of many pods of its own, and one of many workloads, beside bare
//! helm.
//!
//! No node runs so many pods: nobody schedules them, and [`Kubelet`] says of each through the API
//! that it is ready. All else (Deployments, `ReplicaSets`, the pods themselves) is the cluster's.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::{Figure, Held, Unit, alone, count, megabytes};
use testbed::chart::{Chart, Shop};
use testbed::client::Info;
use testbed::crowd::high_water;
use testbed::image::Spec;
use testbed::push::Pusher;
use testbed::site::Site;

const OWNER: &str = "bench-own";

/// How often the kubelet looks for pods that are not ready.
const LOOK: Duration = Duration::from_millis(200);

/// How many pods become ready at the same time.
const HANDS: usize = 16;

/// The most that the memory may grow for each further pod of a release, and what it differs by
/// from run to run, in millions of bytes.
const BAR_FOR_A_POD: f64 = 0.02;
const NOISE: f64 = 2.0;

/// What a kubelet names each image.
type Images = BTreeMap<String, String>;

/// What an upgrade took.
#[derive(Debug)]
struct Cost {
    took: Duration,
    memory: u64,
    /// How many requests it made, of which lists; of bare helm nothing is known.
    requests: usize,
    lists: usize,
}

/// The figures of releases with so many pods each, and of one with so many workloads.
pub fn own(info: &Info, deploy: &Path, pods: &[usize], workloads: usize) -> Result<Vec<Figure>> {
    let pusher = Pusher::new(info)?;
    let mut images = Images::new();
    for (key, tag) in [("api", "a"), ("api", "b"), ("web", "a")] {
        let repository = format!("{OWNER}/shop/{key}");
        let digest = pusher.image(&repository, tag, &Spec::default())?;
        let name = format!("ghcr.io/{repository}");
        images.insert(format!("{name}:{tag}"), format!("{name}@{digest}"));
    }
    let mut figures = Vec::new();
    let mut first: Option<(usize, u64)> = None;
    for count in pods {
        let version = format!("1.0.{count}");
        pusher.chart(OWNER, &of_pods(&version, *count))?;
        let what = format!("{count} pods of its own");
        let [ours, theirs] = measure(info, deploy, &images, &version, &what)?;
        if let Some((few, memory)) = first {
            figures.push(growth(*count - few, memory, ours.memory));
        }
        first.get_or_insert((*count, ours.memory));
        figures.extend(told(&what, &ours, &theirs));
    }
    if workloads > 0 {
        let version = format!("2.0.{workloads}");
        pusher.chart(OWNER, &of_workloads(&version, workloads))?;
        let what = format!("{workloads} workloads of its own");
        let [ours, theirs] = measure(info, deploy, &images, &version, &what)?;
        figures.extend(told(&what, &ours, &theirs));
    }
    Ok(figures)
}

/// The shop, whose pods nobody schedules.
fn unscheduled(version: &str) -> Chart {
    let chart = Shop::new("shop", version).grace(1).chart();
    ["templates/api.yaml", "templates/web.yaml"]
        .into_iter()
        .fold(chart, |chart, path| {
            let text = chart.file(path).unwrap_or_default();
            let containers = "      containers:\n";
            let nobody = format!("      schedulerName: nobody\n{containers}");
            let text = text.replace(containers, &nobody);
            chart.with(path, &text)
        })
}

fn of_pods(version: &str, count: usize) -> Chart {
    let chart = unscheduled(version);
    let path = "templates/api.yaml";
    let text = chart.file(path).unwrap_or_default();
    let text = text.replace("{{ .Values.api.replicas }}", &count.to_string());
    chart.with(path, &text)
}

fn of_workloads(version: &str, count: usize) -> Chart {
    let chart = unscheduled(version);
    let more = format!(
        "{{{{- range until {} }}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: \"more-{{{{ . }}}}\"}}
spec:
  selector: {{matchLabels: {{more: \"{{{{ . }}}}\"}}}}
  template:
    metadata: {{labels: {{more: \"{{{{ . }}}}\"}}}}
    spec:
      schedulerName: nobody
      terminationGracePeriodSeconds: 1
      containers:
        - name: api
          image: {{{{ include \"image\" $.Values.api.image | quote }}}}
{{{{- end }}}}
",
        count.saturating_sub(2)
    );
    chart.with("templates/more.yaml", &more)
}

/// An upgrade by `deploy` and one by bare helm, each of a release that serves.
fn measure(
    info: &Info,
    deploy: &Path,
    images: &Images,
    version: &str,
    what: &str,
) -> Result<[Cost; 2]> {
    let id = format!("{}-{}", version.replace('.', "-"), std::process::id());
    let (ours, theirs) = (format!("ours-{id}"), format!("theirs-{id}"));
    let namespaces = vec![ours.clone(), theirs.clone()];
    let site = Site::new(info, &info.helm4, deploy, "", namespaces)?;
    let mut costs = Vec::new();
    for (name, is_deploy) in [(&ours, true), (&theirs, false)] {
        let kubelet = Kubelet::start(&info.kubeconfig, name, images.clone())?;
        let upgrade = |tag: &str| {
            if is_deploy {
                site.signal(name, OWNER, version, [tag, "a"])
            } else {
                site.bare(name, OWNER, version, [tag, "a"])
            }
        };
        cost(&site, upgrade("a")).with_context(|| format!("the first of {what}"))?;
        costs.push(cost(&site, upgrade("b")).with_context(|| format!("the upgrade of {what}"))?);
        if is_deploy {
            serves(&site, name).with_context(|| format!("deploy was done with {what}"))?;
        }
        kubelet.stop()?;
        // The next one has the cluster for itself.
        site.kubectl(&["delete", "namespace", name])?;
    }
    costs.try_into().map_err(|_| anyhow::anyhow!("two costs"))
}

/// Whether every Deployment is as wanted, with no pod of the revision before.
fn serves(site: &Site<'_>, namespace: &str) -> Result<()> {
    let counts =
        "{.spec.replicas} {.status.replicas} {.status.updatedReplicas} {.status.availableReplicas}";
    let path = format!("jsonpath={{range .items[*]}}{{.metadata.name}} {counts}{{\"\\n\"}}{{end}}");
    let said = site.kubectl(&["get", "deployments", "--namespace", namespace, "-o", &path])?;
    for line in said.lines() {
        let mut words = line.split(' ').skip(1);
        let wanted = words.next();
        ensure!(
            words.all(|count| Some(count) == wanted),
            "it is not Ready: {line}"
        );
    }
    Ok(())
}

fn told(what: &str, ours: &Cost, theirs: &Cost) -> [Figure; 4] {
    let ms = |cost: &Cost| cost.took.as_secs_f64() * 1000.0;
    let time = Figure {
        what: format!("an upgrade of {what}"),
        times: 1,
        unit: Unit::Ms,
        deploy: ms(ours),
        other: Some(("bare helm".to_owned(), ms(theirs))),
        held: Held::Part,
        bar: f64::INFINITY,
    };
    let infinite = f64::INFINITY;
    [
        time,
        megabytes(
            format!("the most memory of deploy itself, {what}"),
            ours.memory,
            infinite,
        ),
        megabytes(
            format!("the most memory of bare helm, {what}"),
            theirs.memory,
            infinite,
        ),
        alone(
            format!(
                "requests of deploy itself, {what}, of which {} lists",
                ours.lists
            ),
            Unit::Requests,
            count(ours.requests),
            infinite,
        ),
    ]
}

fn growth(pods: usize, few: u64, many: u64) -> Figure {
    let bytes = many.saturating_sub(few);
    let bar = NOISE + BAR_FOR_A_POD * count(pods);
    megabytes(
        format!("growth of deploy's memory with {pods} more pods of its own"),
        bytes,
        bar,
    )
}

/// Runs it to its good end.
fn cost(site: &Site<'_>, mut command: Command) -> Result<Cost> {
    let log = site.path("own.log");
    command
        .env("DEPLOY_LOG", "debug")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(&log)?);
    let begun = Instant::now();
    let mut child = command.spawn()?;
    let path = format!("/proc/{}/status", child.id());
    let mut memory = 0;
    let status = loop {
        let now = fs::read_to_string(&path).ok();
        let now = now.as_deref().and_then(high_water).unwrap_or(0);
        memory = memory.max(now * 1024);
        if let Some(status) = child.try_wait()? {
            break status;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let took = begun.elapsed();
    let log = fs::read_to_string(&log)?;
    if !status.success() {
        let end = log.lines().rev().take(30).collect::<Vec<_>>();
        bail!(
            "it ended with {status}:\n{}",
            end.into_iter().rev().collect::<Vec<_>>().join("\n")
        );
    }
    let requests = || log.lines().filter(|line| line.ends_with("requesting"));
    Ok(Cost {
        took,
        memory,
        requests: requests().count(),
        lists: requests().filter(|line| line.contains("\"list")).count(),
    })
}

/// Says of a namespace's pods that they are ready, until it is stopped.
struct Kubelet {
    stop: oneshot::Sender<()>,
    thread: std::thread::JoinHandle<Result<()>>,
}

impl Kubelet {
    fn start(kubeconfig: &Path, namespace: &str, images: Images) -> Result<Self> {
        let kubeconfig = kube::config::Kubeconfig::read_from(kubeconfig)?;
        let namespace = namespace.to_owned();
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let work = async move {
            let options = kube::config::KubeConfigOptions::default();
            let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await?;
            let api: Api<Pod> = Api::namespaced(Client::try_from(config)?, &namespace);
            tokio::select! {
                _ = stopped => Ok(()),
                failed = run_pods(&api, &images) => failed,
            }
        };
        let thread = std::thread::spawn(move || runtime.block_on(work));
        Ok(Self { stop, thread })
    }

    fn stop(self) -> Result<()> {
        let _ = self.stop.send(());
        let ended = self.thread.join();
        ended.unwrap_or_else(|_| bail!("the pods' kubelet panicked"))
    }
}

async fn run_pods(api: &Api<Pod>, images: &Images) -> Result<()> {
    let pending = ListParams::default().fields("status.phase=Pending");
    loop {
        let found = api.list(&pending).await?;
        let mut pods = found
            .items
            .iter()
            .map(|pod| (pod.name_any(), ready(pod, images)));
        let mut hands = JoinSet::new();
        loop {
            while hands.len() < HANDS
                && let Some((name, status)) = pods.next()
            {
                let api = api.clone();
                hands.spawn(async move { is_now(&api, &name, &status).await });
            }
            if hands.is_empty() {
                break;
            }
            if let Some(done) = hands.join_next().await {
                done??;
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The status of a pod that is ready.
fn ready(pod: &Pod, images: &Images) -> Value {
    let yes = |kind: &str| json!({"type": kind, "status": "True"});
    let conditions = ["PodScheduled", "Initialized", "ContainersReady", "Ready"].map(yes);
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let containers = containers.map(|container| {
        let image = container.image.as_deref().unwrap_or_default();
        json!({"name": container.name, "image": image, "imageID": images.get(image),
            "ready": true, "restartCount": 0, "state": {"running": {}}})
    });
    let containers: Vec<Value> = containers.collect();
    json!({"status": {"phase": "Running", "conditions": conditions, "containerStatuses": containers}})
}

async fn is_now(api: &Api<Pod>, name: &str, status: &Value) -> Result<()> {
    match api
        .patch_status(name, &PatchParams::default(), &Patch::Merge(status))
        .await
    {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) => {
            // It went meanwhile.
            ensure!(status.code == 404, "{name}: {}", status.message);
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}
