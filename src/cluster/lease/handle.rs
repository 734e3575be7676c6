//! What a deploy has of its Lease: it waits for it, hears that it is lost, and
//! gives it back. [`super::keeper`] does the work, on a thread of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kube::api::Api;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::clock::MachineClock;
use super::errors::{ended, not_renewed, too_long};
use super::keeper::{Keeper, Orders};
use super::messages::{Acquisition, LeaseEvent, Order, Tell};
use super::{LeaseHolder, Process};
use crate::cluster::client::connect;
use crate::error::{Error, Kind, Result};
use crate::plan::{Plan, ReleaseId};
use crate::process::Heartbeat;
use crate::run::HelmSpan;

/// How long the keeper may take to say what became of it.
const WORD: Duration = Duration::from_secs(30);

/// How often it is looked whether a Lease that ran out is held again.
const LOOK: Duration = Duration::from_millis(100);

/// The Lease of a deploy.
#[derive(Debug)]
pub struct Lease {
    orders: mpsc::UnboundedSender<Order>,
    news: Mutex<mpsc::UnboundedReceiver<LeaseEvent>>,
    last_helm: watch::Receiver<Option<HelmSpan>>,
    lost: Arc<AtomicBool>,
    heartbeat: Arc<Heartbeat>,
    ended: oneshot::Receiver<()>,
}

impl Lease {
    /// Begins to take the Lease of the plan's release. The keeper has a thread, a
    /// runtime and a connection of its own: nothing that stops the deploy's
    /// thread (a disk, a terminal, work) delays a renewal.
    pub fn begin(plan: &Plan, me: LeaseHolder) -> Result<Self> {
        let unable = |error: std::io::Error| {
            Error::new(Kind::Node, "the lease's keeper cannot be started").with_source(error)
        };
        let (lease, tell, ordered, end) = Self::new().map_err(unable)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(unable)?;
        let plan = plan.clone();
        let keep = async move {
            let news = tell.news.clone();
            match connect(&plan).await {
                Ok(client) => {
                    let api = Api::namespaced(client, &plan.release.namespace);
                    let (name, stale_after) = (super::name(&plan.release.name), plan.stale_after);
                    let keeper = Keeper::new(api, name, me, stale_after, MachineClock, tell);
                    keeper.keep(ordered).await;
                }
                Err(error) => {
                    let _ = news.send(LeaseEvent::Taken(Err(error)));
                    drop((tell, ordered));
                }
            }
        };
        std::thread::Builder::new()
            .name("lease".to_owned())
            .spawn(move || {
                runtime.block_on(keep);
                let _ = end.send(());
                // What is left of it (a plugin of the kubeconfig) keeps nobody.
                runtime.shutdown_background();
            })
            .map_err(unable)?;
        Ok(lease)
    }

    /// Waits until it is taken, for at most `wait`; `told` is called with whom it
    /// waits for. [`Kind::Locked`] where that was too long.
    pub async fn taken(
        &self,
        release: &ReleaseId,
        wait: Duration,
        mut told: impl FnMut(&str),
    ) -> Result<Acquisition> {
        let begun = Instant::now();
        let mut last = None;
        let mut news = self.news.lock().await;
        loop {
            let until = sleep_until(begun + wait);
            tokio::select! {
                biased;
                item = news.recv() => match item {
                    Some(LeaseEvent::Taken(taken)) => return taken,
                    Some(LeaseEvent::Waiting(seen)) if wait.is_zero() => {
                        return Err(too_long(release, wait, &seen));
                    }
                    Some(LeaseEvent::Waiting(seen)) => {
                        told(&format!("waiting for {}", seen.line()));
                        last = Some(seen);
                    }
                    Some(LeaseEvent::Lost(error)) => return Err(error),
                    None => return Err(ended()),
                },
                // Its first answer is not a matter of patience.
                () = until, if last.is_some() => {
                    if let Some(seen) = &last {
                        return Err(too_long(release, wait, seen));
                    }
                }
            }
        }
    }

    /// The two ends of a Lease: the deploy's, and what the keeper is given.
    pub(super) fn new() -> std::io::Result<(Self, Tell, Orders, oneshot::Sender<()>)> {
        let (orders, ordered) = mpsc::unbounded_channel();
        let (news, heard) = mpsc::unbounded_channel();
        let (helm, last_helm) = watch::channel(None);
        let (end, ended) = oneshot::channel();
        let lost = Arc::new(AtomicBool::new(false));
        let heartbeat = Arc::new(Heartbeat::new()?);
        let tell = Tell {
            last_helm: helm,
            news,
            lost: Arc::clone(&lost),
            heartbeat: Arc::clone(&heartbeat),
        };
        let lease = Self {
            orders,
            news: Mutex::new(heard),
            last_helm,
            lost,
            heartbeat,
            ended,
        };
        Ok((lease, tell, ordered, end))
    }

    /// One that is held, and what loses it.
    #[cfg(test)]
    pub(crate) fn in_hand() -> std::io::Result<(Self, impl FnOnce(Error))> {
        let (lease, tell, orders, _) = Self::new()?;
        let lose = move |why| {
            drop(orders);
            tell.lost.store(true, Ordering::Relaxed);
            let _ = tell.news.send(LeaseEvent::Lost(why));
        };
        Ok((lease, lose))
    }

    /// When the last helm worked under this Lease, be it a dead holder's.
    pub fn last_helm(&self) -> Option<HelmSpan> {
        *self.last_helm.borrow()
    }

    /// Until when helm may work under it.
    pub fn heartbeat(&self) -> Arc<Heartbeat> {
        Arc::clone(&self.heartbeat)
    }

    /// Notes that a helm which may write begins, or has ended.
    pub fn note_helm(&self, helm: HelmSpan) {
        let _ = self.orders.send(Order::Note(helm));
    }

    /// Whether another holds it, who took it over or was faster, or can hold it
    /// since it was not renewed: nothing must be changed then.
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed) || self.heartbeat.is_over()
    }

    /// Why it is lost, once a helm has ended; none where it is held. Waits for the
    /// keeper's word where it was not renewed in time, or a guard ended helm.
    pub async fn loss(&self) -> Option<Error> {
        let begun = Instant::now();
        let mut news = self.news.lock().await;
        loop {
            match news.try_recv() {
                Ok(LeaseEvent::Lost(error)) => return Some(error),
                Ok(_) => continue,
                Err(TryRecvError::Disconnected) => return Some(ended()),
                Err(TryRecvError::Empty) => {}
            }
            if !self.heartbeat.is_over() && !self.heartbeat.has_ended_helm() {
                return None;
            }
            if begun.elapsed() >= WORD {
                return Some(not_renewed("its keeper does not answer", WORD));
            }
            sleep(LOOK).await;
        }
    }

    /// Notes each helm that begins, and ends with the reason when the Lease is
    /// lost. Then helm has to be stopped at once.
    pub async fn guard(&self, mut at_work: watch::Receiver<Option<u32>>) -> Error {
        let mut news = self.news.lock().await;
        loop {
            tokio::select! {
                Ok(()) = at_work.changed() => {
                    if let Some(pid) = *at_work.borrow_and_update() {
                        let _ = self.orders.send(Order::Helm(Process::of(pid)));
                    }
                }
                item = news.recv() => match item {
                    Some(LeaseEvent::Lost(error)) => return error,
                    Some(_) => {}
                    None => return ended(),
                },
            }
        }
    }

    /// Gives it back within this time; else it runs out by itself. Where a helm
    /// can have left something `settled` is false: then the next one learns
    /// when that helm worked.
    pub async fn end(self, settled: bool, within: Duration) {
        let _ = self.orders.send(Order::End { settled });
        let _ = timeout(within, self.ended).await;
    }
}
