//! How the workloads of a release are waited for: by `deploy` itself where it
//! can, else by helm in a way that its rights allow, and for nothing that cannot
//! come.

use super::context::Run;
use super::observed::ReleaseObservation;
use crate::cluster::rights;
use crate::error::Result;
use crate::helm::{HelmMajor, Wait};
use crate::manifest::{Object, is_kubernetes_group};
use crate::release::record::Driver;
use crate::rollout::{RolloutWatcher, is_load_balancer};

/// How helm waits for these objects. A note says where it has to do what
/// `deploy` cannot.
pub(super) async fn choose(
    run: &Run<'_>,
    found: &ReleaseObservation,
    watcher: &RolloutWatcher,
    objects: &[Object],
) -> Result<Wait> {
    let facts = Facts {
        sees_all: watcher.sees_every_workload(),
        marks: found.cluster.driver == Driver::Secrets,
        brings_crds: !found.chart.crds.is_empty() && !found.helm.waits_for_crds(),
    };
    if facts.by_deploy(objects) {
        return Ok(Wait::Hooks);
    }
    let allowed = allowed(run, found).await?;
    let (wait, why) = suit(found.helm.major(), allowed, objects);
    if let Some(why) = why {
        run.events.note(why);
    }
    Ok(wait)
}

/// What decides who waits for the workloads.
#[derive(Clone, Copy, Debug)]
struct Facts {
    /// Whether every workload of the release is watched.
    sees_all: bool,
    /// Whether a record can be marked as not judged yet.
    marks: bool,
    /// Whether the chart brings kinds that helm would not wait for.
    brings_crds: bool,
}

impl Facts {
    /// Whether `deploy` waits, and helm only for hooks. A hook that runs after the
    /// workloads expects them to be there, so helm has to wait before it.
    fn by_deploy(self, objects: &[Object]) -> bool {
        let after = |event: &String| event.starts_with("post-");
        self.sees_all
            && self.marks
            && !self.brings_crds
            && !objects.iter().any(|object| object.hooks.iter().any(after))
    }
}

/// How helm can wait. Helm 4 does it by watching; where that is not allowed, it
/// waits as Helm 3 does.
async fn allowed(run: &Run<'_>, found: &ReleaseObservation) -> Result<Wait> {
    if !found.helm.major().watches() {
        return Ok(Wait::Watch);
    }
    let client = &found.cluster.client;
    let can_watch = rights::can_watch(client, &run.plan.release.namespace);
    if run.unless_cancelled(can_watch).await? {
        return Ok(Wait::Watch);
    }
    run.events.note(
        "the kubeconfig's user has no right to watch in this namespace, so helm waits in its older way (--wait=legacy)",
    );
    Ok(Wait::Poll)
}

fn suit(major: HelmMajor, allowed: Wait, objects: &[Object]) -> (Wait, Option<String>) {
    let find = |is: fn(&Object) -> bool| {
        let mut own = objects.iter().filter(|object| object.hooks.is_empty());
        own.find(|object| is(object))
    };
    if let Some(job) = find(is_suspended_job) {
        let why = format!("{job} is suspended, so helm waits for no Job but hooks");
        return (Wait::PollButJobs, Some(why));
    }
    if !major.watches() || allowed != Wait::Watch {
        return (allowed, None);
    }
    let older = "so helm waits in its older way (--wait=legacy)";
    if let Some(set) = find(is_replaced_by_hand) {
        let why = format!("the pods of {set} are replaced by hand (OnDelete), {older}");
        return (Wait::Poll, Some(why));
    }
    // The older way waits for a load balancer's address, the other for a custom
    // resource that says that it is not Ready: neither is part of Ready.
    match find(is_custom).filter(|_| find(is_load_balancer).is_none()) {
        Some(custom) => {
            let why = format!("no workload is Ready or not because of {custom}, {older}");
            (Wait::Poll, Some(why))
        }
        None => (allowed, None),
    }
}

/// Helm 4's watching waits for the condition `Ready` of any kind (`cli-utils`,
/// `pkg/kstatus/status/generic.go`), its older way for kinds that it knows.
fn is_custom(object: &Object) -> bool {
    !is_kubernetes_group(object.reference.group())
}

/// Both helms wait for such a Job as for any other (`pkg/kube/ready.go`,
/// `statuswait.go`), and so until time is up.
fn is_suspended_job(object: &Object) -> bool {
    object.reference.is("batch", "Job") && object.value["spec"]["suspend"] == true
}

/// Helm 4's watching waits until all pods of such a `DaemonSet` are updated,
/// which nobody will do (`cli-utils`, `pkg/kstatus/status/core.go`:
/// `daemonsetConditions`, where that of a `StatefulSet` knows `OnDelete`). Its
/// older way waits for a rolling update only (`pkg/kube/ready.go`).
fn is_replaced_by_hand(object: &Object) -> bool {
    object.reference.is("apps", "DaemonSet")
        && object.value["spec"]["updateStrategy"]["type"] == "OnDelete"
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn object(kind: &str, spec: &str, annotations: &str) -> String {
        let group = if kind == "Job" { "batch" } else { "apps" };
        format!(
            "apiVersion: {group}/v1\nkind: {kind}\nmetadata: {{name: it, annotations: {{{annotations}}}}}\nspec: {{{spec}}}\n"
        )
    }

    #[test]
    fn helm_waits_for_nothing_that_cannot_come() {
        let suspended = object("Job", "suspend: true", "");
        let by_hand = object("DaemonSet", "updateStrategy: {type: OnDelete}", "");
        let hook = object("Job", "suspend: true", "helm.sh/hook: pre-upgrade");
        let rolling = object("DaemonSet", "updateStrategy: {type: RollingUpdate}", "");
        let set = object("StatefulSet", "updateStrategy: {type: OnDelete}", "");
        let job = object("Job", "suspend: false", "");
        let foreign = suspended.replace("batch/v1", "batch.volcano.sh/v1alpha1");
        let plain = format!("{hook}---\n{rolling}---\n{set}---\n{job}");
        let custom = format!("{plain}---\n{foreign}");
        let service = object("Service", "type: LoadBalancer", "").replace("apps/v1", "v1");
        let balanced = format!("{custom}---\n{service}");
        let both = format!("{plain}---\n{by_hand}---\n{suspended}");
        let (three, four) = (HelmMajor::Three, HelmMajor::Four);
        for (major, allowed, manifest, wait, named) in [
            (three, Wait::Watch, &plain, Wait::Watch, None),
            (four, Wait::Watch, &plain, Wait::Watch, None),
            (four, Wait::Poll, &plain, Wait::Poll, None),
            // Case B2, where a hook runs after the workloads.
            (three, Wait::Watch, &custom, Wait::Watch, None),
            (four, Wait::Watch, &custom, Wait::Poll, Some("Job it")),
            (four, Wait::Watch, &balanced, Wait::Watch, None),
            (three, Wait::Watch, &by_hand, Wait::Watch, None),
            (four, Wait::Watch, &by_hand, Wait::Poll, Some("DaemonSet")),
            (four, Wait::Poll, &by_hand, Wait::Poll, None),
            (
                three,
                Wait::Watch,
                &suspended,
                Wait::PollButJobs,
                Some("Job"),
            ),
            (four, Wait::Poll, &suspended, Wait::PollButJobs, Some("Job")),
            (four, Wait::Watch, &both, Wait::PollButJobs, Some("Job")),
        ] {
            let objects = Object::parse(manifest).unwrap();
            let (chosen, why) = suit(major, allowed, &objects);
            assert_eq!(chosen, wait, "{major:?} {allowed:?}\n{manifest}");
            let words = why.unwrap_or_default();
            assert_eq!(named.is_some(), !words.is_empty(), "{words}");
            assert!(words.contains(named.unwrap_or_default()), "{words}");
        }
    }
}
