//! The way to a controller: a client for its socket, for this machine's loopback, or
//! for TLS, by the node's proxy where one leads there.
//!
//! What proxies and roots of trust the plan names counts; nothing of this process's
//! environment does. No redirect is followed.

use std::error::Error as StdError;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Certificate, Client, Method, Proxy, RequestBuilder, redirect};

use super::call::ForwardCall;
use super::verdict::Peer;
use crate::error::{Error, Kind, Result};
use crate::net::{proxy, tls};
use crate::plan::forward::{Forward, ForwardTarget};

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(10);

/// How the errors of a proxy begin.
const PROXY: &str = "the proxy";

/// The way to a controller.
#[derive(Clone)]
pub(super) struct Transport {
    forward: Forward,
    client: Client,
    /// Where its paths begin.
    base: String,
    /// Whether the node's proxy leads there: only ever with TLS.
    proxied: bool,
}

impl Transport {
    pub(super) fn new(call: &ForwardCall<'_>) -> Result<Self> {
        // Without a provider no client is made, not even one that needs none.
        tls::install();
        let mut client = Client::builder()
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT)
            // Each request has a connection of its own.
            .pool_max_idle_per_host(0)
            .http1_only()
            .user_agent(concat!("deploy/", env!("CARGO_PKG_VERSION")))
            // This process's environment is the workflow's.
            .no_proxy();
        let mut proxied = false;
        let base = match &call.forward.target {
            ForwardTarget::Unix(path) => {
                client = client.unix_socket(path.clone());
                "http://localhost".to_owned()
            }
            ForwardTarget::Http(there) if there.secure => {
                client = client.tls_certs_only(roots(call)?);
                if let Some(proxy) = proxy::for_https(call.environment, &there.host, there.port) {
                    proxied = true;
                    client = client
                        .proxy(through(&proxy).map_err(|why| {
                            refused(&call.who(), true, io::Error::other(why), "")
                        })?);
                }
                format!("https://{}{}", there.authority(), there.prefix)
            }
            ForwardTarget::Http(there) => {
                client = client.dns_resolver(Arc::new(Loopback));
                format!("http://{}{}", there.authority(), there.prefix)
            }
            ForwardTarget::Command { .. } => {
                return Err(Error::new(
                    Kind::Internal,
                    "a command is not spoken to over HTTP",
                ));
            }
        };
        let client = client.build().map_err(|error| {
            Error::new(Kind::Internal, "the client was not made").with_source(words(&error))
        })?;
        Ok(Self {
            forward: call.forward.clone(),
            client,
            base,
            proxied,
        })
    }

    pub(super) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.base))
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/x-ndjson");
        if let Some(token) = &self.forward.token
            && let Ok(mut value) = HeaderValue::try_from(token.header())
        {
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        request
    }
}

/// The node's proxy. No error quotes it: its URL may hold a password.
fn through(url: &str) -> std::result::Result<Proxy, String> {
    match url.split_once("://") {
        Some(("http", _)) => Proxy::https(url).map_err(|_| format!("{PROXY} is not a URL")),
        _ => Err(format!(
            "{PROXY} is spoken to over http only: HTTPS_PROXY = \"http://host:port\""
        )),
    }
}

/// Names of this machine: what /etc/hosts makes of "localhost" is not for a signal
/// to trust.
struct Loopback;

impl Resolve for Loopback {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let found: Vec<SocketAddr> = found.collect();
            if !found.iter().all(|at| at.ip().to_canonical().is_loopback()) {
                return Err(io::Error::other("its address is not of this machine").into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// A body that notes when its sending has begun: until then nothing was sent.
pub(super) struct NotedBody {
    pub(super) inner: Full<Bytes>,
    pub(super) sent: Arc<AtomicBool>,
}

impl Body for NotedBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Self::Error>>> {
        self.sent.store(true, Ordering::Relaxed);
        Pin::new(&mut self.inner).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The causes beneath reqwest's own words, which name the address again.
pub(super) fn words(error: &reqwest::Error) -> String {
    let mut said: Vec<String> = Vec::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !said.iter().any(|before| before.contains(&words)) {
            said.push(words);
        }
        cause = error.source();
    }
    said.join(": ")
}

/// What the system said beneath an error.
fn beneath(error: &reqwest::Error) -> io::ErrorKind {
    if error.is_timeout() {
        return io::ErrorKind::TimedOut;
    }
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>()
            && error.kind() != io::ErrorKind::Other
        {
            return error.kind();
        }
        cause = error.source();
    }
    io::ErrorKind::Other
}

/// What TLS to a controller trusts: `SSL_CERT_FILE`, else this machine's roots.
fn roots(call: &ForwardCall<'_>) -> Result<Vec<Certificate>> {
    let roots = match tls::roots(call.environment)? {
        Some(named) => named,
        None => rustls_native_certs::load_native_certs()
            .certs
            .into_iter()
            .map(|root| root.to_vec())
            .collect(),
    };
    // One of this machine's that cannot be read is passed over.
    let roots = roots
        .iter()
        .filter_map(|root| Certificate::from_der(root).ok());
    Ok(roots.collect())
}

/// Nothing was sent: the controller could not be reached.
pub(super) fn unreached(who: &Peer, way: &Transport, error: &reqwest::Error) -> Error {
    let said = words(error);
    tracing::debug!(target = %way.forward.target, said, "not reached");
    let kind = beneath(error);
    let certificate = said.to_lowercase().contains("certificate");
    if way.proxied && !certificate && kind != io::ErrorKind::TimedOut {
        let told = io::Error::other(format!("{PROXY} did not lead there: {said}"));
        return refused(who, true, told, &said);
    }
    refused(who, false, io::Error::new(kind, said.clone()), &said)
}

fn refused(who: &Peer, proxied: bool, error: io::Error, said: &str) -> Error {
    let lower = said.to_lowercase();
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
        _ if proxied => (
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
    who.error(Kind::Node, what)
        .with_source(error)
        .hint(hint)
        .outcome("nothing was sent")
}
