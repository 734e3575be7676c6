//! Every rule against recorded and written objects: its fast case and its false
//! alarm. A recording is a file of `tests/data/rollout`: what was before, then
//! steps, each with the objects that came and what must be said then.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod order;
mod pull;
mod words;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::baseline::{Baseline, Node, WatchTarget};
use super::model::{Change, Elapsed, Kind, ResourceKind};
use super::rules::RULES;
use super::{ReleaseCache, Status, explain_timeout, judge, progress};
use crate::manifest::quantity;

#[derive(Deserialize)]
struct Recording {
    about: String,
    targets: Vec<Wanted>,
    #[serde(default)]
    promised: Vec<String>,
    #[serde(default)]
    facts: Given,
    before: Vec<Value>,
    steps: Vec<Step>,
    /// Of a recording of the real thing: which workload it is about, and how it
    /// stands at the end. Before that it may only wait.
    main: Option<String>,
    #[serde(rename = "final")]
    last: Option<String>,
}

#[derive(Deserialize)]
struct Wanted {
    kind: String,
    name: String,
    changed: bool,
    hook: bool,
}

#[derive(Default, Deserialize)]
struct Given {
    nodes: Option<Vec<BTreeMap<String, String>>>,
    classes: Option<BTreeMap<String, bool>>,
    volumes: Option<Vec<(String, Option<String>)>>,
}

#[derive(Deserialize)]
struct Step {
    /// In seconds.
    at: f64,
    #[serde(default)]
    about: String,
    objects: Vec<Value>,
    gone: Vec<BTreeMap<String, String>>,
    #[serde(default)]
    expect: BTreeMap<String, String>,
}

fn read() -> Vec<(String, Recording)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/rollout");
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
        .into_iter()
        .map(|file| {
            let name = file.file_stem().unwrap().to_string_lossy().into_owned();
            let recording = serde_json::from_slice(&fs::read(&file).unwrap())
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            (name, recording)
        })
        .collect()
}

fn change(object: &Value) -> Change {
    let object = object.clone();
    match object["kind"].as_str().unwrap() {
        "Deployment" => Change::Workload(
            serde_json::from_value::<k8s_openapi::api::apps::v1::Deployment>(object)
                .unwrap()
                .into(),
        ),
        "StatefulSet" => Change::Workload(
            serde_json::from_value::<k8s_openapi::api::apps::v1::StatefulSet>(object)
                .unwrap()
                .into(),
        ),
        "DaemonSet" => Change::Workload(
            serde_json::from_value::<k8s_openapi::api::apps::v1::DaemonSet>(object)
                .unwrap()
                .into(),
        ),
        "Job" => Change::Workload(
            serde_json::from_value::<k8s_openapi::api::batch::v1::Job>(object)
                .unwrap()
                .into(),
        ),
        "ReplicaSet" => Change::ReplicaSet(
            serde_json::from_value::<k8s_openapi::api::apps::v1::ReplicaSet>(object)
                .unwrap()
                .try_into()
                .unwrap(),
        ),
        "Pod" => Change::Pod(Box::new(
            serde_json::from_value::<k8s_openapi::api::core::v1::Pod>(object)
                .unwrap()
                .into(),
        )),
        "Event" => Change::Event(
            serde_json::from_value::<k8s_openapi::api::core::v1::Event>(object)
                .unwrap()
                .into(),
        ),
        "PersistentVolumeClaim" => Change::Claim(
            serde_json::from_value::<k8s_openapi::api::core::v1::PersistentVolumeClaim>(object)
                .unwrap()
                .into(),
        ),
        kind => panic!("{kind} is not watched"),
    }
}

fn namespace(recording: &Recording) -> String {
    let mut objects = recording
        .before
        .iter()
        .chain(recording.steps.iter().flat_map(|step| &step.objects));
    objects.next().unwrap()["metadata"]["namespace"]
        .as_str()
        .unwrap()
        .to_owned()
}

fn world_of(recording: &Recording) -> (ReleaseCache, Baseline) {
    let namespace = namespace(recording);
    let targets: Vec<WatchTarget> = recording
        .targets
        .iter()
        .map(|one| {
            WatchTarget::new(&namespace, &one.kind, &one.name, one.changed, one.hook).unwrap()
        })
        .collect();
    let mut world = ReleaseCache::of(&targets);
    for object in &recording.before {
        world.apply(change(object), Elapsed::default());
    }
    let mut baseline = Baseline::of(&world, Duration::from_secs(300));
    baseline.promised.extend(recording.promised.iter().cloned());
    baseline.facts.nodes = recording.facts.nodes.as_ref().map(|nodes| {
        nodes
            .iter()
            .map(|node| Node {
                allocatable: node
                    .iter()
                    .map(|(name, amount)| (name.clone(), quantity::milli(amount).unwrap()))
                    .collect(),
                ..Node::default()
            })
            .collect()
    });
    baseline.facts.classes.clone_from(&recording.facts.classes);
    baseline.facts.volumes.clone_from(&recording.facts.volumes);
    (world, baseline)
}

fn word(standing: &Status) -> &str {
    match standing {
        Status::Ready => "ready",
        Status::Exempt(_) => "exempt",
        Status::Waiting(_) => "waiting",
        Status::Doomed(failure) => failure.cause.word(),
    }
}

#[test]
fn recordings_are_judged_as_they_say() {
    let mut wrong = Vec::new();
    for (name, recording) in read() {
        let namespace = namespace(&recording);
        let (mut world, baseline) = world_of(&recording);
        for step in &recording.steps {
            let now = Elapsed(Duration::from_secs_f64(step.at));
            for object in &step.objects {
                world.apply(change(object), now);
            }
            for gone in &step.gone {
                let what = if gone["kind"] == "Pod" {
                    ResourceKind::Pod
                } else {
                    ResourceKind::Workload(gone["kind"].parse::<Kind>().unwrap())
                };
                world.apply(
                    Change::Gone(what, (namespace.clone(), gone["name"].clone())),
                    now,
                );
            }
            let verdicts = judge(&world, &baseline, now);
            for (workload, expected) in &step.expect {
                let verdict = verdicts
                    .iter()
                    .find(|verdict| verdict.workload.name == *workload)
                    .unwrap();
                if word(&verdict.standing) != expected {
                    wrong.push(format!(
                        "{name} ({}), at {} s, {}: {workload} must be {expected}, is {:?}",
                        recording.about, step.at, step.about, verdict.standing
                    ));
                }
            }
            if let (Some(main), Some(last)) = (&recording.main, &recording.last) {
                for verdict in verdicts {
                    let undoomed = !matches!(verdict.standing, Status::Doomed(_));
                    let is_main = verdict.workload.name == *main;
                    let expected = is_main && word(&verdict.standing) == last;
                    if !(undoomed || expected) {
                        wrong.push(format!(
                            "{name} ({}), at {} s: {} may end as {last}, is {:?}",
                            recording.about, step.at, verdict.workload, verdict.standing
                        ));
                    }
                }
            }
        }
        if let (Some(main), Some(last), Some(end)) =
            (&recording.main, &recording.last, recording.steps.last())
        {
            let verdicts = judge(
                &world,
                &baseline,
                Elapsed(Duration::from_secs_f64(end.at + 3.0)),
            );
            let verdict = verdicts
                .into_iter()
                .find(|verdict| verdict.workload.name == *main)
                .unwrap();
            let undoomed = !matches!(verdict.standing, Status::Doomed(_));
            if word(&verdict.standing) != last && !(last == "undoomed" && undoomed) {
                wrong.push(format!(
                    "{name} ({}): {main} must end as {last}, is {:?}",
                    recording.about, verdict.standing
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_rule_dooms_somewhere() {
    let mut seen: Vec<&str> = Vec::new();
    for (_, recording) in read() {
        let (mut world, baseline) = world_of(&recording);
        for step in &recording.steps {
            let now = Elapsed(Duration::from_secs_f64(step.at));
            for object in &step.objects {
                world.apply(change(object), now);
            }
            seen.extend(
                judge(&world, &baseline, now)
                    .into_iter()
                    .filter_map(|verdict| match verdict.standing {
                        Status::Doomed(failure) => Some(failure.rule),
                        _ => None,
                    }),
            );
            // Neither may fail on anything, and neither may let a control character through.
            let lines = progress(&world)
                .iter()
                .map(|(_, line)| line.to_string())
                .chain(explain_timeout(&world))
                .collect::<Vec<_>>();
            assert!(
                lines.iter().all(|line| !line.chars().any(char::is_control)),
                "{lines:?}"
            );
        }
    }
    for rule in RULES {
        assert!(seen.contains(&rule.name), "{} finds nothing", rule.name);
    }
}
