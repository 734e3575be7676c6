//! Deploys the charts whose verdict is good, and looks at what runs then.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::process::Command;
use std::sync::{LazyLock, Mutex};

use deploy::manifest::Object;
use deploy::signal::{ImageKey, ImageRef};
use serde_json::Value;
use testbed::chart::Chart;

use super::expect::Case;
use super::shapes::Shape;
use super::{all_shapes, charts, each, name};
use crate::harness::{Helm, Node, bed, kubectl_in, soak};

/// A chart in one of its good cases and forms. Helm 3 and Helm 4 take
/// different ones, and so do neighbours.
struct Deploy {
    chart: Chart,
    case: Case,
    form: String,
}

/// Every chart with `DEPLOY_SOAK` set; else every fourth, others on each helm:
/// all of them take minutes, and each is proved with both helms in any case.
fn is_due(at: usize, helm: Helm) -> bool {
    let first = if helm == Helm::V3 { 0 } else { 2 };
    soak::is_on() || at % 4 == first
}

fn deploys(helm: Helm) -> Vec<Deploy> {
    let mut all = Vec::new();
    for (at, (folder, expect)) in charts().into_iter().enumerate() {
        if !is_due(at, helm) {
            continue;
        }
        let mut ways = Vec::new();
        for case in &expect.cases {
            if case.verdict == "ok" && case.deploy {
                ways.extend(case.forms().iter().map(|form| (case, form)));
            }
        }
        let turn = at + usize::from(helm == Helm::V4);
        if let Some((case, form)) = ways.get(turn % ways.len().max(1)) {
            all.push(Deploy {
                chart: Chart::from_folder(&folder).unwrap_or_else(|error| {
                    panic!("{}: {error:#}", name(&folder));
                }),
                case: (*case).clone(),
                form: (*form).clone(),
            });
        }
    }
    let forms: BTreeSet<&str> = all.iter().map(|deploy| deploy.form.as_str()).collect();
    let every = BTreeSet::from(["tag", "digest", "both"]);
    assert_eq!(forms, every, "each form on each helm");
    all
}

/// The digest of the test application under a name and a tag, pushed once.
fn pushed(name: &str, tag: &str) -> String {
    static PUSHED: LazyLock<Mutex<BTreeMap<(String, String), String>>> =
        LazyLock::new(Mutex::default);
    let mut pushed = PUSHED.lock().unwrap();
    let image = (name.to_owned(), tag.to_owned());
    let digest = pushed
        .entry(image)
        .or_insert_with(|| Node::image_named(name, tag));
    digest.clone()
}

/// An image that is in the registry then, with the digest that it has there.
fn real(image: &ImageRef) -> ImageRef {
    let image = image.to_string();
    let (rest, digest) = image.split_once('@').unwrap_or((&image, ""));
    let (name, tag) = rest.rsplit_once(':').unwrap_or((rest, "1a2b3c4d5e"));
    let real = pushed(name, tag);
    if digest.is_empty() {
        image.parse().unwrap()
    } else {
        format!("{rest}@{real}").parse().unwrap()
    }
}

impl Deploy {
    /// The requested images, which are in the registry then.
    fn images(&self) -> BTreeMap<ImageKey, ImageRef> {
        let images = self.case.images(&self.form).into_iter();
        images.map(|(key, image)| (key, real(&image))).collect()
    }

    /// What an operator has in `/etc/deploy/deploy.toml` for it.
    fn configuration(&self, node: &Node) -> String {
        let name = &node.name;
        let mut text = format!("[apps.{name}]\nowners = [\"acme\", \"{name}\"]\n");
        let further = ["api", "web", "worker"];
        let required: Vec<&String> = self
            .case
            .keys
            .iter()
            .filter(|key| !further.contains(&key.as_str()))
            .collect();
        let absent = &self.case.absent;
        let _ = writeln!(text, "required = {required:?}\nabsent = {absent:?}");
        for (key, paths) in &self.case.layouts {
            let _ = writeln!(text, "images.{key} = {paths:?}");
        }
        text
    }

    fn run(&self, helm: Helm) -> Vec<String> {
        // `helm create` leaves the chart's name out where the release has it already.
        let node = Node::new("corpus", helm);
        node.push(&self.chart);
        let images = self.images();
        // The subchart of `global-own` runs one that is not the request's.
        pushed("ghcr.io/acme/mirror/cache", "7");
        node.home
            .write_etc("deploy/deploy.toml", &self.configuration(&node), 0o644);
        if !self.case.values.is_empty() {
            let file = format!("{}.values.yaml", node.name);
            node.home.write(&file, &self.case.values, 0o600);
        }
        let mut signal = node.chart_signal(self.chart.name(), self.chart.version());
        for (key, image) in &images {
            signal = signal.image(key.as_str(), image.to_string());
        }
        let ran = signal.run();
        let mut wrong = Vec::new();
        if ran.status.success() {
            self.look(&mut wrong, &node, &images);
        } else {
            wrong.push(ran.told());
        }
        for namespace in namespaces(&node).into_iter().skip(1) {
            node.kubectl(&["delete", "namespace", &namespace, "--wait=false"]);
        }
        let told = |line| {
            let (chart, case) = (self.chart.name(), &self.case.name);
            format!("{chart} / {case} / {} on {helm:?}: {line}", self.form)
        };
        wrong.into_iter().map(told).collect()
    }

    /// Each place that the corpus names carries the requested image, in the
    /// cluster's own objects, in the hooks that helm stored, and in pods.
    fn look(&self, wrong: &mut Vec<String>, node: &Node, images: &BTreeMap<ImageKey, ImageRef>) {
        let places = places(node);
        let image = |key: &str| {
            let own = images.iter().find(|(own, _)| own.as_str() == key);
            let api = || images.iter().find(|(own, _)| own.as_str() == "api");
            own.or_else(api).unwrap().1.to_string()
        };
        for (key, named) in self.places() {
            for place in named {
                let found = places.iter().filter(|(found, _)| *found == place);
                let found: BTreeSet<&str> = found.map(|(_, image)| image.as_str()).collect();
                if found != BTreeSet::from([image(&key).as_str()]) {
                    wrong.push(format!("{place}: {found:?}, expected {}", image(&key)));
                }
            }
        }
        let requested: BTreeSet<String> = images.values().map(ToString::to_string).collect();
        let running = running(node);
        for image in &running {
            if !requested.contains(image) && !image.ends_with("/acme/mirror/cache:7") {
                wrong.push(format!("a pod runs {image}, which nobody asked for"));
            }
        }
        if running.is_empty() {
            wrong.push("nothing runs".to_owned());
        }
    }

    /// The places of each key: those that the case names; else a Deployment of
    /// the key's name, which most charts have.
    fn places(&self) -> BTreeMap<String, Vec<String>> {
        let mut places = self.case.placed.clone();
        for key in ["api", "web"].map(str::to_owned) {
            if self.case.absent.contains(&key) {
                continue;
            }
            let usual = || vec![format!("Deployment shop-{key}")];
            places.entry(key.clone()).or_insert_with(usual);
        }
        places
    }
}

fn namespaces(node: &Node) -> Vec<String> {
    let all = node.kubectl(&["get", "namespaces", "-o", "name"]);
    let own = all
        .lines()
        .filter_map(|line| line.strip_prefix("namespace/"));
    let own = own.filter(|name| **name == node.name || *name == format!("{}-front", node.name));
    let mut own: Vec<String> = own.map(str::to_owned).collect();
    own.sort();
    own
}

fn items(namespace: &str, kinds: &str) -> Vec<Value> {
    let args = ["get", kinds, "-o", "json", "--ignore-not-found"];
    let text = kubectl_in(namespace, &args);
    let list: Value = serde_json::from_str(&text).unwrap_or_default();
    list["items"].as_array().cloned().unwrap_or_default()
}

/// Every image of the release with its place, as the corpus writes it: the
/// release is `shop` there. Each twice: with its container and without.
fn places(node: &Node) -> Vec<(String, String)> {
    let mut objects = Vec::new();
    for namespace in namespaces(node) {
        for item in items(&namespace, "deployments,jobs,cronjobs") {
            objects.extend(Object::parse(&item.to_string()).unwrap());
        }
    }
    // Hooks are gone by now, and some custom resources have no kind that kubectl knows yet.
    for what in ["hooks", "manifest"] {
        let output = Command::new(node.helm.path())
            .args(["get", what, &node.name, "--namespace", &node.name])
            .arg("--kubeconfig")
            .arg(&bed().info.kubeconfig)
            .output()
            .unwrap();
        objects.extend(Object::parse(&String::from_utf8_lossy(&output.stdout)).unwrap());
    }
    let mut places = Vec::new();
    for object in objects {
        let whole = object.to_string().replace(&node.name, "shop");
        for container in &object.containers {
            places.push((format!("{whole}, {container}"), container.image.clone()));
            places.push((whole.clone(), container.image.clone()));
        }
    }
    places
}

/// The images of the pods that are not on their way out.
fn running(node: &Node) -> BTreeSet<String> {
    let pods = namespaces(node)
        .into_iter()
        .flat_map(|namespace| items(&namespace, "pods"));
    pods.filter(|pod| pod["metadata"]["deletionTimestamp"].is_null())
        .flat_map(|pod| {
            let list = |key: &str| pod["spec"][key].as_array().cloned().unwrap_or_default();
            [list("containers"), list("initContainers")].concat()
        })
        .filter_map(|container| Some(container["image"].as_str()?.to_owned()))
        .collect()
}

/// A shape deployed by tag or digest: what runs then is what was requested.
fn shape(helm: Helm, shape: &Shape, form: &str) -> Vec<String> {
    let node = Node::new("shape", helm);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join(&shape.name);
    shape.write(&folder);
    let chart = Chart::from_folder(&folder).unwrap();
    node.push(&chart);
    let images: BTreeMap<ImageKey, ImageRef> = shape
        .requested(form)
        .into_iter()
        .map(|(key, image)| (key, real(&image)))
        .collect();
    let name = &node.name;
    let lines = shape.deploy.join("\n");
    let text = format!("[apps.{name}]\nowners = [\"acme\", \"{name}\"]\n{lines}\n");
    node.home.write_etc("deploy/deploy.toml", &text, 0o644);
    let mut signal = node.chart_signal(chart.name(), chart.version());
    for (key, image) in &images {
        signal = signal.image(key.as_str(), image.to_string());
    }
    let ran = signal.run();
    let requested: BTreeSet<String> = images.values().map(ToString::to_string).collect();
    let told = |line| format!("{} by {form} on {helm:?}: {line}", shape.name);
    if !ran.status.success() {
        return vec![told(ran.told())];
    }
    let running = running(&node);
    if running == requested {
        return Vec::new();
    }
    vec![told(format!("{running:?} run, expected {requested:?}"))]
}

/// The shapes that run: half of them on each helm, by tag and by digest in turn;
/// all of them on both with `DEPLOY_SOAK` set.
fn shapes(helm: Helm) -> Vec<(Shape, &'static str)> {
    let is_soak = soak::is_on();
    let all: Vec<Shape> = all_shapes().into_iter().filter(|one| one.runs).collect();
    assert!(all.len() >= 20, "only {} shapes run", all.len());
    let due = all.into_iter().enumerate().filter(|(at, _)| {
        let first = usize::from(helm == Helm::V4);
        is_soak || at % 2 == first
    });
    let form = |at: usize, shape: &Shape| {
        let by_digest = (at / 2) % 2 == 1 && !shape.refused.iter().any(|form| form == "digest");
        if by_digest { "digest" } else { "tag" }
    };
    due.map(|(at, shape)| {
        let form = form(at, &shape);
        (shape, form)
    })
    .collect()
}

fn deployed(helm: Helm) {
    let mut wrong = each(&deploys(helm), |deploy| deploy.run(helm));
    wrong.extend(each(&shapes(helm), |(one, form)| shape(helm, one, form)));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn with_helm3() {
    deployed(Helm::V3);
}

#[test]
fn with_helm4() {
    deployed(Helm::V4);
}
