//! Takes a Lease, renews it as long as it is held, and gives it back: on a thread
//! of its own, beside the deploy. With each renewal it moves on the time until
//! which helm may work; nothing else does.
//!
//! One request takes it where nobody holds it. It must never fail a deploy where
//! the cluster answers and refuses (a missing right, a quota): that is reported,
//! and the node's own lock excludes as before.

mod requests;

use std::sync::atomic::Ordering;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease as Object;
use kube::api::Api;
use tokio::sync::mpsc;
use tokio::time::sleep;

use self::requests::{Attempt, RenewError, held_by};
use super::clock::Clock;
use super::errors::{not_renewed, not_running, taken_over};
use super::messages::{Acquisition, LeaseEvent, Order, Tell};
use super::{LeaseHolder, LeaseView};
use crate::cluster::client::PATIENCE;
use crate::error::Error;
use crate::run::HelmSpan;

/// How often it is renewed.
const RENEW: Duration = Duration::from_secs(10);

/// When helm is stopped after the last renewal: early enough for helm to settle
/// (five seconds) or be killed before the Lease runs out.
const GIVE_UP: Duration = Duration::from_secs(45);

/// Until when helm may work after the last renewal: its guard ends it within a
/// second, well before another node can take the Lease.
const HELM_ENDS: Duration = Duration::from_secs(50);

/// How long helm may work on where another holds the Lease: the deploy stops it
/// at once, if it can.
const AT_ONCE: Duration = Duration::from_secs(1);

/// How often the time is looked at: a timer of the kernel does not go on while the
/// machine sleeps.
const TICK: Duration = Duration::from_secs(1);

/// How many renewals have to fail in a row: after a pause the first can fail only
/// since its connection is gone.
const FAILURES: u32 = 3;

/// How often it is asked for while another holds it, and how soon a renewal
/// that failed is tried again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// How often it is asked for while helm makes the namespace.
const SOON: Duration = Duration::from_millis(250);

/// How long another can hold it after helm made the namespace. Of two first
/// installs at once only one helm gets its record in. The other has changed
/// nothing and fails at once, and its deploy gives the Lease back.
const RACE: Duration = Duration::from_secs(10);

pub(super) struct Keeper<C> {
    api: Api<Object>,
    name: String,
    me: LeaseHolder,
    stale_after: Duration,
    /// How long one request can take.
    limit: Duration,
    /// As it was written last.
    object: Object,
    /// When that was begun, in time since boot.
    renewed: Duration,
    /// What is held by another, and since when it looks like that.
    seen: Option<(LeaseView, Duration)>,
    clock: C,
    tell: Tell,
}

pub(super) type Orders = mpsc::UnboundedReceiver<Order>;

impl<C: Clock> Keeper<C> {
    /// A task for the Lease of this name, which `me` shall hold.
    pub(super) fn new(
        api: Api<Object>,
        name: String,
        me: LeaseHolder,
        stale_after: Duration,
        clock: C,
        tell: Tell,
    ) -> Self {
        Self {
            api,
            name,
            me,
            stale_after,
            limit: PATIENCE,
            object: Object::default(),
            renewed: clock.since_boot(),
            seen: None,
            clock,
            tell,
        }
    }

    /// Takes it, keeps it and gives it back when that is ordered.
    pub(super) async fn keep(mut self, mut orders: Orders) {
        let taken = loop {
            match self.attempt().await {
                Attempt::Taken => break Ok(true),
                Attempt::Absent => break Ok(false),
                Attempt::Denied(why) => break Err(Ok(Acquisition::Denied(why))),
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
        self.tell(LeaseEvent::Taken(Ok(Acquisition::Held)));
        if here || self.once_there(&mut orders).await {
            self.hold(&mut orders).await;
        }
    }

    /// Takes it as soon as helm has made the namespace; false where that never
    /// comes to be.
    async fn once_there(&mut self, orders: &mut Orders) -> bool {
        let mut at_work = false;
        let mut raced: Option<Duration> = None;
        loop {
            let now = self.clock.since_boot();
            self.tell.heartbeat.allow_until(now + HELM_ENDS);
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::Helm(process)) => {
                        self.me.helm = Some(process);
                        at_work = true;
                    }
                    Some(Order::Note(helm)) => self.note(helm),
                    Some(Order::End { .. }) | None => return false,
                },
                () = sleep(SOON) => if at_work { match self.attempt().await {
                    Attempt::Taken => {
                        self.tell.lost.store(false, Ordering::Relaxed);
                        return true;
                    }
                    Attempt::Absent | Attempt::Failed(_) => {}
                    // Too late to be reported: helm has begun.
                    Attempt::Denied(_) => {
                        self.tell.heartbeat.allow_always();
                        drain(orders).await;
                        return false;
                    }
                    Attempt::Held(seen) => {
                        // Until this deploy has it, what is there can be the other's.
                        self.tell.lost.store(true, Ordering::Relaxed);
                        let since = *raced.get_or_insert(now);
                        if self.since(since) >= RACE {
                            self.loses(taken_over(held_by(&seen)));
                            drain(orders).await;
                            return false;
                        }
                    }
                } },
            }
        }
    }

    /// Renews it until the end.
    async fn hold(&mut self, orders: &mut Orders) {
        let mut due = self.renewed + RENEW;
        let mut failures = 0;
        let mut halted = false;
        loop {
            let wait = due.saturating_sub(self.clock.since_boot()).min(TICK);
            tokio::select! {
                biased;
                order = orders.recv() => match order {
                    Some(Order::Helm(process)) => {
                        self.me.helm = Some(process);
                        due = self.clock.since_boot();
                    }
                    Some(Order::Note(helm)) => {
                        self.note(helm);
                        // Another node has to know: what is written then is not its.
                        if helm.ended.is_some() {
                            due = self.clock.since_boot();
                        }
                    }
                    Some(Order::End { settled }) => return self.give_back(settled).await,
                    None => return,
                },
                () = sleep(wait) => {}
            }
            if self.clock.since_boot() < due {
                continue;
            }
            let last = self.renewed;
            match self.renew().await {
                Ok(()) => {
                    due = self.renewed + RENEW;
                    failures = 0;
                    // It is held still, but helm is not at work any more.
                    if !halted && self.tell.heartbeat.has_ended_helm() {
                        halted = true;
                        self.tell(LeaseEvent::Lost(not_running(self.since(last))));
                    }
                }
                Err(RenewError::Other(holder)) => {
                    self.loses(taken_over(holder));
                    return drain(orders).await;
                }
                Err(RenewError::Failed(why)) => {
                    failures += 1;
                    if failures >= FAILURES && self.since(self.renewed) >= GIVE_UP {
                        self.loses(not_renewed(&why, GIVE_UP));
                        return drain(orders).await;
                    }
                    due = self.clock.since_boot() + ASK_AGAIN;
                }
            }
        }
    }

    fn note(&mut self, helm: HelmSpan) {
        self.me.lock = self.me.lock.clone().with_helm(Some(helm));
        self.tell.last_helm.send_replace(Some(helm));
    }

    /// How long ago that was.
    fn since(&self, then: Duration) -> Duration {
        self.clock.since_boot().saturating_sub(then)
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
            self.seen = Some((seen, self.clock.since_boot()));
        }
    }

    fn loses(&self, error: Error) {
        self.tell.lost.store(true, Ordering::Relaxed);
        // Where the deploy's own thread does not stop helm, its guard does.
        let soon = self.clock.since_boot() + AT_ONCE;
        let until = self.tell.heartbeat.until();
        self.tell
            .heartbeat
            .allow_until(until.map_or(soon, |until| until.min(soon)));
        self.tell(LeaseEvent::Lost(error));
    }
}

/// The run goes on for itself; its end is waited for.
async fn drain(orders: &mut Orders) {
    while let Some(Order::Helm(_) | Order::Note(_)) = orders.recv().await {}
}

#[cfg(test)]
#[path = "keeper_tests.rs"]
mod tests;
