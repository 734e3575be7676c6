//! Label selectors by which a watch brings the release's objects and few others:
//! a namespace may hold thousands of pods of other releases.
//!
//! A selector must never leave out an object of the release, old ones included. A pod carries
//! its workload's selector, which cannot change; a Job's pod carries the Job's
//! name.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::model::ResourceKind;
use super::target::WatchTarget;
use super::workload_ref::WorkloadKind;
use crate::manifest::ObjectRef;

/// The label of a Job's pods with its name. The newer
/// `batch.kubernetes.io/job-name` stands beside it since Kubernetes 1.27.
const JOB_NAME: &str = "job-name";

/// The longest that all values of one label may be together: a selector is part
/// of an address.
const VALUES: usize = 1500;

/// The labels that all pods of a rendered workload carry, old ones too.
pub fn labels(object: &Value) -> BTreeMap<String, String> {
    let labels = if WorkloadKind::of(&ObjectRef::of(object)) == Some(WorkloadKind::Pod) {
        &object["metadata"]["labels"]
    } else {
        &object["spec"]["selector"]["matchLabels"]
    };
    let labels = labels.as_object().into_iter().flatten();
    labels
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}

/// The selector of all objects of that sort that are the release's; none where
/// there is no telling.
pub(super) fn selector(
    targets: &[WatchTarget],
    namespace: &str,
    resource: ResourceKind,
) -> Option<String> {
    let of_namespace = || {
        targets
            .iter()
            .filter(|target| target.id.namespace == namespace)
    };
    let job = |target: &&WatchTarget| target.id.kind == WorkloadKind::Job;
    match resource {
        ResourceKind::JobPod => {
            let names: BTreeSet<_> = of_namespace()
                .filter(job)
                .map(|job| job.id.name.as_str())
                .collect();
            one_of(JOB_NAME, &names)
        }
        ResourceKind::Pod => common(of_namespace().filter(|target| {
            !job(target) && target.id.kind != WorkloadKind::PersistentVolumeClaim
        })),
        ResourceKind::ReplicaSet => {
            common(of_namespace().filter(|target| target.id.kind == WorkloadKind::Deployment))
        }
        ResourceKind::Workload(_) | ResourceKind::Event | ResourceKind::Claim => None,
    }
}

/// Each label that all of these have, with all the values that it has.
fn common<'a>(targets: impl Iterator<Item = &'a WatchTarget>) -> Option<String> {
    let targets: Vec<&WatchTarget> = targets.collect();
    let keys = targets.first()?.labels.keys();
    let requirements = keys.filter_map(|key| {
        let values = targets.iter().map(|target| target.labels.get(key));
        let values: BTreeSet<&str> = values
            .map(|value| value.map(String::as_str))
            .collect::<Option<_>>()?;
        one_of(key, &values)
    });
    let selector = requirements.collect::<Vec<_>>().join(",");
    (!selector.is_empty()).then_some(selector)
}

/// `key in (one,other)`; none where it could be read in another way, or is long.
fn one_of(key: &str, values: &BTreeSet<&str>) -> Option<String> {
    let plain = |text: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
        (1..=253).contains(&text.len()) && text.bytes().all(fits)
    };
    let length: usize = values.iter().map(|value| value.len() + 1).sum();
    let fits = plain(key) && values.iter().all(|value| plain(value)) && length <= VALUES;
    let listed: Vec<_> = values.iter().copied().collect();
    (fits && !listed.is_empty()).then(|| format!("{key} in ({})", listed.join(",")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::{ObjectRef, ResourceKind, WatchTarget, labels, selector};

    fn target(kind: &str, name: &str, selector: &serde_json::Value) -> WatchTarget {
        let group = if kind == "Job" { "batch" } else { "apps" };
        let object = json!({"apiVersion": format!("{group}/v1"), "kind": kind,
            "metadata": {"namespace": "shop", "name": name},
            "spec": {"selector": {"matchLabels": selector}}});
        WatchTarget::new(&ObjectRef::of(&object), true, false)
            .unwrap()
            .labelled(labels(&object))
    }

    #[test]
    fn what_all_have_is_selected() {
        let api = target(
            "Deployment",
            "api",
            &json!({"app": "shop", "part": "api", "old": "x"}),
        );
        let db = target("StatefulSet", "db", &json!({"app": "shop", "part": "db"}));
        let job = target("Job", "migrate", &json!(null));
        let of = |targets: &[WatchTarget], resource| selector(targets, "shop", resource);
        let all = [api.clone(), db, job.clone()];
        assert_eq!(
            of(&all, ResourceKind::Pod).unwrap(),
            "app in (shop),part in (api,db)"
        );
        assert_eq!(
            of(&all, ResourceKind::JobPod).unwrap(),
            "job-name in (migrate)"
        );
        assert_eq!(
            of(&all, ResourceKind::ReplicaSet).unwrap(),
            "app in (shop),old in (x),part in (api)"
        );
        assert_eq!(of(&all, ResourceKind::Event), None);
        assert_eq!(selector(&all, "elsewhere", ResourceKind::Pod), None);
        // One that tells nothing opens it for all.
        let bare = target("DaemonSet", "agent", &json!({}));
        assert_eq!(of(&[api, bare], ResourceKind::Pod), None);
    }

    #[test]
    fn a_selector_is_never_bent() {
        for value in ["a)", "a,b", "", "a b", "ä"] {
            let odd = target("Deployment", "api", &json!({"app": value}));
            assert_eq!(
                selector(&[odd], "shop", ResourceKind::Pod),
                None,
                "{value:?}"
            );
        }
    }
}
