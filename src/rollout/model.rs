//! A release's objects, trimmed to what is judged.
//!
//! Every object is cut down at arrival, so that thousands of pods stay cheap.
//! Messages are kept as they came, but cut; who shows one escapes it.

use std::collections::BTreeSet;
use std::time::Duration;

use super::taints::Toleration;
use super::workload_ref::{NamespacedName, WorkloadKind, WorkloadRef};
use crate::manifest::ObjectRef;
use crate::manifest::quantity::Amounts;

/// The longest message kept of an object, in characters.
pub(super) const MESSAGE: usize = 2000;

/// A point in time: what has passed since the watch began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Elapsed(pub Duration);

impl Elapsed {
    /// What has passed from `earlier` to here; zero where it lies ahead.
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// A condition of an object's status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Its type: `Progressing`, `Failed`, …
    pub kind: String,
    /// Whether it holds; none for `Unknown`.
    pub holds: Option<bool>,
    pub reason: String,
    pub message: String,
}

/// How a workload replaces its pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// Old pods leave as new ones come; at most this many may be missing.
    Rolling {
        /// How many pods may be missing meanwhile.
        missing: i32,
    },
    /// All old pods leave first.
    Recreate,
    /// Somebody deletes the old pods.
    OnDelete,
}

/// A container of a pod template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateContainer {
    pub name: String,
    pub image: String,
    /// Whether a probe has to be answered before it is ready.
    pub probed: bool,
}

/// A Deployment, `StatefulSet`, `DaemonSet` or Job.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    pub id: WorkloadRef,
    pub uid: String,
    /// The generation of its spec.
    pub generation: i64,
    /// The generation that its controller has dealt with.
    pub observed: i64,
    /// Which of its pods are current: a Deployment's revision, a
    /// `StatefulSet`'s update revision, a `DaemonSet`'s template generation.
    pub revision: Option<String>,
    /// How many pods it wants (a Job: how many must succeed).
    pub wanted: i32,
    /// How many it has, old ones too.
    pub total: i32,
    /// How many of the current template it has (a Job: how many succeeded).
    pub updated: i32,
    pub ready: i32,
    /// How many have been ready for long enough.
    pub available: i32,
    /// Whether all pods are of the current template (a `StatefulSet`'s revisions agree).
    pub settled: bool,
    /// Paused or suspended: nothing will happen.
    pub paused: bool,
    pub strategy: Strategy,
    /// A `StatefulSet`'s pods below this ordinal stay as they are.
    pub partition: i32,
    /// Whether its controller waits for each pod before it turns to the next
    /// (a `StatefulSet`'s `podManagementPolicy: OrderedReady`).
    pub ordered: bool,
    /// The containers of its template that make a pod available; none where it is by
    /// `minReadySeconds` instead.
    pub containers: Vec<TemplateContainer>,
    pub conditions: Vec<Condition>,
}

impl Workload {
    /// The condition of this type, where it holds.
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.conditions
            .iter()
            .find(|condition| condition.kind == kind && condition.holds == Some(true))
    }

    /// Whether it is a Job that runs no more, or will not when its pods have left.
    pub fn has_ended(&self) -> bool {
        self.id.kind == WorkloadKind::Job
            && ["Complete", "Failed", "FailureTarget"]
                .iter()
                .any(|kind| self.condition(kind).is_some())
    }
}

/// A Deployment's `ReplicaSet`.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplicaSet {
    pub key: NamespacedName,
    pub uid: String,
    /// Its Deployment, by name.
    pub owner: String,
    pub owner_uid: String,
    /// `deployment.kubernetes.io/revision`
    pub revision: u64,
    /// How many pods it wants.
    pub wanted: i32,
    /// How many it has.
    pub total: i32,
    /// What its condition `ReplicaFailure` says, where it holds.
    pub failure: Option<String>,
}

/// Who controls a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// By name, in the pod's namespace.
    pub object: ObjectRef,
    pub uid: String,
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terminated {
    pub code: i32,
    /// One word: `Error`, `OOMKilled`, `StartError`, …
    pub reason: String,
    /// What the runtime says.
    pub message: String,
}

/// What a container does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    Waiting {
        /// One word: `ImagePullBackOff`, …; may be empty.
        reason: String,
        message: String,
    },
    Running,
    /// It has ended.
    Terminated(Terminated),
}

/// What sort of container it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// An init container that must end well.
    Init,
    /// An init container that stays (`restartPolicy: Always`).
    Sidecar,
    /// One of the pod's containers.
    Main,
}

/// A container of a pod, its status joined with its spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerStatus {
    pub name: String,
    /// The image its spec asks for.
    pub image: String,
    /// What the kubelet names the image that runs (`imageID`); empty until it has one.
    pub image_id: String,
    /// What sort it is.
    pub role: Role,
    pub ready: bool,
    /// How often it was started again.
    pub restarts: u32,
    /// What it does.
    pub state: State,
    /// How it ended the last time.
    pub last: Option<Terminated>,
    /// Its readiness probe in words: `GET :8080/healthz`.
    pub probe: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PodPhase {
    /// Not all of it runs yet, or the phase is not known.
    Pending,
    Running,
    /// All of it ended well.
    Succeeded,
    /// It ended, and not well.
    Failed,
}

/// Whether a pod is there to stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PodPresence {
    /// It is.
    Here,
    /// It is being deleted.
    Leaving,
    /// It is gone (kept for hooks, whose pods helm deletes).
    Gone,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Pod {
    pub key: NamespacedName,
    pub uid: String,
    pub owner: Option<Owner>,
    /// `controller-revision-hash`
    pub revision: Option<String>,
    /// `pod-template-generation`
    pub template_generation: Option<String>,
    pub node: Option<String>,
    pub phase: PodPhase,
    /// Why it is in that phase: `Evicted`, …; may be empty.
    pub reason: String,
    /// The same in a sentence.
    pub message: String,
    /// Whether it is there to stay.
    pub presence: PodPresence,
    pub ready: bool,
    /// What keeps it from being ready besides its containers: a readiness gate.
    pub gated: Option<String>,
    /// Whether ended containers are started again, whatever their exit code.
    pub restarts_always: bool,
    /// What the scheduler says where it finds no node: reason and message.
    pub unscheduled: Option<(String, String)>,
    /// Its containers, init containers first.
    pub containers: Vec<ContainerStatus>,
    /// The container that people mean (`kubectl.kubernetes.io/default-container`).
    pub default_container: Option<String>,
    /// The Secrets its images are pulled with.
    pub pull_secrets: Vec<String>,
    /// The claims it mounts, by name.
    pub claims: Vec<String>,
    /// What it asks of a node.
    pub requests: Amounts,
    /// The ports that it needs of its node: `TCP 8080`.
    pub host_ports: BTreeSet<String>,
    /// The taints that it tolerates.
    pub tolerations: Vec<Toleration>,
}

/// An Event on one of the objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubeEvent {
    pub uid: String,
    /// The object it is about, in the event's own namespace.
    pub object: ObjectRef,
    /// The uid of that object; may be empty.
    pub object_uid: String,
    /// One word: `FailedScheduling`, …
    pub reason: String,
    pub message: String,
    /// How often it was seen.
    pub count: u32,
    /// When it was last seen, in seconds since 1970.
    pub at: i64,
    /// Which part of the object: `spec.containers{api}`; may be empty.
    pub field: String,
    /// When a watch brought it.
    pub seen: Elapsed,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub key: NamespacedName,
    pub uid: String,
    /// Whether it has its volume.
    pub bound: bool,
    /// The class it names; empty means none at all, nothing means the default.
    pub class: Option<String>,
    pub volume: Option<String>,
}

/// What sort of object a change is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceKind {
    /// A workload other than a bare pod.
    Workload(WorkloadKind),
    ReplicaSet,
    /// A pod of its own, or of any workload but a Job.
    Pod,
    /// A Job's pod: its labels are of another kind, and it has a watch of its own.
    JobPod,
    Event,
    Claim,
}

impl ResourceKind {
    /// What sort of pod this is.
    pub fn of(pod: &Pod) -> Self {
        match &pod.owner {
            Some(owner) if WorkloadKind::Job.group_kind().is_of(&owner.object) => Self::JobPod,
            _ => Self::Pod,
        }
    }
}

/// What a watch brought.
#[derive(Clone, Debug)]
pub enum Change {
    Workload(Workload),
    ReplicaSet(ReplicaSet),
    Pod(Box<Pod>),
    Event(KubeEvent),
    Claim(Claim),
    /// An object is gone.
    Gone(ResourceKind, NamespacedName),
    /// These are all objects of that sort in that namespace; others are gone.
    Listed(ResourceKind, String, BTreeSet<String>),
}
