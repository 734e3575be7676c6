//! The objects of one release as last seen.
//!
//! What does not belong to the release is dropped at arrival. Nothing here
//! judges, and nothing here asks the cluster.

use std::collections::{BTreeMap, BTreeSet};

use super::baseline::WatchTarget;
use super::model::{
    Change, Claim, Elapsed, Id, Kind, KubeEvent, NamespacedName, Pod, PodPresence, ReplicaSet,
    ResourceKind, Workload,
};

/// How many events are kept of one object, and of how many objects.
const EVENTS: usize = 30;
const EVENTFUL: usize = 10_000;

/// Generated names keep this much of what they are made from
/// (`maxGeneratedNameLength` of `k8s.io/apiserver/pkg/storage/names`).
const GENERATED: usize = 58;

/// The objects of one release as last seen.
#[derive(Clone, Debug, Default)]
pub struct ReleaseCache {
    targets: BTreeMap<Id, WatchTarget>,
    pub(super) workloads: BTreeMap<Id, Workload>,
    pub(super) replica_sets: BTreeMap<NamespacedName, ReplicaSet>,
    pub(super) pods: BTreeMap<NamespacedName, Pod>,
    /// By the object they are about.
    pub(super) events: BTreeMap<NamespacedName, Vec<KubeEvent>>,
    pub(super) claims: BTreeMap<NamespacedName, Claim>,
    blind: BTreeSet<(String, ResourceKind)>,
    /// When each pod was first seen, by its uid.
    since: BTreeMap<String, Elapsed>,
    /// When a workload or pod of the release last changed.
    pub(super) last_change: Elapsed,
    /// When a pod of the release last left.
    pub(super) last_pod_removed: Option<Elapsed>,
}

impl ReleaseCache {
    /// An empty world for these targets: what does not belong to them is dropped
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

    /// Notes that objects of this sort cannot be seen in a namespace.
    pub(super) fn mark_unwatchable(&mut self, what: ResourceKind, namespace: String) {
        self.blind.insert((namespace, what));
    }

    /// Whether nothing can be said of a target, since it may not be watched.
    pub fn is_unseen(&self, target: &WatchTarget) -> bool {
        let what = match target.id.kind {
            Kind::Pod => ResourceKind::Pod,
            Kind::PersistentVolumeClaim => ResourceKind::Claim,
            kind => ResourceKind::Workload(kind),
        };
        self.blind.contains(&(target.id.namespace.clone(), what))
    }

    /// Whether events of a namespace are told.
    pub fn sees_events(&self, namespace: &str) -> bool {
        !self
            .blind
            .contains(&(namespace.to_owned(), ResourceKind::Event))
    }

    /// Takes in what a watch has told; says what sort of object of the release
    /// changed by it, if any did.
    pub fn apply(&mut self, change: Change, now: Elapsed) -> Option<ResourceKind> {
        let changed = self.take_in(change, now);
        if changed.is_some_and(|what| !matches!(what, ResourceKind::Event | ResourceKind::Claim)) {
            self.last_change = now;
        }
        changed
    }

    fn take_in(&mut self, change: Change, now: Elapsed) -> Option<ResourceKind> {
        match change {
            Change::Workload(workload) => {
                let what = ResourceKind::Workload(workload.id.kind);
                (self.targets.contains_key(&workload.id)
                    && put(&mut self.workloads, workload.id.clone(), workload))
                .then_some(what)
            }
            Change::ReplicaSet(set) => {
                let owner = Id {
                    namespace: set.place.0.clone(),
                    kind: Kind::Deployment,
                    name: set.owner.clone(),
                };
                (self.targets.contains_key(&owner)
                    && put(&mut self.replica_sets, set.place.clone(), set))
                .then_some(ResourceKind::ReplicaSet)
            }
            Change::Pod(pod) => {
                if !self.owns(&pod) {
                    return None;
                }
                let before = self.pods.get(&pod.place);
                if before.is_some_and(|before| before.uid != pod.uid) {
                    self.last_pod_removed = Some(now);
                }
                let what = ResourceKind::of(&pod);
                self.since.entry(pod.uid.clone()).or_insert(now);
                put(&mut self.pods, pod.place.clone(), *pod).then_some(what)
            }
            Change::Event(event) => {
                if !self.concerns(&event) {
                    return None;
                }
                self.note(KubeEvent { seen: now, ..event })
                    .then_some(ResourceKind::Event)
            }
            Change::Claim(claim) => {
                put(&mut self.claims, claim.place.clone(), claim).then_some(ResourceKind::Claim)
            }
            Change::Gone(what, place) => self.remove(what, &place, now).then_some(what),
            Change::Listed(what, namespace, names) => {
                let gone: Vec<NamespacedName> = self
                    .places(what)
                    .into_iter()
                    .filter(|place| place.0 == namespace && !names.contains(&place.1))
                    .collect();
                let mut changed = false;
                for place in gone {
                    changed |= self.remove(what, &place, now);
                }
                changed.then_some(what)
            }
        }
    }

    /// The workload itself; a bare pod and a claim have none.
    pub fn workload(&self, id: &Id) -> Option<&Workload> {
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
    pub fn pods_of(&self, id: &Id) -> Vec<&Pod> {
        let start = id.name.get(..GENERATED).unwrap_or(&id.name);
        let first = (id.namespace.clone(), start.to_owned());
        let near = self
            .pods
            .range(first..)
            .map(|(_, pod)| pod)
            .take_while(|pod| pod.place.0 == id.namespace && pod.place.1.starts_with(start))
            .filter(|pod| made_from(&pod.place.1, &id.name));
        match id.kind {
            Kind::Pod => near.filter(|pod| pod.place.1 == id.name).collect(),
            Kind::PersistentVolumeClaim => Vec::new(),
            Kind::Deployment => {
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
            Kind::StatefulSet | Kind::DaemonSet | Kind::Job => {
                let uid = self.workload(id).map(|workload| workload.uid.as_str());
                near.filter(|pod| {
                    pod.owner.as_ref().is_some_and(|owner| {
                        uid.is_none_or(|uid| uid == owner.uid)
                            && owner.kind == id.kind.name()
                            && owner.name == id.name
                    })
                })
                .collect()
            }
        }
    }

    /// When a pod was first seen.
    pub fn since(&self, pod: &Pod) -> Elapsed {
        self.since.get(&pod.uid).copied().unwrap_or_default()
    }

    /// Whether a pod is one of the workload's current template.
    pub fn is_current(&self, workload: &Workload, pod: &Pod) -> bool {
        match workload.id.kind {
            Kind::Deployment => self
                .current_replica_set(workload)
                .is_some_and(|set| pod.owner.as_ref().is_some_and(|owner| owner.uid == set.uid)),
            Kind::StatefulSet => workload.revision.is_some() && pod.revision == workload.revision,
            Kind::DaemonSet => {
                workload.revision.is_none() || pod.template_generation == workload.revision
            }
            Kind::Job | Kind::Pod | Kind::PersistentVolumeClaim => true,
        }
    }

    /// The events on one object, oldest first.
    pub fn events_on(&self, kind: &str, place: &NamespacedName, uid: &str) -> Vec<&KubeEvent> {
        let mut events: Vec<&KubeEvent> = self
            .events
            .get(place)
            .into_iter()
            .flatten()
            .filter(|event| event.kind == kind)
            .filter(|event| event.object.is_empty() || uid.is_empty() || event.object == uid)
            .collect();
        events.sort_by_key(|event| event.at);
        events
    }

    /// Whether a pod belongs to a target, as far as its owner's name tells.
    fn owns(&self, pod: &Pod) -> bool {
        let (kind, name) = match &pod.owner {
            None => (Kind::Pod, pod.place.1.as_str()),
            Some(owner) => match (owner.kind.as_str(), owner.name.rsplit_once('-')) {
                ("ReplicaSet", Some((deployment, _hash))) => (Kind::Deployment, deployment),
                ("StatefulSet", _) => (Kind::StatefulSet, owner.name.as_str()),
                ("DaemonSet", _) => (Kind::DaemonSet, owner.name.as_str()),
                ("Job", _) => (Kind::Job, owner.name.as_str()),
                _ => return false,
            },
        };
        self.targets.contains_key(&Id {
            namespace: pod.place.0.clone(),
            kind,
            name: name.to_owned(),
        })
    }

    /// Whether an event may be about an object of the release. Its object may
    /// arrive later, so only the name is compared; who reads it compares uids.
    fn concerns(&self, event: &KubeEvent) -> bool {
        matches!(
            event.kind.as_str(),
            "Pod"
                | "ReplicaSet"
                | "Deployment"
                | "StatefulSet"
                | "DaemonSet"
                | "Job"
                | "PersistentVolumeClaim"
        ) && self.targets.keys().any(|id| {
            id.namespace == event.namespace
                && (event.kind == "PersistentVolumeClaim" || made_from(&event.name, &id.name))
        })
    }

    fn is_hook(&self, pod: &Pod) -> bool {
        let job = pod
            .owner
            .as_ref()
            .map(|owner| (Kind::Job, owner.name.clone()));
        let (kind, name) = job.unwrap_or_else(|| (Kind::Pod, pod.place.1.clone()));
        self.targets
            .get(&Id {
                namespace: pod.place.0.clone(),
                kind,
                name,
            })
            .is_some_and(|target| target.hook)
    }

    fn places(&self, what: ResourceKind) -> Vec<NamespacedName> {
        match what {
            ResourceKind::Workload(kind) => self
                .workloads
                .keys()
                .filter(|id| id.kind == kind)
                .map(|id| (id.namespace.clone(), id.name.clone()))
                .collect(),
            ResourceKind::ReplicaSet => self.replica_sets.keys().cloned().collect(),
            ResourceKind::Pod | ResourceKind::JobPod => self
                .pods
                .iter()
                .filter(|(_, pod)| ResourceKind::of(pod) == what)
                .map(|(place, _)| place.clone())
                .collect(),
            ResourceKind::Event => Vec::new(),
            ResourceKind::Claim => self.claims.keys().cloned().collect(),
        }
    }

    fn remove(&mut self, what: ResourceKind, place: &NamespacedName, now: Elapsed) -> bool {
        match what {
            ResourceKind::Workload(kind) => {
                let id = Id {
                    namespace: place.0.clone(),
                    kind,
                    name: place.1.clone(),
                };
                // Helm may delete a hook as soon as it has failed: that it has is news
                // that must not be lost with it.
                let hook = self.targets.get(&id).is_some_and(|target| target.hook);
                !hook && self.workloads.remove(&id).is_some()
            }
            ResourceKind::ReplicaSet => self.replica_sets.remove(place).is_some(),
            ResourceKind::Claim => self.claims.remove(place).is_some(),
            // An expired event did happen.
            ResourceKind::Event => false,
            ResourceKind::Pod | ResourceKind::JobPod => {
                let hook = self.pods.get(place).is_some_and(|pod| self.is_hook(pod));
                match self.pods.get_mut(place) {
                    Some(pod) if pod.presence == PodPresence::Gone => return false,
                    Some(pod) if hook => pod.presence = PodPresence::Gone,
                    Some(_) => {
                        self.pods.remove(place);
                    }
                    None => return false,
                }
                self.last_pod_removed = Some(now);
                true
            }
        }
    }

    fn note(&mut self, event: KubeEvent) -> bool {
        let place = (event.namespace.clone(), event.name.clone());
        if self.events.len() >= EVENTFUL && !self.events.contains_key(&place) {
            return false;
        }
        let known = self.events.entry(place).or_default();
        match known.iter_mut().find(|known| known.uid == event.uid) {
            Some(same)
                if *same
                    == (KubeEvent {
                        seen: same.seen,
                        ..event.clone()
                    }) =>
            {
                return false;
            }
            Some(same) => *same = event,
            None => known.push(event),
        }
        if known.len() > EVENTS
            && let Some(oldest) = known
                .iter()
                .enumerate()
                .min_by_key(|(_, event)| event.at)
                .map(|(at, _)| at)
        {
            known.remove(oldest);
        }
        true
    }
}

/// Whether a name may have been made from a workload's.
fn made_from(name: &str, workload: &str) -> bool {
    match workload.get(..GENERATED) {
        Some(cut) if workload.len() > GENERATED => name.starts_with(cut),
        _ => name
            .strip_prefix(workload)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('-')),
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
