//! The client for the registry, as the node's settings make it, and what it shows.
//!
//! Nothing of this process's own environment counts, and no secret is told.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

use oci_client::client::{Certificate, CertificateEncoding, Client, ClientConfig};
use oci_client::secrets::RegistryAuth;

use super::credentials::{Credential, StoredCredential};
use super::token;
use crate::error::{Error, Kind, Result};
use crate::net::proxy::either;
use crate::signal::ImageRef;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(10);

/// How long the registry may say nothing.
const SILENCE: Duration = Duration::from_secs(30);

/// Keeps the client from looking into the environment of this process for a
/// proxy, which it does where it is given none. Only for plain HTTP, which is
/// never spoken, and never connected to.
const NO_HTTP_PROXY: &str = "http://unused.invalid";

/// What the registry is shown of stored credentials; the error is a warning.
pub(super) async fn auth(
    environment: &BTreeMap<OsString, OsString>,
    StoredCredential { file, credential }: &StoredCredential,
    repositories: &[String],
) -> std::result::Result<RegistryAuth, String> {
    let refresh = match credential {
        Credential::Basic { user, secret } => {
            return Ok(RegistryAuth::Basic(user.clone(), secret.clone()));
        }
        Credential::Token(token) => return Ok(RegistryAuth::Bearer(token.clone())),
        Credential::Identity(refresh) => refresh,
    };
    let base = format!("https://{}", ImageRef::REGISTRY);
    let exchanged = token::exchange(environment, &base, refresh, repositories).await;
    exchanged.map(RegistryAuth::Bearer).map_err(|why| {
        format!(
            "images are asked for without credentials: the identity token in {} was not \
             exchanged: {why}",
            file.display()
        )
    })
}

pub(super) fn client(environment: &BTreeMap<OsString, OsString>) -> Result<Client> {
    let roots = crate::net::tls::roots(environment)?.unwrap_or_default();
    let roots = roots.into_iter().map(|data| Certificate {
        encoding: CertificateEncoding::Der,
        data,
    });
    let config = ClientConfig {
        tls_certs_only: roots.collect(),
        connect_timeout: Some(CONNECT),
        read_timeout: Some(SILENCE),
        https_proxy: either(environment, "HTTPS_PROXY", "https_proxy"),
        http_proxy: Some(NO_HTTP_PROXY.to_owned()),
        no_proxy: either(environment, "NO_PROXY", "no_proxy"),
        ..ClientConfig::default()
    };
    // Not the cause: it may quote the proxy, with its password.
    Client::try_from(config).map_err(|_| {
        Error::new(
            Kind::Node,
            "no client for ghcr.io can be made of the node's settings",
        )
        .hint("see HTTPS_PROXY and SSL_CERT_FILE in deploy.toml, [env]")
    })
}
