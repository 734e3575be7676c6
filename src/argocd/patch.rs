//! What `deploy` owns of an Application, as documents of a server-side apply.
//!
//! Only what the signal says: `repoURL`, `chart`, `targetRevision`, the values that carry
//! the images, and beside them the operation that is asked for and the note of what was
//! last judged good. The API server refuses what somebody else owns; nothing is forced.
//! A field that is left out of the next document goes, unless somebody else owns it too.
//!
//! Pure.

use serde_json::{Map, Value, json};

use super::application::{Application, REFRESH};
use super::owned;
use crate::engine::Wanted;
use crate::error::{Error, Kind, Result};
use crate::plan::fleet::TargetName;
use crate::text;

/// The field manager of what a signal says.
pub const MANAGER: &str = "deploy";

/// The field manager of the note of what was good: by itself, so that neither document
/// takes the other's fields away.
pub(super) const NOTES: &str = "deploy-notes";

/// The field manager of an Application that was made of a template: all of it, so that
/// what is the template's stays when the signal's fields change.
pub(super) const TEMPLATE: &str = "deploy-template";

/// The note under which an operation is known again.
pub(super) const NOTE: &str = "deploy";

/// Under which a deploy notes what an Application last served and was judged good.
pub(super) const GOOD: &str = "deploy/last-good";

/// An Application of the hub.
pub(super) const API_VERSION: &str = "argoproj.io/v1alpha1";

/// Where an Application takes the values that carry the images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In `valuesObject`.
    Object,
    /// In `parameters`: a `valuesObject` would hide the text in `values`.
    Parameters,
}

impl Place {
    /// Where this Application takes them, `deploy`'s own values left out of it.
    pub fn of(application: &Application) -> Self {
        let helm = &application.spec.source.helm;
        if helm.values_object.is_none() && !helm.values.trim().is_empty() {
            Self::Parameters
        } else {
            Self::Object
        }
    }
}

/// Fails with [`Kind::Chart`] where these values cannot take effect, or cannot be owned
/// without what is somebody else's. `application` is without `deploy`'s own values.
pub(super) fn check(application: &Application, values: &Value) -> Result<()> {
    let helm = &application.spec.source.helm;
    let place = Place::of(application);
    let refuse = |why: String, cure: &str| Err(Error::new(Kind::Chart, why).hint(cure));
    for (path, value) in owned::leaves(values) {
        let shown = text::quoted(&path.join("."));
        let has_list = |values: Option<&Value>| {
            let found = values.and_then(|values| owned::at(values, &path));
            found.is_some_and(|found| !found.is_null())
        };
        if value.is_array() && place == Place::Parameters {
            return refuse(
                format!(
                    "{shown} stands in a list, and the Application has its values as text (spec.source.helm.values), beside which a list cannot be set"
                ),
                "write the Application's values as an object: spec.source.helm.valuesObject",
            );
        }
        if value.is_array() && has_list(helm.values_object.as_ref()) {
            return refuse(
                format!(
                    "{shown} stands in a list that is the Application's own: a part of a list cannot be owned by deploy"
                ),
                "take the list out of the Application's values, or name the image by a map in the chart",
            );
        }
        let name = set_name(&path);
        if place == Place::Object
            && let Some(set) = helm
                .parameters
                .iter()
                .find(|set| overlaps(&set.name, &name))
        {
            return refuse(
                format!(
                    "the Application's parameter {} hides the image at {shown}",
                    text::quoted(&set.name)
                ),
                "remove it from spec.source.helm.parameters",
            );
        }
    }
    Ok(())
}

/// Whether one of two paths of `--set` holds the other.
fn overlaps(one: &str, other: &str) -> bool {
    let holds = |outer: &str, inner: &str| {
        inner
            .strip_prefix(outer)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    holds(one, other) || holds(other, one)
}

/// The document that asks a target for this.
pub(super) fn document(
    target: &TargetName,
    namespace: &str,
    wanted: &Wanted,
    place: Place,
) -> Result<Value> {
    let mut document = about(target, namespace);
    document["spec"] = json!({"source": source(wanted, place)?});
    Ok(document)
}

/// Adds the operation that brings it, and that the chart is to be fetched anew: Argo CD
/// keeps a version that it has once rendered.
#[must_use]
pub(super) fn with_operation(
    mut document: Value,
    application: &Application,
    version: &str,
    id: &str,
) -> Value {
    let policy = &application.spec.sync_policy;
    document["operation"] = json!({
        "initiatedBy": {"username": MANAGER},
        "info": [{"name": NOTE, "value": id}],
        "retry": policy.retry.clone().unwrap_or_else(|| json!({})),
        "sync": {
            "revision": version,
            "prune": application.prunes(),
            "syncOptions": policy.sync_options,
        },
    });
    document["metadata"]["annotations"] = json!({REFRESH: "hard"});
    document
}

/// Binds a document to the state of the Application that it was made for.
#[must_use]
pub(super) fn only_on(mut document: Value, application: &Application) -> Value {
    document["metadata"]["resourceVersion"] = json!(application.metadata.resource_version);
    document
}

/// The document that notes what was good.
pub(super) fn note(target: &TargetName, namespace: &str, wanted: &Wanted, run: &str) -> Value {
    let mut document = about(target, namespace);
    let note = json!({
        "chart": wanted.chart.to_string(),
        "version": wanted.version.to_string(),
        "digest": wanted.digest.as_ref().map(ToString::to_string),
        "values": wanted.values,
        "run": run,
    });
    document["metadata"]["annotations"] = json!({GOOD: note.to_string()});
    document
}

/// What was noted as good; none where nothing was, or where it cannot be read.
pub(super) fn noted(application: &Application) -> Option<Wanted> {
    let note: Value = serde_json::from_str(application.metadata.annotations.get(GOOD)?).ok()?;
    let text = |key: &str| note[key].as_str();
    Some(Wanted {
        chart: text("chart")?.parse().ok()?,
        version: text("version")?.parse().ok()?,
        digest: text("digest").and_then(|digest| digest.parse().ok()),
        values: note["values"].is_object().then(|| note["values"].clone())?,
    })
}

/// A template, made the Application that is wanted.
pub(super) fn of_template(
    mut template: Value,
    target: &TargetName,
    namespace: &str,
    wanted: &Wanted,
) -> Result<Value> {
    let base = Application::read(&template).map_err(|error| {
        Error::new(Kind::Node, "the template is no Application").with_source(error)
    })?;
    let own = document(target, namespace, wanted, Place::of(&base))?;
    merge(&mut template, own);
    Ok(template)
}

/// Merges maps; all else is replaced.
fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

fn about(target: &TargetName, namespace: &str) -> Value {
    json!({
        "apiVersion": API_VERSION,
        "kind": "Application",
        "metadata": {"name": target.as_str(), "namespace": namespace},
    })
}

fn source(wanted: &Wanted, place: Place) -> Result<Value> {
    let chart = wanted.chart.to_string();
    let url = chart.trim_start_matches("oci://");
    let url = url.rsplit_once('/').map_or(url, |(url, _)| url);
    let mut source = json!({
        "repoURL": url,
        "chart": wanted.chart.name(),
        "targetRevision": wanted.version.to_string(),
    });
    if wanted
        .values
        .as_object()
        .is_some_and(|values| !values.is_empty())
    {
        source["helm"] = match place {
            Place::Object => json!({"valuesObject": wanted.values}),
            Place::Parameters => json!({"parameters": parameters(&wanted.values)?}),
        };
    }
    Ok(source)
}

/// Values as `--set` and `--set-string` take them.
fn parameters(values: &Value) -> Result<Vec<Value>> {
    let parameter = |(path, value): (Vec<String>, &Value)| {
        let name = set_name(&path);
        let (plain, is_text) = match value {
            Value::String(text) => (text.clone(), true),
            Value::Null => ("null".to_owned(), false),
            Value::Bool(_) | Value::Number(_) => (value.to_string(), false),
            Value::Array(_) | Value::Object(_) => {
                let message = format!("{} cannot be a parameter", text::quoted(&name));
                return Err(Error::new(Kind::Chart, message));
            }
        };
        let mut parameter = Map::new();
        parameter.insert("name".to_owned(), json!(name));
        // As Argo CD writes it: what it would change, it would own from then on.
        if !plain.is_empty() {
            parameter.insert("value".to_owned(), json!(plain));
        }
        if is_text {
            parameter.insert("forceString".to_owned(), json!(true));
        }
        Ok(Value::Object(parameter))
    };
    owned::leaves(values).into_iter().map(parameter).collect()
}

/// A path as `--set` takes it.
fn set_name(path: &[String]) -> String {
    let key = |key: &String| {
        let mut escaped = String::new();
        for character in key.chars() {
            if matches!(character, '.' | ',' | '=' | '[' | ']' | '\\') {
                escaped.push('\\');
            }
            escaped.push(character);
        }
        escaped
    };
    path.iter().map(key).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
#[path = "patch_tests.rs"]
mod tests;
