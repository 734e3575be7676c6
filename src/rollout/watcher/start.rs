//! The begin of a watch: what is there before helm, which all that follows is compared
//! with.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kube::Client;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::{QUEUE, RolloutWatcher};
use crate::event::Events;
use crate::manifest::ObjectRef;
use crate::rollout::baseline::Baseline;
use crate::rollout::cache::ReleaseCache;
use crate::rollout::custom::CustomResources;
use crate::rollout::expected::Expected;
use crate::rollout::foreign_watch::ForeignWatch;
use crate::rollout::informers::{Informer, InformerEvent, can_stream, spawn, wanted};
use crate::rollout::logs::Logs;
use crate::rollout::model::Elapsed;
use crate::rollout::progress::{ReportedProgress, progress};
use crate::rollout::selectors::selector;
use crate::rollout::target::WatchTarget;

/// How long the first lists may take before helm goes ahead unwatched.
const FIRST_LISTS: Duration = Duration::from_secs(10);

/// What a rollout is judged by besides its targets.
#[derive(Clone, Debug, Default)]
pub struct RolloutContext {
    /// The server's version, as it tells it: `v1.34.4+k3s1`.
    pub server: String,
    /// The whole budget of the rollout.
    pub budget: Duration,
    /// The images that the request names.
    pub requested: BTreeSet<String>,
    /// What the render's custom resources will make (see [`crate::rollout::promises`]).
    pub promised: BTreeSet<String>,
    /// What may still come besides that, and what has just been seen.
    pub expected: Expected,
    /// The release's objects of other groups, with their namespaces.
    pub foreign: Vec<ObjectRef>,
    /// Its custom resources, whose readiness is no verdict.
    pub custom: CustomResources,
}

impl RolloutWatcher {
    /// Lists what the targets' namespaces hold and watches it from there. Call it
    /// right before helm: what is seen now is what all that follows is compared
    /// with. Says once what cannot be watched; it never fails a deploy.
    pub async fn start(
        client: Client,
        targets: &[WatchTarget],
        context: RolloutContext,
        events: &Events,
    ) -> Self {
        let started = Instant::now();
        let (sender, mut changes) = mpsc::channel(QUEUE);
        let streaming = can_stream(&context.server);
        let (mut watches, count) = watch(&client, targets, &sender, streaming);
        drop(sender);
        let mut cache = ReleaseCache::of(targets);
        let deadline = started + FIRST_LISTS;
        let listed = timeout_at(deadline, first_lists(&mut cache, &mut changes, count)).await;
        let unwatchable = listed.unwrap_or_else(|_| {
            // What comes later could not be told apart from what was before.
            watches.abort_all();
            cache = unwatched(targets);
            BTreeSet::from([format!(
                "the API server did not list the release's objects within {FIRST_LISTS:?}"
            )])
        });
        if !unwatchable.is_empty() {
            let why = unwatchable.into_iter().collect::<Vec<_>>().join("; ");
            events.note(format!("the rollout is not watched in full, so a failure may be known only at helm's time-out: {why}"));
        }
        cache.requested = context.requested;
        let mut baseline = Baseline::of(&cache, context.budget);
        baseline.promised = context.promised;
        baseline.expect(context.expected);
        let now = Elapsed(started.elapsed());
        let reported = ReportedProgress::of(progress(&cache, now), now);
        let logs = Logs::new(client.clone());
        let foreign = ForeignWatch::start(&client, &context.foreign).await;
        Self {
            client,
            cache,
            baseline,
            started,
            changes,
            facts_asked_at: None,
            reported,
            logs,
            foreign,
            custom: context.custom,
            stuck: BTreeMap::new(),
            advice: Vec::new(),
            _watches: watches,
        }
    }
}

/// Begins to watch what the targets' namespaces hold; how many lists that begins with.
fn watch(
    client: &Client,
    targets: &[WatchTarget],
    sender: &mpsc::Sender<InformerEvent>,
    streaming: bool,
) -> (JoinSet<()>, usize) {
    let mut watches = JoinSet::new();
    for (namespace, kinds) in wanted(targets) {
        for resource in kinds {
            let informer = Informer {
                client: client.clone(),
                selector: selector(targets, &namespace, resource),
                namespace: namespace.clone(),
                resource,
                sender: sender.clone(),
            };
            spawn(&mut watches, informer, streaming);
        }
    }
    let count = watches.len();
    (watches, count)
}

/// Takes in this many first lists; why some cannot be had.
async fn first_lists(
    cache: &mut ReleaseCache,
    changes: &mut mpsc::Receiver<InformerEvent>,
    count: usize,
) -> BTreeSet<String> {
    let mut pending = count;
    let mut unwatchable = BTreeSet::new();
    while pending > 0 {
        match changes.recv().await {
            Some(InformerEvent::Change(change)) => {
                cache.apply(change, Elapsed::default());
            }
            Some(InformerEvent::Listed) => pending -= 1,
            Some(InformerEvent::Unwatchable(resource, namespace, why)) => {
                pending -= 1;
                cache.mark_unwatchable(resource, namespace);
                unwatchable.insert(why);
            }
            None => break,
        }
    }
    unwatchable
}

/// A cache of which nothing can be watched.
fn unwatched(targets: &[WatchTarget]) -> ReleaseCache {
    let mut cache = ReleaseCache::of(targets);
    for (namespace, kinds) in wanted(targets) {
        for resource in kinds {
            cache.mark_unwatchable(resource, namespace.clone());
        }
    }
    cache
}
