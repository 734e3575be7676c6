//! The rights that a deploy uses in the cluster, besides those that helm needs
//! for the objects of the chart. Pure data.
//!
//! One table, from which come: what a rollout watches, what `deploy doctor`
//! asks for, the `SelfSubjectAccessReview`s, and the Roles in `docs/rights.md`.
//! A request to the API server that no row covers does not belong in the code.

mod purpose;

use std::fmt;

use self::Purpose::{
    Autoscaler, Autoscalers, HelmWait, Jobs, Lease, Logs, Namespace, Nodes, OwnStatus, Reasons,
    Recheck, Records, Rollout, StuckPods, Verification, Volumes,
};
pub use purpose::{Need, Purpose};

/// Where a right counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// In the release's namespace.
    Release,
    /// In the whole cluster: the resource has no namespace.
    Cluster,
    /// For one object of another namespace.
    Object {
        /// The namespace.
        namespace: &'static str,
        /// The object's name.
        name: &'static str,
    },
}

/// A row of the table: rights to one resource, for one purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// What they are used for, and so whether they are needed.
    pub purpose: Purpose,
    /// The resource's API group; empty for the core group.
    pub group: &'static str,
    /// Its plural, with a subresource behind a slash.
    pub resource: &'static str,
    /// The verbs.
    pub verbs: &'static [&'static str],
    /// Where they count.
    pub scope: Scope,
    /// The kinds of which a release must have one for this to be used; empty where it
    /// always is.
    pub kinds: &'static [&'static str],
}

/// The kinds whose pods are watched.
const WITH_PODS: &[&str] = &["Deployment", "StatefulSet", "DaemonSet", "Job", "Pod"];

/// What helm does with each object of a chart; `docs/rights.md` says that these
/// come on top of the table.
pub const OBJECT_VERBS: [&str; 4] = ["get", "create", "patch", "delete"];

const LIST_WATCH: &[&str] = &["list", "watch"];
const GET: &[&str] = &["get"];
const LIST: &[&str] = &["list"];

/// The table. What one row grants is not repeated in another: the second look
/// reads Secrets, too, and a hook's Job has its pods listed.
pub const REQUIRED_ACCESS: [Access; 29] = [
    release(
        Records,
        "",
        "secrets",
        &["get", "list", "create", "update", "delete"],
    ),
    release(Verification, "apps", "deployments", GET).of(&["Deployment"]),
    release(Verification, "apps", "statefulsets", GET).of(&["StatefulSet"]),
    release(Verification, "apps", "daemonsets", GET).of(&["DaemonSet"]),
    // `GetNewReplicaSet` in helm's pkg/kube/ready.go.
    release(HelmWait, "apps", "replicasets", LIST).of(&["Deployment"]),
    release(Rollout, "apps", "deployments", LIST_WATCH).of(&["Deployment"]),
    release(Rollout, "apps", "replicasets", LIST_WATCH).of(&["Deployment"]),
    release(Rollout, "apps", "statefulsets", LIST_WATCH).of(&["StatefulSet"]),
    release(Rollout, "apps", "daemonsets", LIST_WATCH).of(&["DaemonSet"]),
    release(Rollout, "batch", "jobs", LIST_WATCH).of(&["Job"]),
    release(Rollout, "", "pods", LIST_WATCH).of(WITH_PODS),
    release(Reasons, "", "events", LIST_WATCH),
    release(Reasons, "", "persistentvolumeclaims", LIST_WATCH),
    release(Logs, "", "pods/log", GET).of(WITH_PODS),
    release(Recheck, "", "configmaps", GET),
    release(Recheck, "", "persistentvolumeclaims", GET),
    release(Recheck, "", "serviceaccounts", GET),
    release(Jobs, "batch", "jobs", &["get", "list", "watch", "delete"]).of(&["Job"]),
    release(StuckPods, "", "pods", &["delete"]).of(&["StatefulSet"]),
    release(OwnStatus, "argoproj.io", "rollouts", GET).of(&["Rollout"]),
    release(OwnStatus, "flagger.app", "canaries", GET).of(&["Canary"]),
    release(
        Lease,
        "coordination.k8s.io",
        "leases",
        &["get", "create", "update", "delete"],
    ),
    // A Role in a namespace can grant the right to get that namespace.
    release(Namespace, "", "namespaces", GET),
    cluster(Namespace, "", "namespaces", &["create"]),
    release(Autoscalers, "autoscaling", "horizontalpodautoscalers", LIST)
        .of(&["Deployment", "StatefulSet"]),
    cluster(Nodes, "", "nodes", LIST),
    cluster(Volumes, "", "persistentvolumes", LIST),
    cluster(Volumes, "storage.k8s.io", "storageclasses", LIST),
    Access {
        scope: Scope::Object {
            namespace: "kube-system",
            name: "cluster-autoscaler-status",
        },
        ..release(Autoscaler, "", "configmaps", GET)
    },
];

impl Access {
    /// The same, where a release has an object of one of these kinds.
    const fn of(self, kinds: &'static [&'static str]) -> Self {
        Self { kinds, ..self }
    }

    /// Whether it is used for a release with an object of this kind.
    pub fn is_for(&self, kind: &str) -> bool {
        self.kinds.is_empty() || self.kinds.contains(&kind)
    }

    /// Its rights, one for each verb.
    pub fn rights(&self) -> impl Iterator<Item = Right> {
        let (group, resource, scope) = (self.group, self.resource, self.scope);
        self.verbs.iter().map(move |verb| Right {
            group: group.to_owned(),
            resource: resource.to_owned(),
            verb,
            scope,
        })
    }
}

/// What a deploy through Argo CD does with Applications in its hub; where a template is
/// to be used, it `makes` them too. The Lease is taken there besides.
pub fn applications(makes: bool) -> Vec<Right> {
    let verbs = ["get", "list", "watch", "patch"];
    let verbs = verbs.into_iter().chain(makes.then_some("create"));
    let right = |verb| Right {
        group: "argoproj.io".to_owned(),
        resource: "applications".to_owned(),
        verb,
        scope: Scope::Release,
    };
    verbs.map(right).collect()
}

/// The rights of the rows for a purpose.
pub fn rights_for(purpose: Purpose) -> impl Iterator<Item = Right> {
    let rows = REQUIRED_ACCESS.iter();
    rows.filter(move |row| row.purpose == purpose)
        .flat_map(Access::rights)
}

/// What a rollout watches of a workload of this kind: plurals.
pub fn watched(kind: &str) -> impl Iterator<Item = &'static str> {
    REQUIRED_ACCESS
        .iter()
        .filter(move |access| matches!(access.purpose, Rollout | Reasons) && access.is_for(kind))
        .map(|access| access.resource)
}

/// What Helm 4 watches itself in whatever release: Deployments with what they
/// are made of, and Jobs, of which hooks are.
pub fn watched_by_helm() -> impl Iterator<Item = Right> {
    REQUIRED_ACCESS
        .iter()
        .filter(|access| {
            access.purpose == Rollout && (access.is_for("Deployment") || access.is_for("Job"))
        })
        .flat_map(Access::rights)
        .filter(|right| right.verb == "watch")
}

/// One right: a verb on a resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// The resource's API group; empty for the core group.
    pub group: String,
    /// Its plural, with a subresource behind a slash.
    pub resource: String,
    /// The verb.
    pub verb: &'static str,
    /// Where it counts.
    pub scope: Scope,
}

impl Right {
    /// The resource as kubectl names it: `deployments.apps`, `pods/log`.
    pub fn resource_name(&self) -> String {
        match (self.group.as_str(), self.resource.split_once('/')) {
            ("", _) => self.resource.clone(),
            (group, None) => format!("{}.{group}", self.resource),
            (group, Some((resource, sub))) => format!("{resource}.{group}/{sub}"),
        }
    }
}

/// `patch deployments.apps`
impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.resource_name())?;
        match self.scope {
            Scope::Object { namespace, name } => write!(f, " {namespace}/{name}"),
            Scope::Release | Scope::Cluster => Ok(()),
        }
    }
}

const fn release(
    purpose: Purpose,
    group: &'static str,
    resource: &'static str,
    verbs: &'static [&'static str],
) -> Access {
    Access {
        purpose,
        group,
        resource,
        verbs,
        scope: Scope::Release,
        kinds: &[],
    }
}

const fn cluster(
    purpose: Purpose,
    group: &'static str,
    resource: &'static str,
    verbs: &'static [&'static str],
) -> Access {
    Access {
        scope: Scope::Cluster,
        ..release(purpose, group, resource, verbs)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Access, Purpose, REQUIRED_ACCESS, watched, watched_by_helm};

    #[test]
    fn no_right_is_listed_twice_and_every_purpose_has_one() {
        let mut purposes = BTreeSet::new();
        let mut rights = BTreeSet::new();
        for access in REQUIRED_ACCESS {
            purposes.insert(access.purpose);
            for right in access.rights() {
                // Helm's own wait and the hooks' Jobs overlap with the rollout.
                let key = (access.purpose, right);
                assert!(rights.insert(key), "{access:?}");
            }
        }
        assert_eq!(purposes, Purpose::ALL.into());
    }

    #[test]
    fn what_is_watched_depends_on_the_kind() {
        let common = ["events", "persistentvolumeclaims"];
        for (kind, more) in [
            ("PersistentVolumeClaim", &[][..]),
            ("Pod", &["pods"]),
            ("Job", &["jobs", "pods"]),
            ("StatefulSet", &["pods", "statefulsets"]),
            ("Deployment", &["deployments", "pods", "replicasets"]),
        ] {
            let expected: BTreeSet<&str> = common.iter().chain(more).copied().collect();
            assert_eq!(watched(kind).collect::<BTreeSet<_>>(), expected, "{kind}");
        }
        let named: Vec<String> = watched_by_helm().map(|right| right.to_string()).collect();
        assert_eq!(
            named,
            [
                "watch deployments.apps",
                "watch replicasets.apps",
                "watch jobs.batch",
                "watch pods"
            ]
        );
        assert!(
            REQUIRED_ACCESS
                .iter()
                .all(|access: &Access| { !access.verbs.is_empty() && !access.resource.is_empty() })
        );
    }
}
