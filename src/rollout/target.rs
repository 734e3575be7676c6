//! What a rollout waits for, as the render tells it.

use std::collections::BTreeMap;

use super::workload_ref::WorkloadRef;
use crate::manifest::ObjectRef;

/// A rendered object that the rollout waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchTarget {
    /// Which object.
    pub id: WorkloadRef,
    /// Whether the render changes its pod template; true where it is new.
    pub template_changed: bool,
    /// Whether it is a hook.
    pub hook: bool,
    /// The labels that all its pods carry, as far as the render tells.
    pub labels: BTreeMap<String, String>,
}

impl WatchTarget {
    /// A target, where a rollout waits for objects of this group and kind. The object
    /// must name its namespace (see [`ObjectRef::within`]).
    pub fn new(object: &ObjectRef, template_changed: bool, hook: bool) -> Option<Self> {
        Some(Self {
            id: WorkloadRef::of(object)?,
            template_changed,
            hook,
            labels: BTreeMap::new(),
        })
    }

    /// With the labels that all its pods carry ([`super::labels`]).
    #[must_use]
    pub fn labelled(mut self, labels: BTreeMap<String, String>) -> Self {
        self.labels = labels;
        self
    }
}
