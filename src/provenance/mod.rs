//! Proofs of origin: whether an artifact of the registry, a chart or an image, was
//! signed as deploy.toml asks for it.
//!
//! What is read of the registry is data for a pure verdict. An artifact is its
//! digest: a tag proves nothing. Nothing here believes what a registry says of a
//! signature; it is checked, and one good one suffices, whatever else hangs beside
//! the artifact. No transparency log is asked, and no host but the registry.

mod bundle;
mod fetch;
mod refusal;
mod simple;

use crate::event::Origin;
use crate::plan::{Verify, VerifyingKey};
use crate::signal::Digest;

pub use fetch::prove;
pub use refusal::Refusal;

/// The statement that says nothing but that its subject is signed. A key may sign
/// others: a list of what is in an image, a scan that found holes.
const SIGN: &str = "https://sigstore.dev/cosign/sign/v1";

/// Something of the registry, by the digest of its manifest or index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// What it is for people: `api: ghcr.io/acme/shop/api:1.0`.
    pub what: String,
    /// `<owner>/<path…>`, as the registry's API wants it.
    pub repository: String,
    /// Its digest.
    pub digest: Digest,
}

/// What hangs beside an artifact and may be a proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Candidate {
    /// What cosign 2 writes under the tag `sha256-<hex>.sig`.
    Simple {
        /// The signed JSON.
        payload: Vec<u8>,
        /// The signature, in base64.
        signature: String,
    },
    /// A bundle of sigstore's, as cosign 3 writes it: JSON.
    Bundle(Vec<u8>),
    /// Something that is not read.
    Unread(Refusal),
}

/// What the policy says of an artifact and what hangs beside it: where it comes
/// from, or why each candidate proves nothing, in their order.
pub fn judge(
    policy: &Verify,
    digest: &Digest,
    candidates: &[Candidate],
) -> Result<Origin, Vec<Refusal>> {
    let Verify::Key(key) = policy;
    let mut refusals = Vec::new();
    for candidate in candidates {
        match signed(key, digest, candidate) {
            Ok(()) => {
                return Ok(Origin {
                    by: format!("key {}", key.fingerprint()),
                    digest: digest.clone(),
                });
            }
            Err(refusal) => refusals.push(refusal),
        }
    }
    Err(refusals)
}

fn signed(key: &VerifyingKey, digest: &Digest, candidate: &Candidate) -> Result<(), Refusal> {
    match candidate {
        Candidate::Simple { payload, signature } => simple::check(key, digest, payload, signature),
        Candidate::Bundle(bundle) => bundle::check(key, digest, bundle),
        Candidate::Unread(refusal) => Err(refusal.clone()),
    }
}

/// Whether the key made the signature of these bytes.
fn made_by(key: &VerifyingKey, signed: &[u8], signature: &[u8]) -> bool {
    use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key.point())
        .verify(signed, signature)
        .is_ok()
}

#[cfg(test)]
mod tests;
