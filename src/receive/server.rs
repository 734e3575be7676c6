//! Takes connections, as many as there is room for, and ends when its deploys have.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::UnixStream;
use tokio::time::sleep;

use super::deploys::Deploys;
use super::http::{self, Exchange};
use super::listen::Listener;
use super::peer::PeerIdentity;
use crate::error::{Error, Kind, Result};
use crate::host::Accounts;
use crate::node::config::{OnDisconnect, Receive};
use crate::process::Cancel;

/// How many connections there may be at once.
const CONNECTIONS: usize = 192;

/// How many of them may be one user's, each of which is a deploy or a question.
const OF_ONE: usize = 64;

/// How long the head of a request may take.
const HEAD: Duration = Duration::from_secs(10);

/// How long a connection may take that is told of no deploy, and one that is after
/// that deploy's end.
const LINGER: Duration = Duration::from_secs(20);

/// How long to wait where the machine has no descriptor left.
const BREATH: Duration = Duration::from_millis(100);

/// A receiver.
pub struct Receiver {
    /// Its configuration's file.
    pub(super) config: PathBuf,
    /// Where its journal lies.
    pub(super) state: PathBuf,
    pub(super) deploys: Deploys,
    receive: Receive,
    accounts: Accounts,
    connections: Mutex<BTreeMap<u32, usize>>,
    draining: AtomicBool,
}

impl Receiver {
    /// A receiver of this configuration.
    pub fn new(config: PathBuf, state: PathBuf, receive: Receive, accounts: Accounts) -> Self {
        Self {
            config,
            state,
            deploys: Deploys::default(),
            receive,
            accounts,
            connections: Mutex::default(),
            draining: AtomicBool::new(false),
        }
    }

    pub(super) fn allows(&self, peer: &PeerIdentity) -> bool {
        peer.may_send(&self.receive, &self.accounts)
    }

    /// A user as people know it.
    pub(super) fn name(&self, uid: u32) -> String {
        self.accounts.user(uid)
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// A place for one more connection of this user's.
    fn place(self: &Arc<Self>, uid: u32) -> Option<Place> {
        let mut held = self
            .connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let all: usize = held.values().sum();
        let own = held.entry(uid).or_default();
        // Root can always look and stop.
        if uid != 0 && (all >= CONNECTIONS || *own >= OF_ONE) {
            return None;
        }
        *own += 1;
        Some(Place {
            receiver: Arc::clone(self),
            uid,
        })
    }
}

/// A connection that counts until this is dropped.
struct Place {
    receiver: Arc<Receiver>,
    uid: u32,
}

impl Drop for Place {
    fn drop(&mut self) {
        let held = self.receiver.connections.lock();
        let mut held = held.unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = held.get_mut(&self.uid) {
            *own -= 1;
            if *own == 0 {
                held.remove(&self.uid);
            }
        }
    }
}

/// Takes signals until it is told to stop (SIGTERM); then it takes no more, lets
/// those that it took end, and ends itself. A second signal cancels them.
pub async fn serve(receiver: Arc<Receiver>, listener: Listener, cancel: &Cancel) -> Result<()> {
    let failed = |error: std::io::Error| {
        Error::new(Kind::Node, "the socket cannot be listened on").with_source(error)
    };
    let socket = listener.socket().map_err(failed)?;
    loop {
        tokio::select! {
            biased;
            _ = cancel.cancelled() => break,
            taken = socket.accept() => match taken {
                Ok((stream, _)) => connect(&receiver, stream),
                // Too many files are open: whoever holds them lets go in time.
                Err(_) => sleep(BREATH).await,
            },
        }
    }
    drop(socket);
    drop(listener);
    receiver.draining.store(true, Ordering::Relaxed);
    let mut hurried = false;
    loop {
        let Some(deploy) = receiver.deploys.on_their_way().into_iter().next() else {
            break;
        };
        tokio::select! {
            () = deploy.ended() => {}
            _ = cancel.hurried(), if !hurried => {
                hurried = true;
                for deploy in receiver.deploys.on_their_way() {
                    deploy.cancel();
                }
            }
        }
    }
    // Their clients read the last line.
    let deadline = tokio::time::Instant::now() + LINGER;
    let in_use = || {
        let held = receiver.connections.lock();
        !held.unwrap_or_else(PoisonError::into_inner).is_empty()
    };
    while in_use() && tokio::time::Instant::now() < deadline {
        sleep(BREATH).await;
    }
    Ok(())
}

/// Serves one connection, where there is room for it.
fn connect(receiver: &Arc<Receiver>, stream: UnixStream) {
    let Ok(peer) = PeerIdentity::of(&stream) else {
        return;
    };
    let Some(place) = receiver.place(peer.uid) else {
        tracing::debug!(uid = peer.uid, "too many connections");
        return;
    };
    let exchange = Arc::new(Exchange {
        receiver: Arc::clone(receiver),
        peer,
        streamed: OnceLock::new(),
    });
    tokio::spawn(async move {
        serve_one(&exchange, stream).await;
        if let Some(deploy) = exchange.streamed.get()
            && !deploy.has_ended()
            && exchange.receiver.receive.on_disconnect == OnDisconnect::Cancel
        {
            deploy.cancel();
        }
        drop(place);
    });
}

async fn serve_one(exchange: &Arc<Exchange>, stream: UnixStream) {
    let asked = Arc::clone(exchange);
    let service = service_fn(move |request| {
        let asked = Arc::clone(&asked);
        async move { Ok::<_, Infallible>(http::answer(&asked, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .keep_alive(false)
        .max_headers(32)
        .max_buf_size(16 << 10)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let over = async {
        // A question and its answer; a stream has until its deploy's end.
        sleep(LINGER).await;
        if let Some(deploy) = exchange.streamed.get() {
            deploy.ended().await;
            sleep(LINGER).await;
        }
    };
    tokio::select! {
        done = &mut connection => {
            if let Err(error) = done {
                tracing::debug!(%error, "a connection broke");
            }
        }
        () = over => {}
    }
}
