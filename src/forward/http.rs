//! Speaks to a controller over HTTP: a socket of this machine, its loopback,
//! or TLS.
//!
//! It only carries: what an answer means, `answer` and `verdict` say. No
//! redirect is followed, and the token goes nowhere but into its header.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsConnector;

use super::answer::{Answer, AnswerError, AnswerFormat};
use super::call::{ForwardCall, HURRY, LINGER, LastActivity, SETTLE, StopCause};
use super::proxied;
use super::verdict::{ForwardOutcome, Peer};
use crate::error::{Error, Kind, Result};
use crate::net::{proxy, tls};
use crate::plan::forward::{Endpoint, Forward, ForwardTarget};
use crate::process::cancel::cancelled;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(10);

/// How long a question beside the answer may take.
const ASIDE: Duration = Duration::from_secs(2);

/// The longest body of an answer that is no stream of events, in bytes.
const BODY_MAX: usize = 64 << 10;

/// A connection.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// The way to a controller.
#[derive(Clone)]
struct Transport {
    forward: Forward,
    tls: Option<TlsConnector>,
    /// The node's proxy to it: only ever with TLS.
    proxy: Option<String>,
}

pub(super) async fn send(call: &ForwardCall<'_>) -> Result<ForwardOutcome> {
    let way = Transport {
        forward: call.forward.clone(),
        tls: tls(call)?,
        proxy: match &call.forward.target {
            ForwardTarget::Http(there) if there.secure => {
                proxy::for_https(call.environment, &there.host, there.port)
            }
            _ => None,
        },
    };
    let (heard, sent) = (LastActivity::default(), LastActivity::default());
    let mut exchange = pin!(exchange(call, &way, &heard, &sent));
    let mut stop = None;
    let mut until = call.deadline;
    let mut asked: Option<JoinHandle<()>> = None;
    let done = loop {
        tokio::select! {
            biased;
            done = &mut exchange => break Some(done),
            signal = call.cancel.cancelled(), if stop.is_none() => {
                if sent.ago().is_none() {
                    return Err(cancelled(signal));
                }
                stop = Some((StopCause::Cancelled(signal), heard.ago()));
                until = Instant::now() + SETTLE;
                asked = Some(ask_to_stop(call, &way));
            }
            _ = call.cancel.hurried(), if stop.is_some() && until > Instant::now() + HURRY => {
                until = Instant::now() + HURRY;
            }
            () = sleep_until(until) => {
                if stop.is_some() {
                    break None;
                }
                stop = Some((StopCause::Late, heard.ago()));
                until = Instant::now() + SETTLE;
                asked = sent.ago().map(|_| ask_to_stop(call, &way));
            }
        }
    };
    if let Some(asked) = asked {
        asked.abort();
    }
    match (stop, done) {
        (Some((stop, quiet)), ended) => Err(call.stopped(stop, quiet, ended)),
        (None, Some(done)) => done,
        // The loop ends without an end only once it was stopped.
        (None, None) => Err(Error::new(
            Kind::Internal,
            "nobody waited for the controller",
        )),
    }
}

/// The request, its answer, and what the answer says.
async fn exchange(
    call: &ForwardCall<'_>,
    way: &Transport,
    heard: &LastActivity,
    sent: &LastActivity,
) -> Result<ForwardOutcome> {
    let who = call.who();
    let io = way
        .connect()
        .await
        .map_err(|error| unreached(&who, &way.forward, error))?;
    sent.now();
    let request = way
        .request(Method::POST, "/v1/deploys", call.document.clone())
        .map_err(|error| {
            Error::new(Kind::Internal, "the request cannot be written").with_source(error)
        })?;
    let response = match one(io, request).await {
        Ok(response) => response,
        Err(error) => return Err(broken(call, way, "gave no answer", Some(&error)).await),
    };
    heard.now();
    if response.status() != hyper::StatusCode::OK {
        let status = response.status().as_u16();
        return Err(who.status(status, &body(response).await, &call.deploy));
    }
    let mut body = response.into_body();
    let mut answer = Answer::new(call.deploy.clone(), AnswerFormat::Events);
    loop {
        let frame = if answer.is_over() {
            match timeout(LINGER, body.frame()).await {
                Ok(frame) => frame,
                Err(_) => return Err(who.fault(&AnswerError::Unended)),
            }
        } else {
            body.frame().await
        };
        let Some(frame) = frame else { break };
        let data = match frame {
            Ok(frame) => frame.into_data().unwrap_or_default(),
            Err(error) if answer.is_over() => {
                return Err(who
                    .unknown("broke off after its finished event")
                    .with_source(error));
            }
            Err(error) => {
                return Err(broken(
                    call,
                    way,
                    "broke off before its finished event",
                    Some(&error),
                )
                .await);
            }
        };
        heard.now();
        call.tell(answer.take(&data));
        if let Some(fault) = answer.fault() {
            return Err(who.fault(fault));
        }
    }
    match answer.end() {
        Ok(Some(last)) => who.last(last),
        // Also how an answer without a length breaks off.
        Ok(None) | Err(AnswerError::NoLast) => Err(broken(
            call,
            way,
            "ended its answer without its finished event",
            None,
        )
        .await),
        Err(AnswerError::Torn(line)) => Err(broken(call, way, "broke off inside a line", None)
            .await
            .detail(line)),
        Err(fault) => Err(who.fault(&fault)),
    }
}

/// An answer that broke off: is the controller still there, and does it know?
async fn broken(
    call: &ForwardCall<'_>,
    way: &Transport,
    what: &str,
    error: Option<&hyper::Error>,
) -> Error {
    let path = format!("/v1/deploys/{}", call.deploy.id);
    let now = timeout(ASIDE, way.ask(Method::GET, &path)).await;
    let now = match now {
        Ok(Ok((200, _))) => ", but it is there and knows this deploy",
        Ok(Ok((404, _))) => ", and knows nothing of this deploy now: it was restarted",
        Ok(Err(_)) => ", and nobody answers there now: it has stopped",
        Ok(Ok(_)) | Err(_) => "",
    };
    let told = call.who().unknown(&format!("{what}{now}"));
    match error {
        Some(error) => told.detail(error.to_string()),
        None => told,
    }
}

/// Tells the controller to stop, beside the answer that goes on.
fn ask_to_stop(call: &ForwardCall<'_>, way: &Transport) -> JoinHandle<()> {
    let path = format!("/v1/deploys/{}", call.deploy.id);
    let way = way.clone();
    tokio::spawn(async move {
        let answered = timeout(SETTLE, way.ask(Method::DELETE, &path)).await;
        tracing::debug!(?answered, "the controller was told to stop");
    })
}

impl Transport {
    async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        let connecting = async {
            match &self.forward.target {
                ForwardTarget::Unix(path) => {
                    Ok(Box::new(UnixStream::connect(path).await?) as Box<dyn Stream>)
                }
                ForwardTarget::Http(endpoint) => self.connect_to(endpoint).await,
                ForwardTarget::Command { .. } => Err(io::ErrorKind::Unsupported.into()),
            }
        };
        timeout(CONNECT, connecting)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    async fn connect_to(&self, endpoint: &Endpoint) -> io::Result<Box<dyn Stream>> {
        let tcp = match &self.proxy {
            Some(proxy) => proxied::connect(proxy, endpoint).await?,
            None => TcpStream::connect((endpoint.host.as_str(), endpoint.port)).await?,
        };
        let Some(tls) = &self.tls else {
            // What /etc/hosts makes of "localhost" is not for a signal to trust.
            if !tcp.peer_addr()?.ip().to_canonical().is_loopback() {
                return Err(io::Error::other("its address is not of this machine"));
            }
            return Ok(Box::new(tcp));
        };
        let name = ServerName::try_from(endpoint.host.clone()).map_err(io::Error::other)?;
        Ok(Box::new(tls.connect(name, tcp).await?))
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: String,
    ) -> std::result::Result<Request<Full<Bytes>>, hyper::http::Error> {
        let (prefix, host) = match &self.forward.target {
            ForwardTarget::Http(endpoint) => (endpoint.prefix.as_str(), endpoint.authority()),
            _ => ("", "localhost".to_owned()),
        };
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{prefix}{path}"))
            .header(HOST, host)
            .header(USER_AGENT, concat!("deploy/", env!("CARGO_PKG_VERSION")))
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/x-ndjson");
        if let Some(token) = &self.forward.token {
            let mut value = HeaderValue::try_from(token.header())?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        request.body(Full::new(Bytes::from(body)))
    }

    /// A question beside the answer: its status and its body.
    async fn ask(&self, method: Method, path: &str) -> io::Result<(u16, Vec<u8>)> {
        let io = self.connect().await?;
        let request = self
            .request(method, path, String::new())
            .map_err(io::Error::other)?;
        let response = one(io, request).await.map_err(io::Error::other)?;
        let status = response.status().as_u16();
        Ok((status, body(response).await))
    }
}

/// Sends one request over a connection of its own.
async fn one(
    io: Box<dyn Stream>,
    request: Request<Full<Bytes>>,
) -> hyper::Result<Response<Incoming>> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(io)).await?;
    tokio::spawn(async move {
        // Its failure is told to whoever waits for the answer.
        let _ = connection.await;
    });
    sender.send_request(request).await
}

/// The body of an answer that is no stream: as much as is kept, in the time
/// that it is given.
async fn body(response: Response<Incoming>) -> Vec<u8> {
    let body = Limited::new(response.into_body(), BODY_MAX).collect();
    match timeout(ASIDE, body).await {
        Ok(Ok(body)) => body.to_bytes().to_vec(),
        _ => Vec::new(),
    }
}

/// What TLS to a controller trusts: `SSL_CERT_FILE`, else this machine's roots.
fn tls(call: &ForwardCall<'_>) -> Result<Option<TlsConnector>> {
    let ForwardTarget::Http(Endpoint { secure: true, .. }) = &call.forward.target else {
        return Ok(None);
    };
    tls::install();
    let roots: Vec<CertificateDer<'static>> = match tls::roots(call.environment)? {
        Some(named) => named.into_iter().map(CertificateDer::from).collect(),
        None => rustls_native_certs::load_native_certs().certs,
    };
    let mut store = rustls::RootCertStore::empty();
    store.add_parsable_certificates(roots);
    let config = rustls::ClientConfig::builder()
        .with_root_certificates(store)
        .with_no_client_auth();
    Ok(Some(TlsConnector::from(Arc::new(config))))
}

/// Nothing was sent: the controller could not be reached.
fn unreached(who: &Peer, forward: &Forward, error: io::Error) -> Error {
    let lower = error.to_string().to_lowercase();
    let (what, hint) = match error.kind() {
        io::ErrorKind::NotFound => (
            "is not there",
            "start the controller, or correct forward in deploy.toml",
        ),
        io::ErrorKind::ConnectionRefused => (
            "refuses: nothing listens there",
            "start the controller, or correct forward in deploy.toml",
        ),
        io::ErrorKind::PermissionDenied => (
            "cannot be reached by this user",
            "let the user that runs deploy write to the socket and enter its directory",
        ),
        io::ErrorKind::TimedOut => (
            "takes no connection within 10 s",
            "see that the controller runs, and forward in deploy.toml",
        ),
        _ if lower.starts_with(proxied::ERROR) => (
            "cannot be reached",
            "see that the proxy leads there; a controller that needs none is named in deploy.toml: [env] NO_PROXY = \"<host>\"",
        ),
        _ if lower.contains("certificate") || lower.contains("unknownissuer") => (
            "shows a certificate that is not trusted here",
            "name its CA in deploy.toml: [env] SSL_CERT_FILE = \"/path\"",
        ),
        _ => (
            "cannot be reached",
            "see that the controller runs, and forward in deploy.toml",
        ),
    };
    tracing::debug!(target = %forward.target, %error, "not reached");
    who.error(Kind::Node, what)
        .with_source(error)
        .hint(hint)
        .outcome("nothing was sent")
}
