//! What the Lease's errors say. Pure.

use std::time::Duration;

use kube::Error as KubeError;

use super::LeaseView;
use crate::error::{Error, Kind};
use crate::plan::ReleaseId;
use crate::text;
use crate::units;

/// Why the cluster answers and refuses: a missing right, a quota, a webhook, a
/// namespace that is being deleted. None where the request failed otherwise.
pub(super) fn refusal(error: &KubeError) -> Option<String> {
    match error {
        KubeError::Api(status) if status.code != 401 && status.code < 500 => {
            Some(text::line(&status.message, 300).into_owned())
        }
        _ => None,
    }
}

/// The cluster did not answer within `limit`.
pub(super) fn silent(what: &str, limit: Duration) -> Error {
    let seconds = limit.as_secs();
    let message = format!("{what}: no answer from the cluster within {seconds} s");
    Error::new(Kind::Node, message)
        .hint("ask the API server for its state: kubectl get --raw /readyz")
}

/// Another deploy has it, or had it: who.
pub(super) fn taken_over(holder: String) -> Error {
    Error::new(
        Kind::Locked,
        "another deploy took over the release's lease; helm was stopped",
    )
    .detail(holder)
    .hint("see what the other deploy made of the release, then send the signal again")
}

/// It was not renewed for `limit`.
pub(super) fn not_renewed(why: &str, limit: Duration) -> Error {
    Error::new(
        Kind::Broken,
        format!(
            "the release's lease could not be renewed for {} s, so helm was stopped before another node could take it",
            limit.as_secs()
        ),
    )
    .detail(why.to_owned())
}

/// This process did not run for so long, and nobody took it meanwhile.
pub(super) fn not_running(halted: Duration) -> Error {
    let halted = units::show(Duration::from_secs(halted.as_secs()));
    Error::new(
        Kind::Broken,
        format!(
            "deploy was stopped, or the machine paused, for {halted}, so helm was stopped before another node could take the release's lease"
        ),
    )
    .hint("send the signal again")
}

/// Another deploy still has it after `wait`.
pub(super) fn too_long(release: &ReleaseId, wait: Duration, seen: &LeaseView) -> Error {
    // A whole number of seconds: a little of it went into the node's own lock.
    let seconds = wait.as_secs() + u64::from(wait.subsec_millis() >= 500);
    let waited = match seconds {
        0 => "there is no time left to wait".to_owned(),
        seconds => format!("waited {}", units::show(Duration::from_secs(seconds))),
    };
    Error::new(
        Kind::Locked,
        format!("another deploy of {release} holds its lease; {waited}"),
    )
    .detail(format!("held by {}", seen.line()))
    .hint("run it again when the other one has ended, or give lock_timeout more in deploy.toml")
}

/// The task is gone.
pub(super) fn ended() -> Error {
    Error::new(Kind::Internal, "the lease's task ended early")
}
