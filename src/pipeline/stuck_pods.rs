//! Deletes pods that a `StatefulSet` waits for in vain, while a rollout is waited for.
//!
//! Only a pod that is not Ready, of a revision that is not wanted, and that its
//! controller would not replace; never a pod that could serve, and never by name alone.

use kube::Api;
use kube::api::{DeleteParams, Preconditions};

use super::context::Run;
use crate::cluster::client::within;
use crate::error::{Error, Kind, Problem, Result};
use crate::rollout::{RolloutWatcher, Stall, StuckPod, TerminalFailure};
use k8s_openapi::api::core::v1::Pod;

/// Why waiting is of no use any more.
pub(super) enum Standstill {
    /// A workload has failed for good.
    Failed(Box<TerminalFailure>),
    /// A workload of another group says that it has failed.
    Foreign(Problem),
}

/// Returns when the release cannot come right by waiting, else never.
pub(super) async fn stalled(run: &Run<'_>, watcher: &mut RolloutWatcher) -> Box<TerminalFailure> {
    loop {
        match watcher.stalled(run.events).await {
            Stall::Failed(failure) => return failure,
            Stall::Pod(pod) => delete(run, watcher, &pod).await,
            // They are asked when helm has ended.
            Stall::Foreign(_) => {}
        }
    }
}

/// Ends with nothing when every workload is Ready.
pub(super) async fn settled(run: &Run<'_>, watcher: &mut RolloutWatcher) -> Option<Standstill> {
    loop {
        match watcher.settled(run.events).await? {
            Stall::Failed(failure) => return Some(Standstill::Failed(failure)),
            Stall::Foreign(problem) => return Some(Standstill::Foreign(problem)),
            Stall::Pod(pod) => delete(run, watcher, &pod).await,
        }
    }
}

/// Deletes a pod, and tells so; where that is not to be, the watcher remembers what a
/// person has to do.
async fn delete(run: &Run<'_>, watcher: &mut RolloutWatcher, stuck: &StuckPod) {
    let (pod, workload) = (&stuck.pod, &stuck.workload);
    match try_delete(watcher, stuck).await {
        Ok(()) => run.events.note(format!(
            "deleted pod {} of revision {}: it is not Ready, and {workload} waits for it before it makes one of revision {}",
            pod.name, stuck.revision, stuck.wanted
        )),
        Err(error) => {
            run.events.warn(format!(
                "pod {} of revision {} is not Ready, and {workload} waits for it before it makes one of revision {}; it cannot be deleted: {error}",
                pod.name, stuck.revision, stuck.wanted
            ));
            watcher.advise(format!(
                "delete the pod that {workload} waits for in vain: kubectl delete pod {} --namespace {}",
                pod.name, pod.namespace
            ));
        }
    }
}

/// Deletes exactly this pod; one that is gone or another by now is no error.
async fn try_delete(watcher: &RolloutWatcher, stuck: &StuckPod) -> Result<()> {
    let api: Api<Pod> = Api::namespaced(watcher.client().clone(), &stuck.pod.namespace);
    let only = DeleteParams::default().preconditions(Preconditions {
        resource_version: None,
        uid: Some(stuck.uid.clone()),
    });
    let what = "the pod cannot be deleted";
    let deleted = async {
        match api.delete(&stuck.pod.name, &only).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 403 => {
                Err(Error::new(Kind::Node, "there is no right to delete pods"))
            }
            Err(error) => Err(crate::cluster::client::failed(what, &error)),
        }
    };
    within(what, deleted).await
}
