//! Client certificates that rustls cannot read, as those of X.509 version 1.
//!
//! rustls reads a client certificate only to see that it belongs to its key, and
//! reads none but version 3. Servers take others: `MicroK8s` from 1.34 on makes
//! its kubeconfig's without extensions, which is version 1, and helm (Go) uses
//! it. A key whose public part is not told is used unseen (rustls 0.23,
//! `CertifiedKey::from_der`); where certificate and key do not belong together
//! the server says so then.

use std::cell::Cell;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, KeyProvider, ring};
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::{Signer, SigningKey};
use rustls::{Error, SignatureAlgorithm, SignatureScheme};

thread_local! {
    static UNSEEN: Cell<bool> = const { Cell::new(false) };
}

/// The provider of this process: ring, and [`unseen`].
pub(super) fn provider() -> CryptoProvider {
    CryptoProvider {
        key_provider: &Keys,
        ..ring::default_provider()
    }
}

/// Does `work` with client certificates used unseen. Only what this thread does
/// meanwhile counts.
pub(crate) fn unseen<T>(work: impl FnOnce() -> T) -> T {
    UNSEEN.set(true);
    let done = work();
    UNSEEN.set(false);
    done
}

#[derive(Debug)]
struct Keys;

impl KeyProvider for Keys {
    fn load_private_key(&self, key: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, Error> {
        let key = ring::default_provider()
            .key_provider
            .load_private_key(key)?;
        if UNSEEN.get() {
            Ok(Arc::new(Unseen(key)))
        } else {
            Ok(key)
        }
    }
}

/// A key that does not tell its public part.
#[derive(Debug)]
struct Unseen(Arc<dyn SigningKey>);

impl SigningKey for Unseen {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        self.0.choose_scheme(offered)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.0.algorithm()
    }
}
