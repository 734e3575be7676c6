//! What must be proven of chart and images before they are deployed: `verify` of
//! deploy.toml, as data.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use ring::digest::{SHA256, digest};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject as _;

use super::workflow::WorkflowPolicy;

/// What an artifact's origin is proven with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verify {
    /// A signature that this key verifies.
    Key(VerifyingKey),
    /// An attestation of this workflow.
    Workflow(Box<WorkflowPolicy>),
}

/// How a `SubjectPublicKeyInfo` of an ECDSA key on P-256 begins (RFC 5480): the
/// two identifiers and the head of a bit string of 65 bytes.
const P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// A public key for ECDSA on P-256 with SHA-256.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifyingKey {
    /// The point, uncompressed: `04`, then both coordinates.
    point: Vec<u8>,
    fingerprint: String,
}

impl VerifyingKey {
    /// What a file of such a key holds, in words.
    pub const EXPECTED: &str = "a PEM block PUBLIC KEY with an ECDSA key on P-256, as `cosign generate-key-pair` and `openssl ec -pubout` write it";

    /// The point, as `ring` takes it.
    pub fn point(&self) -> &[u8] {
        &self.point
    }

    /// `sha256:` and the first 16 digits of the digest of the key's DER form: what
    /// `openssl pkey -pubin -outform der | sha256sum` begins with.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

impl FromStr for VerifyingKey {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains("PRIVATE KEY-----") {
            return Err("the public key: a private key belongs only where artifacts are signed");
        }
        let der =
            SubjectPublicKeyInfoDer::from_pem_slice(text.as_bytes()).map_err(|_| Self::EXPECTED)?;
        let point = der.strip_prefix(&P256).ok_or(Self::EXPECTED)?;
        if point.len() != 65 || point[0] != 4 {
            return Err(Self::EXPECTED);
        }
        let hash = digest(&SHA256, &der);
        let mut fingerprint = String::from("sha256:");
        for byte in hash.as_ref().iter().take(8) {
            let _ = write!(fingerprint, "{byte:02x}");
        }
        Ok(Self {
            point: point.to_vec(),
            fingerprint,
        })
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fingerprint)
    }
}

#[cfg(test)]
mod tests {
    use super::VerifyingKey;

    const P256: &str = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE";

    #[test]
    fn only_a_public_key_on_p256_is_taken() {
        for (text, expected) in [
            ("", VerifyingKey::EXPECTED),
            (P256, VerifyingKey::EXPECTED),
            (
                // Ed25519, RFC 8410, section 10.1.
                "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n",
                VerifyingKey::EXPECTED,
            ),
            (
                "-----BEGIN EC PRIVATE KEY-----\nMHc=\n-----END EC PRIVATE KEY-----\n",
                "the public key: a private key belongs only where artifacts are signed",
            ),
            (
                "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nMHc=\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n",
                "the public key: a private key belongs only where artifacts are signed",
            ),
        ] {
            assert_eq!(text.parse::<VerifyingKey>(), Err(expected), "{text}");
        }
    }
}
