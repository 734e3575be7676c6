//! Why something proves nothing, each reason in words of its own. Pure.

use super::{Artifact, SIGN};
use crate::error::{Error, Kind};
use crate::plan::{Verify, VerifyingKey};
use crate::text;

/// How many of an artifact's candidates are told of.
const TOLD: usize = 8;

/// Why a candidate proves nothing. The later in this list, the more it tells.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// It could not be understood, and why.
    Unreadable(&'static str),
    /// It is larger than this many bytes.
    TooLarge(usize),
    /// It was made with a certificate, and a key is asked for.
    Certificate,
    /// Another key made it, or it was altered since.
    OtherKey,
    /// The key signed something else than that the artifact is signed.
    OtherStatement(String),
    /// The key signed another artifact: its digest.
    OtherArtifact(String),
}

impl Refusal {
    /// In words, of `it`.
    fn words(&self, key: &VerifyingKey) -> String {
        let short = |outside: &str| text::line(outside, 100).into_owned();
        match self {
            Self::Unreadable(why) => format!("a signature cannot be read: {why}"),
            Self::TooLarge(max) => format!("a signature is larger than {max} bytes"),
            Self::Certificate => {
                format!(
                    "it has an attestation by a certificate, expected a signature by the key {}",
                    key.fingerprint()
                )
            }
            Self::OtherKey => format!(
                "its signature is not one of the key {}: another key made it, or it was altered",
                key.fingerprint()
            ),
            Self::OtherStatement(kind) => format!(
                "the key {} signed a statement of the type {} about it, expected {SIGN}",
                key.fingerprint(),
                text::quoted(kind)
            ),
            Self::OtherArtifact(digest) => format!(
                "its signature belongs to another artifact, {}",
                short(digest)
            ),
        }
    }

    fn hint(&self) -> &'static str {
        match self {
            Self::Unreadable(_) | Self::TooLarge(_) | Self::OtherStatement(_) => {
                "sign it where it is pushed: cosign sign --key … <image>@<digest>"
            }
            Self::Certificate => {
                "sign it with the key as well, where it is pushed: cosign sign --key … <image>@<digest>"
            }
            Self::OtherKey => {
                "if the key was replaced, put the new public key where verify in deploy.toml names it; else see who pushed this"
            }
            Self::OtherArtifact(_) => {
                "a signature was copied, or the tag was moved after it was signed: see who pushed this, and sign the digest that is to run"
            }
        }
    }
}

/// The error of an artifact for which there was no proof among its candidates.
pub(super) fn refused(artifact: &Artifact, policy: &Verify, refusals: &[Refusal]) -> Error {
    let Verify::Key(key) = policy;
    let what = text::line(&artifact.what, 300);
    let Some(most) = refusals.iter().max() else {
        let message = format!("{what}: it is not signed, and deploy.toml asks for it (verify)");
        return Error::new(Kind::Policy, message)
            .detail(format!(
                "ghcr.io has neither a signature nor a bundle beside {}",
                artifact.digest
            ))
            .hint("sign it where it is pushed: cosign sign --key … <image>@<digest>");
    };
    let mut error = Error::new(Kind::Policy, format!("{what}: {}", most.words(key)))
        .detail(format!("expected a signature of {}", artifact.digest));
    if refusals.len() > 1 {
        let each = refusals.iter().take(TOLD).enumerate();
        error = error.details(each.map(|(at, refusal)| {
            format!("{} of {}: {}", at + 1, refusals.len(), refusal.words(key))
        }));
    }
    error.hint(most.hint())
}
