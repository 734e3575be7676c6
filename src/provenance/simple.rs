//! The signatures of cosign 2: a "simple signing" document that names a digest
//! (sigstore/cosign, `specs/SIGNATURE_SPEC.md`). Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::made_by;
use super::refusal::Refusal;
use crate::plan::VerifyingKey;
use crate::signal::Digest;

/// What `critical.type` says of an image's signature. A key may sign other things.
const KIND: &str = "cosign container image signature";

#[derive(Deserialize)]
struct Payload {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    image: Image,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    digest: String,
}

/// Whether the key signed that document, and the document names the digest.
pub(super) fn check(
    key: &VerifyingKey,
    digest: &Digest,
    payload: &[u8],
    signature: &str,
) -> Result<(), Refusal> {
    let signature = STANDARD
        .decode(signature)
        .map_err(|_| Refusal::Unreadable("its signature is not base64".into()))?;
    if !made_by(key, payload, &signature) {
        return Err(Refusal::OtherKey);
    }
    // Nothing of it is believed before.
    let payload: Payload = serde_json::from_slice(payload).map_err(|_| {
        Refusal::Unreadable("what is signed is no signing document of cosign's".into())
    })?;
    if payload.critical.kind != KIND {
        return Err(Refusal::OtherStatement(payload.critical.kind));
    }
    if payload.critical.image.digest != digest.as_str() {
        return Err(Refusal::OtherArtifact(payload.critical.image.digest));
    }
    Ok(())
}
