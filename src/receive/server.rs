//! Takes connections, as many as there is room for, and ends when its deploys have.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::UnixStream;
use tokio::time::sleep;

use super::http::{self, Exchange};
use super::listen::Listener;
use super::peer::PeerIdentity;
use super::receiver::Receiver;
use crate::error::{Error, Kind, Result};
use crate::node::config::OnDisconnect;
use crate::process::Cancel;

/// How long the head of a request may take.
const HEAD: Duration = Duration::from_secs(10);

/// How long a connection may take that is told of no deploy, and one that is after
/// that deploy's end.
const LINGER: Duration = Duration::from_secs(20);

/// How long to wait where the machine has no descriptor left.
const BREATH: Duration = Duration::from_millis(100);

/// Takes signals until it is told to stop (SIGTERM); then it takes no more, lets
/// those that it took end, and ends itself. A second signal cancels them.
pub async fn serve(receiver: Arc<Receiver>, listener: Listener, cancel: &Cancel) -> Result<()> {
    let failed = |error: std::io::Error| {
        Error::new(Kind::Node, "the socket cannot be listened on").with_source(error)
    };
    let socket = listener.socket().map_err(failed)?;
    receiver.settle();
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
    receiver.drain();
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
    while receiver.is_in_use() && tokio::time::Instant::now() < deadline {
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
        asking: Arc::clone(&place.asking),
        streamed: OnceLock::new(),
    });
    tokio::spawn(async move {
        serve_one(&exchange, stream).await;
        if let Some(deploy) = exchange.streamed.get()
            && !deploy.has_ended()
            && exchange.receiver.on_disconnect() == OnDisconnect::Cancel
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
        () = exchange.asking.must_go() => {
            tracing::debug!(uid = exchange.peer.uid, "a silent connection makes room");
        }
    }
}
