//! The objects of one release as last seen.
//!
//! What does not belong to the release is dropped at arrival. Nothing here
//! judges, and nothing here asks the cluster.

use std::collections::{BTreeMap, BTreeSet};

use super::collected::Collected;
use super::event_log::EventLog;
use super::model::{
    Change, Claim, Elapsed, KubeEvent, Pod, PodPresence, ReplicaSet, ResourceKind, Workload,
};
use super::ownership::{made_from, prefix, workload_of};
use super::ran::{RanImage, RanImages};
use super::target::WatchTarget;
use super::timeline::Timeline;
use super::workload_ref::{GroupKind, NamespacedName, WorkloadKind, WorkloadRef};

/// The objects of one release as last seen.
#[derive(Clone, Debug, Default)]
pub struct ReleaseCache {
    targets: BTreeMap<WorkloadRef, WatchTarget>,
    /// Images that the request names: their containers are what is deployed.
    pub(super) requested: BTreeSet<String>,
    pub(super) workloads: BTreeMap<WorkloadRef, Workload>,
    pub(super) replica_sets: BTreeMap<NamespacedName, ReplicaSet>,
    pub(super) pods: BTreeMap<NamespacedName, Pod>,
    pub(super) events: EventLog,
    pub(super) claims: BTreeMap<NamespacedName, Claim>,
    unwatchable: BTreeSet<(String, ResourceKind)>,
    /// The generation of each workload that helm has applied, once it has.
    expected: BTreeMap<WorkloadRef, i64>,
    /// When what was seen came to be as it is.
    pub(super) timeline: Timeline,
    /// Jobs that are kept though they are gone: they had ended.
    collected: Collected,
    /// What the pods of Jobs and bare pods ran since the watch began.
    ran: RanImages,
    /// When a workload or pod of the release last changed.
    pub(super) last_change: Elapsed,
    /// When a pod of the release last left.
    pub(super) last_pod_removed: Option<Elapsed>,
}

impl ReleaseCache {
    /// An empty cache for these targets: what does not belong to them is dropped
    /// at arrival.
    pub fn of(targets: &[WatchTarget]) -> Self {
        Self {
            targets: targets
                .iter()
                .map(|target| (target.id.clone(), target.clone()))
                .collect(),
            ..Self::default()
        }
    }

    /// What the release renders.
    pub fn targets(&self) -> impl Iterator<Item = &WatchTarget> {
        self.targets.values()
    }

    /// Notes the generation of a workload that helm has applied.
    pub(super) fn expect(&mut self, workload: WorkloadRef, generation: i64) {
        self.expected.insert(workload, generation);
    }

    /// Whether a workload was last seen as it was before helm applied it.
    pub(super) fn is_outdated(&self, workload: &Workload) -> bool {
        self.expected
            .get(&workload.id)
            .is_some_and(|expected| workload.generation < *expected)
    }

    /// Notes that objects of this sort cannot be seen in a namespace.
    pub(super) fn mark_unwatchable(&mut self, resource: ResourceKind, namespace: String) {
        self.unwatchable.insert((namespace, resource));
    }

    /// Whether nothing can be said of a target, since it cannot be watched.
    pub fn is_unwatchable(&self, target: &WatchTarget) -> bool {
        let resource = match target.id.kind {
            WorkloadKind::Pod => ResourceKind::Pod,
            WorkloadKind::PersistentVolumeClaim => ResourceKind::Claim,
            kind => ResourceKind::Workload(kind),
        };
        self.unwatchable
            .contains(&(target.id.namespace.clone(), resource))
    }

    /// Whether events of a namespace can be watched.
    pub fn sees_events(&self, namespace: &str) -> bool {
        !self
            .unwatchable
            .contains(&(namespace.to_owned(), ResourceKind::Event))
    }

    /// Takes in what a watch brought; gives the sort of object of the release that
    /// changed by it, if any did.
    pub fn apply(&mut self, change: Change, now: Elapsed) -> Option<ResourceKind> {
        let changed = self.take_in(change, now);
        if changed
            .is_some_and(|resource| !matches!(resource, ResourceKind::Event | ResourceKind::Claim))
        {
            self.last_change = now;
        }
        changed
    }

    fn take_in(&mut self, change: Change, now: Elapsed) -> Option<ResourceKind> {
        match change {
            Change::Workload(workload) => {
                let resource = ResourceKind::Workload(workload.id.kind);
                if !self.targets.contains_key(&workload.id) {
                    return None;
                }
                self.timeline.note_workload(&workload, now);
                self.collected.forget(&workload.id);
                put(&mut self.workloads, workload.id.clone(), workload).then_some(resource)
            }
            Change::ReplicaSet(set) => {
                let owner = NamespacedName::new(&set.key.namespace, &set.owner);
                let owner = WorkloadRef::new(WorkloadKind::Deployment, owner);
                (self.targets.contains_key(&owner)
                    && put(&mut self.replica_sets, set.key.clone(), set))
                .then_some(ResourceKind::ReplicaSet)
            }
            Change::Pod(pod) => {
                let workload = workload_of(&pod)?;
                let target = self.targets.get(&workload)?;
                let before = self.pods.get(&pod.key);
                if before.is_some_and(|before| before.uid != pod.uid) {
                    self.last_pod_removed = Some(now);
                }
                let resource = ResourceKind::of(&pod);
                self.timeline.note_pod(before, &pod, now);
                self.ran.note(target, &pod, &self.timeline);
                put(&mut self.pods, pod.key.clone(), *pod).then_some(resource)
            }
            Change::Event(event) => {
                if !self.concerns(&event) {
                    return None;
                }
                self.events
                    .note(KubeEvent { seen: now, ..event })
                    .then_some(ResourceKind::Event)
            }
            Change::Claim(claim) => {
                put(&mut self.claims, claim.key.clone(), claim).then_some(ResourceKind::Claim)
            }
            Change::Gone(resource, key) => self.remove(resource, &key, now).then_some(resource),
            Change::Listed(resource, namespace, names) => {
                let gone: Vec<NamespacedName> = self
                    .keys_of(resource)
                    .into_iter()
                    .filter(|key| key.namespace == namespace && !names.contains(&key.name))
                    .collect();
                let mut changed = false;
                for key in gone {
                    changed |= self.remove(resource, &key, now);
                }
                changed.then_some(resource)
            }
        }
    }

    /// The workload itself; a bare pod and a claim have none.
    pub fn workload(&self, id: &WorkloadRef) -> Option<&Workload> {
        self.workloads.get(id)
    }

    /// The Deployment's current `ReplicaSet`: the one of the highest revision. Not
    /// the newest by age: after a rollback the serving one is older.
    pub fn current_replica_set<'a>(&'a self, workload: &'a Workload) -> Option<&'a ReplicaSet> {
        self.replica_sets_of(workload)
            .max_by_key(|set| set.revision)
    }

    /// All of a Deployment's `ReplicaSet`s.
    pub fn replica_sets_of<'a>(
        &'a self,
        workload: &'a Workload,
    ) -> impl Iterator<Item = &'a ReplicaSet> {
        self.replica_sets
            .values()
            .filter(|set| set.owner_uid == workload.uid)
    }

    /// All pods of a workload, old and current.
    pub fn pods_of(&self, id: &WorkloadRef) -> Vec<&Pod> {
        let start = prefix(&id.name);
        let first = NamespacedName::new(&id.namespace, start);
        let near = self
            .pods
            .range(first..)
            .map(|(_, pod)| pod)
            .take_while(|pod| pod.key.namespace == id.namespace && pod.key.name.starts_with(start))
            .filter(|pod| made_from(&pod.key.name, &id.name));
        match id.kind {
            WorkloadKind::Pod => near.filter(|pod| pod.key.name == id.name).collect(),
            WorkloadKind::PersistentVolumeClaim => Vec::new(),
            WorkloadKind::Deployment => {
                let sets: BTreeSet<&str> = self
                    .workload(id)
                    .map(|workload| {
                        self.replica_sets_of(workload)
                            .map(|set| set.uid.as_str())
                            .collect()
                    })
                    .unwrap_or_default();
                near.filter(|pod| {
                    pod.owner
                        .as_ref()
                        .is_some_and(|owner| sets.contains(owner.uid.as_str()))
                })
                .collect()
            }
            WorkloadKind::StatefulSet | WorkloadKind::DaemonSet | WorkloadKind::Job => {
                let uid = self.workload(id).map(|workload| workload.uid.as_str());
                near.filter(|pod| {
                    pod.owner.as_ref().is_some_and(|owner| {
                        uid.is_none_or(|uid| uid == owner.uid)
                            && id.kind.group_kind().is_of(&owner.object)
                            && owner.object.name == id.name
                    })
                })
                .collect()
            }
        }
    }

    /// When a pod was first seen.
    pub fn since(&self, pod: &Pod) -> Elapsed {
        self.timeline.seen(&pod.uid)
    }

    /// Whether a pod is one of the workload's current template.
    pub fn is_current(&self, workload: &Workload, pod: &Pod) -> bool {
        match workload.id.kind {
            WorkloadKind::Deployment => self
                .current_replica_set(workload)
                .is_some_and(|set| pod.owner.as_ref().is_some_and(|owner| owner.uid == set.uid)),
            WorkloadKind::StatefulSet => {
                workload.revision.is_some() && pod.revision == workload.revision
            }
            WorkloadKind::DaemonSet => {
                workload.revision.is_none() || pod.template_generation == workload.revision
            }
            WorkloadKind::Job | WorkloadKind::Pod | WorkloadKind::PersistentVolumeClaim => true,
        }
    }

    /// The pods of a workload that are of its current template and there to stay.
    pub(super) fn current_pods(&self, id: &WorkloadRef) -> Vec<&Pod> {
        let workload = self.workload(id);
        let mut pods = self.pods_of(id);
        pods.retain(|pod| {
            pod.presence == PodPresence::Here
                && workload.is_none_or(|workload| self.is_current(workload, pod))
        });
        pods
    }

    /// The events on a pod, oldest first.
    pub fn events_on_pod(&self, pod: &Pod) -> Vec<&KubeEvent> {
        self.events_on(WorkloadKind::Pod.group_kind(), &pod.key, &pod.uid)
    }

    /// The events on one object, oldest first. An empty uid is any.
    pub fn events_on(&self, kind: GroupKind, key: &NamespacedName, uid: &str) -> Vec<&KubeEvent> {
        self.events.on(kind, key, uid)
    }

    /// Whether an event may be about an object of the release. Its object may
    /// arrive later, so only the name is compared; who reads it compares uids.
    fn concerns(&self, event: &KubeEvent) -> bool {
        let kind = WorkloadKind::of(&event.object);
        let is_claim = kind == Some(WorkloadKind::PersistentVolumeClaim);
        (kind.is_some() || GroupKind::REPLICA_SET.is_of(&event.object))
            && self.targets.keys().any(|id| {
                event.object.namespace.as_deref() == Some(&id.namespace)
                    && (is_claim || made_from(&event.object.name, &id.name))
            })
    }

    /// Whether a pod is a hook, or a hook Job's.
    fn is_hook(&self, pod: &Pod) -> bool {
        workload_of(pod)
            .filter(|workload| matches!(workload.kind, WorkloadKind::Job | WorkloadKind::Pod))
            .and_then(|workload| self.targets.get(&workload))
            .is_some_and(|target| target.hook)
    }

    fn keys_of(&self, resource: ResourceKind) -> Vec<NamespacedName> {
        match resource {
            ResourceKind::Workload(kind) => self
                .workloads
                .keys()
                .filter(|id| id.kind == kind)
                .map(WorkloadRef::namespaced_name)
                .collect(),
            ResourceKind::ReplicaSet => self.replica_sets.keys().cloned().collect(),
            ResourceKind::Pod | ResourceKind::JobPod => self
                .pods
                .iter()
                .filter(|(_, pod)| ResourceKind::of(pod) == resource)
                .map(|(key, _)| key.clone())
                .collect(),
            ResourceKind::Event => Vec::new(),
            ResourceKind::Claim => self.claims.keys().cloned().collect(),
        }
    }

    fn remove(&mut self, resource: ResourceKind, key: &NamespacedName, now: Elapsed) -> bool {
        match resource {
            ResourceKind::Workload(kind) => {
                let id = WorkloadRef::new(kind, key.clone());
                // Helm may delete a hook as soon as it has failed, and that it has must
                // not be lost with it.
                let hook = self.targets.get(&id).is_some_and(|target| target.hook);
                !hook && self.remove_workload(&id)
            }
            ResourceKind::ReplicaSet => self.replica_sets.remove(key).is_some(),
            ResourceKind::Claim => self.claims.remove(key).is_some(),
            // An expired event did happen.
            ResourceKind::Event => false,
            ResourceKind::Pod | ResourceKind::JobPod => {
                let hook = self.pods.get(key).is_some_and(|pod| self.is_hook(pod));
                match self.pods.get_mut(key) {
                    Some(pod) if pod.presence == PodPresence::Gone => return false,
                    Some(pod) if hook => pod.presence = PodPresence::Gone,
                    Some(_) => {
                        self.pods.remove(key);
                    }
                    None => return false,
                }
                self.last_pod_removed = Some(now);
                true
            }
        }
    }

    /// A Job that has ended is kept: how it ended must not be lost with it.
    fn remove_workload(&mut self, id: &WorkloadRef) -> bool {
        let Some(workload) = self.workloads.get(id) else {
            return false;
        };
        if !workload.has_ended() {
            return self.workloads.remove(id).is_some();
        }
        let was_there = self.timeline.was_there(&workload.uid);
        self.collected.note(id, was_there)
    }

    /// What the pods of a Job, or a bare pod, ran for this run; kept when they are gone.
    pub fn ran(&self, workload: &WorkloadRef) -> impl Iterator<Item = &RanImage> {
        self.ran.of(workload)
    }

    /// Whether a Job came since the watch began, and has ended.
    pub fn has_run(&self, job: &WorkloadRef) -> bool {
        let job = self.workload(job);
        job.is_some_and(|job| job.has_ended() && !self.timeline.was_there(&job.uid))
    }

    /// Notes which of the Jobs that helm has applied were there once it had ended: one
    /// that was not is not about to come.
    pub(super) fn note_jobs_after_helm(&mut self, there: BTreeSet<WorkloadRef>) {
        self.collected.note_jobs_after_helm(there);
    }

    /// Whether that is known.
    pub(super) const fn knows_jobs_after_helm(&self) -> bool {
        self.collected.knows_jobs_after_helm()
    }

    /// The workload, where what was last seen of it is about what helm applies; not a
    /// Job from before that is gone and that helm may be about to make anew.
    pub(super) fn applied_workload(&self, target: &WatchTarget) -> Option<&Workload> {
        let may_come_again = self
            .collected
            .may_come_again(&target.id, target.template_changed);
        self.workload(&target.id).filter(|_| !may_come_again)
    }

    /// Whether a Job was gone right after helm had applied it.
    pub(super) fn was_gone_after_helm(&self, job: &WorkloadRef) -> bool {
        job.kind == WorkloadKind::Job && self.collected.was_gone_after_helm(job)
    }
}

/// Puts a value and says whether anything changed.
fn put<K: Ord, V: PartialEq>(map: &mut BTreeMap<K, V>, key: K, value: V) -> bool {
    if map.get(&key) == Some(&value) {
        return false;
    }
    map.insert(key, value);
    true
}
