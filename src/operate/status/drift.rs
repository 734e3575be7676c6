//! What differs between the release's record and what lives, field by field, and
//! who wrote it.
//!
//! What a controller writes by itself is no drift: replicas of an autoscaler, a
//! CA bundle that is filled in, whatever the parts of Kubernetes manage.

use kube::Client;
use serde_json::Value;

use crate::cluster::dry_run::{Basis, DryRun, Forecast, Kinds, Method};
use crate::error::Result;
use crate::manifest::changes::{Content, FieldPath, Step, compare, is_secret, without_noise};
use crate::manifest::managers::{self, Manager};
use crate::manifest::{Object, ObjectRef};
use crate::plan::ReleaseId;
use crate::release::record::Record;

/// An object that is not as the record says.
#[derive(Clone, Debug, PartialEq)]
pub struct Drift {
    /// The object.
    pub object: ObjectRef,
    /// How it differs.
    pub kind: DriftKind,
}

/// How an object differs.
#[derive(Clone, Debug, PartialEq)]
pub enum DriftKind {
    /// It is not there.
    Missing,
    /// These fields.
    Fields(Vec<DriftedField>),
    /// It cannot be told, for this reason.
    Untold(String),
}

/// A field that is not as the record says.
#[derive(Clone, Debug, PartialEq)]
pub struct DriftedField {
    /// Where it stands.
    pub path: FieldPath,
    /// What the record says.
    pub recorded: Content,
    /// What is there.
    pub live: Content,
    /// Who wrote it last, where that is known.
    pub by: Option<Manager>,
}

/// Compares a release's objects with its record, by what helm would do to bring
/// them back.
pub(super) async fn of(
    client: &Client,
    release: &ReleaseId,
    record: &Record,
    objects: &[&Object],
) -> Result<Vec<Drift>> {
    let kinds = Kinds::of(client, objects.iter().map(|object| &object.reference)).await?;
    let method = if record.server_side {
        Method::Server
    } else {
        Method::Client
    };
    let trial = DryRun::new(client, release, kinds, method, None);
    let scaled = scaled(objects);
    let wanted = objects.iter().map(|object| (&object.value, Basis::Itself));
    let forecasts = trial.all(wanted.collect()).await?;
    let found = forecasts
        .iter()
        .zip(objects)
        .filter_map(|((place, forecast), object)| {
            let kind = kind(forecast, &object.value, scaled.contains(&place.name))?;
            Some(Drift {
                object: place.clone(),
                kind,
            })
        });
    Ok(found.collect())
}

/// The names of what an autoscaler of the release itself scales.
fn scaled(objects: &[&Object]) -> Vec<String> {
    let targets = objects.iter().filter(|object| {
        object
            .reference
            .is("autoscaling", "HorizontalPodAutoscaler")
            || object.reference.is("keda.sh", "ScaledObject")
    });
    targets
        .filter_map(|object| {
            let name = object.value.pointer("/spec/scaleTargetRef/name")?;
            Some(name.as_str()?.to_owned())
        })
        .collect()
}

fn kind(forecast: &Forecast, wanted: &Value, is_scaled: bool) -> Option<DriftKind> {
    let (live, then) = match forecast {
        Forecast::Created => return Some(DriftKind::Missing),
        Forecast::Refused(why) | Forecast::Untold(why) => {
            return Some(DriftKind::Untold(why.clone()));
        }
        Forecast::Stays(live) => (live, live),
        Forecast::Becomes { live, then } => (live, then),
    };
    let fields = fields(live, then, wanted, is_scaled);
    (!fields.is_empty()).then_some(DriftKind::Fields(fields))
}

/// The fields of a live object that helm would set back, and those that people
/// added. `then` is what it would become.
fn fields(live: &Value, then: &Value, wanted: &Value, is_scaled: bool) -> Vec<DriftedField> {
    let replicas = FieldPath(
        ["spec", "replicas"]
            .map(|key| Step::Key(key.to_owned()))
            .to_vec(),
    );
    let is_own = |path: &FieldPath, by: Option<&Manager>| {
        (is_scaled && *path == replicas)
            || by.is_some_and(Manager::is_controller)
            || (path.last_key() == "caBundle" && !by.is_some_and(Manager::is_tool))
    };
    let mut found: Vec<DriftedField> = Vec::new();
    for change in compare(&without_noise(live), &without_noise(then)) {
        let mut by = managers::of_field(live, &change.path).into_iter();
        let by = by.find(|manager| !manager.is_helm());
        if !is_own(&change.path, by.as_ref()) {
            found.push(DriftedField {
                path: change.path,
                recorded: change.after,
                live: change.before,
                by,
            });
        }
    }
    let secret = is_secret(&ObjectRef::of(live));
    let shown = without_noise(live);
    for (path, by) in managers::fields_of(live, Manager::is_tool) {
        let path = outermost(path, wanted);
        let known = managers::at(wanted, &path).is_some()
            || found.iter().any(|field| covers(&field.path, &path));
        let Some(value) = managers::at(&shown, &path).filter(|_| !known) else {
            continue;
        };
        if is_own(&path, Some(&by)) || is_default(wanted, live, &path) {
            continue;
        }
        found.push(DriftedField {
            path,
            recorded: Content::Absent,
            live: if secret {
                Content::Hidden
            } else {
                Content::Value(value.clone())
            },
            by: Some(by),
        });
    }
    found
}

/// The element of a list that the field stands in, where all of that was added.
fn outermost(path: FieldPath, wanted: &Value) -> FieldPath {
    let items = path.0.iter().enumerate();
    let items = items.filter(|(_, step)| matches!(step, Step::Item { .. }));
    items
        .map(|(at, _)| FieldPath(path.0[..=at].to_vec()))
        .find(|item| managers::at(wanted, item).is_none())
        .unwrap_or(path)
}

/// Whether one path leads to the other, either way.
fn covers(one: &FieldPath, other: &FieldPath) -> bool {
    other.0.starts_with(&one.0) || one.0.starts_with(&other.0)
}

/// What a tool wrote with an element that the record names otherwise: `stringData`
/// of a Secret is kept as `data`.
fn is_default(wanted: &Value, live: &Value, path: &FieldPath) -> bool {
    let key = match path.0.as_slice() {
        [Step::Key(first), Step::Key(key)] if first == "data" => key,
        _ => return false,
    };
    live["kind"] == "Secret" && wanted["stringData"].get(key).is_some()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::needless_pass_by_value)]

    use serde_json::{Value, json};

    use super::{DriftKind, kind};
    use crate::cluster::dry_run::Forecast;

    fn told(live: Value, then: Value, wanted: Value, scaled: bool) -> Vec<String> {
        let forecast = Forecast::Becomes { live, then };
        let Some(DriftKind::Fields(fields)) = kind(&forecast, &wanted, scaled) else {
            return Vec::new();
        };
        fields
            .iter()
            .map(|field| {
                let by = field.by.as_ref().map_or("?", |by| by.name.as_str());
                format!("{} by {by}", field.path)
            })
            .collect()
    }

    fn workload(replicas: u8, managers: &[(&str, &str, Value)]) -> Value {
        let managers: Vec<Value> = managers
            .iter()
            .map(|(name, subresource, fields)| {
                json!({"manager": name, "operation": "Update", "subresource": subresource,
                    "time": "2026-11-27T10:00:00Z", "fieldsV1": fields})
            })
            .collect();
        json!({"kind": "Deployment", "apiVersion": "apps/v1",
            "metadata": {"labels": {"app": "x", "team": "a"}, "managedFields": managers},
            "spec": {"replicas": replicas}})
    }

    #[test]
    fn what_people_write_is_drift_and_what_controllers_write_is_none() {
        let replicas = json!({"f:spec": {"f:replicas": {}}});
        let label = json!({"f:metadata": {"f:labels": {"f:team": {}}}});
        let wanted = json!({"metadata": {"labels": {"app": "x"}}, "spec": {"replicas": 2}});
        for (managers, scaled, expected) in [
            (
                vec![("kubectl", "scale", replicas.clone())],
                false,
                vec!["spec.replicas by kubectl"],
            ),
            (
                vec![("oncall", "", replicas.clone())],
                false,
                vec!["spec.replicas by oncall"],
            ),
            (
                vec![("kube-controller-manager", "scale", replicas.clone())],
                false,
                vec![],
            ),
            (vec![("k3s", "scale", replicas.clone())], false, vec![]),
            (vec![("kubectl", "scale", replicas.clone())], true, vec![]),
            (
                vec![
                    ("kubectl-label", "", label.clone()),
                    ("oncall", "", replicas.clone()),
                ],
                false,
                vec![
                    "spec.replicas by oncall",
                    "metadata.labels.team by kubectl-label",
                ],
            ),
            // A controller's own label, whatever it is called.
            (
                vec![("some-thing", "", label), ("k3s", "scale", replicas)],
                false,
                vec![],
            ),
        ] {
            let (live, then) = (workload(5, &managers), workload(2, &managers));
            assert_eq!(
                told(live, then, wanted.clone(), scaled),
                expected,
                "{managers:?}"
            );
        }
    }

    #[test]
    fn a_ca_bundle_that_is_filled_in_is_none() {
        let hook = |bundle: &str, manager: &str| {
            json!({"kind": "ValidatingWebhookConfiguration", "apiVersion": "admissionregistration.k8s.io/v1",
                "metadata": {"managedFields": [{"manager": manager, "operation": "Update", "time": "",
                    "fieldsV1": {"f:webhooks": {"k:{\"name\":\"a\"}": {"f:clientConfig": {"f:caBundle": {}}}}}}]},
                "webhooks": [{"name": "a", "clientConfig": {"caBundle": bundle}}]})
        };
        let wanted = json!({"webhooks": [{"name": "a", "clientConfig": {"caBundle": ""}}]});
        let of = |manager| {
            told(
                hook("QQ==", manager),
                hook("", manager),
                wanted.clone(),
                false,
            )
        };
        assert_eq!(of("cert-manager-cainjector"), Vec::<String>::new());
        assert_eq!(of("anything"), Vec::<String>::new());
        assert_eq!(of("kubectl-edit").len(), 1);
    }
}
