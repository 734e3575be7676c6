//! The requests that take a Lease, renew it and give it back.

use std::time::Duration;

use kube::Error as KubeError;
use kube::api::{DeleteParams, ObjectMeta, PostParams, Preconditions};
use tokio::time::timeout;

use super::super::clock::Clock;
use super::super::errors::{refusal, silent};
use super::super::{
    LeaseContext, LeaseDecision, LeaseView, Object, Process, decide, held, released,
};
use super::{HELM_ENDS, Keeper};
use crate::cluster::client::failed;
use crate::error::Error;

/// How long one request of a renewal can take.
const REQUEST: Duration = Duration::from_secs(5);

/// What one attempt came to.
pub(super) enum Attempt {
    Taken,
    /// There is no such namespace yet.
    Absent,
    Denied(String),
    Held(LeaseView),
    Failed(Error),
}

/// Why a renewal failed.
pub(super) enum RenewError {
    /// Another holds it, or held it; who.
    Other(String),
    /// It can be tried again; what went wrong.
    Failed(String),
}

impl<C: Clock> Keeper<C> {
    /// Creates it; where it is there, takes it from who is dead.
    pub(super) async fn attempt(&mut self) -> Attempt {
        let what = "the release's lease cannot be taken";
        let begun = self.clock.since_boot();
        let new = Object {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                ..ObjectMeta::default()
            },
            spec: None,
        };
        let new = held(new, &self.me, self.clock.now());
        let options = PostParams::default();
        let Some(created) = self.in_time(self.api.create(&options, &new)).await else {
            return Attempt::Failed(silent(what, self.limit));
        };
        match created {
            Ok(object) => self.has(object, begun),
            Err(KubeError::Api(status)) if status.code == 409 => self.take_over(what).await,
            Err(KubeError::Api(status)) if status.code == 404 => Attempt::Absent,
            Err(error) => refused(what, &error),
        }
    }

    /// Takes the Lease that is there, unless its holder can still live.
    async fn take_over(&mut self, what: &str) -> Attempt {
        let begun = self.clock.since_boot();
        let object = match self.in_time(self.api.get(&self.name)).await {
            None => return Attempt::Failed(silent(what, self.limit)),
            Some(Ok(object)) => object,
            Some(Err(KubeError::Api(status))) if status.code == 404 => return Attempt::Absent,
            Some(Err(error)) => return refused(what, &error),
        };
        let seen = LeaseView::of(&object);
        let unchanged = match &self.seen {
            Some((before, since)) if *before == seen => self.since(*since),
            _ => Duration::ZERO,
        };
        let facts = LeaseContext {
            me: &self.me,
            now: self.clock.now(),
            unchanged,
            stale_after: self.stale_after,
        };
        if decide(&seen, &facts, Process::is_gone) == LeaseDecision::Wait {
            return Attempt::Held(seen);
        }
        let helm = self.me.lock.helm().max(seen.last_helm());
        self.me.lock = self.me.lock.clone().with_helm(helm);
        self.tell.last_helm.send_replace(helm);
        let mine = held(object, &self.me, self.clock.now());
        let options = PostParams::default();
        match self
            .in_time(self.api.replace(&self.name, &options, &mine))
            .await
        {
            None => Attempt::Failed(silent(what, self.limit)),
            Some(Ok(object)) => self.has(object, begun),
            // Another one was faster, or it was given back.
            Some(Err(KubeError::Api(status))) if matches!(status.code, 404 | 409) => {
                Attempt::Held(seen)
            }
            Some(Err(error)) => refused(what, &error),
        }
    }

    fn has(&mut self, object: Object, begun: Duration) -> Attempt {
        self.object = object;
        self.renewed = begun;
        self.tell.heartbeat.allow_until(begun + HELM_ENDS);
        self.limit = REQUEST;
        Attempt::Taken
    }

    async fn in_time<T>(
        &self,
        request: impl Future<Output = Result<T, KubeError>>,
    ) -> Option<Result<T, KubeError>> {
        timeout(self.limit, request).await.ok()
    }

    pub(super) async fn renew(&mut self) -> Result<(), RenewError> {
        let begun = self.clock.since_boot();
        let mine = held(self.object.clone(), &self.me, self.clock.now());
        let options = PostParams::default();
        match self
            .in_time(self.api.replace(&self.name, &options, &mine))
            .await
        {
            None => Err(RenewError::Failed("the cluster does not answer".to_owned())),
            Some(Ok(object)) => {
                self.has(object, begun);
                Ok(())
            }
            // It was not renewed in time: whoever changed or removed it had it.
            Some(Err(KubeError::Api(status)))
                if matches!(status.code, 404 | 409) && self.since(self.renewed) >= HELM_ENDS =>
            {
                self.successor().await
            }
            // Somebody changed it, or an answer to this deploy was lost, or it was
            // removed.
            Some(Err(KubeError::Api(status))) if matches!(status.code, 404 | 409) => {
                match self.attempt().await {
                    Attempt::Taken => Ok(()),
                    Attempt::Held(seen) => Err(RenewError::Other(held_by(&seen))),
                    Attempt::Absent => Err(RenewError::Failed("its namespace is gone".to_owned())),
                    Attempt::Denied(why) => Err(RenewError::Failed(why)),
                    Attempt::Failed(error) => Err(RenewError::Failed(error.to_string())),
                }
            }
            Some(Err(error)) => Err(RenewError::Failed(failed("renewing", &error).to_string())),
        }
    }

    /// Who took a Lease that this deploy let run out, and may have ended since. It
    /// is not taken again: this deploy's work is over.
    async fn successor(&self) -> Result<(), RenewError> {
        Err(match self.in_time(self.api.get(&self.name)).await {
            Some(Ok(object)) => {
                let seen = LeaseView::of(&object);
                let line = if seen.identity.is_some() {
                    held_by(&seen)
                } else {
                    seen.last_line()
                };
                RenewError::Other(line)
            }
            Some(Err(KubeError::Api(status))) if status.code == 404 => {
                RenewError::Other("taken by a deploy that has ended since".to_owned())
            }
            Some(Err(error)) => RenewError::Failed(failed("renewing", &error).to_string()),
            None => RenewError::Failed("the cluster does not answer".to_owned()),
        })
    }

    /// Removes it: a deploy that went well leaves nothing in the cluster.
    pub(super) async fn give_back(&mut self, settled: bool) {
        let only = DeleteParams::default().preconditions(Preconditions {
            resource_version: self.object.metadata.resource_version.clone(),
            uid: self.object.metadata.uid.clone(),
        });
        let nothing_left = settled || self.me.lock.helm_began.is_none();
        if nothing_left && self.api.delete(&self.name, &only).await.is_ok() {
            return;
        }
        let free = released(held(self.object.clone(), &self.me, self.clock.now()));
        // Where that fails it runs out.
        let _ = self
            .api
            .replace(&self.name, &PostParams::default(), &free)
            .await;
    }
}

pub(super) fn held_by(seen: &LeaseView) -> String {
    format!("held by {}", seen.line())
}

/// What a refused request comes to.
fn refused(what: &str, error: &KubeError) -> Attempt {
    match refusal(error) {
        Some(why) => Attempt::Denied(why),
        None => Attempt::Failed(failed(what, error)),
    }
}
