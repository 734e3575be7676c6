//! The registry: the node's own credentials, and what GHCR's answers mean.

pub mod answer;
pub mod credentials;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::error::{Error, Kind, Result};

/// Makes ring the TLS provider of this process: kube and the registry client
/// share it, and neither brings one. Harmless when done again.
pub(crate) fn tls() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The roots (DER) that the plan's `SSL_CERT_FILE` names, where it names any.
/// Libraries would look into the environment of this process instead, which
/// inside Actions is the workflow's.
pub(crate) fn roots(environment: &BTreeMap<OsString, OsString>) -> Result<Option<Vec<Vec<u8>>>> {
    let Some(file) = environment
        .get(OsStr::new("SSL_CERT_FILE"))
        .filter(|file| !file.is_empty())
    else {
        return Ok(None);
    };
    let unreadable = |error: rustls::pki_types::pem::Error| {
        Error::new(
            Kind::Node,
            format!("SSL_CERT_FILE {} cannot be read", file.display()),
        )
        .because(error)
        .hint("see that it holds certificates in PEM and that this user may read it")
    };
    let mut roots = Vec::new();
    for certificate in CertificateDer::pem_file_iter(file).map_err(unreadable)? {
        roots.push(certificate.map_err(unreadable)?.to_vec());
    }
    Ok(Some(roots))
}
