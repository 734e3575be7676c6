//! How an operation of an Application ended, by what the hub says.
//!
//! Pure. An older green says nothing: sync and health count once this operation has
//! succeeded and Argo CD, asked for it after that, has compared anew.

use serde_json::Value;

use super::application::Application;
use super::resources::{
    NAMED, conditions, degraded, is_unreachable, name, out_of_sync, rollout, unhealthy, unreachable,
};
use super::status::OperationState;
use crate::error::Problem;
use crate::text;

/// An operation that was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    /// What is noted in it.
    pub id: String,
    /// The Application's uid.
    pub uid: String,
    /// When the operation before it began; none where there was none.
    pub earlier: Option<String>,
    /// The chart's name.
    pub chart: String,
    /// Its version.
    pub version: String,
    /// The images that have to be seen, where they are known.
    pub images: Vec<String>,
    /// What was `OutOfSync` before, as [`name`] names it.
    pub drifted: Vec<String>,
}

/// What is known of it.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It goes on; for what, in one line.
    Waits(String),
    /// It waits for a sync window, and nothing was applied.
    Blocked,
    /// It has succeeded; what was compared may be older.
    Synced,
    /// All of it is healthy; what a person should know all the same.
    Serves(Vec<String>),
    /// A resource is degraded, which may pass.
    Degraded(Problem),
    /// It has failed for good.
    Failed(Problem),
    /// Argo CD cannot look into the cluster, which may pass.
    Unknown(Problem),
    /// It has failed for good, since Argo CD could not reach the cluster.
    Unreached(Problem),
}

/// What is known of the operation. `compared`: whether Argo CD has compared anew since
/// it was asked for that, after the operation's end.
pub(super) fn of(application: &Application, asked: &Asked, compared: bool) -> Verdict {
    if application.metadata.deletion_timestamp.is_some() {
        return Verdict::Failed(
            Problem::new("the Application is being deleted")
                .hint("see who deletes it: kubectl get application -o yaml, its ownerReferences"),
        );
    }
    if application.metadata.uid != asked.uid {
        return Verdict::Failed(Problem::new(
            "the Application was deleted and made anew meanwhile",
        ));
    }
    let source = &application.spec.source;
    if (&source.chart, &source.target_revision) != (&asked.chart, &asked.version) {
        return Verdict::Failed(
            Problem::new(format!(
                "somebody else changed the Application meanwhile: it asks for {} {}, and {} {} was set",
                text::line(&source.chart, text::VALUE),
                text::line(&source.target_revision, text::VALUE),
                asked.chart,
                asked.version
            ))
            .hint("see who writes spec.source: kubectl get application -o yaml --show-managed-fields"),
        );
    }
    match state_of(application, asked) {
        Found::Pending => Verdict::Waits("Argo CD has not begun the sync yet".to_owned()),
        Found::Gone => Verdict::Failed(
            Problem::new("the sync was taken away before Argo CD began it")
                .hint("see who writes the Application: kubectl get application -o yaml --show-managed-fields"),
        ),
        Found::Other(state) => other(application, state),
        Found::This(state) => this(application, state, asked, compared),
    }
}

enum Found<'a> {
    This(&'a OperationState),
    Other(&'a OperationState),
    Pending,
    Gone,
}

/// The operation's state, if it is this one's. Another that brings the same version
/// after it (a retry, self-heal) stands for it.
fn state_of<'a>(application: &'a Application, asked: &Asked) -> Found<'a> {
    let is_this = |note: Option<&str>| note == Some(asked.id.as_str());
    let waits = application.operation.as_ref();
    let Some(state) = application.status.operation_state.as_ref() else {
        return if waits.is_some() {
            Found::Pending
        } else {
            Found::Gone
        };
    };
    if is_this(state.operation.note(super::patch::NOTE)) {
        // The note outlives its operation there: see `Application::at_work`.
        let is_others = waits.is_some_and(|operation| !is_this(operation.note(super::patch::NOTE)));
        return if is_others && !state.is_completed() {
            Found::Other(state)
        } else {
            Found::This(state)
        };
    }
    let is_newer = asked.earlier.as_ref() != Some(&state.started_at);
    if !is_newer {
        return if waits.is_some() {
            Found::Pending
        } else {
            Found::Gone
        };
    }
    if waits.is_some_and(|operation| is_this(operation.note(super::patch::NOTE))) {
        return Found::Pending;
    }
    let brought = &state.sync_result.source;
    if (&brought.chart, &brought.target_revision) == (&asked.chart, &asked.version) {
        Found::This(state)
    } else {
        Found::Other(state)
    }
}

fn other(application: &Application, state: &OperationState) -> Verdict {
    let by = application.at_work().unwrap_or(&state.operation).asked_by();
    if !state.is_completed() {
        return Verdict::Waits(format!("another sync is in progress, asked for by {by}"));
    }
    Verdict::Failed(Problem::new(format!(
        "another sync came in between, asked for by {by}"
    )))
}

fn this(
    application: &Application,
    state: &OperationState,
    asked: &Asked,
    compared: bool,
) -> Verdict {
    let said = text::line(&state.message, text::LINE).into_owned();
    match state.phase.as_str() {
        // What is there may be what was asked for all the same.
        _ if state.is_blocked() && !compared => Verdict::Blocked,
        _ if state.is_blocked() => match after_sync(application, asked) {
            good @ Verdict::Serves(_) => good,
            _ => Verdict::Failed(
                Problem::new("a sync window of the Application's project is closed, and lets no sync pass")
                    .detail(said)
                    .hint("send the signal again when the window is open, or allow manual syncs in it (manualSync: true)"),
            ),
        },
        "Terminating" => Verdict::Waits("the sync is being ended".to_owned()),
        "Failed" | "Error" => failed(application, state),
        "Succeeded" if !compared => Verdict::Synced,
        "Succeeded" => after_sync(application, asked),
        _ if said.is_empty() => Verdict::Waits("syncing".to_owned()),
        _ => Verdict::Waits(format!("syncing: {said}")),
    }
}

/// The operation has failed: a resource's own words come first.
fn failed(application: &Application, state: &OperationState) -> Verdict {
    let said = text::line(&state.message, text::LINE).into_owned();
    let results = &state.sync_result.resources;
    let words = results.iter().map(|result| &result.message);
    let mut words = std::iter::once(&state.message).chain(words);
    if let Some(words) = words.find(|words| is_unreachable(words)) {
        return Verdict::Unreached(unreachable(application, words));
    }
    let wrong = results.iter().filter(|result| {
        matches!(result.hook_phase.as_str(), "Failed" | "Error") || result.status == "SyncFailed"
    });
    let mut lines = wrong.map(|result| {
        let name = name(&result.kind, &result.namespace, &result.name);
        let said = text::line(&result.message, text::LINE);
        if result.hook_type.is_empty() {
            format!("{name}: {said}")
        } else {
            format!(
                "{name}, a hook ({}), failed: {said}",
                text::line(&result.hook_type, text::VALUE)
            )
        }
    });
    let first = lines.next();
    let rest: Vec<String> = lines.take(NAMED).collect();
    let problem = match first {
        Some(first) => Problem::new(first)
            .details(rest)
            .detail(format!("Argo CD: {said}")),
        None if said.contains("terminated") => {
            Problem::new("the sync was ended by somebody else").detail(format!("Argo CD: {said}"))
        }
        None => Problem::new(format!("the sync failed: {said}")),
    };
    Verdict::Failed(problem.details(conditions(application)))
}

/// Whether all that was applied is healthy, by a comparison after the sync.
fn after_sync(application: &Application, asked: &Asked) -> Verdict {
    let status = &application.status;
    let compared = &status.sync.compared_to.source;
    if (&compared.chart, &compared.target_revision) != (&asked.chart, &asked.version) {
        return Verdict::Waits("Argo CD has not compared this version yet".to_owned());
    }
    let mut warnings = Vec::new();
    match status.sync.status.as_str() {
        "Synced" => {}
        "OutOfSync" => match out_of_sync(&status.resources, &asked.drifted) {
            Ok(told) => warnings.extend(told),
            Err(waits) => return Verdict::Waits(waits),
        },
        _ => {
            let told = conditions(application);
            if told.iter().any(|line| is_unreachable(line)) {
                return Verdict::Unknown(unreachable(application, &told.join("; ")));
            }
            let why = told.into_iter().next().unwrap_or_default();
            return Verdict::Waits(format!("Argo CD cannot compare it: {why}"));
        }
    }
    match status.health.status.as_str() {
        "Healthy" => {}
        "Suspended" => match rollout(&status.resources) {
            Some(name) => {
                return Verdict::Waits(format!(
                    "{name} is suspended: a rollout that pauses goes on when it is promoted"
                ));
            }
            None => warnings
                .push("a resource is suspended, which Argo CD counts as no failure".to_owned()),
        },
        "Degraded" => return Verdict::Degraded(degraded(application)),
        "Missing" => {
            return Verdict::Waits(unhealthy(
                "a resource is not there",
                &status.resources,
                "Missing",
            ));
        }
        "Progressing" => {
            return Verdict::Waits(unhealthy(
                "synced, not healthy yet",
                &status.resources,
                "Progressing",
            ));
        }
        other => {
            let told = conditions(application);
            if told.iter().any(|line| is_unreachable(line)) {
                return Verdict::Unknown(unreachable(application, &told.join("; ")));
            }
            return Verdict::Waits(format!("its health is {}", text::quoted(other)));
        }
    }
    images(application, asked, warnings)
}

/// The images that were asked for have to be among those that it runs: what is not
/// compared may keep others.
fn images(application: &Application, asked: &Asked, mut warnings: Vec<String>) -> Verdict {
    let seen = &application.status.summary.images;
    let missing: Vec<&str> = asked
        .images
        .iter()
        .filter(|image| !seen.is_empty() && !seen.contains(image))
        .map(String::as_str)
        .collect();
    if missing.is_empty() {
        return Verdict::Serves(warnings);
    }
    let missing = missing.join(", ");
    let spec = &application.spec;
    if !hides_images(&spec.ignore_differences) {
        warnings.push(format!(
            "Argo CD does not name {missing} among the images that run"
        ));
        return Verdict::Serves(warnings);
    }
    Verdict::Failed(
        Problem::new(format!("the image is not taken: {missing} runs nowhere, though Argo CD calls the Application synced"))
            .detail(format!("runs: {}", text::line(&seen.join(", "), text::LINE)))
            .hint("take the images out of spec.ignoreDifferences"),
    )
}

/// Whether what is not compared can be an image.
fn hides_images(ignored: &[Value]) -> bool {
    let words = [
        "template",
        "ontainer",
        "mage",
        "\"/spec\"",
        "managedFieldsManagers",
    ];
    ignored.iter().any(|ignored| {
        let ignored = ignored.to_string();
        words.iter().any(|word| ignored.contains(word))
    })
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
