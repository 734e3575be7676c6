//! What a rule is and what it looks at.

use crate::rollout::baseline::Baseline;
use crate::rollout::cache::ReleaseCache;
use crate::rollout::cause::{Cause, TerminalFailure};
use crate::rollout::model::{
    ContainerStatus, Elapsed, KubeEvent, Pod, PodPhase, PodPresence, Workload,
};
use crate::rollout::readiness::{self, Readiness};
use crate::rollout::target::WatchTarget;
use crate::rollout::workload_ref::{GroupKind, NamespacedName, WorkloadKind};

/// A rule, for people and for the machine.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Its name.
    pub name: &'static str,
    /// What it catches.
    pub catches: &'static str,
    /// What it lets pass.
    pub tolerates: &'static str,
    /// Where what it reads is written.
    pub source: &'static str,
    /// The rule.
    pub check: fn(&RuleContext<'_>) -> Option<TerminalFailure>,
}

/// What a rule looks at: one workload that may be judged, and its current pods.
#[derive(Debug)]
pub struct RuleContext<'a> {
    /// All that was seen.
    pub cache: &'a ReleaseCache,
    /// What was before.
    pub baseline: &'a Baseline,
    /// When it is.
    pub now: Elapsed,
    /// What the render says of it.
    pub target: &'a WatchTarget,
    /// The workload; none for a bare pod and for a claim.
    pub workload: Option<&'a Workload>,
    /// Its living pods of the current template.
    pub pods: Vec<&'a Pod>,
    /// Whether everything else of the release is ready.
    pub rest_ready: bool,
}

impl<'a> RuleContext<'a> {
    /// The context of a target; none where it cannot be judged yet.
    pub fn of(
        cache: &'a ReleaseCache,
        baseline: &'a Baseline,
        target: &'a WatchTarget,
        rest_ready: bool,
        now: Elapsed,
    ) -> Option<Self> {
        let workload = cache.workload(&target.id);
        let judged = match target.id.kind {
            WorkloadKind::PersistentVolumeClaim => true,
            WorkloadKind::Pod => cache
                .pods_of(&target.id)
                .iter()
                .all(|pod| !baseline.pods.contains_key(&pod.uid)),
            _ => can_be_judged(cache, baseline, target),
        };
        let is_current =
            |pod: &Pod| workload.is_none_or(|workload| cache.is_current(workload, pod));
        judged.then(|| Self {
            cache,
            baseline,
            now,
            target,
            workload,
            pods: cache
                .pods_of(&target.id)
                .into_iter()
                .filter(|pod| is_alive(pod) && is_current(pod))
                .collect(),
            rest_ready,
        })
    }

    /// The pods that came since helm started. An earlier one may show what this very
    /// release cures (a Secret that comes with it), and its kubelet looks again only
    /// after a while: it counts once half of the budget is gone.
    pub fn fresh_pods(&self) -> impl Iterator<Item = &'a Pod> {
        self.pods
            .iter()
            .copied()
            .filter(|pod| self.is_late() || !self.baseline.pods.contains_key(&pod.uid))
    }

    /// The first failure that is found in a container of a fresh pod.
    pub fn find_in_fresh_containers(
        &self,
        judge: impl Fn(&Self, &Pod, &ContainerStatus) -> Option<TerminalFailure>,
    ) -> Option<TerminalFailure> {
        let mut pods = self.fresh_pods();
        pods.find_map(|pod| {
            let mut containers = pod.containers.iter();
            containers.find_map(|container| judge(self, pod, container))
        })
    }

    /// Whether half of the budget is gone.
    pub fn is_late(&self) -> bool {
        self.now.0 >= self.baseline.budget / 2
    }

    /// The events on a pod that came since helm started, oldest first.
    pub fn new_events_of(&self, pod: &Pod) -> Vec<&'a KubeEvent> {
        self.new_events_on(WorkloadKind::Pod.group_kind(), &pod.key, &pod.uid)
    }

    /// The events on an object that came, or came again, since helm started.
    pub fn new_events_on(
        &self,
        kind: GroupKind,
        key: &NamespacedName,
        uid: &str,
    ) -> Vec<&'a KubeEvent> {
        let mut events = self.cache.events_on(kind, key, uid);
        events.retain(|event| {
            self.baseline
                .events
                .get(&event.uid)
                .is_none_or(|count| event.count > *count)
        });
        events
    }

    /// A failure of the workload as a whole.
    pub(super) fn failure(&self, rule: &'static str, cause: Cause) -> TerminalFailure {
        TerminalFailure::of(rule, cause, &self.target.id, self.target.hook)
    }

    /// A failure by one pod.
    pub(super) fn failure_of_pod(
        &self,
        rule: &'static str,
        cause: Cause,
        pod: &Pod,
    ) -> TerminalFailure {
        TerminalFailure {
            pod: Some(pod.key.clone()),
            ..self.failure(rule, cause)
        }
    }

    /// A failure by one container.
    pub(super) fn failure_of_container(
        &self,
        rule: &'static str,
        cause: Cause,
        pod: &Pod,
        container: &ContainerStatus,
    ) -> TerminalFailure {
        TerminalFailure {
            container: Some(container.name.clone()),
            image: Some(container.image.clone()),
            ..self.failure_of_pod(rule, cause, pod)
        }
    }

    /// Whether something may still make an object of this name, or already has.
    pub(super) fn may_come(&self, kind: &str, name: &str) -> bool {
        // The namespace's own controllers make these a moment after it.
        matches!(
            name,
            "kube-root-ca.crt" | "openshift-service-ca.crt" | "default"
        ) || self.baseline.promised.contains(name)
            || self
                .baseline
                .facts
                .present
                .contains(&format!("{kind}/{name}"))
    }
}

/// Whether a workload's status is about what helm applies now: its template does not
/// change, or its generation and revision have passed those before helm started, its
/// controller has caught up, and the current `ReplicaSet` has been seen. Else a fix
/// for a crashing release would be stopped for the old crash.
pub(super) fn can_be_judged(
    cache: &ReleaseCache,
    baseline: &Baseline,
    target: &WatchTarget,
) -> bool {
    let Some(workload) = cache.workload(&target.id) else {
        return false;
    };
    if matches!(readiness::of(workload), Readiness::Exempt(_))
        || workload.observed < workload.generation
    {
        return false;
    }
    let before = baseline
        .workloads
        .get(&target.id)
        .filter(|before| before.uid == workload.uid);
    // An autoscaler raises the generation, too, but starts no new revision.
    let passed = before.is_none_or(|before| {
        workload.generation > before.generation && workload.revision != before.revision
    });
    if workload.id.kind == WorkloadKind::Job {
        // One that was there before is about to be replaced by helm.
        return before.is_none() || !(target.template_changed || target.hook);
    }
    if target.template_changed && !passed {
        return false;
    }
    workload.id.kind != WorkloadKind::Deployment || has_current_replica_set(cache, workload)
}

/// Whether the `ReplicaSet` of the Deployment's revision has arrived: the two come
/// over different watches.
fn has_current_replica_set(cache: &ReleaseCache, workload: &Workload) -> bool {
    let named: Option<u64> = workload
        .revision
        .as_ref()
        .and_then(|text| text.parse().ok());
    let seen = cache.current_replica_set(workload).map(|set| set.revision);
    seen.is_some() && (named.is_none() || named == seen)
}

/// Whether a pod counts: not on its way out, and not one that its node gave up
/// (evicted, node shut down) and that its controller replaces.
pub(super) fn is_alive(pod: &Pod) -> bool {
    pod.presence == PodPresence::Here
        && !matches!(pod.phase, PodPhase::Failed | PodPhase::Succeeded)
}
