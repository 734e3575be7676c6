//! Informers: one for each kind and namespace, which turns a watch into changes.
//!
//! Each lists once and then watches. After a break (a time-out, a restarted
//! API server) it goes on from where it was, after 410 Gone it lists anew; what the user
//! is not allowed to watch ends with a reason. Objects are cut down here, at arrival.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, PersistentVolumeClaim, Pod};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{self, Config, Error, Event as WatchEvent, InitialListStrategy};
use kube::{Api, Client, ResourceExt as _};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::model::{Change, ResourceKind};
use super::target::WatchTarget;
use super::trimmed::{Trimmed, Watched};
use super::workload_ref::{NamespacedName, WorkloadKind};
use crate::plan::access;
use crate::text;

/// How many objects a list brings at a time, where it cannot be streamed.
const PAGE: u32 = 500;

/// Since this minor version a list can be streamed (alpha until 1.32; who has it
/// switched off says so).
const STREAMING: u32 = 27;

/// What a watch tells.
pub(super) enum InformerEvent {
    /// An object came, changed or went.
    Change(Change),
    /// The first list is in, or a new one after a break.
    Listed,
    /// The API server refuses the watch, and why.
    Unwatchable(ResourceKind, String, String),
}

/// How long a broken watch waits before it is taken up again: at most two seconds,
/// since an API server that comes back brings the changes that helm waits for, too.
#[derive(Debug)]
struct WatchBackoff(Duration);

impl WatchBackoff {
    const FIRST: Duration = Duration::from_millis(250);
    const LONGEST: Duration = Duration::from_secs(2);
}

impl Default for WatchBackoff {
    fn default() -> Self {
        Self(Self::FIRST)
    }
}

impl Iterator for WatchBackoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let wait = self.0;
        self.0 = (wait * 2).min(Self::LONGEST);
        Some(wait)
    }
}

impl Backoff for WatchBackoff {
    fn reset(&mut self) {
        *self = Self::default();
    }
}

/// What is watched in which namespace: only what the targets' kinds call for.
pub(super) fn wanted(targets: &[WatchTarget]) -> BTreeMap<String, BTreeSet<ResourceKind>> {
    let mut wanted: BTreeMap<String, BTreeSet<ResourceKind>> = BTreeMap::new();
    for target in targets {
        let kind = target.id.kind;
        let kinds = wanted.entry(target.id.namespace.clone()).or_default();
        kinds.extend(
            access::watched(kind.group_kind().kind).map(|resource| match resource {
                "events" => ResourceKind::Event,
                "persistentvolumeclaims" => ResourceKind::Claim,
                "replicasets" => ResourceKind::ReplicaSet,
                "pods" if kind == WorkloadKind::Job => ResourceKind::JobPod,
                "pods" => ResourceKind::Pod,
                _ => ResourceKind::Workload(kind),
            }),
        );
    }
    wanted
}

/// Starts an informer.
pub(super) fn spawn(watches: &mut JoinSet<()>, informer: Informer, streaming: bool) {
    match informer.resource {
        ResourceKind::Workload(WorkloadKind::Deployment) => {
            watches.spawn(informer.watch::<Deployment>(streaming))
        }
        ResourceKind::Workload(WorkloadKind::StatefulSet) => {
            watches.spawn(informer.watch::<StatefulSet>(streaming))
        }
        ResourceKind::Workload(WorkloadKind::DaemonSet) => {
            watches.spawn(informer.watch::<DaemonSet>(streaming))
        }
        ResourceKind::Workload(_) => watches.spawn(informer.watch::<Job>(streaming)),
        ResourceKind::ReplicaSet => watches.spawn(informer.watch::<ReplicaSet>(streaming)),
        ResourceKind::Pod | ResourceKind::JobPod => watches.spawn(informer.watch::<Pod>(streaming)),
        ResourceKind::Event => watches.spawn(informer.watch::<Event>(streaming)),
        ResourceKind::Claim => watches.spawn(informer.watch::<PersistentVolumeClaim>(streaming)),
    };
}

/// The list and watch of one kind in one namespace.
pub(super) struct Informer {
    pub(super) client: Client,
    pub(super) namespace: String,
    pub(super) resource: ResourceKind,
    /// Only objects with these labels.
    pub(super) selector: Option<String>,
    pub(super) sender: mpsc::Sender<InformerEvent>,
}

impl Informer {
    /// Watches for as long as the receiver is there. A server that cannot stream the
    /// list after all (switched off, or an etcd that is too old) is asked for pages.
    async fn watch<K: Watched<Scope = NamespaceResourceScope> + 'static>(self, streaming: bool) {
        if streaming
            && self
                .run::<K>(Config::default().streaming_lists())
                .await
                .is_break()
        {
            return;
        }
        let _ = self.run::<K>(Config::default().page_size(PAGE)).await;
    }

    /// Watches until the receiver is gone or the server refuses, then breaks. Continues
    /// where a streamed list did not come.
    async fn run<K: Watched<Scope = NamespaceResourceScope> + 'static>(
        &self,
        config: Config,
    ) -> ControlFlow<()> {
        let config = match &self.selector {
            Some(selector) => config.labels(selector),
            None => config,
        };
        let mut listed = config.initial_list_strategy == InitialListStrategy::ListWatch;
        let api: Api<Trimmed<K>> = Api::namespaced(self.client.clone(), &self.namespace);
        let mut stream = watcher::watcher(api, config)
            .backoff(WatchBackoff::default())
            .boxed();
        let mut names = BTreeSet::new();
        while let Some(event) = stream.next().await {
            match event {
                Ok(WatchEvent::Init) => names.clear(),
                Ok(WatchEvent::InitApply(object)) => {
                    names.insert(object.name_any());
                    self.tell(self.wanted(object.change)).await?;
                }
                Ok(WatchEvent::Apply(object)) => self.tell(self.wanted(object.change)).await?,
                Ok(WatchEvent::Delete(object)) => {
                    let key = NamespacedName::new(&self.namespace, object.name_any());
                    self.tell([InformerEvent::Change(Change::Gone(self.resource, key))])
                        .await?;
                }
                Ok(WatchEvent::InitDone) => {
                    listed = true;
                    let all = Change::Listed(
                        self.resource,
                        self.namespace.clone(),
                        std::mem::take(&mut names),
                    );
                    self.tell([InformerEvent::Change(all), InformerEvent::Listed])
                        .await?;
                }
                Err(error) if status(&error) == Some(403) => {
                    let namespace = text::line(&self.namespace, text::VALUE);
                    let why = format!(
                        "the kubeconfig's user is not allowed to watch {} in namespace {namespace}",
                        K::plural(&())
                    );
                    self.tell([InformerEvent::Unwatchable(
                        self.resource,
                        self.namespace.clone(),
                        why,
                    )])
                    .await?;
                    return ControlFlow::Break(());
                }
                Err(error) => {
                    tracing::debug!(kind = %K::plural(&()), %error, "a watch broke and is taken up again");
                    if !listed {
                        return ControlFlow::Continue(());
                    }
                }
            }
        }
        ControlFlow::Break(())
    }

    /// A change that is this watch's to tell: labels may show it another's pods,
    /// and two watches of one pod would be at odds over what is the latest.
    fn wanted(&self, change: Option<Change>) -> Option<InformerEvent> {
        let change = change.filter(|change| match change {
            Change::Pod(pod) => ResourceKind::of(pod) == self.resource,
            _ => true,
        });
        change.map(InformerEvent::Change)
    }

    async fn tell(&self, events: impl IntoIterator<Item = InformerEvent>) -> ControlFlow<()> {
        for one in events {
            if self.sender.send(one).await.is_err() {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }
}

/// The HTTP status by which the API server refused.
fn status(error: &Error) -> Option<u16> {
    match error {
        Error::InitialListFailed(kube::Error::Api(status))
        | Error::WatchStartFailed(kube::Error::Api(status))
        | Error::WatchFailed(kube::Error::Api(status))
        | Error::WatchError(status) => Some(status.code),
        _ => None,
    }
}

/// Whether a server of this version (`v1.34.4+k3s1`) can stream a list.
pub(super) fn can_stream(version: &str) -> bool {
    let minor = version.split('.').nth(1).unwrap_or_default();
    let digits: String = minor.chars().take_while(char::is_ascii_digit).collect();
    version.starts_with("v1.") && digits.parse().is_ok_and(|minor: u32| minor >= STREAMING)
}

#[cfg(test)]
mod tests {
    use super::can_stream;

    #[test]
    fn a_server_that_is_young_enough_streams_lists() {
        for version in ["v1.27.0", "v1.34.4+k3s1", "v1.30+"] {
            assert!(can_stream(version), "{version}");
        }
        for version in ["v1.26.9", "", "v1", "v0.0.0-master+$Format:%H$", "v2.0.0"] {
            assert!(!can_stream(version), "{version}");
        }
    }
}
