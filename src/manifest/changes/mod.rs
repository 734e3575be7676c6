//! What would become of objects, as data: what a preview and a drift consist of.
//!
//! Pure. Two states of an object are compared as whole JSON; what helm and the
//! API server write for themselves is no change ([`noise`]). The content of a
//! Secret never enters a change, only that it is another.

mod diff;
mod json;
mod noise;
mod path;

use super::ObjectRef;

pub use diff::{Content, FieldChange, compare, is_secret};
pub use json::{change_as_json, named, preview_as_json};
pub use noise::{differs, without_noise};
pub use path::{FieldPath, Step, id};

/// What would become of one object.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectChange {
    /// The object, with its namespace where it has one.
    pub object: ObjectRef,
    /// What would become of it.
    pub change: Change,
}

/// What would become of an object.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// It would be made.
    Created,
    /// These fields would change.
    Changed(Vec<FieldChange>),
    /// Only what helm writes for itself would change: its labels.
    Labels,
    /// It would be removed.
    Removed,
    /// The chart drops it, and an annotation of helm's keeps it.
    Kept,
    /// It would be removed and made anew.
    Replaced,
    /// The API server would refuse it, with this answer.
    Refused(String),
    /// What would become of it cannot be told, for this reason.
    NotPredicted(String),
}

/// A hook that would run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookRun {
    /// The hook.
    pub object: ObjectRef,
    /// The event at which it runs: `pre-upgrade`.
    pub event: String,
}

/// A workload whose pods would be replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restart {
    /// The workload.
    pub workload: ObjectRef,
    /// The fields of its pod template that are the reason.
    pub fields: Vec<String>,
}

/// All that would change in the live objects.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Preview {
    /// The objects that would not stay as they are.
    pub objects: Vec<ObjectChange>,
    /// How many would.
    pub unchanged: usize,
    /// The hooks, in the order in which they run.
    pub hooks: Vec<HookRun>,
    /// The workloads whose pods would be replaced.
    pub restarts: Vec<Restart>,
    /// Whether before and after may be shown: a public log is read by all.
    pub shows_values: bool,
}

impl Preview {
    /// A preview of these, hooks aside.
    pub fn of(changes: Vec<(ObjectRef, Option<Change>)>, shows_values: bool) -> Self {
        let mut preview = Self {
            shows_values,
            ..Self::default()
        };
        for (object, change) in changes {
            let Some(change) = change else {
                preview.unchanged += 1;
                continue;
            };
            if let Change::Changed(fields) = &change {
                preview.restarts.extend(restart(&object, fields));
            }
            preview.objects.push(ObjectChange { object, change });
        }
        preview
    }

    /// Whether all stays as it is, and no hook runs.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty() && self.hooks.is_empty()
    }
}

/// Whether a change of an object's fields replaces its pods: those of a workload
/// that keeps pods of a template running. One made by a Job or a `CronJob` only
/// counts for the next.
fn restart(object: &ObjectRef, fields: &[FieldChange]) -> Option<Restart> {
    let keeps_pods = object.keeps_pods() || object.is("argoproj.io", "Rollout");
    let reasons = fields
        .iter()
        .filter(|field| field.path.is_in("spec", "template"));
    let reasons: Vec<String> = reasons.map(|field| field.path.to_string()).collect();
    (keeps_pods && !reasons.is_empty()).then(|| Restart {
        workload: object.clone(),
        fields: reasons,
    })
}

#[cfg(test)]
mod tests;
