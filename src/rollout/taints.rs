//! Taints and what tolerates them, as the scheduler compares them
//! (`ToleratesTaint` of k8s.io/api/core/v1/toleration.go, Kubernetes 1.34).

use k8s_openapi::api::core::v1 as core;

/// A taint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taint {
    pub key: String,
    pub value: String,
    pub effect: String,
}

impl Taint {
    /// Whether it keeps new pods away, and does not only make a node less wanted.
    pub(super) fn keeps_away(&self) -> bool {
        matches!(self.effect.as_str(), "NoSchedule" | "NoExecute")
    }
}

impl From<core::Taint> for Taint {
    fn from(taint: core::Taint) -> Self {
        Self {
            key: taint.key,
            value: taint.value.unwrap_or_default(),
            effect: taint.effect,
        }
    }
}

/// What a pod tolerates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Toleration {
    /// Empty: every key.
    pub key: String,
    /// The value that it must be; none for any.
    pub value: Option<String>,
    /// Empty: every effect.
    pub effect: String,
}

impl Toleration {
    /// Whether it tolerates a taint.
    pub(super) fn tolerates(&self, taint: &Taint) -> bool {
        let is = |own: &str, other: &str| own.is_empty() || own == other;
        is(&self.effect, &taint.effect)
            && is(&self.key, &taint.key)
            && self
                .value
                .as_ref()
                .is_none_or(|value| *value == taint.value)
    }
}

impl From<core::Toleration> for Toleration {
    fn from(toleration: core::Toleration) -> Self {
        // Operators that compare numbers count as met: nothing is concluded from them.
        let is_equal = matches!(toleration.operator.as_deref(), None | Some("" | "Equal"));
        Self {
            key: toleration.key.unwrap_or_default(),
            value: is_equal.then(|| toleration.value.unwrap_or_default()),
            effect: toleration.effect.unwrap_or_default(),
        }
    }
}
