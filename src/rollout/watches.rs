//! The raw watches: one for each kind and namespace, turned into changes.
//!
//! Each lists once and then watches. After a break (a time-out, a restarted
//! apiserver) it goes on from where it was, after 410 Gone it lists anew; what may
//! not be watched ends with a reason. Objects are cut down here, at arrival.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use futures::StreamExt as _;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, PersistentVolumeClaim, Pod};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Config, Error, Event as Told};
use kube::{Api, Client, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::baseline::Target;
use super::model::{Change, Kind, What};
use crate::text;

/// Since this minor version a list can be streamed (alpha until 1.32; who has it
/// switched off says so).
const STREAMING: u32 = 27;

/// What a watch tells.
pub(super) enum News {
    /// An object came, changed or went.
    Change(Change),
    /// The first list is in, or a new one after a break.
    Listed,
    /// It may not be watched, and what.
    Blind(String),
}

/// What is watched in which namespace: only what the targets' kinds call for.
pub(super) fn wanted(targets: &[Target]) -> BTreeMap<String, BTreeSet<What>> {
    let mut wanted: BTreeMap<String, BTreeSet<What>> = BTreeMap::new();
    for target in targets {
        let kinds = wanted.entry(target.id.namespace.clone()).or_default();
        kinds.extend([What::Event, What::Claim]);
        match target.id.kind {
            Kind::PersistentVolumeClaim => {}
            Kind::Pod => {
                kinds.insert(What::Pod);
            }
            kind => {
                kinds.extend([What::Pod, What::Workload(kind)]);
                if kind == Kind::Deployment {
                    kinds.insert(What::ReplicaSet);
                }
            }
        }
    }
    wanted
}

/// Starts a watch.
pub(super) fn spawn(
    watches: &mut JoinSet<()>,
    client: &Client,
    namespace: &str,
    what: What,
    streaming: bool,
    sender: mpsc::Sender<News>,
) {
    let (client, namespace) = (client.clone(), namespace.to_owned());
    match what {
        What::Workload(Kind::Deployment) => watches.spawn(watch(
            client,
            namespace,
            what,
            streaming,
            sender,
            |object: Deployment| Some(Change::Workload(object.into())),
        )),
        What::Workload(Kind::StatefulSet) => watches.spawn(watch(
            client,
            namespace,
            what,
            streaming,
            sender,
            |object: StatefulSet| Some(Change::Workload(object.into())),
        )),
        What::Workload(Kind::DaemonSet) => watches.spawn(watch(
            client,
            namespace,
            what,
            streaming,
            sender,
            |object: DaemonSet| Some(Change::Workload(object.into())),
        )),
        What::Workload(_) => watches.spawn(watch(
            client,
            namespace,
            what,
            streaming,
            sender,
            |object: Job| Some(Change::Workload(object.into())),
        )),
        What::ReplicaSet => watches.spawn(watch(
            client,
            namespace,
            what,
            streaming,
            sender,
            |object: ReplicaSet| object.try_into().ok().map(Change::ReplicaSet),
        )),
        What::Pod => watches.spawn(watch(
            client,
            namespace,
            what,
            streaming,
            sender,
            |object: Pod| Some(Change::Pod(Box::new(object.into()))),
        )),
        What::Event => watches.spawn(watch(
            client,
            namespace,
            what,
            streaming,
            sender,
            |object: Event| Some(Change::Event(object.into())),
        )),
        What::Claim => watches.spawn(watch(
            client,
            namespace,
            what,
            streaming,
            sender,
            |object: PersistentVolumeClaim| Some(Change::Claim(object.into())),
        )),
    };
}

/// Watches one kind in one namespace for as long as somebody listens.
async fn watch<K>(
    client: Client,
    namespace: String,
    what: What,
    mut streaming: bool,
    sender: mpsc::Sender<News>,
    convert: fn(K) -> Option<Change>,
) where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + 'static,
{
    let api: Api<K> = Api::namespaced(client, &namespace);
    loop {
        let config = if streaming {
            Config::default().streaming_lists()
        } else {
            Config::default()
        };
        let mut stream = watcher::watcher(api.clone(), config)
            .default_backoff()
            .boxed();
        let mut names = BTreeSet::new();
        loop {
            let mut news = Vec::new();
            match stream.next().await {
                Some(Ok(Told::Init)) => names.clear(),
                Some(Ok(Told::InitApply(object))) => {
                    names.insert(object.name_any());
                    news.extend(convert(object).map(News::Change));
                }
                Some(Ok(Told::Apply(object))) => news.extend(convert(object).map(News::Change)),
                Some(Ok(Told::Delete(object))) => news.push(News::Change(Change::Gone(
                    what,
                    (namespace.clone(), object.name_any()),
                ))),
                Some(Ok(Told::InitDone)) => {
                    news.push(News::Change(Change::Listed(
                        what,
                        namespace.clone(),
                        std::mem::take(&mut names),
                    )));
                    news.push(News::Listed);
                }
                Some(Err(error)) => match status(&error) {
                    Some(400 | 422) if streaming => {
                        streaming = false;
                        break;
                    }
                    Some(403) => {
                        let kind = K::plural(&());
                        let _ = sender
                            .send(News::Blind(format!(
                                "{kind} in {} may not be watched",
                                text::line(&namespace, text::VALUE)
                            )))
                            .await;
                        return;
                    }
                    _ => {
                        tracing::debug!(kind = %K::plural(&()), %error, "a watch broke and is taken up again");
                    }
                },
                None => return,
            }
            for one in news {
                if sender.send(one).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// The HTTP status by which the apiserver refused.
fn status(error: &Error) -> Option<u16> {
    match error {
        Error::InitialListFailed(kube::Error::Api(status))
        | Error::WatchStartFailed(kube::Error::Api(status))
        | Error::WatchFailed(kube::Error::Api(status))
        | Error::WatchError(status) => Some(status.code),
        _ => None,
    }
}

/// Whether a server of this minor version (`34`, `34+`) may stream a list.
pub(super) fn can_stream(text: &str) -> bool {
    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().is_ok_and(|minor: u32| minor >= STREAMING)
}
