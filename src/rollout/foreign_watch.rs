//! Asks workloads of other groups how they are, once helm and the workloads that
//! Kubernetes itself knows are done.
//!
//! Only reads, each bounded in time. What they say is read in [`super::foreign`]; what
//! cannot be read fails nothing.

use std::time::Duration;

use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use kube::{Client, ResourceExt as _};
use serde_json::Value;
use tokio::time::{Instant, timeout};

use super::foreign::{ForeignStatus, is_judged, status};
use crate::error::Problem;
use crate::event::Events;
use crate::manifest::ObjectRef;

/// How long one look at one object may take.
const LOOK: Duration = Duration::from_secs(2);

/// They are asked again this often.
const AGAIN: Duration = Duration::from_secs(1);

/// The workloads of a release that are judged by their own status.
pub(super) struct ForeignWatch {
    objects: Vec<Watched>,
    asked_at: Option<Instant>,
}

struct Watched {
    object: ObjectRef,
    /// As it was before helm: a Canary does not say what its status is about.
    before: Option<Value>,
    /// As it was told last.
    last: Option<ForeignStatus>,
}

/// How they are.
pub(super) enum ForeignLook {
    /// As they should be; or nobody can tell, which is said as warnings.
    Settled,
    /// Not yet.
    Waiting,
    /// One says itself that it has failed.
    Failed(Problem),
}

impl ForeignWatch {
    /// Notes how they are now. Call it before helm.
    pub(super) async fn start(client: &Client, objects: &[ObjectRef]) -> Self {
        let mut watched = Vec::new();
        for object in objects.iter().filter(|object| is_judged(object)) {
            let before = read(client, object).await.ok().flatten();
            watched.push(Watched {
                object: object.clone(),
                before,
                last: None,
            });
        }
        Self {
            objects: watched,
            asked_at: None,
        }
    }

    /// Asks them, not more often than each second.
    pub(super) async fn look(&mut self, client: &Client, events: &Events) -> ForeignLook {
        if self.asked_at.is_some_and(|at| at.elapsed() < AGAIN) {
            return ForeignLook::Waiting;
        }
        for watched in &mut self.objects {
            watched.ask(client, events).await;
        }
        // Not before the answers are here: this may be dropped.
        self.asked_at = Some(Instant::now());
        for watched in &self.objects {
            if let Some(ForeignStatus::Failed(why)) = &watched.last {
                return ForeignLook::Failed(failed(&watched.object, why));
            }
        }
        if !self.waits_for().is_empty() {
            return ForeignLook::Waiting;
        }
        for watched in &self.objects {
            if let Some(warning) = watched.warning() {
                events.warn(warning);
            }
        }
        ForeignLook::Settled
    }

    /// What is waited for, one line each.
    pub(super) fn waits_for(&self) -> Vec<String> {
        let line = |watched: &Watched| match &watched.last {
            Some(ForeignStatus::Waiting(what)) => {
                Some(format!("{} waits for {what}", watched.object))
            }
            _ => None,
        };
        self.objects.iter().filter_map(line).collect()
    }
}

impl Watched {
    async fn ask(&mut self, client: &Client, events: &Events) {
        let now = match read(client, &self.object).await {
            Ok(Some(live)) => status(&live, self.before.as_ref()).unwrap_or(ForeignStatus::Unknown),
            Ok(None) => ForeignStatus::Unknown,
            Err(()) => ForeignStatus::Waiting("an answer of the API server".to_owned()),
        };
        if let ForeignStatus::Waiting(what) = &now
            && self.last.as_ref() != Some(&now)
        {
            events.progress(format!("{} waits for {what}", self.object));
        }
        self.last = Some(now);
    }

    fn warning(&self) -> Option<String> {
        match &self.last {
            Some(ForeignStatus::Paused(why)) => Some(format!(
                "{} is applied and paused, so not all of its pods are of this release: {why}",
                self.object
            )),
            Some(ForeignStatus::Unknown) | None => Some(format!(
                "{} does not say how it is: whether its pods run was not checked",
                self.object
            )),
            _ => None,
        }
    }
}

fn failed(object: &ObjectRef, why: &str) -> Problem {
    let namespace = object.namespace.as_deref().unwrap_or_default();
    Problem::new(format!("{object} failed: {why}")).hint(format!(
        "see what its controller says: kubectl describe {} {} --namespace {namespace}",
        object.kind.to_lowercase(),
        object.name
    ))
}

/// The object; none where it is not there, or must not be read. The error is that
/// nobody knows right now.
async fn read(client: &Client, object: &ObjectRef) -> Result<Option<Value>, ()> {
    let (group, version) = object
        .api_version
        .split_once('/')
        .unwrap_or(("", &object.api_version));
    let kind = GroupVersionKind::gvk(group, version, &object.kind);
    // Both kinds that are judged so have a regular plural.
    let plural = format!("{}s", object.kind.to_lowercase()).replace("canarys", "canaries");
    let resource = ApiResource::from_gvk_with_plural(&kind, &plural);
    let namespace = object.namespace.as_deref().unwrap_or_default();
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
    match timeout(LOOK, api.get_opt(&object.name)).await {
        Ok(Ok(found)) => Ok(found.and_then(|mut found| {
            found.managed_fields_mut().clear();
            serde_json::to_value(found).ok()
        })),
        Ok(Err(kube::Error::Api(status))) if (400..500).contains(&status.code) => Ok(None),
        _ => Err(()),
    }
}
