//! Every rule against recorded and written objects: its fast case and its false
//! alarm. A recording is a file of `tests/data/rollout`: what was before, then
//! steps, each with the objects that came and what must be said then.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod group;
mod jobs;
mod late;
mod nodes;
mod order;
mod pull;
mod quota;
mod ran;
mod restarts;
mod shortages;
mod stuck;
mod unprobed;
mod waits;
mod words;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::ReleaseCache;
use super::baseline::{Baseline, Node};
use super::explain::explain_timeout;
use super::model::{Change, Elapsed, ResourceKind};
use super::progress::progress;
use super::rules::RULES;
use super::taints::Taint;
use super::target::WatchTarget;
use super::verdict::{Status, judge};
use super::workload_ref::{NamespacedName, WorkloadKind};
use crate::manifest::{ObjectRef, quantity};

/// So many seconds after its last step a recording must end as it says: the rules
/// that give something time are through then.
const AFTER: f64 = 20.0;

#[derive(Deserialize)]
struct Recording {
    about: String,
    targets: Vec<RecordedTarget>,
    #[serde(default)]
    promised: Vec<String>,
    #[serde(default)]
    facts: RecordedFacts,
    before: Vec<Value>,
    steps: Vec<Step>,
    /// Of a recording of the real thing: which workload it is about, and how it
    /// stands at the end. Before that it may only wait.
    main: Option<String>,
    #[serde(rename = "final")]
    last: Option<String>,
}

#[derive(Deserialize)]
struct RecordedTarget {
    kind: String,
    name: String,
    changed: bool,
    hook: bool,
}

#[derive(Default, Deserialize)]
struct RecordedFacts {
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

/// An object of one of the kinds that are waited for.
fn object(namespace: &str, kind: &str, name: &str) -> ObjectRef {
    let api_version = match kind {
        "Job" => "batch/v1",
        "Pod" | "PersistentVolumeClaim" => "v1",
        _ => "apps/v1",
    };
    ObjectRef {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        namespace: Some(namespace.to_owned()),
        name: name.to_owned(),
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

fn replayed(recording: &Recording) -> (ReleaseCache, Baseline) {
    let namespace = namespace(recording);
    let targets: Vec<WatchTarget> = recording
        .targets
        .iter()
        .map(|one| {
            WatchTarget::new(
                &object(&namespace, &one.kind, &one.name),
                one.changed,
                one.hook,
            )
            .unwrap()
        })
        .collect();
    let mut cache = ReleaseCache::of(&targets);
    for object in &recording.before {
        cache.apply(change(object), Elapsed::default());
    }
    let mut baseline = Baseline::of(&cache, Duration::from_secs(300));
    baseline.promised.extend(recording.promised.iter().cloned());
    baseline.facts.nodes = recording.facts.nodes.as_ref().map(|nodes| {
        nodes
            .iter()
            .map(|node| Node {
                allocatable: node
                    .iter()
                    .filter(|(name, _)| *name != "taint")
                    .map(|(name, amount)| (name.clone(), quantity::milli(amount).unwrap()))
                    .collect(),
                taints: node
                    .get("taint")
                    .map(|key| Taint {
                        key: key.clone(),
                        effect: "NoSchedule".to_owned(),
                        ..Taint::default()
                    })
                    .into_iter()
                    .collect(),
                ..Node::default()
            })
            .collect()
    });
    baseline.facts.autoscaler = Some(false);
    baseline.facts.classes.clone_from(&recording.facts.classes);
    baseline.facts.volumes.clone_from(&recording.facts.volumes);
    (cache, baseline)
}

fn word(status: &Status) -> &str {
    match status {
        Status::Ready => "ready",
        Status::Exempt(_) => "exempt",
        Status::Waiting(_) => "waiting",
        Status::Failed(failure) => failure.cause.word(),
    }
}

#[test]
fn recordings_are_judged_as_they_say() {
    let mut wrong = Vec::new();
    for (name, recording) in read() {
        let namespace = namespace(&recording);
        let (mut cache, baseline) = replayed(&recording);
        for step in &recording.steps {
            let now = Elapsed(Duration::from_secs_f64(step.at));
            for object in &step.objects {
                cache.apply(change(object), now);
            }
            for gone in &step.gone {
                let gone = object(&namespace, &gone["kind"], &gone["name"]);
                let resource = match WorkloadKind::of(&gone).unwrap() {
                    WorkloadKind::Pod => ResourceKind::Pod,
                    kind => ResourceKind::Workload(kind),
                };
                let name = NamespacedName::new(&namespace, gone.name);
                cache.apply(Change::Gone(resource, name), now);
            }
            let verdicts = judge(&cache, &baseline, now);
            for (workload, expected) in &step.expect {
                let verdict = verdicts
                    .iter()
                    .find(|verdict| verdict.workload.name == *workload)
                    .unwrap();
                if word(&verdict.status) != expected {
                    wrong.push(format!(
                        "{name} ({}), at {} s, {}: {workload} must be {expected}, is {:?}",
                        recording.about, step.at, step.about, verdict.status
                    ));
                }
            }
            if let (Some(main), Some(last)) = (&recording.main, &recording.last) {
                for verdict in verdicts {
                    let has_not_failed = !matches!(verdict.status, Status::Failed(_));
                    let is_main = verdict.workload.name == *main;
                    let expected = is_main && word(&verdict.status) == last;
                    if !(has_not_failed || expected) {
                        wrong.push(format!(
                            "{name} ({}), at {} s: {} may end as {last}, is {:?}",
                            recording.about, step.at, verdict.workload, verdict.status
                        ));
                    }
                }
            }
        }
        if let (Some(main), Some(last), Some(end)) =
            (&recording.main, &recording.last, recording.steps.last())
        {
            let verdicts = judge(
                &cache,
                &baseline,
                Elapsed(Duration::from_secs_f64(end.at + AFTER)),
            );
            let verdict = verdicts
                .into_iter()
                .find(|verdict| verdict.workload.name == *main)
                .unwrap();
            let has_not_failed = !matches!(verdict.status, Status::Failed(_));
            if word(&verdict.status) != last && !(last == "not-failed" && has_not_failed) {
                wrong.push(format!(
                    "{name} ({}): {main} must end as {last}, is {:?}",
                    recording.about, verdict.status
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_rule_finds_a_failure_somewhere() {
    let mut seen: Vec<&str> = Vec::new();
    for (_, recording) in read() {
        let (mut cache, baseline) = replayed(&recording);
        for step in &recording.steps {
            let now = Elapsed(Duration::from_secs_f64(step.at));
            for object in &step.objects {
                cache.apply(change(object), now);
            }
            seen.extend(
                judge(&cache, &baseline, now)
                    .into_iter()
                    .filter_map(|verdict| match verdict.status {
                        Status::Failed(failure) => Some(failure.rule),
                        _ => None,
                    }),
            );
            // Neither may fail on anything, and neither may let a control character through.
            let lines = progress(&cache, now)
                .iter()
                .map(|(_, line)| line.to_string())
                .chain(explain_timeout(&cache, now))
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
