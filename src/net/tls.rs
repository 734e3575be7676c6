//! The TLS provider of this process, and the certificates it trusts.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::client_key;
use crate::error::{Error, Kind, Result};
use crate::host::file::read_regular;

/// Makes ring the TLS provider of this process: kube and the registry client
/// share it, and neither brings one. Harmless when done again.
pub(crate) fn install() {
    let _ = client_key::provider().install_default();
}

/// The roots (DER) that the plan's `SSL_CERT_FILE` names, where it names any.
/// Libraries would look into the environment of this process instead, which
/// inside Actions is the workflow's.
pub(crate) fn roots(environment: &BTreeMap<OsString, OsString>) -> Result<Option<Vec<Vec<u8>>>> {
    let file = environment.get(OsStr::new("SSL_CERT_FILE"));
    let Some(file) = file.filter(|file| !file.is_empty()) else {
        return Ok(None);
    };
    let unreadable = || {
        let message = format!("SSL_CERT_FILE {} cannot be read", file.display());
        Error::new(Kind::Node, message)
            .hint("see that it holds certificates in PEM and that this user may read it")
    };
    let pem = read_regular(Path::new(file)).map_err(|error| unreadable().with_source(error))?;
    certificates(&pem).ok_or_else(unreadable).map(Some)
}

/// The certificates (DER) of a bundle in PEM; none where it is not such.
pub(crate) fn certificates(pem: &[u8]) -> Option<Vec<Vec<u8>>> {
    let found = CertificateDer::pem_slice_iter(pem).map(|found| found.map(|found| found.to_vec()));
    let found = found.collect::<std::result::Result<Vec<_>, _>>().ok()?;
    (!found.is_empty()).then_some(found)
}
