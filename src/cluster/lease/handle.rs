//! What a deploy has of its Lease: it waits for it, hears that it is lost, and
//! gives it back. [`super::keeper`] does the work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kube::Client;
use kube::api::Api;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use super::errors::{ended, too_long};
use super::keeper::Keeper;
use super::messages::{Acquisition, LeaseEvent, Order, Tell};
use super::{LeaseHolder, Process};
use crate::error::{Error, Result};
use crate::plan::ReleaseId;
use crate::run::Timestamp;

/// The Lease of a deploy.
#[derive(Debug)]
pub struct Lease {
    orders: mpsc::UnboundedSender<Order>,
    news: Mutex<mpsc::UnboundedReceiver<LeaseEvent>>,
    began: watch::Receiver<Option<Timestamp>>,
    lost: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Lease {
    /// Begins to take the Lease of a release.
    pub fn begin(
        client: Client,
        release: &ReleaseId,
        me: LeaseHolder,
        stale_after: Duration,
    ) -> Self {
        let (orders, ordered) = mpsc::unbounded_channel();
        let (news, heard) = mpsc::unbounded_channel();
        let (began, helm_began) = watch::channel(None);
        let lost = Arc::new(AtomicBool::new(false));
        let tell = Tell {
            began,
            news,
            lost: Arc::clone(&lost),
        };
        let api = Api::namespaced(client, &release.namespace);
        let keeper = Keeper::new(api, &release.name, me, stale_after, tell);
        Self {
            orders,
            news: Mutex::new(heard),
            began: helm_began,
            lost,
            task: tokio::spawn(keeper.keep(ordered)),
        }
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

    /// When the last helm began under this Lease, be it a dead holder's.
    pub fn helm_began(&self) -> Option<Timestamp> {
        *self.began.borrow()
    }

    /// Whether another holds it, who took it over or was faster: nothing must be
    /// changed then.
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
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
    /// when that helm began.
    pub async fn end(self, settled: bool, within: Duration) {
        let _ = self.orders.send(Order::End { settled });
        let stop = self.task.abort_handle();
        if timeout(within, self.task).await.is_err() {
            stop.abort();
        }
    }
}
