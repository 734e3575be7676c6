//! An HTTP client for https, as the plan's environment says.

use std::collections::BTreeMap;
use std::ffi::OsString;

use reqwest::{Certificate, Client, NoProxy, Proxy, redirect};

use super::proxy::either;
use super::tls;

/// A client of the plan's environment: its proxy, its roots, nothing of this
/// process's.
pub(crate) fn client(environment: &BTreeMap<OsString, OsString>) -> Result<Client, String> {
    let unmade = || "no client can be made of the node's settings".to_owned();
    let mut builder = Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none());
    if let Some(roots) = tls::roots(environment).map_err(|error| error.to_string())? {
        let roots = roots.iter().map(|root| Certificate::from_der(root));
        let roots = roots.collect::<Result<Vec<_>, _>>().map_err(|_| unmade())?;
        builder = builder.tls_certs_only(roots);
    }
    if let Some(address) = either(environment, "HTTPS_PROXY", "https_proxy") {
        let spared = either(environment, "NO_PROXY", "no_proxy");
        let spared = spared.and_then(|names| NoProxy::from_string(&names));
        let proxy = Proxy::https(address).map_err(|_| unmade())?;
        builder = builder.proxy(proxy.no_proxy(spared));
    }
    builder.build().map_err(|_| unmade())
}
