//! The testbed's certificate authority and every certificate under it, new for each run. The
//! authority's key must never leave the run folder.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
};

/// Where the files lie. Certificates are `NAME.crt`, keys `NAME.key`, all PEM.
#[derive(Debug, Clone)]
pub struct Pki {
    dir: PathBuf,
}

/// A certificate to be made.
struct Leaf {
    file: &'static str,
    name: &'static str,
    /// The user's group, as Kubernetes reads it out of the subject.
    group: Option<&'static str>,
    hosts: &'static [&'static str],
}

/// What the parts of the cluster call themselves. The names and groups are those that
/// Kubernetes' own roles are bound to.
const LEAVES: [Leaf; 8] = [
    Leaf {
        file: "apiserver",
        name: "kube-apiserver",
        group: None,
        hosts: &[
            "localhost",
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "127.0.0.1",
            "10.96.0.1",
        ],
    },
    Leaf {
        file: "admin",
        name: "admin",
        group: Some("system:masters"),
        hosts: &[],
    },
    Leaf {
        file: "apiserver-kubelet",
        name: "kube-apiserver-kubelet",
        group: Some("system:masters"),
        hosts: &[],
    },
    Leaf {
        file: "front-proxy",
        name: "front-proxy",
        group: None,
        hosts: &[],
    },
    Leaf {
        file: "controllers",
        name: "system:kube-controller-manager",
        group: None,
        hosts: &[],
    },
    Leaf {
        file: "scheduler",
        name: "system:kube-scheduler",
        group: None,
        hosts: &[],
    },
    Leaf {
        file: "kubelet",
        name: "system:node:localhost",
        group: Some("system:nodes"),
        hosts: &["localhost", "127.0.0.1"],
    },
    Leaf {
        file: "ghcr",
        name: "ghcr.io",
        group: None,
        hosts: &["ghcr.io", "localhost", "127.0.0.1"],
    },
];

impl Pki {
    /// Makes the authority, all certificates and the keys for service account tokens in `dir`.
    pub fn create(dir: &Path) -> Result<Self> {
        let pki = Self {
            dir: dir.to_owned(),
        };
        let make = || -> Result<()> {
            let authority = authority()?;
            write(&pki.cert("ca"), &authority.pem(), 0o644)?;
            write(&pki.key("ca"), &authority.key().serialize_pem(), 0o600)?;
            for leaf in &LEAVES {
                let key = KeyPair::generate()?;
                let cert = leaf.params()?.signed_by(&key, &authority)?;
                write(&pki.cert(leaf.file), &cert.pem(), 0o644)?;
                write(&pki.key(leaf.file), &key.serialize_pem(), 0o600)?;
            }
            let tokens = KeyPair::generate()?;
            write(&pki.key("tokens"), &tokens.serialize_pem(), 0o600)?;
            write(&pki.public("tokens"), &tokens.public_key_pem(), 0o644)
        };
        make()
            .with_context(|| format!("the certificates could not be made in {}", dir.display()))?;
        Ok(pki)
    }

    /// The path of a certificate.
    pub fn cert(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.crt"))
    }

    /// The path of a private key.
    pub fn key(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.key"))
    }

    /// The path of a public key.
    pub fn public(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.pub"))
    }
}

impl Leaf {
    fn params(&self) -> Result<CertificateParams> {
        let hosts: Vec<String> = self.hosts.iter().map(|&host| host.to_owned()).collect();
        let mut params = CertificateParams::new(hosts)?;
        params.distinguished_name = subject(self.name, self.group);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.use_authority_key_identifier_extension = true;
        Ok(params)
    }
}

fn authority() -> Result<CertifiedIssuer<'static, KeyPair>> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = subject("deploy testbed", None);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}

fn subject(name: &str, group: Option<&str>) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    if let Some(group) = group {
        subject.push(DnType::OrganizationName, group);
    }
    subject.push(DnType::CommonName, name);
    subject
}

fn write(path: &Path, text: &str, mode: u32) -> Result<()> {
    let mut file = fs::File::options()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn keys_are_for_their_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let pki = Pki::create(dir.path()).unwrap();
        for leaf in &LEAVES {
            let mode = fs::metadata(pki.key(leaf.file))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600, "{}", leaf.file);
            assert!(
                fs::read_to_string(pki.cert(leaf.file))
                    .unwrap()
                    .contains("BEGIN CERTIFICATE")
            );
        }
    }

    #[test]
    fn a_folder_is_used_once() {
        let dir = tempfile::tempdir().unwrap();
        Pki::create(dir.path()).unwrap();
        assert!(Pki::create(dir.path()).is_err());
    }
}
