//! What a failure of the registry's client means.
//!
//! Pure.

use oci_client::errors::{DigestError, OciDistributionError, OciEnvelope, OciErrorCode};

use super::error::{self, RegistryError};
use crate::text;

/// What a failure means. Only the registry's own word counts as "not found":
/// a proxy may answer 404 too.
pub(super) fn meaning(error: &OciDistributionError) -> RegistryError {
    match error {
        OciDistributionError::RegistryError { envelope, .. } => word(envelope),
        OciDistributionError::UnauthorizedError { .. } => RegistryError::Denied,
        // The token was refused; this is the body of the answer.
        OciDistributionError::AuthenticationFailure(body) => serde_json::from_str(body)
            .map_or(RegistryError::Unavailable, |envelope| word(&envelope)),
        OciDistributionError::ServerError { code, .. } => match code {
            401 | 403 => RegistryError::Denied,
            407 => RegistryError::Proxy,
            429 => RegistryError::Throttled,
            500.. => RegistryError::Unavailable,
            _ => RegistryError::Unknown,
        },
        OciDistributionError::RequestError(_) => error::read(&words(error)),
        OciDistributionError::DigestError(DigestError::VerificationError { .. }) => {
            RegistryError::Altered
        }
        OciDistributionError::IoError(error) if is_altered(error) => RegistryError::Altered,
        _ => RegistryError::Unknown,
    }
}

/// Whether a stream ended since its bytes are not those of its digest.
fn is_altered(error: &std::io::Error) -> bool {
    let Some(cause) = error.get_ref() else {
        return false;
    };
    cause.is::<DigestError>()
}

fn word(envelope: &OciEnvelope) -> RegistryError {
    let Some(first) = envelope.errors.first() else {
        return RegistryError::Unknown;
    };
    match first.code {
        OciErrorCode::ManifestUnknown | OciErrorCode::NameUnknown | OciErrorCode::NotFound => {
            RegistryError::NotFound
        }
        OciErrorCode::Denied if first.message.contains("read_package") => RegistryError::NoRight,
        OciErrorCode::Denied | OciErrorCode::Unauthorized => RegistryError::Denied,
        OciErrorCode::Toomanyrequests => RegistryError::Throttled,
        _ => RegistryError::Unknown,
    }
}

/// The chain of causes in one line.
pub(super) fn words(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        words.push_str(": ");
        words.push_str(&cause.to_string());
        next = cause.source();
    }
    text::line(&words, 400).into_owned()
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
