//! What was before helm started, and what is known besides the release.
//!
//! A verdict is always about what happened *since*: the baseline holds what it
//! is compared with. Pure data.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use super::cache::ReleaseCache;
use super::expected::Expected;
use super::missing::Shortage;
use super::model::Workload;
use super::readiness;
use super::taints::Taint;
use super::workload_ref::WorkloadRef;
use crate::manifest::quantity::Amounts;
use crate::manifest::{ObjectRef, is_kubernetes_group};

/// A workload as it was before helm started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WorkloadBaseline {
    pub uid: String,
    pub generation: i64,
    /// Which of its pods were current.
    pub revision: Option<String>,
    pub ready: bool,
    /// Whether it had failed: a Job, or a Deployment past its deadline.
    pub failed: bool,
    /// How often each container of its ready pods had been restarted, at most.
    pub restarts: BTreeMap<String, u32>,
    /// Why pods were missing.
    pub shortage: Shortage,
}

/// What was before helm started.
#[derive(Clone, Debug, Default)]
pub struct Baseline {
    /// The whole budget of the rollout, from the watch's start.
    pub budget: Duration,
    /// Names of Secrets and the like that something in the render makes later
    /// (see [`promises`]).
    pub promised: BTreeSet<String>,
    /// What may still come, and what has just been seen.
    pub expected: Expected,
    /// What is known besides the release.
    pub facts: ClusterFacts,
    pub(super) workloads: BTreeMap<WorkloadRef, WorkloadBaseline>,
    pub(super) pods: BTreeMap<String, BTreeMap<String, u32>>,
    pub(super) events: BTreeMap<String, u32>,
}

impl Baseline {
    /// The baseline that these objects are.
    pub fn of(cache: &ReleaseCache, budget: Duration) -> Self {
        let workloads = cache.workloads.values().map(|workload| {
            let before = WorkloadBaseline {
                uid: workload.uid.clone(),
                generation: workload.generation,
                revision: workload.revision.clone(),
                ready: readiness::of(workload).is_ready(),
                failed: readiness::has_failed(workload).is_some(),
                restarts: restarts(cache, workload),
                shortage: Shortage::of(cache, workload),
            };
            (workload.id.clone(), before)
        });
        let pods = cache.pods.values().map(|pod| {
            let restarts = pod
                .containers
                .iter()
                .map(|container| (container.name.clone(), container.restarts));
            (pod.uid.clone(), restarts.collect())
        });
        Self {
            budget,
            workloads: workloads.collect(),
            pods: pods.collect(),
            events: cache
                .events
                .iter()
                .map(|event| (event.uid.clone(), event.count))
                .collect(),
            ..Self::default()
        }
    }

    /// Takes in what may still come. A namespace that holds something of the release is
    /// not made by this deploy, even where the chart renders it.
    pub(super) fn expect(&mut self, expected: Expected) {
        self.expected = expected;
        for workload in self.workloads.keys() {
            self.expected.new_namespaces.remove(&workload.namespace);
        }
    }
}

/// How often each container of a workload's ready pods has been restarted, at most.
fn restarts(cache: &ReleaseCache, workload: &Workload) -> BTreeMap<String, u32> {
    let mut most = BTreeMap::new();
    for pod in cache.pods_of(&workload.id) {
        for container in pod.containers.iter().filter(|_| pod.ready) {
            let known = most.entry(container.name.clone()).or_insert(0);
            *known = container.restarts.max(*known);
        }
    }
    most
}

/// A node, as far as pods ask for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    pub name: String,
    /// What pods can have of it.
    pub allocatable: Amounts,
    /// Whether it carries a taint that goes by itself: cordoned, not ready,
    /// under pressure, not initialised yet.
    pub passing_taint: bool,
    /// The taints that keep pods away and do not go by themselves.
    pub taints: Vec<Taint>,
}

/// What is known of the cluster besides the release. None: it could not be
/// asked for, and no rule finds a failure by it.
#[derive(Clone, Debug, Default)]
pub struct ClusterFacts {
    pub nodes: Option<Vec<Node>>,
    /// Storage classes and whether each is the default.
    pub classes: Option<BTreeMap<String, bool>>,
    /// Class and, where it is meant for one, claim of each volume that is not
    /// in use: `(class, Some("namespace/claim"))`.
    pub volumes: Option<Vec<(String, Option<String>)>>,
    /// Whether something in the cluster adds nodes.
    pub autoscaler: Option<bool>,
    /// Objects (`Secret/name`) that were seen to exist after all.
    pub present: BTreeSet<String>,
}

/// The names that a render's custom resources and annotations speak of: a Secret of
/// such a name may be made by a controller after helm has applied its order
/// (`ExternalSecret`, `SealedSecret`, cert-manager's `Certificate`, and whatever
/// comes next: the kinds are not listed, their words are). Objects of
/// Kubernetes' own groups are not searched, except an Ingress's TLS Secrets, which
/// cert-manager makes.
pub fn promises<'a>(rendered: impl IntoIterator<Item = &'a Value>) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for object in rendered {
        let reference = ObjectRef::of(object);
        if !is_kubernetes_group(reference.group()) {
            names.extend(object["metadata"]["name"].as_str().map(str::to_owned));
            words(&object["spec"], &mut names);
        } else if reference.is("networking.k8s.io", "Ingress") {
            words(&object["spec"]["tls"], &mut names);
        }
    }
    names
}

/// Every string in a value that could name an object.
fn words(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            let plain = |character: char| {
                character.is_ascii_lowercase()
                    || character.is_ascii_digit()
                    || matches!(character, '-' | '.')
            };
            if (1..=253).contains(&text.len()) && text.chars().all(plain) {
                into.insert(text.clone());
            }
        }
        Value::Array(items) => items.iter().for_each(|item| words(item, into)),
        Value::Object(fields) => fields.values().for_each(|field| words(field, into)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::promises;

    #[test]
    fn only_what_a_controller_will_make_is_promised() {
        let render = [
            serde_json::json!({"apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret",
                "metadata": {"name": "shop-db"}, "spec": {"target": {"name": "db-login"}}}),
            serde_json::json!({"apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret", "metadata": {"name": "sealed"}}),
            serde_json::json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
                "metadata": {"name": "web"}, "spec": {"tls": [{"secretName": "web-tls"}]}}),
            serde_json::json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "api"},
                "spec": {"template": {"spec": {"secret": "forgotten"}}}}),
        ];
        let names: Vec<String> = promises(&render).into_iter().collect();
        assert_eq!(names, ["db-login", "sealed", "shop-db", "web-tls"]);
    }
}
