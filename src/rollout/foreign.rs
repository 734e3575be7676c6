//! Workloads of other groups: Argo's Rollout and Flagger's Canary are judged by their
//! own status; what nobody waits for is named.
//!
//! Pure: objects come as JSON and are never asked for here. Whatever is missing or odd
//! in a status leads to [`ForeignStatus::Unknown`], never to a verdict.

use std::collections::BTreeSet;

use serde_json::Value;

use super::workload_ref::WorkloadKind;
use crate::manifest::{Object, ObjectRef};
use crate::text;

/// What a workload of another group says of itself. Texts are safe to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ForeignStatus {
    /// As it should be.
    Ready,
    /// Not yet, and what it waits for (reads on after "waits for").
    Waiting(String),
    /// It waits for a person: deployed as far as its own steps go, and why it stands.
    Paused(String),
    /// It says itself that it has failed, and why.
    Failed(String),
    /// Its status says nothing that is known.
    Unknown,
}

/// Whether an object is judged by its own status ([`status`]).
pub fn is_judged(object: &ObjectRef) -> bool {
    object.is("argoproj.io", "Rollout") || object.is("flagger.app", "Canary")
}

/// What a live object says of itself; none where it is not one of the kinds that are
/// judged so. `before` is the same object before helm: a Canary does not say which
/// generation its status is about.
pub(super) fn status(object: &Value, before: Option<&Value>) -> Option<ForeignStatus> {
    let reference = ObjectRef::of(object);
    if reference.is("argoproj.io", "Rollout") {
        Some(rollout(object))
    } else if reference.is("flagger.app", "Canary") {
        Some(canary(object, before))
    } else {
        None
    }
}

/// The Deployment, `DaemonSet` or Rollout that a Canary leads: its own readiness is not the
/// verdict, since Flagger scales it to 0 and rolls the primary on.
pub fn canary_target(canary: &Value) -> Option<ObjectRef> {
    let reference = ObjectRef::of(canary);
    if !reference.is("flagger.app", "Canary") {
        return None;
    }
    let text = |pointer| canary.pointer(pointer).and_then(Value::as_str);
    Some(ObjectRef {
        api_version: text("/spec/targetRef/apiVersion")
            .unwrap_or("apps/v1")
            .to_owned(),
        kind: text("/spec/targetRef/kind")?.to_owned(),
        namespace: reference.namespace,
        name: text("/spec/targetRef/name")?.to_owned(),
    })
}

/// The objects of a render that carry a requested image and that no watch waits for. A
/// `CronJob` need not be ready, nor a `PodTemplate`; hooks are helm's to wait for. Those
/// that [`is_judged`] are among them: whoever asks for their status leaves them out.
pub fn nobody_waits_for<'a>(
    objects: impl IntoIterator<Item = &'a Object>,
    requested: &BTreeSet<String>,
) -> Vec<ObjectRef> {
    let is_nobodys = |object: &ObjectRef| {
        WorkloadKind::of(object).is_none()
            && !object.is("batch", "CronJob")
            && !object.is("", "PodTemplate")
    };
    objects
        .into_iter()
        .filter(|object| object.hooks.is_empty() && is_nobodys(&object.reference))
        .filter(|object| {
            let mut images = object.containers.iter();
            images.any(|image| requested.contains(&image.image))
        })
        .map(|object| object.reference.clone())
        .collect()
}

/// The warning about such an object; safe to show.
pub fn not_waited_for(object: &ObjectRef) -> String {
    format!(
        "{object} ({}) carries a requested image, and deploy does not know when it is ready: whether its pods run was not checked",
        text::line(&object.api_version, text::VALUE)
    )
}

/// `status.phase` of argo-rollouts (pkg/apis/rollouts/v1alpha1/types.go). Its
/// `observedGeneration` is a string: a generation, and a hash in old versions.
fn rollout(object: &Value) -> ForeignStatus {
    let text = |pointer| {
        object
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let generation = object
        .pointer("/metadata/generation")
        .and_then(Value::as_i64)
        .unwrap_or(0);
    let observed = match object.pointer("/status/observedGeneration") {
        Some(Value::String(text)) => text.parse().ok(),
        Some(Value::Number(number)) => number.as_i64(),
        _ => Some(0),
    };
    let message = text("/status/message");
    let why = |otherwise: &str| {
        let said = if message.is_empty() {
            otherwise
        } else {
            message
        };
        text::line(said, text::LINE).into_owned()
    };
    // A hash names no generation; then the phase alone counts.
    if observed.is_some_and(|observed: i64| observed < generation) {
        return ForeignStatus::Waiting("its controller to observe the change".to_owned());
    }
    if object.pointer("/status/abort") == Some(&Value::Bool(true)) {
        return ForeignStatus::Failed(why("the rollout was aborted"));
    }
    match text("/status/phase") {
        "Healthy" => ForeignStatus::Ready,
        "Degraded" => ForeignStatus::Failed(why("the rollout is degraded")),
        "Progressing" => ForeignStatus::Waiting(why("its pods")),
        "Paused" => match pause(object) {
            Some(duration) => ForeignStatus::Waiting(format!("a pause of {duration} to end")),
            None => ForeignStatus::Paused(why("it is paused")),
        },
        _ => ForeignStatus::Unknown,
    }
}

/// How long the present step of a Rollout pauses; none where a person has to go on.
fn pause(object: &Value) -> Option<String> {
    let step = object.pointer("/status/currentStepIndex")?.as_u64()?;
    let pointer = format!("/spec/strategy/canary/steps/{step}/pause/duration");
    match object.pointer(&pointer)? {
        Value::String(text) => Some(text::line(text, text::VALUE).into_owned()),
        Value::Number(seconds) => Some(format!("{seconds}s")),
        _ => None,
    }
}

/// `status.phase` of Flagger (pkg/apis/flagger/v1beta1/status.go).
fn canary(object: &Value, before: Option<&Value>) -> ForeignStatus {
    let phase = object
        .pointer("/status/phase")
        .and_then(Value::as_str)
        .unwrap_or_default();
    // Until Flagger has looked, the status is that of the deploy before.
    let has_looked = before.is_none_or(|before| {
        ["/status/lastAppliedSpec", "/status/lastTransitionTime"]
            .iter()
            .any(|pointer| before.pointer(pointer) != object.pointer(pointer))
    });
    let reason = object
        .pointer("/status/conditions/0/message")
        .and_then(Value::as_str)
        .filter(|message| !message.is_empty());
    match phase {
        "Succeeded" | "Failed" if !has_looked => {
            ForeignStatus::Waiting("Flagger to notice the change".to_owned())
        }
        "Succeeded" | "Initialized" => ForeignStatus::Ready,
        "Failed" => {
            let why = reason.unwrap_or("the canary analysis failed");
            ForeignStatus::Failed(text::line(why, text::LINE).into_owned())
        }
        "Waiting" | "WaitingPromotion" => {
            ForeignStatus::Paused("it waits for its confirmation webhook".to_owned())
        }
        "Initializing" | "Progressing" | "Promoting" | "Finalising" => {
            let weight = object
                .pointer("/status/canaryWeight")
                .and_then(Value::as_u64);
            let weight = weight.map_or_else(String::new, |weight| format!(" ({weight} %)"));
            ForeignStatus::Waiting(format!("its analysis, {}{weight}", phase.to_lowercase()))
        }
        _ => ForeignStatus::Unknown,
    }
}

#[cfg(test)]
mod tests;
