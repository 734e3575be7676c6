//! An operation, followed to its end: every state of the Application as the hub tells it,
//! beside the workloads of the target's own cluster where the node can look into it.
//!
//! It must never call an operation good by what was before it, or wait where nothing
//! answers.

use std::pin::pin;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::StreamExt as _;
use serde_json::json;
use tokio::time::{Instant, sleep, sleep_until};

use super::application::REFRESH;
use super::beside::Beside;
use super::cause::{better, offline, silent};
use super::hub::{Found, Hub};
use super::operation::Operation;
use super::verdict::{self, Verdict};
use crate::engine::Ended;
use crate::error::Problem;
use crate::plan::fleet::TargetName;

/// For how long a resource stays degraded before that is a failure: some are while their
/// controller has not looked at them yet.
const DEGRADED: Duration = Duration::from_secs(10);

/// For how long nobody answers before that is told.
const SILENT: Duration = Duration::from_secs(30);

/// How often a comparison is asked for where the hub does not take it, and how soon.
const TRIES: usize = 5;
const AGAIN: Duration = Duration::from_secs(1);

/// Whether Argo CD has compared since the operation's end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Compared {
    No,
    /// Asked for with this state of the Application.
    Asked(u64),
    Yes,
}

/// What may become an end when it lasts.
struct Lasting {
    since: Instant,
    limit: Duration,
    end: Ended,
    /// Whether it is that the hub does not answer.
    is_hub: bool,
}

/// Waits until the operation has ended, and all that it brought is healthy.
pub(super) async fn until_good(
    hub: &Hub,
    target: &TargetName,
    operation: &Operation,
    deadline: Instant,
    tell: &dyn Fn(String),
) -> Ended {
    let mut beside = operation.beside.lock().await;
    let mut follower = Follower::new(hub, target, operation, tell);
    if let Some(end) = follower.follow(beside.as_mut(), deadline, true).await {
        return follower.told(beside.as_mut(), end).await;
    }
    if let Some(problem) = silent(beside.as_ref()).await {
        return Ended::Unknown(problem);
    }
    let problem = follower.time_up("it was not good in time");
    let waits = beside.as_ref().map(Beside::waits_for).unwrap_or_default();
    Ended::TimeUp(problem.details(waits))
}

/// Watches until then that what the operation brought stays good.
pub(super) async fn stays(
    hub: &Hub,
    target: &TargetName,
    operation: &Operation,
    until: Instant,
) -> Ended {
    let mut beside = operation.beside.lock().await;
    let quiet = |_| {};
    let mut follower = Follower::new(hub, target, operation, &quiet);
    match follower.follow(beside.as_mut(), until, false).await {
        Some(end) => follower.told(beside.as_mut(), end).await,
        None if follower.is_good => follower.told(beside.as_mut(), Ended::Serves).await,
        None => Ended::TimeUp(follower.time_up("it did not stay good")),
    }
}

struct Follower<'a> {
    hub: &'a Hub,
    target: &'a TargetName,
    operation: &'a Operation,
    tell: &'a dyn Fn(String),
    compared: Compared,
    lasting: Option<Lasting>,
    waits: String,
    is_good: bool,
    /// Whether it was the pods that told the end.
    is_told_by_pods: bool,
}

impl<'a> Follower<'a> {
    fn new(
        hub: &'a Hub,
        target: &'a TargetName,
        operation: &'a Operation,
        tell: &'a dyn Fn(String),
    ) -> Self {
        let compared = if operation.compared.load(Ordering::Relaxed) {
            Compared::Yes
        } else {
            Compared::No
        };
        Self {
            hub,
            target,
            operation,
            tell,
            compared,
            lasting: None,
            waits: String::new(),
            is_good: false,
            is_told_by_pods: false,
        }
    }

    /// Follows it until `until`; none where nothing has ended by then. Where `once`, it
    /// has ended as soon as all is good.
    async fn follow(
        &mut self,
        mut beside: Option<&mut Beside>,
        until: Instant,
        once: bool,
    ) -> Option<Ended> {
        let mut states = pin!(self.hub.watch(self.target));
        // Argo CD goes on from what it knew of a cluster that is gone.
        let gone = beside.as_deref().map(|beside| beside.gone(SILENT));
        let mut gone = pin!(async {
            match gone {
                Some(gone) => gone.await,
                None => std::future::pending().await,
            }
        });
        let mut again: Option<Instant> = None;
        loop {
            let lasts = self
                .lasting
                .as_ref()
                .map(|lasting| lasting.since + lasting.limit);
            let stalled = async {
                match beside.as_deref_mut() {
                    Some(beside) => beside.stalled().await,
                    None => std::future::pending().await,
                }
            };
            let next = async {
                if let Some(again) = again {
                    sleep_until(again).await;
                }
                states.next().await
            };
            tokio::select! {
                biased;
                seen = next => {
                    again = None;
                    match seen {
                        Some(Ok(seen)) => {
                            if let Some(end) = self.seen(seen).await
                                && (once || !matches!(end, Ended::Serves))
                            {
                                return Some(end);
                            }
                        }
                        Some(Err(error)) => {
                            again = Some(Instant::now() + Duration::from_secs(1));
                            self.says("the hub does not answer".to_owned());
                            self.silence(error.into_problem());
                        }
                        None => again = Some(Instant::now() + Duration::from_secs(1)),
                    }
                }
                stall = stalled => {
                    let beside = beside.as_deref()?;
                    self.is_told_by_pods = true;
                    return Some(Ended::Failed(beside.problem(stall).await));
                }
                why = &mut gone => return Some(Ended::Unknown(offline(why))),
                () = sleep_until(lasts.unwrap_or(until).min(until)) => {
                    let is_over = lasts.is_some_and(|lasts| lasts <= Instant::now());
                    match self.lasting.take_if(|_| is_over) {
                        Some(lasting) if lasting.is_hub => match self.hub.get(self.target).await {
                            // It answers, and has nothing new to tell.
                            Ok(seen) => {
                                if let Some(end) = self.seen(seen).await
                                    && (once || !matches!(end, Ended::Serves))
                                {
                                    return Some(end);
                                }
                            }
                            Err(_) => return Some(lasting.end),
                        },
                        Some(lasting) => return Some(lasting.end),
                        None if Instant::now() < until => {}
                        None => return self.at_the_end(),
                    }
                }
            }
        }
    }

    /// An end with what the target's own cluster says of it: a better cause, or that it
    /// does not answer.
    async fn told(&self, beside: Option<&mut Beside>, end: Ended) -> Ended {
        match end {
            Ended::Failed(problem) if !self.is_told_by_pods => {
                Ended::Failed(better(beside, problem).await)
            }
            Ended::Serves => match silent(beside.as_deref()).await {
                Some(problem) => Ended::Unknown(problem),
                None => Ended::Serves,
            },
            end => end,
        }
    }

    /// Time is up: what nobody knows is told as that.
    fn at_the_end(&mut self) -> Option<Ended> {
        self.lasting.take().map(|lasting| lasting.end)
    }

    /// Takes in a state of the Application.
    async fn seen(&mut self, seen: Option<Found>) -> Option<Ended> {
        let Some(found) = seen else {
            return Some(Ended::Failed(Problem::new("the Application was deleted")));
        };
        self.settle_comparison(&found);
        let compared = self.compared == Compared::Yes;
        let verdict = verdict::of(&found.application, &self.operation.asked, compared);
        self.is_good = matches!(verdict, Verdict::Serves(_));
        match verdict {
            Verdict::Waits(what) => {
                self.lasting = None;
                self.says(what);
            }
            Verdict::Blocked | Verdict::Synced => {
                self.lasting = None;
                self.says(match verdict {
                    Verdict::Blocked => "a sync window is closed: Argo CD compares".to_owned(),
                    _ => "synced: Argo CD compares".to_owned(),
                });
                self.compare().await;
            }
            Verdict::Serves(warnings) => {
                self.lasting = None;
                for warning in warnings {
                    (self.tell)(warning);
                }
                return Some(Ended::Serves);
            }
            Verdict::Degraded(problem) => {
                self.says(problem.to_string());
                let is_same = |end: &Ended| matches!(end, Ended::Failed(_));
                self.lasts(DEGRADED, is_same, Ended::Failed(problem));
            }
            Verdict::Unknown(problem) => {
                self.says(problem.to_string());
                self.lasts(
                    SILENT,
                    |end| matches!(end, Ended::Unknown(_)),
                    Ended::Unknown(problem),
                );
            }
            Verdict::Failed(problem) => return Some(Ended::Failed(problem)),
            Verdict::Unreached(problem) => return Some(Ended::Unknown(problem)),
        }
        None
    }

    /// Notes what becomes an end when it lasts; what lasts already goes on.
    fn lasts(&mut self, limit: Duration, is_same: impl Fn(&Ended) -> bool, end: Ended) {
        let since = match &self.lasting {
            Some(lasting) if is_same(&lasting.end) => lasting.since,
            _ => Instant::now(),
        };
        self.lasting = Some(Lasting {
            since,
            limit,
            end,
            is_hub: false,
        });
    }

    /// Notes that the hub does not answer: of what it said before nothing lasts.
    fn silence(&mut self, problem: Problem) {
        let since = match &self.lasting {
            Some(lasting) if lasting.is_hub => lasting.since,
            _ => Instant::now(),
        };
        self.lasting = Some(Lasting {
            since,
            limit: SILENT,
            end: Ended::Unknown(problem),
            is_hub: true,
        });
    }

    /// Whether the comparison that was asked for is in this state.
    fn settle_comparison(&mut self, found: &Found) {
        let Compared::Asked(with) = self.compared else {
            return;
        };
        let is_newer = version(found).is_none_or(|version| version >= with);
        if is_newer && !found.application.waits_for_refresh() {
            self.compared = Compared::Yes;
            self.operation.compared.store(true, Ordering::Relaxed);
        }
    }

    /// Asks Argo CD to compare: what it says now may be of before the sync.
    async fn compare(&mut self) {
        if self.compared != Compared::No {
            return;
        }
        let document = json!({"metadata": {"annotations": {REFRESH: "normal"}}});
        for _ in 0..TRIES {
            match self.hub.merge(self.target, &document).await {
                Ok(found) => {
                    self.compared = Compared::Asked(version(&found).unwrap_or_default());
                    return;
                }
                // Argo CD compares by itself as well, only later.
                Err(refused) => {
                    let error = crate::error::Error::from(refused);
                    tracing::debug!(%error, "a comparison cannot be asked for");
                    sleep(AGAIN).await;
                }
            }
        }
    }

    /// Tells what is waited for, where that is news.
    fn says(&mut self, what: String) {
        if self.waits != what {
            (self.tell)(what.clone());
            self.waits = what;
        }
    }

    fn time_up(&self, what: &str) -> Problem {
        let waits = if self.waits.is_empty() {
            "the hub told nothing of it"
        } else {
            &self.waits
        };
        Problem::new(format!("{what}: {waits}"))
    }
}

/// The state of an Application as a number: Kubernetes counts them up.
fn version(found: &Found) -> Option<u64> {
    found.application.metadata.resource_version.parse().ok()
}
