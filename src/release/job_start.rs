//! Whether a Job's containers have ever begun, as far as the API server can know.
//!
//! A kubelet starts a container first and tells of it afterwards, so a pod on a node
//! that shows nothing yet may be running already: that is [`Start::Unclear`], never
//! [`Start::Impossible`]. Pure; it must never ask the cluster.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod};
use kube::ResourceExt as _;

/// The reasons of a waiting container that a kubelet has tried and could not start
/// (`pkg/kubelet/images/types.go`, `pkg/kubelet/kuberuntime/kuberuntime_container.go`).
const COULD_NOT: [&str; 8] = [
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImageNeverPull",
    "ErrImagePull",
    "ImageInspectError",
    "ImagePullBackOff",
    "InvalidImageName",
    "RegistryUnavailable",
];

/// What is known of the start of a Job's containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// One has run, or runs.
    Begun,
    /// None has run, and none is about to.
    Impossible,
    /// One may have been started that nobody has told of yet.
    Unclear,
}

/// Reads the Job's own counts and the pods that are there; pods of others do not count.
pub(super) fn of(job: &Job, pods: &[Pod]) -> Start {
    let status = job.status.as_ref();
    let counts = status.map(|status| [status.succeeded, status.failed, status.ready]);
    if counts
        .into_iter()
        .flatten()
        .flatten()
        .any(|count| count > 0)
    {
        return Start::Begun;
    }
    let own = pods.iter().filter(|pod| {
        let mut owners = pod.owner_references().iter();
        owners.any(|owner| Some(&owner.uid) == job.metadata.uid.as_ref())
    });
    let starts: Vec<_> = own.map(of_pod).collect();
    if starts.is_empty() {
        // The controller writes the time of its start once it has tried to make the pods.
        let tried = status
            .is_some_and(|status| status.start_time.is_some() && status.active.unwrap_or(0) == 0);
        return if tried {
            Start::Impossible
        } else {
            Start::Unclear
        };
    }
    [Start::Begun, Start::Unclear]
        .into_iter()
        .find(|start| starts.contains(start))
        .unwrap_or(Start::Impossible)
}

fn of_pod(pod: &Pod) -> Start {
    let status = pod.status.as_ref();
    let first = status.and_then(|status| status.init_container_statuses.as_deref());
    let main = status.and_then(|status| status.container_statuses.as_deref());
    let (first, main) = (first.unwrap_or_default(), main.unwrap_or_default());
    // Nothing behind an init container starts before it; the others start without each
    // other.
    let could_not =
        first.iter().any(could_not_start) || (!main.is_empty() && main.iter().all(could_not_start));
    if first.iter().chain(main).any(has_begun) {
        Start::Begun
    } else if could_not || has_no_node(pod) {
        Start::Impossible
    } else {
        Start::Unclear
    }
}

/// Whether the scheduler has looked and found no node: one that was made a moment ago
/// has none either, and is about to get one.
fn has_no_node(pod: &Pod) -> bool {
    let conditions = pod
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_ref());
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|condition| condition.type_ == "PodScheduled" && condition.status == "False")
}

fn has_begun(container: &ContainerStatus) -> bool {
    let begun = |state: &ContainerState| state.running.is_some() || state.terminated.is_some();
    let states = [&container.state, &container.last_state];
    container.restart_count > 0 || states.into_iter().flatten().any(begun)
}

fn could_not_start(container: &ContainerStatus) -> bool {
    let waiting = container
        .state
        .as_ref()
        .and_then(|state| state.waiting.as_ref());
    let reason = waiting.and_then(|waiting| waiting.reason.as_deref());
    reason.is_some_and(|reason| COULD_NOT.contains(&reason))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::{Value, json};

    use super::{Start, of};

    fn waiting(reason: &str) -> Value {
        json!({"waiting": {"reason": reason}})
    }

    fn container(state: &Value, last: &Value) -> Value {
        json!({"name": "c", "ready": false, "image": "", "imageID": "", "restartCount": 0,
            "state": state, "lastState": last})
    }

    fn pod(owner: &str, scheduled: Option<&str>, init: &[Value], own: &[Value]) -> Value {
        let owner = json!({"apiVersion": "batch/v1", "kind": "Job", "name": "mig", "uid": owner});
        let condition = scheduled.map(|status| json!({"type": "PodScheduled", "status": status}));
        json!({"metadata": {"ownerReferences": [owner]},
            "spec": {"containers": []},
            "status": {"initContainerStatuses": init, "containerStatuses": own,
                "conditions": condition.into_iter().collect::<Vec<_>>()}})
    }

    /// Case A4: only a container that has begun makes two of them overlap; and one that
    /// was started a moment ago is not told of yet.
    #[test]
    fn the_start_of_a_job() {
        let none = json!({});
        let not = container(&waiting("CreateContainerConfigError"), &none);
        let pulls = container(&waiting("ContainerCreating"), &none);
        let was = container(
            &waiting("CrashLoopBackOff"),
            &json!({"terminated": {"exitCode": 1}}),
        );
        let is = container(&json!({"running": {}}), &none);
        let on = Some("True");
        let active = json!({"active": 1, "startTime": "2026-01-01T00:00:00Z"});
        let tried = json!({"startTime": "2026-01-01T00:00:00Z"});
        let (not, pulls, was, is) = ([not], [pulls], [was], [is]);
        for (status, pods, expected) in [
            (json!({}), vec![], Start::Unclear),
            (tried, vec![], Start::Impossible),
            (active.clone(), vec![], Start::Unclear),
            (json!({"failed": 1}), vec![], Start::Begun),
            (
                active.clone(),
                vec![pod("1", on, &[], &not)],
                Start::Impossible,
            ),
            (active.clone(), vec![pod("1", on, &[], &was)], Start::Begun),
            (
                active.clone(),
                vec![pod("1", on, &[], &pulls)],
                Start::Unclear,
            ),
            (active.clone(), vec![pod("1", on, &[], &[])], Start::Unclear),
            // The scheduler has not looked yet.
            (
                active.clone(),
                vec![pod("1", None, &[], &[])],
                Start::Unclear,
            ),
            (
                active.clone(),
                vec![pod("1", Some("False"), &[], &[])],
                Start::Impossible,
            ),
            // One of two that start without each other.
            (
                active.clone(),
                vec![pod("1", on, &[], &[not[0].clone(), pulls[0].clone()])],
                Start::Unclear,
            ),
            (
                active.clone(),
                vec![pod("1", on, &is, &pulls)],
                Start::Begun,
            ),
            (
                active.clone(),
                vec![pod("1", on, &not, &pulls)],
                Start::Impossible,
            ),
            (active.clone(), vec![pod("2", on, &[], &is)], Start::Unclear),
            (
                active,
                vec![pod("1", on, &[], &not), pod("1", on, &[], &pulls)],
                Start::Unclear,
            ),
        ] {
            let job = json!({"metadata": {"uid": "1"}, "status": status});
            let job = serde_json::from_value(job).unwrap();
            let read: Vec<_> = pods
                .iter()
                .map(|pod| serde_json::from_value(pod.clone()).unwrap())
                .collect();
            assert_eq!(of(&job, &read), expected, "{status} {pods:?}");
        }
    }
}
