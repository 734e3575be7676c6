//! How lists and maps of Kubernetes' own kinds are merged by a strategic merge
//! patch: what tells one element of a list from another.
//!
//! The tags `patchStrategy` and `patchMergeKey` of `k8s.io/api@v0.37.1`, which
//! helm has compiled in, but for those of a status. A field's name decides, with
//! the list that it stands in where one name has several meanings.

/// How a list is merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ListMerge {
    /// It is replaced whole.
    Whole,
    /// Element by element, by this key.
    ByKey(&'static str),
    /// As a set of texts.
    AsSet,
}

/// A place in an object: the fields that lead to it, without elements of lists.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields(Vec<String>);

impl Fields {
    /// The same place, one field further down.
    pub(super) fn then(&self, field: &str) -> Self {
        let mut fields = self.0.clone();
        fields.push(field.to_owned());
        Self(fields)
    }

    fn last(&self) -> &str {
        self.0.last().map_or("", String::as_str)
    }

    fn parent(&self) -> &str {
        let at = self.0.len().checked_sub(2);
        at.map_or("", |at| self.0[at].as_str())
    }
}

/// How the list at a place of an object of this kind is merged.
pub(super) fn of_list(kind: &str, at: &Fields) -> ListMerge {
    let is_container = matches!(
        at.parent(),
        "containers" | "initContainers" | "ephemeralContainers"
    );
    let by_key = match (at.last(), at.parent()) {
        ("ports", _) if is_container => "containerPort",
        ("ports", "spec") if kind == "Service" => "port",
        (
            "env"
            | "volumes"
            | "containers"
            | "initContainers"
            | "ephemeralContainers"
            | "webhooks"
            | "matchConditions"
            | "variables",
            _,
        )
        // Those of a ServiceAccount are replaced whole.
        | ("imagePullSecrets" | "resourceClaims" | "schedulingGates", "spec") => "name",
        ("secrets", "") if kind == "ServiceAccount" => "name",
        ("volumeMounts", _) => "mountPath",
        ("volumeDevices", _) => "devicePath",
        ("topologySpreadConstraints", _) => "topologyKey",
        ("hostAliases", _) => "ip",
        ("ownerReferences", "metadata") => "uid",
        ("finalizers", "metadata") => return ListMerge::AsSet,
        _ => return ListMerge::Whole,
    };
    ListMerge::ByKey(by_key)
}

/// Whether keys of the map at a place that a patch does not name are taken away:
/// a union, of which one member alone may be set.
pub(super) fn retains_only_named_keys(kind: &str, at: &Fields) -> bool {
    match at.last() {
        "strategy" => kind == "Deployment" && at.parent() == "spec",
        // An element of the list.
        "volumes" | "resourceClaims" => at.parent() == "spec",
        _ => false,
    }
}

/// Whether the map at a place is replaced whole (`policy/v1`).
pub(super) fn is_replaced_whole(kind: &str, at: &Fields) -> bool {
    kind == "PodDisruptionBudget" && at.last() == "selector" && at.parent() == "spec"
}
