//! The way to a controller through the node's proxy: a tunnel, so that TLS
//! reaches from end to end and the proxy sees neither token nor signal.

use std::io;

use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Matcher;
use tokio::net::TcpStream;
use tower_service::Service as _;

use crate::plan::forward::Endpoint;

/// How its errors begin.
pub(super) const ERROR: &str = "the proxy";

/// A connection to the endpoint through `proxy`, a URL that may hold a name and
/// a password. No error quotes it.
pub(super) async fn connect(proxy: &str, endpoint: &Endpoint) -> io::Result<TcpStream> {
    let there = format!("https://{}", endpoint.authority());
    let there = there.parse().map_err(io::Error::other)?;
    let proxy = Matcher::builder().https(proxy).build();
    let proxy = proxy
        .intercept(&there)
        .ok_or_else(|| io::Error::other(format!("{ERROR} is not a URL")))?;
    if proxy.uri().scheme_str() != Some("http") {
        return Err(io::Error::other(format!(
            "{ERROR} is spoken to over http only: HTTPS_PROXY = \"http://host:port\""
        )));
    }
    let mut tunnel = Tunnel::new(proxy.uri().clone(), HttpConnector::new());
    if let Some(authorization) = proxy.basic_auth() {
        tunnel = tunnel.with_auth(authorization.clone());
    }
    match tunnel.call(there).await {
        Ok(stream) => Ok(stream.into_inner()),
        Err(error) => {
            let why = std::error::Error::source(&error)
                .map_or_else(String::new, |source| format!(": {source}"));
            let told = format!("{ERROR} did not lead there: {error}{why}");
            Err(io::Error::other(told))
        }
    }
}
