//! Who is let in: whether `callers` names them closely enough, and what the user that
//! forwards could read all the same.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};

use super::Finding;
use crate::plan::forward::ForwardTarget;
use crate::plan::{Caller, Plan, RunnerKind};

/// What a kubeconfig and a registry's login are called below a home.
const BELOW_HOME: [&str; 3] = [
    ".kube/config",
    ".docker/config.json",
    ".config/helm/registry/config.json",
];

/// k3s's own kubeconfig.
const K3S: &str = "/etc/rancher/k3s/k3s.yaml";

/// What is wide open in `callers`, where the node has any.
pub(super) fn callers(plan: &Plan) -> Option<Finding> {
    let policy = plan.callers.as_ref()?;
    let open = policy.callers.iter().find_map(too_open);
    Some(match open {
        Some((found, fix)) => Finding::warn("callers", found).fix(fix),
        None => Finding::ok(
            "callers",
            format!("{} named, with workflow and ref", policy.callers.len()),
        ),
    })
}

fn too_open(caller: &Caller) -> Option<(String, &'static str)> {
    let of = format!("the caller of repository {}", caller.repository_id);
    if caller.called.is_none() && caller.called_sha.is_none() {
        return Some((
            format!(
                "{of} names no called workflow: whoever pushes a branch there writes one that signs"
            ),
            "name it: called = \"OWNER/deploy/.github/workflows/deploy-signed.yml@COMMIT\"",
        ));
    }
    if caller.reference.is_none() {
        return Some((
            format!("{of} names no ref: it may sign from any branch"),
            "name it: ref = \"refs/heads/main\"",
        ));
    }
    (caller.runner == RunnerKind::SelfHosted).then(|| {
        (
            format!("{of} signs on its own runner: what else runs there can sign another signal"),
            "sign on a hosted runner, and take runner away",
        )
    })
}

/// Credentials that a user which forwards to a receiver need not have, and a job can
/// read as long as it does.
pub(super) fn left(plan: &Plan) -> Option<Finding> {
    if !matches!(plan.forward.as_ref()?.target, ForwardTarget::Unix(_)) {
        return None;
    }
    let home = plan.environment.get(OsStr::new("HOME")).map(Path::new);
    let below = home
        .into_iter()
        .flat_map(|home| BELOW_HOME.map(|file| home.join(file)));
    let readable: Vec<String> = below
        .chain([PathBuf::from(K3S)])
        .filter(|file| file.is_file() && File::open(file).is_ok())
        .map(|file| file.display().to_string())
        .collect();
    (!readable.is_empty()).then(|| {
        let found = format!(
            "this user can read {}, and so can every job",
            readable.join(", ")
        );
        Finding::warn("credentials", found)
            .fix("once the controller deploys, take them away: it has its own")
    })
}
