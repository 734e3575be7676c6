//! The signatures of cosign 3: a bundle of sigstore's with an in-toto statement in a
//! DSSE envelope (sigstore/protobuf-specs, `sigstore_bundle.proto`;
//! secure-systems-lab/dsse, `protocol.md`). Pure.
//!
//! Of the bundle's time stamps and log entries nothing is checked, and nothing
//! believed: a key in deploy.toml needs no certificate.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::refusal::Refusal;
use super::{SIGN, made_by};
use crate::plan::VerifyingKey;
use crate::signal::Digest;

/// What a bundle's media type begins with; its version follows.
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";

/// What the envelope has to hold.
const IN_TOTO: &str = "application/vnd.in-toto+json";

/// How the type of a statement begins; its version follows.
const STATEMENT: &str = "https://in-toto.io/Statement/v";

/// The most signatures of one envelope that are tried.
const SIGNATURES: usize = 8;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle {
    media_type: String,
    #[serde(default)]
    verification_material: Material,
    dsse_envelope: Option<Envelope>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Material {
    certificate: Option<serde::de::IgnoredAny>,
    x509_certificate_chain: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<Signature>,
}

#[derive(Deserialize)]
struct Signature {
    sig: String,
}

#[derive(Deserialize)]
struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Subject>,
    #[serde(rename = "predicateType")]
    predicate: String,
}

#[derive(Deserialize)]
struct Subject {
    digest: BTreeMap<String, String>,
}

/// Whether the key signed a statement that the digest is signed.
pub(super) fn check(key: &VerifyingKey, digest: &Digest, bundle: &[u8]) -> Result<(), Refusal> {
    let bundle: Bundle = serde_json::from_slice(bundle)
        .map_err(|_| Refusal::Unreadable("it is no bundle".into()))?;
    if !bundle.media_type.starts_with(BUNDLE) {
        return Err(Refusal::Unreadable(
            "its media type is not a bundle's".into(),
        ));
    }
    let Some(envelope) = bundle.dsse_envelope else {
        return Err(Refusal::Unreadable("it has no DSSE envelope".into()));
    };
    let payload = STANDARD
        .decode(&envelope.payload)
        .map_err(|_| Refusal::Unreadable("its payload is not base64".into()))?;
    let signed = authentication_encoding(&envelope.payload_type, &payload);
    let mut signatures = envelope.signatures.iter().take(SIGNATURES);
    let good = signatures.any(|signature| {
        STANDARD
            .decode(&signature.sig)
            .is_ok_and(|signature| made_by(key, &signed, &signature))
    });
    if !good {
        let material = &bundle.verification_material;
        let certified = material.certificate.is_some() || material.x509_certificate_chain.is_some();
        return Err(if certified {
            Refusal::Certificate
        } else {
            Refusal::OtherKey
        });
    }
    // Nothing of the payload is believed before.
    statement(&envelope.payload_type, &payload, digest)
}

fn statement(kind: &str, payload: &[u8], digest: &Digest) -> Result<(), Refusal> {
    if kind != IN_TOTO {
        return Err(Refusal::OtherStatement(kind.to_owned()));
    }
    let statement: Statement = serde_json::from_slice(payload)
        .map_err(|_| Refusal::Unreadable("what is signed is no in-toto statement".into()))?;
    if !statement.kind.starts_with(STATEMENT) {
        return Err(Refusal::OtherStatement(statement.kind));
    }
    if statement.predicate != SIGN {
        return Err(Refusal::OtherStatement(statement.predicate));
    }
    let named = |subject: &Subject| {
        let hex = subject.digest.get("sha256");
        hex.is_some_and(|hex| hex == digest.hex())
    };
    if statement.subject.iter().any(named) {
        return Ok(());
    }
    let other = statement.subject.first();
    let other = other.and_then(|subject| subject.digest.get("sha256"));
    Err(match other {
        Some(hex) => Refusal::OtherArtifact(format!("sha256:{hex}")),
        None => Refusal::Unreadable("what is signed names no artifact by sha256".into()),
    })
}

/// What a DSSE signature is made of (`protocol.md`, "Signature Definition").
pub(super) fn authentication_encoding(kind: &str, payload: &[u8]) -> Vec<u8> {
    let mut encoded = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).into_bytes();
    encoded.extend_from_slice(payload);
    encoded
}
