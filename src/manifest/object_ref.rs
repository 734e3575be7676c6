//! The name of an object: what tells it from every other of a cluster.

use std::fmt;

use serde_json::Value;

use crate::text;

/// The groups that the API server itself serves; their names end in `.k8s.io`,
/// as some do that are served by custom resources (`gateway.networking.k8s.io`).
/// Groups without a dot (`apps`, `batch`) are all Kubernetes' own.
const GROUPS: [&str; 14] = [
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "certificates.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "networking.k8s.io",
    "node.k8s.io",
    "rbac.authorization.k8s.io",
    "resource.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
];

/// Whether an API group is Kubernetes' own, not one of custom resources. The
/// core group is the empty one.
pub fn is_kubernetes_group(group: &str) -> bool {
    !group.contains('.') || GROUPS.contains(&group)
}

/// The group of an `apiVersion`: `apps` of `apps/v1`, empty for `v1`.
pub fn group_of(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

/// An object of a manifest or of the cluster, by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectRef {
    /// `apps/v1`
    pub api_version: String,
    /// `Deployment`
    pub kind: String,
    /// Its namespace; none where it has none, or where a manifest leaves it to
    /// the release's.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

impl ObjectRef {
    /// The name of an object as JSON; fields that it lacks are empty.
    pub fn of(object: &Value) -> Self {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        let owned = |pointer| text(pointer).unwrap_or_default().to_owned();
        Self {
            api_version: owned("/apiVersion"),
            kind: owned("/kind"),
            namespace: text("/metadata/namespace")
                .filter(|namespace| !namespace.is_empty())
                .map(str::to_owned),
            name: owned("/metadata/name"),
        }
    }

    /// Its API group; empty for the core group.
    pub fn group(&self) -> &str {
        group_of(&self.api_version)
    }

    /// Whether it is of this group and kind, in whatever version.
    pub fn is(&self, group: &str, kind: &str) -> bool {
        self.kind == kind && self.group() == group
    }

    /// Whether it is a workload of `apps` that keeps pods of a template running.
    pub fn keeps_pods(&self) -> bool {
        let kinds = ["Deployment", "StatefulSet", "DaemonSet"];
        kinds.iter().any(|kind| self.is("apps", kind))
    }

    /// Whether both are one object: an object is served in several versions of
    /// its group.
    pub fn is_same(&self, other: &Self) -> bool {
        self.is(other.group(), &other.kind)
            && self.name == other.name
            && self.namespace == other.namespace
    }

    /// The same in `namespace`, where it names none itself.
    #[must_use]
    pub fn within(mut self, namespace: &str) -> Self {
        self.namespace.get_or_insert_with(|| namespace.to_owned());
        self
    }
}

/// `Deployment shop-api`, as people name it.
impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}",
            text::line(&self.kind, 80),
            text::line(&self.name, 80)
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{ObjectRef, is_kubernetes_group};

    #[test]
    fn a_kind_is_told_with_its_group() {
        let job = |api_version| {
            ObjectRef::of(&json!({"apiVersion": api_version, "kind": "Job",
                "metadata": {"name": "migrate"}}))
        };
        assert!(job("batch/v1").is("batch", "Job"));
        assert!(job("batch/v1beta1").is("batch", "Job"));
        // Case C7: another group's kind of the same name.
        assert!(!job("batch.volcano.sh/v1alpha1").is("batch", "Job"));
        assert!(job("batch/v1").is_same(&job("batch/v1beta1")));
        assert!(!job("batch/v1").is_same(&job("batch.volcano.sh/v1alpha1")));
        assert!(!job("batch/v1").is_same(&job("batch/v1").within("shop")));
        assert_eq!(job("v1").group(), "");
        assert_eq!(
            job("batch/v1").within("shop").namespace.as_deref(),
            Some("shop")
        );
    }

    #[test]
    fn groups_of_custom_resources_are_told_apart() {
        for own in ["", "apps", "batch", "policy", "networking.k8s.io"] {
            assert!(is_kubernetes_group(own), "{own}");
        }
        for custom in ["gateway.networking.k8s.io", "batch.volcano.sh", "x-k8s.io"] {
            assert!(!is_kubernetes_group(custom), "{custom}");
        }
    }
}
