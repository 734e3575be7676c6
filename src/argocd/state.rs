//! What an Application holds, and what is at work on it: pure readings.

use serde_json::{Value, json};

use super::application::Application;
use super::hub::Found;
use super::patch::{self, MANAGER, NOTE, TEMPLATE};
use super::{owned, status};
use crate::engine::Wanted;
use crate::error::{Error, Kind, Result};
use crate::{run, text};

/// An Application with this is left alone by Argo CD (`AnnotationKeyAppSkipReconcile`).
const SKIP: &str = "argocd.argoproj.io/skip-reconcile";

/// Whether Argo CD can be asked to work on it.
pub(super) fn usable(application: &Application) -> Result<()> {
    if application.metadata.deletion_timestamp.is_some() {
        return Err(Error::new(Kind::Node, "the Application is being deleted")
            .hint("wait until it is gone, and make it anew"));
    }
    let skips = application.metadata.annotations.get(SKIP);
    if skips
        .is_some_and(|skips| matches!(skips.as_str(), "true" | "1" | "t" | "T" | "TRUE" | "True"))
    {
        return Err(Error::new(
            Kind::Node,
            format!("Argo CD leaves the Application alone: it has the annotation {SKIP}"),
        )
        .hint("remove the annotation"));
    }
    Ok(())
}

/// There is no such Application.
pub(super) fn missing(namespace: &str) -> Error {
    let namespace = text::quoted(namespace);
    let message = format!("there is no such Application in the hub's namespace {namespace}");
    Error::new(Kind::Node, message).hint(
        "make it there, or name a manifest that it is made of: argocd.template in deploy.toml",
    )
}

pub(super) fn base(found: &Found) -> Result<Application> {
    Application::read(&owned::without(&found.object, MANAGER)).map_err(|error| {
        Error::new(Kind::Internal, "the Application cannot be read again").with_source(error)
    })
}

/// What it is asked to serve now, where that is a chart of the registry's.
pub(super) fn held(found: &Found) -> Option<Wanted> {
    let source = &found.application.spec.source;
    let chart = format!("oci://{}/{}", source.repo_url, source.chart);
    let held = Wanted {
        chart: chart.parse().ok()?,
        version: source.target_revision.parse().ok()?,
        digest: None,
        values: owned::values(&found.object, MANAGER),
    };
    let good = patch::noted(&found.application);
    let digest = good
        .filter(|good| good.is_same(&held))
        .and_then(|good| good.digest);
    Some(Wanted { digest, ..held })
}

/// The name of its cluster, for people.
pub(super) fn cluster(application: &Application) -> String {
    let destination = &application.spec.destination;
    let name = if destination.name.is_empty() {
        &destination.server
    } else {
        &destination.name
    };
    text::line(name, text::VALUE).into_owned()
}

/// The note of the operation that is at work, where it is one of `deploy`'s.
pub(super) fn note(application: &Application) -> Option<&str> {
    application
        .at_work()
        .and_then(|operation| operation.note(NOTE))
}

/// Whether somebody else is at work on it.
pub(super) fn is_others(application: &Application) -> bool {
    application.is_busy() && note(application).is_none()
}

pub(super) fn locked(application: &Application) -> Error {
    let by = application.at_work().map(status::Operation::asked_by);
    let state = application.status.operation_state.as_ref();
    let since = state
        .filter(|state| !state.is_completed())
        .map(|state| format!(", since {}", text::line(&state.started_at, text::VALUE)));
    let said = state.map(|state| text::line(&state.message, text::LINE).into_owned());
    Error::new(
        Kind::Locked,
        format!(
            "a sync is in progress, asked for by {}{}",
            by.unwrap_or_default(),
            since.unwrap_or_default()
        ),
    )
    .details(said.filter(|said| !said.is_empty()))
    .hint("wait until it has ended, then send the signal again")
}

/// Whether the fields are those of an Application that `deploy` made of its template.
pub(super) fn is_own(owned: &[(String, String)]) -> bool {
    owned.iter().all(|(manager, _)| manager == TEMPLATE)
}

/// The document that ends the operation at work, where it is meant: as `argocd app
/// terminate-op` does (`TerminateOperation` in `server/application/application.go`).
pub(super) fn ending(application: &Application, is_meant: &impl Fn(&str) -> bool) -> Option<Value> {
    if !note(application).is_some_and(is_meant) {
        return None;
    }
    let metadata = json!({"resourceVersion": application.metadata.resource_version});
    let state = application.status.operation_state.as_ref();
    let running = state.filter(|state| !state.is_completed());
    Some(match running {
        None => json!({"metadata": metadata, "operation": null}),
        // Argo CD ends nothing while a window is closed; it has begun nothing either.
        Some(state) if state.is_blocked() => json!({
            "metadata": metadata,
            "operation": null,
            "status": {"operationState": {
                "phase": "Failed",
                "message": "withdrawn by deploy: a sync window is closed",
                "finishedAt": run::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            }},
        }),
        Some(state) if state.phase == "Terminating" => json!({"metadata": metadata}),
        Some(_) => json!({
            "metadata": metadata,
            "status": {"operationState": {"phase": "Terminating"}},
        }),
    })
}
