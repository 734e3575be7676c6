//! ghcr.io on the loopback: a CONNECT proxy that leads only there, and a TLS front that answers as
//! ghcr.io does over a plain registry.
//!
//! It never opens a connection to anything but the registry that it was given, and never asks a
//! client's certificate or secret for more than the words of its own policies. What it answers is
//! decided in `policy`, a pure function; the rest carries bytes.

mod admin;
mod answers;
mod body;
mod client;
mod front;
mod policy;
mod proxy;
mod question;
mod state;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;

use tokio::net::TcpListener;

pub use admin::Admin;
pub use client::{Blob, Client, Manifest, Session, digest};
pub use policy::{
    Access, AnonymousRefusal, Effect, Fault, Kind, PUSH_PASSWORD, PUSH_USER, Policy, User,
    Visibility,
};
pub use state::Asked;

/// The one host that the proxy leads to.
pub const HOST: &str = "ghcr.io";

/// What the front needs to know.
#[derive(Clone)]
pub struct Config {
    /// The certificate for `ghcr.io` and what is needed to reach its root, PEM.
    pub cert_pem: String,
    /// Its private key, PEM.
    pub key_pem: String,
    /// The registry behind the front: plain HTTP, without authentication.
    pub registry: SocketAddr,
}

/// Serves the proxy, the front and the admin API on each of the listeners until one of them fails.
/// Dropping the future stops accepting. Errors: the certificate or key cannot be read, or there is
/// no listener.
pub async fn serve(listeners: Vec<TcpListener>, config: Config) -> anyhow::Result<()> {
    proxy::serve(listeners, &config).await
}
