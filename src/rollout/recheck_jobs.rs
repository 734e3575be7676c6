//! Which of the release's Jobs are there, asked once helm has ended.
//!
//! Only reads, each bounded in time.

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use kube::{Api, Client};
use tokio::time::timeout;

use super::target::WatchTarget;
use super::workload_ref::{WorkloadKind, WorkloadRef};

/// How long one look may take.
const LOOK: Duration = Duration::from_secs(2);

/// The Jobs among the targets, hooks left out, that are there. None: not known right now.
pub(super) async fn there(
    client: &Client,
    targets: impl Iterator<Item = &WatchTarget>,
) -> Option<BTreeSet<WorkloadRef>> {
    let mut there = BTreeSet::new();
    for target in targets.filter(|target| target.id.kind == WorkloadKind::Job && !target.hook) {
        let jobs: Api<Job> = Api::namespaced(client.clone(), &target.id.namespace);
        let found = timeout(LOOK, jobs.get_metadata_opt(&target.id.name)).await;
        match found {
            Ok(Ok(Some(_))) => {
                there.insert(target.id.clone());
            }
            Ok(Ok(None)) => {}
            Ok(Err(_)) | Err(_) => return None,
        }
    }
    Some(there)
}
