//! Objects that a container's configuration needs and that are not there.

use super::context::{Rule, RuleContext};
use super::grace::{any_may_come_to, may_come_to};
use super::words::{quoted_after, waiting};
use crate::rollout::cause::{Cause, TerminalFailure};
use crate::rollout::model::{ContainerStatus, Pod, State};

pub(super) const MISSING: Rule = Rule {
    name: "config",
    catches: "a Secret, ConfigMap or key that an environment variable names and that does not exist; a user that the pod's security context forbids",
    tolerates: "a cache of the kubelet that has not synced; what an ExternalSecret, SealedSecret, Certificate or another custom resource of the render names; for a minute, a name made from a custom resource's, and anything in a namespace that this deploy makes; what exists by now (asked once more); pods that were there before helm started",
    source: "kubelet: pkg/kubelet/kubelet_pods.go (makeEnvironmentVariables), kuberuntime/security_context.go; krane: pod.rb",
    check: check_environment,
};

pub(super) const MOUNT: Rule = Rule {
    name: "mount",
    catches: "a Secret or ConfigMap, or a key of one, that a volume names and that does not exist",
    tolerates: "as config; a pod whose containers have started; kube-root-ca.crt, which comes a moment after its namespace; a first look that a key is missing",
    source: "kubelet: pkg/volume/secret/secret.go, configmap.go; pkg/kubelet/events/event.go (FailedMount)",
    check: check_volumes,
};

fn check_environment(context: &RuleContext<'_>) -> Option<TerminalFailure> {
    context.find_in_fresh_containers(judge)
}

fn judge(
    context: &RuleContext<'_>,
    pod: &Pod,
    container: &ContainerStatus,
) -> Option<TerminalFailure> {
    let (reason, message) = waiting(container)?;
    if reason != "CreateContainerConfigError" || message.contains("failed to sync") {
        return None;
    }
    let cause = match missing(message) {
        Some(Missing { kind, name, key }) => {
            if may_come_to(context, pod, kind, name) {
                return None;
            }
            Cause::Missing {
                kind,
                name: name.to_owned(),
                key: key.map(str::to_owned),
            }
        }
        None if message.contains("runAsNonRoot")
            || message.contains("non-numeric user")
            || context.is_late() =>
        {
            Cause::BadContainer
        }
        None => return None,
    };
    Some(
        context
            .failure_of_container(MISSING.name, cause, pod, container)
            .saying(message),
    )
}

fn check_volumes(context: &RuleContext<'_>) -> Option<TerminalFailure> {
    context
        .fresh_pods()
        .filter(|pod| has_not_started(pod))
        .find_map(|pod| {
            context
                .new_events_of(pod)
                .into_iter()
                .rev()
                .find_map(|event| {
                    if event.reason != "FailedMount" || event.message.contains("failed to sync") {
                        return None;
                    }
                    let cause = match missing(&event.message) {
                        Some(Missing { kind, name, .. })
                            if may_come_to(context, pod, kind, name) =>
                        {
                            return None;
                        }
                        Some(Missing { kind, name, key }) => Cause::Missing {
                            kind,
                            name: name.to_owned(),
                            key: key.map(str::to_owned),
                        },
                        // The kubelet may hold the object as it was before helm changed it.
                        None if event.message.contains("references non-existent")
                            && event.count > 1
                            && !any_may_come_to(context, pod) =>
                        {
                            Cause::BadContainer
                        }
                        None => return None,
                    };
                    Some(
                        context
                            .failure_of_pod(MOUNT.name, cause, pod)
                            .saying(event.message.as_str()),
                    )
                })
        })
}

/// Whether no container of the pod has ever run: a volume is still missing.
fn has_not_started(pod: &Pod) -> bool {
    pod.containers.iter().all(|container| {
        container.restarts == 0
            && container.last.is_none()
            && matches!(&container.state, State::Waiting { reason, .. } if matches!(reason.as_str(), "" | "ContainerCreating" | "PodInitializing"))
    })
}

struct Missing<'t> {
    kind: &'static str,
    name: &'t str,
    key: Option<&'t str>,
}

/// What is missing, in the kubelet's words:
/// `secret "login" not found`, `couldn't find key user in Secret shop/login`.
fn missing(message: &str) -> Option<Missing<'_>> {
    if let Some((_, rest)) = message.split_once("couldn't find key ") {
        for (kind, word) in [("Secret", " in Secret "), ("ConfigMap", " in ConfigMap ")] {
            if let Some((key, object)) = rest.split_once(word) {
                let name = object.split_whitespace().next()?.rsplit('/').next()?;
                return Some(Missing {
                    kind,
                    name,
                    key: Some(key),
                });
            }
        }
    }
    [("Secret", "secret "), ("ConfigMap", "configmap ")]
        .into_iter()
        .find_map(|(kind, word)| {
            let name = quoted_after(message, word)?;
            message
                .contains(&format!("\"{name}\" not found"))
                .then_some(Missing {
                    kind,
                    name,
                    key: None,
                })
        })
}

#[cfg(test)]
mod tests {
    use super::missing;

    #[test]
    fn what_is_missing_is_read_from_the_kubelets_words() {
        for (message, kind, name, key) in [
            (r#"secret "login" not found"#, "Secret", "login", None),
            (
                r#"configmap "shop-config" not found"#,
                "ConfigMap",
                "shop-config",
                None,
            ),
            (
                "couldn't find key user in Secret shop/login",
                "Secret",
                "login",
                Some("user"),
            ),
            (
                "couldn't find key mode in ConfigMap shop/settings",
                "ConfigMap",
                "settings",
                Some("mode"),
            ),
            (
                r#"MountVolume.SetUp failed for volume "v" : secret "tls" not found"#,
                "Secret",
                "tls",
                None,
            ),
        ] {
            let read = missing(message).unwrap_or_else(|| panic!("{message}"));
            assert_eq!(
                (read.kind, read.name, read.key),
                (kind, name, key),
                "{message}"
            );
        }
        for message in [
            "",
            "failed to sync secret cache: timed out waiting for the condition",
            r#"secret ""#,
            r#"object "shop"/"login" not registered"#,
        ] {
            assert!(missing(message).is_none(), "{message}");
        }
    }
}
