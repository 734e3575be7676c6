//! The form of a token and its signature: RS256, nothing else.
//!
//! jsonwebtoken reads it; its own choices of cryptography are aws-lc and rsa, so it
//! is given a provider over ring, which can verify RS256 and does nothing more.

use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier, KeyUtils};
use jsonwebtoken::dangerous::insecure_decode_claims;
use jsonwebtoken::errors::{ErrorKind, Result as JwtResult};
use jsonwebtoken::signature::{Error as SignatureError, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind, Validation, decode, decode_header};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};

use super::judge::Claims;
use crate::signal::Digest;

/// The longest token, in bytes: GitHub's have some two thousand.
const MAX: usize = 16 << 10;

/// The longest id of a key, in bytes.
const KEY_ID_MAX: usize = 256;

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err(ErrorKind::InvalidAlgorithm.into()),
    verifier_factory: verifier,
    key_utils: KeyUtils::new_unimplemented(),
};

/// What a token says, before anything of it is proven.
#[derive(Debug)]
pub(super) struct Unproven {
    pub(super) key_id: String,
    pub(super) claims: Claims,
}

/// Reads a token, or says what is wrong with its form.
pub(super) fn read(token: &str) -> Result<Unproven, String> {
    if token.len() > MAX {
        return Err(format!("it is longer than {} KiB", MAX >> 10));
    }
    let header = decode_header(token).map_err(|_| "it is no token of GitHub's in its form")?;
    if header.alg != Algorithm::RS256 {
        return Err("it is not signed by RS256".to_owned());
    }
    let key_id = header.kid.ok_or("it names no key")?;
    if key_id.is_empty() || key_id.len() > KEY_ID_MAX {
        return Err("it names no key".to_owned());
    }
    let claims = insecure_decode_claims(token)
        .map_err(|_| "a claim is missing, of another type, or there twice")?;
    Ok(Unproven { key_id, claims })
}

/// Its claims, where this key signed it.
pub(super) fn verify(token: &str, key: &DecodingKey) -> Result<Claims, String> {
    // Harmless when done again.
    let _ = PROVIDER.install_default();
    let mut form = Validation::new(Algorithm::RS256);
    // Who, for whom and when is judged by the claims themselves.
    form.required_spec_claims.clear();
    form.validate_aud = false;
    form.validate_exp = false;
    decode(token, key, &form)
        .map(|token| token.claims)
        .map_err(|_| "its signature is not its issuer's".to_owned())
}

/// A name for a token's id that is a plain word, whatever stands in the id.
pub(super) fn digest(jti: &str) -> String {
    Digest::of(jti.as_bytes()).hex().to_owned()
}

struct Rs256 {
    modulus: Vec<u8>,
    exponent: Vec<u8>,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "the provider's type has it so"
)]
fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> JwtResult<Box<dyn JwtVerifier>> {
    match (algorithm, key.kind()) {
        (Algorithm::RS256, DecodingKeyKind::RsaModulusExponent { n, e }) => Ok(Box::new(Rs256 {
            modulus: n.clone(),
            exponent: e.clone(),
        })),
        _ => Err(ErrorKind::InvalidAlgorithm.into()),
    }
}

impl Verifier<Vec<u8>> for Rs256 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), SignatureError> {
        RsaPublicKeyComponents {
            n: &self.modulus,
            e: &self.exponent,
        }
        .verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
        .map_err(|_| SignatureError::new())
    }
}

impl JwtVerifier for Rs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::RS256
    }
}
