//! Takes a Lease, renews it as long as it is held, and gives it back: a task
//! of its own, beside the deploy.
//!
//! One request takes it where nobody holds it. It must never fail a deploy
//! where the cluster merely does not let us: that is told, and the lock of this
//! node excludes as before.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease as Object;
use kube::Error as KubeError;
use kube::api::{Api, DeleteParams, ObjectMeta, PostParams, Preconditions};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::handle::Right;
use super::{LeaseContext, LeaseDecision, LeaseHolder, LeaseView, Process, decide, held, released};
use crate::cluster::client::{PATIENCE, failed};
use crate::error::{Error, Kind, Result};
use crate::run::{self, Timestamp};
use crate::text;

/// How often it is renewed.
const RENEW: Duration = Duration::from_secs(10);

/// When helm is stopped after the last renewal: early enough for helm to settle
/// (five seconds) or be killed before the Lease runs out.
const GIVE_UP: Duration = Duration::from_secs(45);

/// How long one request of a renewal may take.
const REQUEST: Duration = Duration::from_secs(5);

/// How often it is asked for while another holds it, and how soon a renewal
/// that failed is tried again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// How often it is asked for while helm makes the namespace.
const SOON: Duration = Duration::from_millis(250);

/// How long another may hold it after helm made the namespace. Of two first
/// installs at once only one helm gets its record in. The other has changed
/// nothing and fails at once, and its deploy gives the Lease back.
const RACE: Duration = Duration::from_secs(10);

/// What the task tells.
pub(super) enum LeaseEvent {
    Waiting(LeaseView),
    Taken(Result<Right>),
    Lost(Error),
}

/// What the task is told.
pub(super) enum Order {
    Helm(Process),
    End { settled: bool },
}

/// What one attempt came to.
enum Attempt {
    Taken,
    /// There is no such namespace yet.
    Absent,
    Denied(String),
    Held(LeaseView),
    Failed(Error),
}

pub(super) struct Keeper {
    api: Api<Object>,
    name: String,
    me: LeaseHolder,
    stale_after: Duration,
    /// How long one request may take.
    limit: Duration,
    /// As it was written last.
    object: Object,
    /// When that was begun.
    renewed: Instant,
    /// What is held by another, and since when it looks like that.
    seen: Option<(LeaseView, Instant)>,
    tell: Tell,
}

/// Where the task tells what the deploy wants to know.
pub(super) struct Tell {
    /// When the last helm began.
    pub(super) began: watch::Sender<Option<Timestamp>>,
    /// What happens.
    pub(super) news: mpsc::UnboundedSender<LeaseEvent>,
    /// Whether another holds it: nothing may be touched then.
    pub(super) lost: Arc<AtomicBool>,
}

type Orders = mpsc::UnboundedReceiver<Order>;

impl Keeper {
    /// A task for the Lease of a release, which `me` shall hold.
    pub(super) fn new(
        api: Api<Object>,
        release: &str,
        me: LeaseHolder,
        stale_after: Duration,
        tell: Tell,
    ) -> Self {
        Self {
            api,
            name: super::name(release),
            me,
            stale_after,
            limit: PATIENCE,
            object: Object::default(),
            renewed: Instant::now(),
            seen: None,
            tell,
        }
    }

    /// Takes it, keeps it and gives it back when that is ordered.
    pub(super) async fn keep(mut self, mut orders: Orders) {
        let taken = loop {
            match self.attempt().await {
                Attempt::Taken => break Ok(true),
                Attempt::Absent => break Ok(false),
                Attempt::Denied(why) => break Err(Ok(Right::Denied(why))),
                Attempt::Failed(error) => break Err(Err(error)),
                Attempt::Held(seen) => {
                    self.waits_for(seen);
                    tokio::select! {
                        // Nothing else is ordered before it is taken.
                        _ = orders.recv() => return,
                        () = sleep(ASK_AGAIN) => {}
                    }
                }
            }
        };
        let here = match taken {
            Ok(here) => here,
            Err(answer) => {
                self.tell(LeaseEvent::Taken(answer));
                return drain(&mut orders).await;
            }
        };
        self.tell(LeaseEvent::Taken(Ok(Right::Held)));
        if here || self.once_there(&mut orders).await {
            self.hold(&mut orders).await;
        }
    }

    /// Takes it as soon as helm has made the namespace; false where that never
    /// comes to be.
    async fn once_there(&mut self, orders: &mut Orders) -> bool {
        let mut at_work = false;
        let mut raced: Option<Instant> = None;
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::Helm(process)) => {
                        self.helm_begins(process);
                        at_work = true;
                    }
                    Some(Order::End { .. }) | None => return false,
                },
                () = sleep(SOON), if at_work => match self.attempt().await {
                    Attempt::Taken => {
                        self.tell.lost.store(false, Ordering::Relaxed);
                        return true;
                    }
                    Attempt::Absent | Attempt::Failed(_) => {}
                    // It was to be told before helm began; it is late, not wrong.
                    Attempt::Denied(_) => {
                        drain(orders).await;
                        return false;
                    }
                    Attempt::Held(seen) => {
                        // Until it is ours, what is there may be the other's.
                        self.tell.lost.store(true, Ordering::Relaxed);
                        let since = *raced.get_or_insert_with(Instant::now);
                        if since.elapsed() >= RACE {
                            self.loses(taken_over(&seen.line()));
                            drain(orders).await;
                            return false;
                        }
                    }
                },
            }
        }
    }

    /// Renews it until the end.
    async fn hold(&mut self, orders: &mut Orders) {
        let mut due = self.renewed + RENEW;
        loop {
            tokio::select! {
                biased;
                order = orders.recv() => match order {
                    Some(Order::Helm(process)) => {
                        self.helm_begins(process);
                        due = Instant::now();
                    }
                    Some(Order::End { settled }) => return self.give_back(settled).await,
                    None => return,
                },
                () = sleep_until(due) => match self.renew().await {
                    Ok(()) => due = self.renewed + RENEW,
                    Err(RenewError::Other(holder)) => {
                        self.loses(taken_over(&holder));
                        return drain(orders).await;
                    }
                    Err(RenewError::Failed(why)) if self.renewed.elapsed() >= GIVE_UP => {
                        self.loses(not_renewed(&why));
                        return drain(orders).await;
                    }
                    Err(RenewError::Failed(_)) => due = Instant::now() + ASK_AGAIN,
                },
            }
        }
    }

    fn helm_begins(&mut self, process: Process) {
        let now = Timestamp::now();
        self.me.helm = Some(process);
        self.me.lock.helm_began = Some(now);
        self.tell.began.send_replace(Some(now));
    }

    fn tell(&self, news: LeaseEvent) {
        // Where nobody listens any more, the run is over.
        let _ = self.tell.news.send(news);
    }

    fn waits_for(&mut self, seen: LeaseView) {
        if self
            .seen
            .as_ref()
            .is_none_or(|(before, _)| before.line() != seen.line())
        {
            self.tell(LeaseEvent::Waiting(seen.clone()));
        }
        if self.seen.as_ref().is_none_or(|(before, _)| *before != seen) {
            self.seen = Some((seen, Instant::now()));
        }
    }

    fn loses(&self, error: Error) {
        self.tell.lost.store(true, Ordering::Relaxed);
        self.tell(LeaseEvent::Lost(error));
    }

    /// Creates it; where it is there, takes it from who is dead.
    async fn attempt(&mut self) -> Attempt {
        let what = "the release's lease cannot be taken";
        let begun = Instant::now();
        let new = Object {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                ..ObjectMeta::default()
            },
            spec: None,
        };
        let new = held(new, &self.me, run::now());
        let options = PostParams::default();
        let Some(created) = self.in_time(self.api.create(&options, &new)).await else {
            return Attempt::Failed(self.silent(what));
        };
        match created {
            Ok(object) => self.has(object, begun),
            Err(KubeError::Api(status)) if status.code == 409 => self.take_over(what).await,
            Err(KubeError::Api(status)) if status.code == 404 => Attempt::Absent,
            Err(error) => refused(what, &error),
        }
    }

    /// The Lease is there: whose is it?
    async fn take_over(&mut self, what: &str) -> Attempt {
        let begun = Instant::now();
        let object = match self.in_time(self.api.get(&self.name)).await {
            None => return Attempt::Failed(self.silent(what)),
            Some(Ok(object)) => object,
            Some(Err(KubeError::Api(status))) if status.code == 404 => return Attempt::Absent,
            Some(Err(error)) => return refused(what, &error),
        };
        let seen = LeaseView::of(&object);
        let unchanged = match &self.seen {
            Some((before, since)) if *before == seen => since.elapsed(),
            _ => Duration::ZERO,
        };
        let facts = LeaseContext {
            me: &self.me,
            now: run::now(),
            unchanged,
            stale_after: self.stale_after,
        };
        if decide(&seen, &facts, Process::is_gone) == LeaseDecision::Wait {
            return Attempt::Held(seen);
        }
        let helm = self.me.lock.helm_began.max(seen.helm_began());
        self.me.lock.helm_began = helm;
        self.tell.began.send_replace(helm);
        let mine = held(object, &self.me, run::now());
        let options = PostParams::default();
        match self
            .in_time(self.api.replace(&self.name, &options, &mine))
            .await
        {
            None => Attempt::Failed(self.silent(what)),
            Some(Ok(object)) => self.has(object, begun),
            // Another one was faster, or it was given back.
            Some(Err(KubeError::Api(status))) if matches!(status.code, 404 | 409) => {
                Attempt::Held(seen)
            }
            Some(Err(error)) => refused(what, &error),
        }
    }

    fn has(&mut self, object: Object, begun: Instant) -> Attempt {
        self.object = object;
        self.renewed = begun;
        self.limit = REQUEST;
        Attempt::Taken
    }

    async fn in_time<T>(
        &self,
        request: impl Future<Output = Result<T, KubeError>>,
    ) -> Option<Result<T, KubeError>> {
        timeout(self.limit, request).await.ok()
    }

    fn silent(&self, what: &str) -> Error {
        let seconds = self.limit.as_secs();
        let message = format!("{what}: no answer from the cluster within {seconds} s");
        Error::new(Kind::Node, message)
            .hint("see that the API server is well: `kubectl get --raw /readyz`")
    }

    async fn renew(&mut self) -> Result<(), RenewError> {
        let begun = Instant::now();
        let mine = held(self.object.clone(), &self.me, run::now());
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
            // Somebody touched it, or an answer of ours was lost, or it was removed.
            Some(Err(KubeError::Api(status))) if matches!(status.code, 404 | 409) => {
                match self.attempt().await {
                    Attempt::Taken => Ok(()),
                    Attempt::Held(seen) => Err(RenewError::Other(seen.line())),
                    Attempt::Absent => Err(RenewError::Failed("its namespace is gone".to_owned())),
                    Attempt::Denied(why) => Err(RenewError::Failed(why)),
                    Attempt::Failed(error) => Err(RenewError::Failed(error.to_string())),
                }
            }
            Some(Err(error)) => Err(RenewError::Failed(failed("renewing", &error).to_string())),
        }
    }

    /// Removes it: nothing of a deploy stays in the cluster that went well.
    async fn give_back(&mut self, settled: bool) {
        let only = DeleteParams::default().preconditions(Preconditions {
            resource_version: self.object.metadata.resource_version.clone(),
            uid: self.object.metadata.uid.clone(),
        });
        let nothing_left = settled || self.me.lock.helm_began.is_none();
        if nothing_left && self.api.delete(&self.name, &only).await.is_ok() {
            return;
        }
        let free = released(held(self.object.clone(), &self.me, run::now()));
        // Where that fails it runs out.
        let _ = self
            .api
            .replace(&self.name, &PostParams::default(), &free)
            .await;
    }
}

/// Why a renewal failed.
enum RenewError {
    /// Another holds it; who.
    Other(String),
    /// It may be tried again; what went wrong.
    Failed(String),
}

/// The run goes on for itself; its end is waited for.
async fn drain(orders: &mut Orders) {
    while let Some(Order::Helm(_)) = orders.recv().await {}
}

/// The cluster answers, and does not let us: a missing right, a quota, a
/// webhook, a namespace that is on its way out.
fn refused(what: &str, error: &KubeError) -> Attempt {
    match error {
        KubeError::Api(status) if status.code != 401 && status.code < 500 => {
            Attempt::Denied(text::line(&status.message, 300).into_owned())
        }
        _ => Attempt::Failed(failed(what, error)),
    }
}

fn taken_over(holder: &str) -> Error {
    Error::new(
        Kind::Locked,
        "another deploy took over the release's lease; helm was stopped",
    )
    .detail(format!("held by {holder}"))
    .hint("see what the other deploy made of the release, then send the signal again")
}

fn not_renewed(why: &str) -> Error {
    Error::new(
        Kind::Broken,
        format!(
            "the release's lease could not be renewed for {} s, so helm was stopped before another node could take it",
            GIVE_UP.as_secs()
        ),
    )
    .detail(why.to_owned())
}
