//! The rules that say a workload cannot come right by waiting.
//!
//! Each rule is a function from a [`RuleContext`] to a failure, stands in [`RULES`] with
//! what it catches, what it lets pass and where that comes from, and has a test
//! for its fast case and for its false alarm. A rule that does not know lets
//! pass: helm's own wait and the deadline are behind it.

mod config;
mod crash;
mod create;
mod image;
mod own;
mod schedule;
mod start;
mod volume;

pub(super) use schedule::is_passing_taint;
pub(super) use start::FORMAT as START_FORMAT;

use std::collections::BTreeSet;

use super::baseline::{Baseline, WatchTarget};
use super::cache::ReleaseCache;
use super::cause::TerminalFailure;
use super::model::{
    ContainerStatus, Elapsed, Kind, KubeEvent, Pod, PodPhase, PodPresence, State, Workload,
};
use super::readiness;

/// What a rule looks at: one workload that may be judged, and its current pods.
#[derive(Debug)]
pub struct RuleContext<'a> {
    /// All that was seen.
    pub world: &'a ReleaseCache,
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

/// All rules, the most telling first: where several apply, the first is told.
pub const RULES: [Rule; 10] = [
    own::FAILED,
    image::PULL,
    config::MISSING,
    config::MOUNT,
    start::START,
    create::CREATE,
    schedule::SCHEDULE,
    volume::VOLUME,
    crash::CRASH,
    own::DEADLINE,
];

impl<'a> RuleContext<'a> {
    /// The scene of a target, where it may be judged at all.
    pub fn of(
        world: &'a ReleaseCache,
        baseline: &'a Baseline,
        target: &'a WatchTarget,
        rest_ready: bool,
        now: Elapsed,
    ) -> Option<Self> {
        let workload = world.workload(&target.id);
        let judged = match target.id.kind {
            Kind::PersistentVolumeClaim => true,
            Kind::Pod => world
                .pods_of(&target.id)
                .iter()
                .all(|pod| !baseline.pods.contains_key(&pod.uid)),
            _ => readiness::is_judged(world, baseline, target),
        };
        let is_current =
            |pod: &Pod| workload.is_none_or(|workload| world.is_current(workload, pod));
        judged.then(|| Self {
            world,
            baseline,
            now,
            target,
            workload,
            pods: world
                .pods_of(&target.id)
                .into_iter()
                .filter(|pod| is_alive(pod) && is_current(pod))
                .collect(),
            rest_ready,
        })
    }

    /// The pods whose state is news. A pod of before may show what this very release
    /// cures (a Secret that comes with it), and its kubelet looks again only after a
    /// while: it counts once half of the budget is gone.
    pub fn fresh_pods(&self) -> impl Iterator<Item = &'a Pod> {
        self.pods
            .iter()
            .copied()
            .filter(|pod| self.is_late() || !self.baseline.pods.contains_key(&pod.uid))
    }

    /// Whether half of the budget is gone.
    pub fn is_late(&self) -> bool {
        self.now.0 >= self.baseline.budget / 2
    }

    /// The events on a pod that came since helm started, oldest first.
    pub fn news_of(&self, pod: &Pod) -> Vec<&'a KubeEvent> {
        self.news("Pod", &pod.place, &pod.uid)
    }

    /// The events on an object that came, or came again, since helm started.
    pub fn news(
        &self,
        kind: &str,
        place: &super::model::NamespacedName,
        uid: &str,
    ) -> Vec<&'a KubeEvent> {
        let mut events = self.world.events_on(kind, place, uid);
        events.retain(|event| {
            self.baseline
                .events
                .get(&event.uid)
                .is_none_or(|count| event.count > *count)
        });
        events
    }

    /// A failure of the workload as a whole.
    fn failure(&self, rule: &'static str, cause: super::cause::Cause) -> TerminalFailure {
        TerminalFailure::of(rule, cause, &self.target.id, self.target.hook)
    }

    /// A failure by one pod.
    fn doom_of_pod(
        &self,
        rule: &'static str,
        cause: super::cause::Cause,
        pod: &Pod,
    ) -> TerminalFailure {
        TerminalFailure {
            pod: Some(pod.place.clone()),
            ..self.failure(rule, cause)
        }
    }

    /// A failure by one container.
    fn doom_of_container(
        &self,
        rule: &'static str,
        cause: super::cause::Cause,
        pod: &Pod,
        container: &ContainerStatus,
    ) -> TerminalFailure {
        TerminalFailure {
            container: Some(container.name.clone()),
            image: Some(container.image.clone()),
            ..self.doom_of_pod(rule, cause, pod)
        }
    }

    /// Whether something may still make an object of this name, or already has.
    fn may_come(&self, kind: &str, name: &str) -> bool {
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

/// Whether a pod counts: not on its way out, and not one that its node gave up
/// (evicted, node shut down) and that its controller replaces.
fn is_alive(pod: &Pod) -> bool {
    pod.presence == PodPresence::Here
        && !matches!(pod.phase, PodPhase::Failed | PodPhase::Succeeded)
}

/// A waiting container's reason and message.
fn waiting(container: &ContainerStatus) -> Option<(&str, &str)> {
    match &container.state {
        State::Waiting { reason, message } => Some((reason, message)),
        _ => None,
    }
}

/// Whether any of these stands in the text, which is lower case.
fn any(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| text.contains(word))
}

/// What stands in quotes behind a word: `secret "login" not found`.
fn quoted_after<'t>(text: &'t str, word: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(word)?;
    let (name, _) = rest.strip_prefix('"')?.split_once('"')?;
    (!name.is_empty()).then_some(name)
}

/// The words of a text, lower case and without punctuation.
fn words(text: &str) -> BTreeSet<String> {
    text.split_whitespace()
        .map(|word| {
            word.trim_matches(|character: char| !character.is_alphanumeric())
                .to_lowercase()
        })
        .collect()
}
