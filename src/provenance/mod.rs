//! Proofs of origin: whether an artifact of the registry, a chart or an image, was
//! signed, or built and attested, as deploy.toml asks for it.
//!
//! What is read of the registry is data for a pure verdict. An artifact is its
//! digest: a tag proves nothing. Nothing here believes what a registry says of a
//! signature; it is checked, and one good one suffices, whatever else hangs beside
//! the artifact. No transparency log is asked, and no host but the registry.

mod attestation;
mod bundle;
mod claims;
mod crypto;
mod fetch;
mod refusal;
mod roots;
mod simple;

use crate::error::{Error, Kind, Result};
use crate::event::Origin;
use crate::plan::{Verify, VerifyingKey};
use crate::signal::Digest;
use crate::text;

pub use refusal::Refusal;
pub use roots::EMBEDDED;
use roots::Roots;

/// The statement that says nothing but that its subject is signed. A key may sign
/// others: a list of what is in an image, a scan that found holes.
const SIGN: &str = "https://sigstore.dev/cosign/sign/v1";

/// The statement that says how its subject was built (slsa.dev, "Provenance").
const PROVENANCE: &str = "https://slsa.dev/provenance/v1";

/// Something of the registry, by the digest of its manifest or index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// What it is for people: `api: ghcr.io/acme/shop/api:1.0`.
    pub what: String,
    /// `<owner>/<path…>`, as the registry's API wants it.
    pub repository: String,
    /// Its digest.
    pub digest: Digest,
    /// Whether the signal itself names the digest: then it may be one platform's of an
    /// index that is signed.
    pub is_named: bool,
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
    /// A bundle of sigstore's, as cosign 3 and GitHub write it: JSON.
    Bundle(Vec<u8>),
    /// Something that is not read.
    Unread(Refusal),
}

/// What proves an artifact's origin, ready for use.
pub struct Prover {
    policy: Verify,
    /// Whom attestations are believed; a key needs none.
    roots: Option<Roots>,
}

impl Prover {
    /// Of what deploy.toml asks for. Errors are [`Kind::Node`]: the file of trusted
    /// roots cannot be used.
    pub fn new(policy: Verify) -> Result<Self> {
        let roots = match &policy {
            Verify::Key(_) => None,
            Verify::Workflow(workflow) => Some(match &workflow.trusted_root {
                None => Roots::embedded().map_err(|why| {
                    Error::new(Kind::Node, format!("the embedded trusted root: {why}"))
                })?,
                Some(file) => Roots::read(&file.content).map_err(|why| {
                    let path = file.path.to_string_lossy();
                    let message = format!(
                        "the trusted root {} cannot be used: {}",
                        text::line(&path, text::LINE),
                        text::line(&why, text::LINE)
                    );
                    Error::new(Kind::Node, message)
                        .hint("write it anew: gh attestation trusted-root > /etc/deploy/trusted_root.jsonl — or remove it: then the one that came with deploy counts")
                })?,
            }),
        };
        Ok(Self { policy, roots })
    }

    /// What the policy says of an artifact and what hangs beside it: where it comes
    /// from, or why each candidate proves nothing, in their order.
    pub fn judge(
        &self,
        digest: &Digest,
        candidates: &[Candidate],
    ) -> std::result::Result<Origin, Vec<Refusal>> {
        let mut refusals = Vec::new();
        for candidate in candidates {
            match self.one(digest, candidate) {
                Ok(origin) => return Ok(origin),
                Err(refusal) => refusals.push(refusal),
            }
        }
        Err(refusals)
    }

    fn one(&self, digest: &Digest, candidate: &Candidate) -> std::result::Result<Origin, Refusal> {
        match (&self.policy, &self.roots) {
            (Verify::Key(key), _) => {
                signed(key, digest, candidate)?;
                Ok(Origin {
                    by: format!("key {}", key.fingerprint()),
                    commit: None,
                    digest: digest.clone(),
                })
            }
            (Verify::Workflow(policy), Some(roots)) => match candidate {
                Candidate::Simple { .. } => Err(Refusal::ByKey),
                Candidate::Bundle(bundle) => attestation::check(policy, roots, digest, bundle),
                Candidate::Unread(refusal) => Err(refusal.clone()),
            },
            (Verify::Workflow(_), None) => Err(Refusal::Stale("there is none".to_owned())),
        }
    }
}

fn signed(
    key: &VerifyingKey,
    digest: &Digest,
    candidate: &Candidate,
) -> std::result::Result<(), Refusal> {
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
