//! An Application as the hub has it: what is read of one, and nothing more.
//!
//! Format: `pkg/apis/application/v1alpha1/types.go` of Argo CD 3.2. People, other
//! controllers and the manifests of charts write into it, so that every text of it is
//! outside text.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::source::Source;
use super::status::{Operation, Status};

/// An Application.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Application {
    /// What Kubernetes keeps of it.
    pub metadata: Metadata,
    /// What it asks for.
    pub spec: Spec,
    /// What is asked of Argo CD to do now, until that has ended.
    pub operation: Option<Operation>,
    /// What Argo CD says of it.
    pub status: Status,
}

/// What Kubernetes keeps of it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Metadata {
    /// Its name.
    pub name: String,
    /// Changes where it was deleted and made anew.
    pub uid: String,
    /// Which state of it this is.
    pub resource_version: String,
    /// Set while it is being deleted.
    pub deletion_timestamp: Option<String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
}

/// What it asks for.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Spec {
    /// Its one source.
    pub source: Source,
    /// Its sources, where it has several.
    pub sources: Vec<Value>,
    /// What renders into Git first.
    pub source_hydrator: Option<Value>,
    /// Where it goes.
    pub destination: Destination,
    /// How it is synced.
    pub sync_policy: SyncPolicy,
    /// What is not compared.
    pub ignore_differences: Vec<Value>,
    /// Its project.
    pub project: String,
}

/// A cluster and a namespace.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Destination {
    /// The cluster's name in Argo CD.
    pub name: String,
    /// Or its address.
    pub server: String,
    /// The namespace.
    pub namespace: String,
}

/// How it is synced.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SyncPolicy {
    /// Whether Argo CD syncs by itself, and how.
    pub automated: Option<Automated>,
    /// Options of every sync.
    pub sync_options: Vec<String>,
    /// How a failed sync is tried again.
    pub retry: Option<Value>,
}

/// How Argo CD syncs by itself.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Automated {
    /// Whether what is no longer rendered is deleted.
    pub prune: bool,
    /// False where it is switched off.
    pub enabled: Option<bool>,
}

impl Application {
    /// Reads one of what the API server answered.
    pub fn read(object: &Value) -> Result<Self, serde_json::Error> {
        if !object.is_object() {
            return Err(serde::de::Error::custom("it is no object"));
        }
        // Go writes an empty list or map as null where it is not left out.
        let mut object = object.clone();
        without_nulls(&mut object);
        Self::deserialize(object)
    }

    /// Whether something is being done with it, or waits to be.
    pub fn is_busy(&self) -> bool {
        self.operation.is_some()
            || self
                .status
                .operation_state
                .as_ref()
                .is_some_and(|state| !state.is_completed())
    }

    /// What is being done, or waits to be. What was asked for stays in the Application
    /// until it has ended, and says it as it is: in the state, Argo CD before 3.3 leaves
    /// what an operation before had and this one has not (`setOperationState` in
    /// `controller/appcontroller.go` merges).
    pub fn at_work(&self) -> Option<&Operation> {
        let state = self.status.operation_state.as_ref();
        let running = state.filter(|state| !state.is_completed());
        let running = running.map(|state| &state.operation);
        self.operation.as_ref().or(running)
    }

    /// Whether what is no longer rendered is deleted.
    pub fn prunes(&self) -> bool {
        let automated = self.spec.sync_policy.automated.as_ref();
        automated.is_some_and(|automated| automated.prune)
    }

    /// Whether it was read anew: the annotation that asks for it is gone then.
    pub fn waits_for_refresh(&self) -> bool {
        self.metadata.annotations.contains_key(REFRESH)
    }
}

/// By which a refresh is asked for; Argo CD takes it away with the status that it
/// made (`AnnotationKeyRefresh`).
pub(super) const REFRESH: &str = "argocd.argoproj.io/refresh";

/// Drops what is null, but for values of charts, where it means something.
fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, inner| !inner.is_null());
            for (_, inner) in map.iter_mut().filter(|(key, _)| *key != "valuesObject") {
                without_nulls(inner);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::Application;

    #[test]
    fn nothing_and_nulls_are_read() {
        assert_eq!(
            Application::read(&json!({})).unwrap(),
            Application::default()
        );
        let application = Application::read(&json!({
            "spec": {"source": null, "sources": null, "syncPolicy": null},
            "operation": null,
            "status": {"conditions": null, "resources": [{"health": null, "name": "a"}]},
        }))
        .unwrap();
        assert!(!application.is_busy());
        assert_eq!(application.status.resources[0].name, "a");
    }

    #[test]
    fn a_null_in_values_stays() {
        let application = Application::read(&json!({
            "spec": {"source": {"helm": {"valuesObject": {"api": {"digest": null}}}}},
        }))
        .unwrap();
        assert_eq!(
            application.spec.source.helm.values_object,
            Some(json!({"api": {"digest": null}}))
        );
    }

    #[test]
    fn other_types_are_an_error() {
        assert!(Application::read(&json!({"spec": {"source": 1}})).is_err());
        assert!(Application::read(&json!([])).is_err());
    }

    #[test]
    fn what_is_at_work_is_told() {
        let read = |phase: &str, operation: bool| {
            let mut object = json!({"status": {"operationState": {
                "phase": phase, "operation": {"initiatedBy": {"username": "eve"}},
            }}});
            if operation {
                object["operation"] = json!({"initiatedBy": {"automated": true}});
            }
            Application::read(&object).unwrap()
        };
        for (phase, operation, by) in [
            ("Succeeded", false, None),
            ("Error", false, None),
            ("Succeeded", true, Some("Argo CD by itself")),
            ("Running", true, Some("Argo CD by itself")),
            ("Running", false, Some("'eve'")),
            ("Terminating", false, Some("'eve'")),
        ] {
            let application = read(phase, operation);
            let told = application.at_work().map(super::Operation::asked_by);
            assert_eq!(told.as_deref(), by, "{phase}");
            assert_eq!(application.is_busy(), by.is_some());
        }
    }
}
