//! The target's own cluster, where the node can look into it: its workloads are watched
//! beside Argo CD, which knows of a crash or a missing image only after minutes.
//!
//! It never changes anything there. What it cannot see is left to Argo CD.

use std::collections::BTreeSet;
use std::time::Duration;

use kube::Client;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::cluster::discovery;
use crate::cluster::objects::{Forbidden, read};
use crate::error::Problem;
use crate::event::Events;
use crate::manifest::{Object, ObjectRef};
use crate::plan::Capabilities;
use crate::rollout::{
    CustomResources, Expected, RolloutContext, RolloutWatcher, Stall, WatchTarget, canary_target,
    gather, is_judged, labels, promises,
};

/// How long what failed in Argo CD's words is looked for in the cluster.
const LAST_LOOK: Duration = Duration::from_millis(1500);

/// How often the cluster is asked whether it still answers.
const LOOK: Duration = Duration::from_secs(5);

/// How many lines of logs are told.
const LOG_LINES: usize = 30;

/// What makes an object a hook for Argo CD besides Helm's annotation.
const HOOK: &str = "/metadata/annotations/argocd.argoproj.io~1hook";

/// A cluster that the node can look into.
#[derive(Clone)]
pub struct Look {
    /// Its client.
    pub client: Client,
    /// What its server can do.
    pub capabilities: Capabilities,
}

/// What is rendered for a target.
#[derive(Clone, Debug, Default)]
pub struct Rendered {
    /// The objects.
    pub objects: Vec<Object>,
    /// The namespace of those that name none.
    pub namespace: String,
    /// The requested images, as they stand in the render.
    pub images: BTreeSet<String>,
    /// Those of them that the registry has just shown.
    pub seen: BTreeSet<String>,
}

/// A target's cluster under watch.
pub(super) struct Beside {
    watcher: RolloutWatcher,
    /// Its lines are the target's, and are told by whoever waits for it.
    quiet: Events,
}

impl Beside {
    /// Begins to watch what is rendered, before Argo CD is asked to apply it.
    pub(super) async fn start(look: &Look, rendered: &Rendered, budget: Duration) -> Self {
        let objects: Vec<&Object> = rendered
            .objects
            .iter()
            .filter(|object| !object.is_test())
            .collect();
        let led: Vec<ObjectRef> = objects
            .iter()
            .filter_map(|object| canary_target(&object.value))
            .collect();
        let judged: Vec<&Object> = objects
            .iter()
            .copied()
            .filter(|object| !led.iter().any(|led| led.is_same(&object.reference)))
            .collect();
        let targets = targets(look, &rendered.namespace, &judged).await;
        let mut expected = Expected::of(objects.iter().map(|object| &object.value));
        expected.seen_images.clone_from(&rendered.seen);
        let own = objects.iter().filter(|object| !is_hook(object));
        let foreign = own
            .map(|object| object.reference.clone().within(&rendered.namespace))
            .filter(is_judged)
            .collect();
        let context = RolloutContext {
            server: look.capabilities.version.clone(),
            budget,
            requested: rendered.images.clone(),
            promised: promises(objects.iter().map(|object| &object.value)),
            expected,
            foreign,
            custom: CustomResources::of(objects.iter().copied(), &rendered.namespace),
        };
        let quiet = Events::to(Vec::new());
        let watcher = RolloutWatcher::start(look.client.clone(), &targets, context, &quiet).await;
        Self { watcher, quiet }
    }

    /// Ends where the rollout cannot come right by waiting, else never. May be dropped
    /// and called again at any time.
    pub(super) async fn stalled(&mut self) -> Stall {
        loop {
            match self.watcher.stalled(&self.quiet).await {
                // Told once of each; nothing is deleted in somebody else's cluster.
                Stall::Pod(pod) => self.watcher.advise(format!(
                    "delete the pod that {} waits for in vain: kubectl delete pod {} --namespace {}",
                    pod.workload, pod.pod.name, pod.pod.namespace
                )),
                stall => return stall,
            }
        }
    }

    /// The cause in words, with its evidence.
    pub(super) async fn problem(&self, stall: Stall) -> Problem {
        let problem = match stall {
            Stall::Failed(mut failure) => {
                let (cache, logs) = (self.watcher.cache(), self.watcher.logs());
                let client = self.watcher.client();
                let evidence = gather(cache, logs, client, Some(&mut failure)).await;
                let problem = failure.problem(&evidence);
                problem.log(evidence.log_ends(LOG_LINES))
            }
            Stall::Foreign(problem) => problem,
            Stall::Pod(pod) => Problem::new(format!("pod {} is in the way", pod.pod.name)),
        };
        problem.first_do(self.watcher.advice())
    }

    /// The cause, where it shows now.
    pub(super) async fn last_look(&mut self) -> Option<Problem> {
        let stall = tokio::time::timeout(LAST_LOOK, self.stalled()).await.ok()?;
        Some(self.problem(stall).await)
    }

    /// What each workload waits for.
    pub(super) fn waits_for(&self) -> Vec<String> {
        self.watcher.explain_timeout()
    }

    /// Ends with the reason once the cluster has not answered for so long, else never.
    pub(super) fn gone(&self, limit: Duration) -> impl Future<Output = String> + use<> {
        let client = self.watcher.client().clone();
        async move {
            let mut since = None;
            loop {
                sleep(LOOK).await;
                let asked = Instant::now();
                match discovery::silent(&client).await {
                    Some(why) if asked - *since.get_or_insert(asked) >= limit => return why,
                    Some(_) => {}
                    None => since = None,
                }
            }
        }
    }

    /// Why the cluster does not answer; none where it does.
    pub(super) async fn silent(&self) -> Option<String> {
        discovery::silent(self.watcher.client()).await
    }
}

async fn targets(look: &Look, namespace: &str, objects: &[&Object]) -> Vec<WatchTarget> {
    let references: Vec<ObjectRef> = objects
        .iter()
        .map(|object| object.reference.clone().within(namespace))
        .collect();
    let live = read(&look.client, &references, namespace, Forbidden::IsAbsent).await;
    let live = live.unwrap_or_else(|_| vec![None; references.len()]);
    let target = |((object, reference), live): ((&&Object, &ObjectRef), &Option<Value>)| {
        let template = |value: &Value| value.pointer("/spec/template").cloned();
        let holds = match (live.as_ref().and_then(template), template(&object.value)) {
            (Some(live), Some(wanted)) => holds(&live, &wanted),
            _ => false,
        };
        WatchTarget::new(reference, !holds, is_hook(object))
            .map(|target| target.labelled(labels(&object.value)))
    };
    let all = objects.iter().zip(&references).zip(&live);
    all.filter_map(target).collect()
}

fn is_hook(object: &Object) -> bool {
    !object.hooks.is_empty() || object.value.pointer(HOOK).is_some()
}

/// Whether a live value holds all of a rendered one, beside the server's defaults. Where
/// that is in doubt it does not: then only what changes from now on is judged.
fn holds(live: &Value, wanted: &Value) -> bool {
    match (live, wanted) {
        (Value::Object(live), Value::Object(wanted)) => wanted.iter().all(|(key, wanted)| {
            wanted.is_null() || live.get(key).is_some_and(|live| holds(live, wanted))
        }),
        (Value::Array(live), Value::Array(wanted)) => {
            live.len() == wanted.len()
                && live
                    .iter()
                    .zip(wanted)
                    .all(|(live, wanted)| holds(live, wanted))
        }
        (live, wanted) => live == wanted,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::holds;

    #[test]
    fn the_servers_defaults_are_no_change() {
        let live = json!({"spec": {"containers": [{"name": "a", "image": "a:1", "terminationMessagePath": "/x"}]}});
        for (wanted, same) in [
            (
                json!({"spec": {"containers": [{"name": "a", "image": "a:1", "args": null}]}}),
                true,
            ),
            (
                json!({"spec": {"containers": [{"name": "a", "image": "a:2"}]}}),
                false,
            ),
            (json!({"spec": {"containers": []}}), false),
            (json!({"spec": {"serviceAccountName": "b"}}), false),
        ] {
            assert_eq!(holds(&live, &wanted), same, "{wanted}");
        }
    }
}
