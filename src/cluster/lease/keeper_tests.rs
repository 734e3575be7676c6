//! The keeper beside an API server in memory, by a clock that can jump.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _};
use http_body_util::BodyExt as _;
use hyper::{Method, Request, Response};
use k8s_openapi::api::coordination::v1::Lease as Object;
use kube::client::Body;
use kube::{Api, Client};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tower_service::Service;

use super::super::clock::Clock;
use super::super::tests::{at, holder};
use super::super::{Lease, LeaseHolder, Process, held, released};
use super::{HELM_ENDS, Keeper};
use crate::error::{Error, Kind};
use crate::plan::ReleaseId;
use crate::run::{HelmSpan, Timestamp};

/// Time as the runtime's, which a test lets jump: a pause of the machine.
#[derive(Clone)]
struct TestClock {
    begun: Instant,
    jumped: Arc<AtomicU64>,
    /// How wrong the time of the day is, in seconds.
    wrong: i64,
}

impl TestClock {
    fn new() -> Self {
        Self {
            begun: Instant::now(),
            jumped: Arc::default(),
            wrong: 0,
        }
    }

    fn jump(&self, seconds: u64) {
        self.jumped.fetch_add(seconds, Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn since_boot(&self) -> Duration {
        self.begun.elapsed() + Duration::from_secs(self.jumped.load(Ordering::Relaxed))
    }

    fn now(&self) -> Timestamp {
        let seconds = i64::try_from(self.since_boot().as_secs()).unwrap();
        at(1_000_000 + seconds + self.wrong)
    }
}

/// One Lease, as an API server holds it.
#[derive(Clone, Default)]
struct ApiServer(Arc<Mutex<Stored>>);

#[derive(Default)]
struct Stored {
    lease: Option<Object>,
    version: u64,
    /// The status that every request gets, where it is refused.
    refuses: Option<u16>,
    writes: u32,
}

impl ApiServer {
    fn api(&self) -> Api<Object> {
        Api::namespaced(Client::new(self.clone(), "shop"), "shop")
    }

    fn refuse(&self, status: Option<u16>) {
        self.0.lock().unwrap().refuses = status;
    }

    /// Another holder's, written now.
    fn give_to(&self, other: &LeaseHolder, now: Timestamp) {
        self.put(held(Object::default(), other, now));
    }

    fn put(&self, mut lease: Object) {
        let mut stored = self.0.lock().unwrap();
        stored.version += 1;
        lease.metadata.name = Some("deploy.shop".to_owned());
        lease.metadata.resource_version = Some(stored.version.to_string());
        stored.lease = Some(lease);
    }

    fn lease(&self) -> Option<Object> {
        self.0.lock().unwrap().lease.clone()
    }

    fn holder(&self) -> Option<String> {
        self.lease()?.spec?.holder_identity
    }

    fn answer(&self, method: &Method, sent: Option<Object>) -> (u16, Option<Object>) {
        let there = {
            let stored = self.0.lock().unwrap();
            if let Some(status) = stored.refuses {
                return (status, None);
            }
            stored.lease.clone()
        };
        let version = |of: &Object| of.metadata.resource_version.clone();
        match (method.as_str(), there, sent) {
            ("POST", None, Some(new)) => self.put(new),
            (method, None, _) if method != "POST" => return (404, None),
            ("GET", Some(lease), _) => return (200, Some(lease)),
            ("PUT", Some(lease), Some(new)) if version(&lease) == version(&new) => self.put(new),
            ("DELETE", ..) => {
                self.0.lock().unwrap().lease = None;
                return (200, None);
            }
            _ => return (409, None),
        }
        self.0.lock().unwrap().writes += 1;
        (200, self.lease())
    }
}

impl Service<Request<Body>> for ApiServer {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let server = self.clone();
        async move {
            let method = request.method().clone();
            let bytes = request.into_body().collect().await.unwrap().to_bytes();
            let (status, lease) = server.answer(&method, serde_json::from_slice(&bytes).ok());
            let body = match lease {
                Some(lease) => serde_json::to_vec(&lease).unwrap(),
                None => serde_json::to_vec(&serde_json::json!({
                    "kind": "Status",
                    "apiVersion": "v1",
                    "status": if status < 300 { "Success" } else { "Failure" },
                    "code": status,
                    "message": format!("answered {status}"),
                }))
                .unwrap(),
            };
            Ok(Response::builder()
                .status(status)
                .header("content-type", "application/json")
                .body(Body::from(body))
                .unwrap())
        }
        .boxed()
    }
}

/// A deploy's Lease, and the keeper that keeps it on this test's runtime.
struct Kept {
    lease: Lease,
    server: ApiServer,
    clock: TestClock,
    keeper: JoinHandle<()>,
}

fn me() -> LeaseHolder {
    holder("aaaaaa", "one", 10, None)
}

fn other() -> LeaseHolder {
    holder("bbbbbb", "two", 20, None)
}

fn release() -> ReleaseId {
    ReleaseId {
        name: "shop".to_owned(),
        namespace: "shop".to_owned(),
    }
}

fn begin(server: ApiServer, clock: TestClock) -> Kept {
    let (lease, tell, orders, end) = Lease::new().unwrap();
    let (api, name) = (server.api(), "deploy.shop".to_owned());
    let stale_after = Duration::from_secs(3600);
    let keeper = Keeper::new(api, name, me(), stale_after, clock.clone(), tell);
    let keeper = tokio::spawn(async move {
        keeper.keep(orders).await;
        let _ = end.send(());
    });
    Kept {
        lease,
        server,
        clock,
        keeper,
    }
}

async fn held_by_me() -> Kept {
    let kept = begin(ApiServer::default(), TestClock::new());
    taken(&kept, 600).await.unwrap();
    kept
}

async fn taken(kept: &Kept, seconds: u64) -> crate::error::Result<Duration> {
    let begun = kept.clock.since_boot();
    let wait = Duration::from_secs(seconds);
    kept.lease.taken(&release(), wait, |_| ()).await?;
    Ok(kept.clock.since_boot().saturating_sub(begun))
}

/// Why the Lease is lost, within this time.
async fn lost(kept: &Kept, seconds: u64) -> Option<Error> {
    let nobody = tokio::sync::watch::channel(None).1;
    let wait = Duration::from_secs(seconds);
    tokio::time::timeout(wait, kept.lease.guard(nobody))
        .await
        .ok()
}

#[tokio::test(start_paused = true)]
async fn it_is_renewed_and_helm_may_work_that_long() {
    let kept = held_by_me().await;
    for _ in 0..30 {
        sleep(Duration::from_secs(10)).await;
        let until = kept.lease.heartbeat().until().unwrap();
        let left = until.saturating_sub(kept.clock.since_boot());
        assert!(left + Duration::from_secs(15) > HELM_ENDS, "{left:?}");
    }
    let writes = kept.server.0.lock().unwrap().writes;
    assert!((28..=32).contains(&writes), "{writes} writes in 300 s");
    kept.lease.end(true, Duration::from_secs(2)).await;
    kept.keeper.await.unwrap();
    assert_eq!(kept.server.lease(), None);
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_cannot_renew_stops_before_it_runs_out() {
    for status in [403, 500] {
        let kept = held_by_me().await;
        kept.server.refuse(Some(status));
        let error = lost(&kept, 59).await.expect("before the Lease runs out");
        assert_eq!(error.kind(), Kind::Broken);
        assert!(
            error.to_string().contains("could not be renewed"),
            "{error}"
        );
        let now = kept.clock.since_boot();
        assert!(now < Duration::from_secs(50), "{now:?}");
        // Where nobody stops helm, its guard does.
        assert!(kept.lease.heartbeat().until().unwrap() <= now + Duration::from_secs(1));
    }
    // A short time without an answer is none.
    let kept = held_by_me().await;
    kept.server.refuse(Some(500));
    sleep(Duration::from_secs(30)).await;
    kept.server.refuse(None);
    assert!(lost(&kept, 120).await.is_none());
}

/// Case E1: `deploy` was stopped, or the machine paused, for longer than the Lease.
#[tokio::test(start_paused = true)]
async fn after_a_pause_it_is_known_at_once_who_took_it_over() {
    let kept = held_by_me().await;
    sleep(Duration::from_secs(15)).await;
    kept.clock.jump(70);
    assert!(kept.lease.heartbeat().until().unwrap() < kept.clock.since_boot());
    kept.server.give_to(&other(), kept.clock.now());
    let error = lost(&kept, 2).await.expect("at once");
    assert_eq!(error.kind(), Kind::Locked);
    assert!(format!("{error:?}").contains("host-of-two"), "{error:?}");
    assert!(kept.server.holder().unwrap().ends_with("bbbbbb"));
}

/// Case E1: the other one is done already.
#[tokio::test(start_paused = true)]
async fn after_a_pause_one_that_came_and_went_is_known_too() {
    for gone in [true, false] {
        let kept = held_by_me().await;
        kept.clock.jump(70);
        if gone {
            kept.server.0.lock().unwrap().lease = None;
        } else {
            let lease = held(Object::default(), &other(), kept.clock.now());
            kept.server.put(released(lease));
        }
        let error = lost(&kept, 2).await.expect("at once");
        assert_eq!(error.kind(), Kind::Locked);
        let said = error.evidence().join("\n");
        let expected = if gone {
            "has ended since"
        } else {
            "host-of-two"
        };
        assert!(said.contains(expected), "{said}");
        assert_eq!(kept.server.holder(), None, "it is left as it is");
    }
}

/// Case E1: nobody took it meanwhile, and no helm was at work.
#[tokio::test(start_paused = true)]
async fn after_a_pause_without_another_it_goes_on() {
    let kept = held_by_me().await;
    kept.clock.jump(70);
    // Its connection is gone.
    kept.server.refuse(Some(500));
    sleep(Duration::from_secs(1)).await;
    kept.server.refuse(None);
    assert!(lost(&kept, 120).await.is_none());
    let until = kept.lease.heartbeat().until().unwrap();
    assert!(until > kept.clock.since_boot());
}

/// Case E2: the clock of the one that waits is an hour ahead, and the holder's Lease
/// is renewed for as long as it is looked at.
#[tokio::test(start_paused = true)]
async fn a_lease_that_is_seen_renewed_is_alive_whatever_the_clocks_say() {
    for wrong in [7200, -7200] {
        let clock = TestClock {
            wrong,
            ..TestClock::new()
        };
        let server = ApiServer::default();
        server.give_to(&other(), at(1_000_000));
        let kept = begin(server, clock);
        let renewing = async {
            for second in 0..30 {
                kept.server.give_to(&other(), at(1_000_000 + second * 10));
                sleep(Duration::from_secs(10)).await;
            }
        };
        let release = release();
        let waiting = kept.lease.taken(&release, Duration::from_secs(600), |_| ());
        tokio::pin!(waiting);
        tokio::select! {
            biased;
            () = renewing => {}
            taken = &mut waiting => panic!("taken from a holder that lives: {taken:?}"),
        }
        // It stops renewing.
        let begun = kept.clock.since_boot();
        waiting.await.unwrap();
        let waited = kept.clock.since_boot().saturating_sub(begun);
        assert!((48..=62).contains(&waited.as_secs()), "{waited:?}");
        assert!(kept.server.holder().unwrap().ends_with("aaaaaa"));
    }
}

/// Case E5: whoever comes next knows when a helm worked, and when it ended.
#[tokio::test(start_paused = true)]
async fn what_helm_did_is_left_for_the_next_holder() {
    let kept = held_by_me().await;
    let helm = HelmSpan {
        began: at(5),
        ended: None,
    };
    kept.lease.note_helm(helm);
    sleep(Duration::from_secs(1)).await;
    let helm = HelmSpan {
        ended: Some(at(7)),
        ..helm
    };
    kept.lease.note_helm(helm);
    kept.lease.end(false, Duration::from_secs(2)).await;
    kept.keeper.await.unwrap();
    assert_eq!(kept.server.holder(), None);
    let next = begin(kept.server, TestClock::new());
    assert!(taken(&next, 10).await.unwrap() < Duration::from_secs(2));
    assert_eq!(next.lease.last_helm(), Some(helm));
}

/// A helm that has ended on this machine: its Lease is free once it ran out, though
/// the deploy is there, stopped.
#[tokio::test(start_paused = true)]
async fn one_that_is_stopped_here_is_succeeded_when_its_helm_is_gone() {
    let server = ApiServer::default();
    let mut stopped = holder("bbbbbb", "one", std::process::id(), None);
    stopped.lock.started = 0;
    stopped.helm = Some(Process {
        pid: 1_999_999_999,
        started: 0,
    });
    server.give_to(&stopped, at(1_000_000));
    let kept = begin(server, TestClock::new());
    let waited = taken(&kept, 600).await.unwrap();
    assert!((58..=62).contains(&waited.as_secs()), "{waited:?}");
}
