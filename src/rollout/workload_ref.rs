//! Which object: kinds with their groups, and names.
//!
//! A kind says nothing without its group: a `batch.volcano.sh` Job is not a Job.
//! From an object that somebody else names, a [`WorkloadKind`] is only made of both.

use std::fmt;

use crate::manifest::ObjectRef;
use crate::text;

/// A kind with its group (`schema.GroupKind` of apimachinery), in whatever version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupKind {
    /// Its API group; empty for the core group.
    pub group: &'static str,
    /// The kind as the API writes it.
    pub kind: &'static str,
}

impl GroupKind {
    /// Not a kind that is waited for, but that Deployments make.
    pub const REPLICA_SET: Self = Self {
        group: "apps",
        kind: "ReplicaSet",
    };

    /// Whether an object is of this group and kind.
    pub fn is_of(self, object: &ObjectRef) -> bool {
        object.is(self.group, self.kind)
    }
}

/// The kinds that a rollout waits for or judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WorkloadKind {
    /// apps/v1
    Deployment,
    /// apps/v1
    StatefulSet,
    /// apps/v1
    DaemonSet,
    /// batch/v1
    Job,
    /// A pod without an owner, as some hooks are.
    Pod,
    /// A claim that the chart renders.
    PersistentVolumeClaim,
}

impl WorkloadKind {
    const ALL: [Self; 6] = [
        Self::Deployment,
        Self::StatefulSet,
        Self::DaemonSet,
        Self::Job,
        Self::Pod,
        Self::PersistentVolumeClaim,
    ];

    /// The kind of an object; none for all that a rollout does not wait for, another
    /// group's kind of the same name included.
    pub fn of(object: &ObjectRef) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.group_kind().is_of(object))
    }

    /// The kind with its group.
    pub const fn group_kind(self) -> GroupKind {
        let (group, kind) = match self {
            Self::Deployment => ("apps", "Deployment"),
            Self::StatefulSet => ("apps", "StatefulSet"),
            Self::DaemonSet => ("apps", "DaemonSet"),
            Self::Job => ("batch", "Job"),
            Self::Pod => ("", "Pod"),
            Self::PersistentVolumeClaim => ("", "PersistentVolumeClaim"),
        };
        GroupKind { group, kind }
    }

    /// The kind as the API writes it.
    pub const fn name(self) -> &'static str {
        self.group_kind().kind
    }
}

/// A workload by name: an [`ObjectRef`] whose group and kind are a [`WorkloadKind`]'s.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkloadRef {
    /// Its namespace.
    pub namespace: String,
    /// Its kind.
    pub kind: WorkloadKind,
    /// Its name.
    pub name: String,
}

impl WorkloadRef {
    /// The workload that an object is; none where its group and kind are none that is
    /// waited for, or where it names no namespace (see [`ObjectRef::within`]).
    pub fn of(object: &ObjectRef) -> Option<Self> {
        Some(Self {
            kind: WorkloadKind::of(object)?,
            namespace: object.namespace.clone()?,
            name: object.name.clone(),
        })
    }

    pub(super) fn new(kind: WorkloadKind, name: NamespacedName) -> Self {
        Self {
            kind,
            namespace: name.namespace,
            name: name.name,
        }
    }

    pub(super) fn namespaced_name(&self) -> NamespacedName {
        NamespacedName::new(&self.namespace, &self.name)
    }
}

/// `Deployment shop-api`, as people name it.
impl fmt::Display for WorkloadRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = text::line(&self.name, text::VALUE);
        write!(f, "{} {name}", self.kind.name())
    }
}

/// A namespace and a name in it, by which a cache finds an object of a known kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamespacedName {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl NamespacedName {
    /// A name in a namespace.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

/// `shop/api`
impl fmt::Display for NamespacedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::{WorkloadKind, WorkloadRef};
    use crate::manifest::ObjectRef;

    fn object(api_version: &str, kind: &str) -> ObjectRef {
        ObjectRef {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            namespace: Some("shop".to_owned()),
            name: "api".to_owned(),
        }
    }

    /// Case C7: another group's kind of the same name is not the core kind.
    #[test]
    fn group_and_kind_make_a_workload() {
        for (api_version, kind, workload) in [
            ("apps/v1", "Deployment", Some(WorkloadKind::Deployment)),
            ("apps/v1beta2", "Deployment", Some(WorkloadKind::Deployment)),
            ("apps/v1", "StatefulSet", Some(WorkloadKind::StatefulSet)),
            ("apps/v1", "DaemonSet", Some(WorkloadKind::DaemonSet)),
            ("batch/v1", "Job", Some(WorkloadKind::Job)),
            ("v1", "Pod", Some(WorkloadKind::Pod)),
            (
                "v1",
                "PersistentVolumeClaim",
                Some(WorkloadKind::PersistentVolumeClaim),
            ),
            ("batch.volcano.sh/v1alpha1", "Job", None),
            ("v1", "Job", None),
            ("apps.kruise.io/v1beta1", "StatefulSet", None),
            ("apps.kruise.io/v1alpha1", "DaemonSet", None),
            ("apps.openshift.io/v1", "Deployment", None),
            ("acme.io/v1", "Pod", None),
            ("apps/v1", "ReplicaSet", None),
            ("", "Deployment", None),
        ] {
            let object = object(api_version, kind);
            let found = WorkloadRef::of(&object).map(|workload| workload.kind);
            assert_eq!(found, workload, "{api_version} {kind}");
        }
    }

    #[test]
    fn a_workload_has_a_namespace() {
        let bare = ObjectRef {
            namespace: None,
            ..object("batch/v1", "Job")
        };
        assert_eq!(WorkloadRef::of(&bare), None);
        let job = WorkloadRef::of(&bare.within("shop")).map(|job| (job.namespace, job.name));
        assert_eq!(job, Some(("shop".to_owned(), "api".to_owned())));
    }
}
