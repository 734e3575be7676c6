//! Sends a signal to a local controller instead of running Helm, and accepts
//! only a complete success about this very deploy.
//!
//! `answer`, `verdict` and `request_body` are pure; `http` and `command` carry
//! bytes. The protocol stands in docs/forward-protocol.md. Nothing here
//! decides where a deploy goes, and nothing of the node's (credentials, values,
//! namespace) is sent.

pub mod answer;
mod call;
pub(crate) mod command;
mod http;
#[cfg(test)]
mod late_tests;
mod request_body;
mod transport;
pub mod verdict;

pub use call::ForwardCall;
pub use request_body::document;
pub use verdict::ForwardOutcome;

use tokio::time::Instant;

use crate::error::Result;
use crate::plan::forward::ForwardTarget;

/// Sends the signal and follows it to the controller's final event.
///
/// On a cancel and when time is up the controller is asked to stop, and its final
/// event is waited for a little longer; either way the run does not succeed then. What
/// was not sent by then is not sent any more.
pub async fn send(call: &ForwardCall<'_>) -> Result<ForwardOutcome> {
    call.cancel.check()?;
    if Instant::now() >= call.deadline {
        return Err(call.too_late());
    }
    let target = &call.forward.target;
    tracing::debug!(%target, deploy = ?call.deploy, "the signal is sent");
    let done = match target {
        ForwardTarget::Unix(_) | ForwardTarget::Http(_) => http::send(call).await,
        ForwardTarget::Command { program, args } => command::send(call, program, args).await,
    };
    tracing::debug!(?done, "the controller's end");
    done
}
