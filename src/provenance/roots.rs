//! Whom attestations are believed: the certificate authorities, logs and time stamps
//! of Sigstore's public instance and of GitHub's own. Pure.
//!
//! Which instance made a certificate is read of its issuer, and never of what a bundle
//! lacks: GitHub's own has no transparency log, the public one always has.

use rustls::pki_types::CertificateDer;
use sigstore_verify::Verifier;
use sigstore_verify::trust_root::{
    SIGSTORE_GITHUB_TRUSTED_ROOT, SIGSTORE_PRODUCTION_TRUSTED_ROOT, TrustedRoot,
};

use super::crypto;

/// When the roots were taken that come with this program: those of
/// `sigstore-trust-root` 0.15.1, from <https://tuf-repo-cdn.sigstore.dev> and
/// <https://tuf-repo.github.com>.
pub const EMBEDDED: &str = "2026-10-23";

/// The most roots that one file may hold.
const ROOTS: usize = 32;

/// How the organisation of GitHub's own instance stands in a name: the identifier of
/// `organizationName` (X.520, 2.5.4.10) before it.
const ORGANISATION: [u8; 5] = [0x06, 0x03, 0x55, 0x04, 0x0a];
const GITHUB: &[u8] = b"GitHub, Inc.";

/// The roots that count.
pub(super) struct Roots(Vec<Root>);

/// One instance of Sigstore's services.
pub(super) struct Root {
    /// Checks a bundle with it.
    pub(super) verifier: Verifier,
    /// Whether it is GitHub's own, for private repositories.
    pub(super) is_github: bool,
    /// The names of its authorities, in DER.
    names: Vec<Vec<u8>>,
}

impl Roots {
    /// Those that come with this program.
    pub(super) fn embedded() -> Result<Self, String> {
        let roots = [
            SIGSTORE_PRODUCTION_TRUSTED_ROOT,
            SIGSTORE_GITHUB_TRUSTED_ROOT,
        ];
        Ok(Self(roots.into_iter().map(root).collect::<Result<_, _>>()?))
    }

    /// Those of a file as `gh attestation trusted-root` writes it: one on each line.
    pub(super) fn read(file: &str) -> Result<Self, String> {
        let lines = file.lines().enumerate();
        let lines = lines.filter(|(_, line)| !line.trim().is_empty());
        let mut roots = Vec::new();
        for (at, line) in lines {
            if roots.len() == ROOTS {
                return Err(format!("it holds more than {ROOTS} roots"));
            }
            roots.push(root(line).map_err(|why| format!("line {}: {why}", at + 1))?);
        }
        if roots.is_empty() {
            return Err("it is empty".to_owned());
        }
        Ok(Self(roots))
    }

    /// The roots with an authority of this name.
    pub(super) fn named(&self, issuer: &[u8]) -> impl Iterator<Item = &Root> {
        let own = move |root: &&Root| root.names.iter().any(|name| name == issuer);
        self.0.iter().filter(own)
    }
}

fn root(json: &str) -> Result<Root, String> {
    crypto::install();
    let root = TrustedRoot::from_json(json).map_err(|error| error.to_string())?;
    let verifier = Verifier::new(&root).map_err(|error| error.to_string())?;
    let mut names = Vec::new();
    for authority in &root.certificate_authorities {
        for certificate in &authority.cert_chain.certificates {
            let der = CertificateDer::from(certificate.raw_bytes.as_bytes());
            let anchor =
                webpki::anchor_from_trusted_cert(&der).map_err(|error| error.to_string())?;
            names.push(anchor.subject.as_ref().to_vec());
        }
    }
    Ok(Root {
        verifier,
        is_github: !names.is_empty() && names.iter().all(|name| is_of_github(name)),
        names,
    })
}

/// Whether a name says that it is one of GitHub's.
fn is_of_github(name: &[u8]) -> bool {
    let mut places = name.windows(ORGANISATION.len()).enumerate();
    places.any(|(at, window)| {
        // The kind of the text and its length stand between.
        let text = &name[at + window.len()..];
        window == ORGANISATION
            && text.get(2..).is_some_and(|text| text.starts_with(GITHUB))
            && text
                .get(1)
                .is_some_and(|length| usize::from(*length) == GITHUB.len())
    })
}
