//! Accepts connections, takes CONNECT for ghcr.io, ends TLS there and refuses every other target.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::answers::plain;
use super::body::{self, Body};
use super::front::Front;
use super::{Config, HOST, admin};

/// After a failed accept (no descriptors left, mostly) the next one waits this long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

pub(super) async fn serve(listeners: Vec<TcpListener>, config: &Config) -> anyhow::Result<()> {
    anyhow::ensure!(
        !listeners.is_empty(),
        "the ghcr.io front was given no listener; give it at least one"
    );
    let acceptor = acceptor(config)?;
    let front = Front::new(config.registry);
    let mut loops = JoinSet::new();
    for listener in listeners {
        loops.spawn(accept(listener, acceptor.clone(), Arc::clone(&front)));
    }
    while let Some(ended) = loops.join_next().await {
        ended.context("a listener of the ghcr.io front ended")?;
    }
    Ok(())
}

fn acceptor(config: &Config) -> anyhow::Result<TlsAcceptor> {
    let certificates: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(config.cert_pem.as_bytes()).collect();
    let certificates = certificates.context("the certificate for ghcr.io is not PEM")?;
    let key = PrivateKeyDer::from_pem_slice(config.key_pem.as_bytes())
        .context("the key for ghcr.io is not PEM")?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .context("the certificate and the key for ghcr.io do not go together")?;
    Ok(TlsAcceptor::from(Arc::new(tls)))
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, front: Arc<Front>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        while connections.try_join_next().is_some() {}
        // Small answers over loopback must not wait for one another.
        let _ = stream.set_nodelay(true);
        let (acceptor, front) = (acceptor.clone(), Arc::clone(&front));
        connections.spawn(async move {
            let service = service_fn(move |request| {
                let (acceptor, front) = (acceptor.clone(), Arc::clone(&front));
                async move { Ok::<_, Infallible>(outer(request, acceptor, front).await) }
            });
            // A broken connection is the client's affair.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades()
                .await;
        });
    }
}

/// What a client says to the proxy itself.
async fn outer(
    request: Request<Incoming>,
    acceptor: TlsAcceptor,
    front: Arc<Front>,
) -> Response<Body> {
    if request.method() == Method::CONNECT {
        let target = request
            .uri()
            .authority()
            .map(ToString::to_string)
            .unwrap_or_default();
        if !target.eq_ignore_ascii_case(&format!("{HOST}:443")) {
            return refused(&front, target);
        }
        tokio::spawn(inner(request, acceptor, front));
        return Response::new(body::whole(""));
    }
    if let Some(host) = request.uri().authority() {
        return refused(&front, host.to_string());
    }
    admin::answer(request, &front).await
}

fn refused(front: &Front, target: String) -> Response<Body> {
    let text = format!("the testbed's proxy leads to {HOST}:443 only, not to {target:?}\n");
    front.state.note_refused(target);
    plain(403, text)
}

/// What a client says to ghcr.io, once the proxy has given way.
async fn inner(request: Request<Incoming>, acceptor: TlsAcceptor, front: Arc<Front>) {
    let Ok(stream) = hyper::upgrade::on(request).await else {
        return;
    };
    let Ok(stream) = acceptor.accept(TokioIo::new(stream)).await else {
        return;
    };
    let service = service_fn(move |request| {
        let front = Arc::clone(&front);
        async move { front.answer(request).await }
    });
    // An error here is a client that went away, or a cut that was asked for.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
