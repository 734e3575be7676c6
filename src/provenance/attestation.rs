//! Attestations of GitHub's: a bundle with a certificate that says which workflow
//! built the artifact. `sigstore-verify` checks the bundle; what the certificate says
//! is checked here. Pure.

use std::collections::BTreeMap;

use rustls::pki_types::CertificateDer;
use serde::Deserialize;
use sigstore_verify::types::{Bundle, Sha256Hash, SignatureContent};
use sigstore_verify::{
    CertificateError, Error, TimestampError, TransparencyLogError, VerificationPolicy,
};
use webpki::EndEntityCert;

use super::PROVENANCE;
use super::claims;
use super::refusal::Refusal;
use super::roots::{Root, Roots};
use crate::event::Origin;
use crate::plan::WorkflowPolicy;
use crate::signal::Digest;

#[derive(Deserialize)]
struct Statement {
    subject: Vec<Subject>,
    #[serde(rename = "predicateType")]
    predicate: String,
}

#[derive(Deserialize)]
struct Subject {
    #[serde(default)]
    digest: BTreeMap<String, String>,
}

/// Where the workflow built the artifact from, as an attestation proves it.
pub(super) fn check(
    policy: &WorkflowPolicy,
    roots: &Roots,
    digest: &Digest,
    bundle: &[u8],
) -> Result<Origin, Refusal> {
    let text =
        std::str::from_utf8(bundle).map_err(|_| Refusal::Unreadable("it is no bundle".into()))?;
    let bundle = Bundle::from_json(text)
        .map_err(|error| Refusal::Unreadable(format!("it is no bundle: {error}").into()))?;
    let Some(certificate) = bundle.signing_certificate() else {
        return Err(Refusal::ByKey);
    };
    let SignatureContent::DsseEnvelope(envelope) = &bundle.content else {
        return Err(Refusal::Unreadable("it has no DSSE envelope".into()));
    };
    let der = CertificateDer::from(certificate.as_bytes());
    let issuer = EndEntityCert::try_from(&der)
        .map_err(|error| Refusal::Unreadable(format!("its certificate: {error}").into()))?;
    let artifact = Sha256Hash::from_hex(digest.hex())
        .map_err(|error| Refusal::Unreadable(error.to_string().into()))?;
    let mut refusal = None;
    for root in roots.named(issuer.issuer()) {
        match root.verifier.verify(artifact, &bundle, &rules(root)) {
            Ok(verified) => {
                statement(envelope.payload.as_bytes())?;
                let Some(certificate) = verified.certificate() else {
                    return Err(Refusal::ByKey);
                };
                let issuer = certificate.issuer.as_deref();
                let built = claims::check(policy, issuer, &certificate.ci_claims)?;
                return Ok(Origin {
                    by: format!("workflow {}", built.by),
                    commit: Some(built.commit),
                    digest: digest.clone(),
                });
            }
            Err(error) => refusal = refusal.max(Some(refused(error, envelope.payload.as_bytes()))),
        }
    }
    let unknown = || Refusal::Stale("no authority of that name is in it".to_owned());
    Err(refusal.unwrap_or_else(unknown))
}

/// What has to hold besides the signature. GitHub's own instance keeps no logs; who
/// may sign is not the crate's to say.
fn rules(root: &Root) -> VerificationPolicy {
    let rules = VerificationPolicy::any_identity();
    if root.is_github {
        return rules.skip_tlog_unsafe().skip_sct();
    }
    rules
}

/// Whether what was signed says how its subject was built.
fn statement(payload: &[u8]) -> Result<(), Refusal> {
    let statement: Statement = serde_json::from_slice(payload)
        .map_err(|_| Refusal::Unreadable("what is signed is no in-toto statement".into()))?;
    if statement.predicate == PROVENANCE {
        return Ok(());
    }
    Err(Refusal::OtherStatement(statement.predicate))
}

/// Why the crate refused. What of it only a newer root could tell is never called a
/// forgery.
fn refused(error: Error, payload: &[u8]) -> Refusal {
    match error {
        Error::ArtifactMismatch(_) => other_artifact(payload),
        Error::Certificate(CertificateError::NoValidAuthority { time }) => {
            Refusal::Stale(format!("none of its authorities was valid at {time}"))
        }
        Error::Certificate(
            CertificateError::Expired { .. } | CertificateError::NotYetValid { .. },
        ) => Refusal::Expired,
        Error::Certificate(CertificateError::ChainInvalid(why)) => {
            if why.contains("CertExpired") || why.contains("CertNotValidYet") {
                Refusal::Expired
            } else if why.contains("UnknownIssuer") || why.contains("InvalidSignature") {
                Refusal::Stale("none of its authorities signed that certificate".to_owned())
            } else {
                Refusal::Forged(why)
            }
        }
        Error::TransparencyLog(TransparencyLogError::UnknownLog { log_id }) => {
            Refusal::Stale(format!("it does not know the log {log_id}"))
        }
        Error::TransparencyLog(TransparencyLogError::Checkpoint(why))
            if why.contains("No matching Rekor key") =>
        {
            Refusal::Stale("it does not know the log's key".to_owned())
        }
        Error::TransparencyLog(TransparencyLogError::InclusionPromise(why))
            if why.contains("No log key valid") =>
        {
            Refusal::Stale("it does not know the log, or not for that time".to_owned())
        }
        Error::TransparencyLog(TransparencyLogError::IntegratedTime(why))
            if why.contains("in the future") =>
        {
            Refusal::Future(why)
        }
        Error::Timestamp(TimestampError::NoVerifiedTimestamp(_)) => Refusal::NoTime,
        Error::Timestamp(TimestampError::OutsideAuthorityValidity { time }) => Refusal::Stale(
            format!("the authority that stamped its time was not valid at {time}"),
        ),
        Error::Timestamp(TimestampError::Invalid(why)) => Refusal::Stamp(why),
        Error::InvalidBundle(why) | Error::UnsupportedBundle(why) => {
            Refusal::Unreadable(why.into())
        }
        Error::Bundle(error) => Refusal::Unreadable(error.to_string().into()),
        Error::Types(error) => Refusal::Unreadable(error.to_string().into()),
        other => Refusal::Forged(other.to_string()),
    }
}

/// The first of what was signed instead.
fn other_artifact(payload: &[u8]) -> Refusal {
    let statement = serde_json::from_slice::<Statement>(payload).ok();
    let subject = statement.and_then(|it| it.subject.into_iter().next());
    let hex = subject.and_then(|it| it.digest.get("sha256").cloned());
    match hex {
        Some(hex) => Refusal::OtherArtifact(format!("sha256:{hex}")),
        None => Refusal::Unreadable("what is signed names no artifact by sha256".into()),
    }
}
