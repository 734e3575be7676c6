//! Containers whose program cannot be started.

use super::context::{Rule, RuleContext};
use super::words::any;
use crate::rollout::cause::{Cause, TerminalFailure};
use crate::rollout::model::{ContainerStatus, Pod, State};
use crate::rollout::runtime_messages::EXEC_FORMAT_ERROR;

pub(super) const START: Rule = Rule {
    name: "start",
    catches: "a program that is not in the image or may not be run, a user or working directory that does not exist, a program for another platform",
    tolerates: "a runtime that is slow or out of order (names still reserved, deadlines, cgroups), unless it stays so for half of the budget; pods that were there before helm started",
    source: "kubelet: pkg/kubelet/kuberuntime/kuberuntime_container.go (RunContainerError, CreateContainerError); containerd: StartError; runc: libcontainer",
    check,
};

fn check(context: &RuleContext<'_>) -> Option<TerminalFailure> {
    context.find_in_fresh_containers(judge)
}

fn judge(
    context: &RuleContext<'_>,
    pod: &Pod,
    container: &ContainerStatus,
) -> Option<TerminalFailure> {
    let message = refusal(container)?;
    let cause = match classify(message) {
        Some(cause) => cause,
        None if context.is_late() => Cause::CannotStart,
        None => return None,
    };
    // What containerd and runc put in front says only who was asked.
    let why = message
        .rsplit_once("unable to start container process: ")
        .map_or(message, |(_, why)| why);
    Some(
        context
            .failure_of_container(START.name, cause, pod, container)
            .saying(why)
            .saying(message),
    )
}

/// What the runtime says where it did not start the container.
fn refusal(container: &ContainerStatus) -> Option<&str> {
    let ended = |reason: &str| matches!(reason, "StartError" | "ContainerCannotRun");
    match &container.state {
        State::Waiting { reason, message }
            if matches!(
                reason.as_str(),
                "RunContainerError" | "CreateContainerError" | "StartError"
            ) =>
        {
            Some(message)
        }
        State::Waiting { reason, .. } if reason == "CrashLoopBackOff" => container
            .last
            .as_ref()
            .filter(|last| ended(&last.reason))
            .map(|last| last.message.as_str()),
        State::Terminated(end) if ended(&end.reason) => Some(&end.message),
        _ => None,
    }
}

/// What it means; none where it may pass.
pub(super) fn classify(message: &str) -> Option<Cause> {
    let text = message.to_lowercase();
    if text.contains(EXEC_FORMAT_ERROR) {
        return Some(Cause::WrongPlatform);
    }
    if any(
        &text,
        &[
            "deadline exceeded",
            "is reserved for",
            "cgroup",
            "resource temporarily unavailable",
            "no space left",
            "cannot allocate memory",
        ],
    ) {
        return None;
    }
    let program = any(
        &text,
        &[
            "exec: \"",
            "exec /",
            "unable to start container process",
            "starting container process caused",
        ],
    );
    let refused = any(
        &text,
        &[
            "no such file or directory",
            "permission denied",
            "is a directory",
            "not a directory",
        ],
    );
    let definite = any(
        &text,
        &[
            "executable file not found",
            "no command specified",
            "unable to find user",
            "unable to find group",
            "no users found",
            "chdir to cwd",
            "trying to mount a directory onto a file",
        ],
    );
    ((program && refused) || definite).then_some(Cause::CannotStart)
}

#[cfg(test)]
mod tests {
    use super::classify;
    use crate::rollout::cause::Cause;

    #[test]
    fn only_definite_refusals_are_failures() {
        for (message, cause) in [
            (
                r#"failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "/nope": stat /nope: no such file or directory: unknown"#,
                Some(Cause::CannotStart),
            ),
            (
                r#"exec: "nope": executable file not found in $PATH: unknown"#,
                Some(Cause::CannotStart),
            ),
            (
                r#"failed to generate container "x" spec: failed to generate spec: no command specified"#,
                Some(Cause::CannotStart),
            ),
            (
                "runc create failed: unable to start container process: exec /app: exec format error",
                Some(Cause::WrongPlatform),
            ),
            (
                r#"failed to reserve container name "api_api-7d": name "api_api-7d" is reserved for "abc""#,
                None,
            ),
            ("context deadline exceeded", None),
            (
                "runc create failed: unable to start container process: unable to apply cgroup configuration: no such file or directory",
                None,
            ),
            ("", None),
        ] {
            assert_eq!(classify(message), cause, "{message}");
        }
    }
}
