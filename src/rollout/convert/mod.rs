//! Kubernetes' own types cut down to what is judged.
//!
//! Total: whatever is missing or odd becomes something harmless, since every
//! field was written by somebody else.

mod pod;

use k8s_openapi::api::apps::v1 as apps;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::model::{
    Claim, Condition, Elapsed, KubeEvent, MESSAGE, Owner, ReplicaSet, Strategy, TemplateContainer,
    Workload,
};
use super::workload_ref::{NamespacedName, WorkloadKind, WorkloadRef};
use crate::manifest::ObjectRef;

fn cut(text: &str) -> String {
    text.chars().take(MESSAGE).collect()
}

fn kept(text: Option<&String>) -> String {
    text.map(|text| cut(text)).unwrap_or_default()
}

fn key(meta: &ObjectMeta) -> NamespacedName {
    NamespacedName {
        namespace: meta.namespace.clone().unwrap_or_default(),
        name: meta.name.clone().unwrap_or_default(),
    }
}

fn id(meta: &ObjectMeta, kind: WorkloadKind) -> WorkloadRef {
    WorkloadRef::new(kind, key(meta))
}

fn annotation<'a>(meta: &'a ObjectMeta, name: &str) -> Option<&'a String> {
    meta.annotations
        .as_ref()
        .and_then(|annotations| annotations.get(name))
}

fn label(meta: &ObjectMeta, name: &str) -> Option<String> {
    meta.labels
        .as_ref()
        .and_then(|labels| labels.get(name))
        .cloned()
}

fn controller(meta: &ObjectMeta) -> Option<Owner> {
    let owner = meta
        .owner_references
        .iter()
        .flatten()
        .find(|owner| owner.controller == Some(true))?;
    Some(Owner {
        object: ObjectRef {
            api_version: owner.api_version.clone(),
            kind: owner.kind.clone(),
            namespace: meta.namespace.clone(),
            name: owner.name.clone(),
        },
        uid: owner.uid.clone(),
    })
}

fn condition(
    kind: &str,
    status: &str,
    reason: Option<&String>,
    message: Option<&String>,
) -> Condition {
    let holds = match status {
        "True" => Some(true),
        "False" => Some(false),
        _ => None,
    };
    Condition {
        kind: kind.to_owned(),
        holds,
        reason: kept(reason),
        message: kept(message),
    }
}

/// The conditions of a status: every kind has a type of its own for them, and
/// all have these fields.
macro_rules! conditions {
    ($status:expr) => {
        $status
            .conditions
            .iter()
            .flatten()
            .map(|one| {
                condition(
                    &one.type_,
                    &one.status,
                    one.reason.as_ref(),
                    one.message.as_ref(),
                )
            })
            .collect()
    };
}

/// How many pods may be missing while new ones come. A share is rounded down
/// (`ResolveFenceposts` of the Deployment controller; where both shares come to
/// nothing, one may be missing).
fn missing(unavailable: Option<&IntOrString>, surge: Option<&IntOrString>, wanted: i32) -> i32 {
    let quarter = IntOrString::String("25%".to_owned());
    let share = |value: &IntOrString, up: bool| match value {
        IntOrString::Int(count) => i64::from(*count),
        IntOrString::String(text) => {
            let percent: i64 = text
                .strip_suffix('%')
                .and_then(|number| number.parse().ok())
                .unwrap_or(0);
            let parts = percent.clamp(0, 100) * i64::from(wanted);
            if up { (parts + 99) / 100 } else { parts / 100 }
        }
    };
    let unavailable = share(unavailable.unwrap_or(&quarter), false);
    let surge = share(surge.unwrap_or(&quarter), true);
    let missing = if unavailable == 0 && surge == 0 {
        1
    } else {
        unavailable
    };
    i32::try_from(missing).unwrap_or(i32::MAX)
}

/// The containers that make a pod of this template available. Until its startup probe has
/// been answered well, a container is not ready.
fn containers(template: core::PodTemplateSpec, min_ready: Option<i32>) -> Vec<TemplateContainer> {
    if min_ready.unwrap_or(0) > 0 {
        return Vec::new();
    }
    let containers = template.spec.into_iter().flat_map(|spec| spec.containers);
    containers
        .map(|container| TemplateContainer {
            name: container.name,
            image: container.image.unwrap_or_default(),
            probed: container.readiness_probe.is_some() || container.startup_probe.is_some(),
        })
        .collect()
}

impl From<apps::Deployment> for Workload {
    fn from(object: apps::Deployment) -> Self {
        let (meta, spec, status) = (
            object.metadata,
            object.spec.unwrap_or_default(),
            object.status.unwrap_or_default(),
        );
        let wanted = spec.replicas.unwrap_or(1);
        let strategy = match &spec.strategy {
            Some(strategy) if strategy.type_.as_deref() == Some("Recreate") => Strategy::Recreate,
            other => {
                let rolling = other
                    .as_ref()
                    .and_then(|strategy| strategy.rolling_update.as_ref());
                let unavailable = rolling.and_then(|rolling| rolling.max_unavailable.as_ref());
                let surge = rolling.and_then(|rolling| rolling.max_surge.as_ref());
                Strategy::Rolling {
                    missing: missing(unavailable, surge, wanted),
                }
            }
        };
        let total = status.replicas.unwrap_or(0);
        let updated = status.updated_replicas.unwrap_or(0);
        Self {
            id: id(&meta, WorkloadKind::Deployment),
            revision: annotation(&meta, "deployment.kubernetes.io/revision").cloned(),
            uid: meta.uid.unwrap_or_default(),
            generation: meta.generation.unwrap_or(0),
            observed: status.observed_generation.unwrap_or(0),
            wanted,
            total,
            updated,
            ready: status.ready_replicas.unwrap_or(0),
            available: status.available_replicas.unwrap_or(0),
            settled: total == updated,
            paused: spec.paused.unwrap_or(false),
            strategy,
            partition: 0,
            ordered: false,
            containers: containers(spec.template, spec.min_ready_seconds),
            conditions: conditions!(status),
        }
    }
}

impl From<apps::StatefulSet> for Workload {
    fn from(object: apps::StatefulSet) -> Self {
        let (meta, spec, status) = (
            object.metadata,
            object.spec.unwrap_or_default(),
            object.status.unwrap_or_default(),
        );
        let update = spec.update_strategy.unwrap_or_default();
        let on_delete = update.type_.as_deref() == Some("OnDelete");
        Self {
            id: id(&meta, WorkloadKind::StatefulSet),
            uid: meta.uid.unwrap_or_default(),
            generation: meta.generation.unwrap_or(0),
            observed: status.observed_generation.unwrap_or(0),
            settled: status.update_revision == status.current_revision,
            revision: status.update_revision,
            wanted: spec.replicas.unwrap_or(1),
            total: status.replicas,
            updated: status.updated_replicas.unwrap_or(0),
            ready: status.ready_replicas.unwrap_or(0),
            available: status.available_replicas.unwrap_or(0),
            paused: false,
            strategy: if on_delete {
                Strategy::OnDelete
            } else {
                Strategy::Rolling { missing: 1 }
            },
            partition: update
                .rolling_update
                .and_then(|rolling| rolling.partition)
                .unwrap_or(0),
            ordered: spec.pod_management_policy.as_deref() != Some("Parallel"),
            containers: containers(spec.template, spec.min_ready_seconds),
            conditions: Vec::new(),
        }
    }
}

impl From<apps::DaemonSet> for Workload {
    fn from(object: apps::DaemonSet) -> Self {
        let (meta, spec, status) = (
            object.metadata,
            object.spec.unwrap_or_default(),
            object.status.unwrap_or_default(),
        );
        let on_delete = spec
            .update_strategy
            .is_some_and(|update| update.type_.as_deref() == Some("OnDelete"));
        let updated = status.updated_number_scheduled.unwrap_or(0);
        Self {
            id: id(&meta, WorkloadKind::DaemonSet),
            revision: annotation(&meta, "deprecated.daemonset.template.generation").cloned(),
            uid: meta.uid.unwrap_or_default(),
            generation: meta.generation.unwrap_or(0),
            observed: status.observed_generation.unwrap_or(0),
            wanted: status.desired_number_scheduled,
            total: status.current_number_scheduled,
            updated,
            ready: status.number_ready,
            available: status.number_available.unwrap_or(0),
            settled: updated >= status.desired_number_scheduled,
            paused: false,
            strategy: if on_delete {
                Strategy::OnDelete
            } else {
                Strategy::Rolling { missing: 1 }
            },
            partition: 0,
            ordered: false,
            containers: containers(spec.template, spec.min_ready_seconds),
            conditions: Vec::new(),
        }
    }
}

impl From<Job> for Workload {
    fn from(object: Job) -> Self {
        let (meta, spec, status) = (
            object.metadata,
            object.spec.unwrap_or_default(),
            object.status.unwrap_or_default(),
        );
        let generation = meta.generation.unwrap_or(0);
        let active = status.active.unwrap_or(0);
        Self {
            id: id(&meta, WorkloadKind::Job),
            uid: meta.uid.unwrap_or_default(),
            generation,
            // A Job's status names no generation; its template never changes.
            observed: generation,
            revision: None,
            wanted: spec.completions.or(spec.parallelism).unwrap_or(1),
            total: active,
            updated: status.succeeded.unwrap_or(0),
            ready: status.ready.unwrap_or(0),
            available: status.ready.unwrap_or(0),
            settled: true,
            paused: spec.suspend.unwrap_or(false),
            strategy: Strategy::Rolling { missing: 0 },
            partition: 0,
            ordered: false,
            containers: Vec::new(),
            conditions: conditions!(status),
        }
    }
}

impl TryFrom<apps::ReplicaSet> for ReplicaSet {
    type Error = ();

    /// Fails where no Deployment owns it: then nothing that is waited for does.
    fn try_from(object: apps::ReplicaSet) -> Result<Self, ()> {
        let meta = object.metadata;
        let owner = controller(&meta)
            .filter(|owner| WorkloadKind::Deployment.group_kind().is_of(&owner.object))
            .ok_or(())?;
        let status = object.status.unwrap_or_default();
        let failure = status
            .conditions
            .iter()
            .flatten()
            .find(|one| one.type_ == "ReplicaFailure" && one.status == "True")
            .map(|one| kept(one.message.as_ref()));
        Ok(Self {
            key: key(&meta),
            revision: annotation(&meta, "deployment.kubernetes.io/revision")
                .and_then(|text| text.parse().ok())
                .unwrap_or(0),
            uid: meta.uid.unwrap_or_default(),
            owner: owner.object.name,
            owner_uid: owner.uid,
            wanted: object.spec.and_then(|spec| spec.replicas).unwrap_or(1),
            total: status.replicas,
            failure,
        })
    }
}

impl From<core::Event> for KubeEvent {
    fn from(object: core::Event) -> Self {
        let (count, at) = match &object.series {
            Some(series) => (
                series.count,
                series
                    .last_observed_time
                    .as_ref()
                    .map(|time| time.0.as_second()),
            ),
            None => (object.count, None),
        };
        let at = at
            .or_else(|| {
                object
                    .last_timestamp
                    .as_ref()
                    .map(|time| time.0.as_second())
            })
            .or_else(|| object.event_time.as_ref().map(|time| time.0.as_second()))
            .or_else(|| {
                object
                    .metadata
                    .creation_timestamp
                    .as_ref()
                    .map(|time| time.0.as_second())
            });
        let about = object.involved_object;
        Self {
            uid: object.metadata.uid.unwrap_or_default(),
            object: ObjectRef {
                api_version: about.api_version.unwrap_or_default(),
                kind: about.kind.unwrap_or_default(),
                namespace: object.metadata.namespace,
                name: about.name.unwrap_or_default(),
            },
            object_uid: about.uid.unwrap_or_default(),
            reason: kept(object.reason.as_ref()),
            message: kept(object.message.as_ref()),
            count: count
                .and_then(|count| u32::try_from(count).ok())
                .unwrap_or(1),
            at: at.unwrap_or(0),
            field: kept(about.field_path.as_ref()),
            seen: Elapsed::default(),
        }
    }
}

impl From<core::PersistentVolumeClaim> for Claim {
    fn from(object: core::PersistentVolumeClaim) -> Self {
        let spec = object.spec.unwrap_or_default();
        Self {
            key: key(&object.metadata),
            uid: object.metadata.uid.unwrap_or_default(),
            bound: object.status.and_then(|status| status.phase).as_deref() == Some("Bound"),
            class: spec.storage_class_name,
            volume: spec.volume_name,
        }
    }
}
