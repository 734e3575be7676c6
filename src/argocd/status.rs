//! What Argo CD says of an Application, and what it is asked to do.
//!
//! Format: `pkg/apis/application/v1alpha1/types.go` of Argo CD 3.2. All of it is outside
//! text.

use serde::Deserialize;

use super::source::Source;
use crate::text;

/// What Argo CD says of an Application.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Status {
    /// How the cluster compares with what is asked for.
    pub sync: Sync,
    /// The worst health of its resources.
    pub health: Health,
    /// The last operation.
    pub operation_state: Option<OperationState>,
    /// Its resources.
    pub resources: Vec<Resource>,
    /// What is wrong with it.
    pub conditions: Vec<Condition>,
    /// What its pods are made of.
    pub summary: Summary,
}

/// How the cluster compares with what is asked for.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Sync {
    /// `Synced`, `OutOfSync`, `Unknown`.
    pub status: String,
    /// The version that was compared.
    pub revision: String,
    /// With what it was compared.
    pub compared_to: ComparedTo,
}

/// With what the cluster was compared.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ComparedTo {
    /// The source.
    pub source: Source,
}

/// A health.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Health {
    /// `Healthy`, `Suspended`, `Progressing`, `Missing`, `Degraded`, `Unknown`.
    pub status: String,
    /// Why.
    pub message: String,
}

/// The images of the resources.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Summary {
    /// Of pods and of their templates.
    pub images: Vec<String>,
}

/// A resource.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Resource {
    /// Its API group.
    pub group: String,
    /// Its kind.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// How it compares.
    pub status: String,
    /// Its health, where Argo CD writes it down (`controller.resource.health.persist`).
    pub health: Health,
    /// Whether it is no longer rendered and would have to be deleted.
    pub requires_pruning: bool,
}

/// Something that is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Condition {
    /// `ComparisonError`, `InvalidSpecError`, `SyncError` and so on.
    #[serde(rename = "type")]
    pub kind: String,
    /// What.
    pub message: String,
}

/// What Argo CD is asked to do.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Operation {
    /// Who asked.
    pub initiated_by: Initiator,
    /// What they noted.
    pub info: Vec<Info>,
}

/// Who asked for an operation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Initiator {
    /// A user.
    pub username: String,
    /// Whether it was Argo CD by itself.
    pub automated: bool,
}

/// A note of an operation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Info {
    /// Of what.
    pub name: String,
    /// What.
    pub value: String,
}

/// The state of an operation.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct OperationState {
    /// What was asked.
    pub operation: Operation,
    /// `Running`, `Terminating`, `Succeeded`, `Failed`, `Error`.
    pub phase: String,
    /// Why.
    pub message: String,
    /// When it began.
    pub started_at: String,
    /// When it ended; with `Running` a try has ended, and another follows.
    pub finished_at: Option<String>,
    /// What it brought.
    pub sync_result: SyncResult,
}

/// What a sync brought.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct SyncResult {
    /// What became of each resource.
    pub resources: Vec<ResourceResult>,
    /// What was synced.
    pub source: Source,
}

/// What became of a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ResourceResult {
    /// Its kind.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// `Synced`, `SyncFailed`, `Pruned`, `PruneSkipped`.
    pub status: String,
    /// Of a hook: `Running`, `Succeeded`, `Failed`, `Error`.
    pub hook_phase: String,
    /// Of a hook: `PreSync` and so on.
    pub hook_type: String,
    /// What was said.
    pub message: String,
}

impl OperationState {
    /// Whether it has ended (`OperationPhase.Completed` of gitops-engine).
    pub fn is_completed(&self) -> bool {
        matches!(self.phase.as_str(), "Succeeded" | "Failed" | "Error")
    }

    /// Whether it waits for a sync window to open
    /// (`SyncAppState` in `controller/sync.go`).
    pub fn is_blocked(&self) -> bool {
        !self.is_completed() && self.message.contains("blocked by sync window")
    }
}

impl Operation {
    /// What is noted under this name.
    pub fn note(&self, name: &str) -> Option<&str> {
        let info = self.info.iter().find(|info| info.name == name);
        info.map(|info| info.value.as_str())
    }

    /// Who asked for it, for people.
    pub fn asked_by(&self) -> String {
        match (&self.initiated_by.username, self.initiated_by.automated) {
            (_, true) => "Argo CD by itself".to_owned(),
            (name, false) if name.is_empty() => "an unnamed user".to_owned(),
            (name, false) => text::quoted(name),
        }
    }
}
