//! An instance of Sigstore's services that the tests own: a certificate authority whose
//! certificates say what Fulcio's say (sigstore/fulcio, `docs/oid-info.md`), a log of
//! certificates, a transparency log as Rekor 1 keeps it, or an authority that stamps
//! times (RFC 3161).

mod der;
mod stamps;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, CustomExtension,
    DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    PublicKeyData as _, SanType, SerialNumber, SigningKey as _, date_time_ymd,
};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use der::{der, first, inner};
use stamps::Stamps;

/// When everything is signed, in seconds, where nothing else is said: 2023-11-14.
pub const SIGNED: i64 = 1_700_000_000;

pub const IN_TOTO: &str = "application/vnd.in-toto+json";
pub const PROVENANCE: &str = "https://slsa.dev/provenance/v1";

/// The arc of Fulcio's extensions, and its numbers that a policy reads.
const FULCIO: [u64; 8] = [1, 3, 6, 1, 4, 1, 57264, 1];
pub const ISSUER: u64 = 8;
pub const SIGNER: u64 = 9;
pub const REPOSITORY: u64 = 12;
pub const COMMIT: u64 = 13;
pub const REF: u64 = 14;
pub const REPOSITORY_ID: u64 = 15;
pub const OWNER_ID: u64 = 17;
pub const WORKFLOW: u64 = 18;
pub const EVENT: u64 = 20;

/// The job that asks for a certificate, and what is odd about that.
#[derive(Clone)]
pub struct Job {
    /// What the certificate says, by the last number of the extension.
    pub claims: BTreeMap<u64, String>,
    /// When it begins to be valid; it is for ten minutes.
    pub not_before: i64,
    /// When something is signed with it.
    pub signed: i64,
    /// Whether it is for signing code.
    pub signs_code: bool,
    /// Whether the log of certificates has it.
    pub in_log: bool,
}

impl Job {
    /// Of `<owner>/<name>`, for its workflow `deploy.yml` at a ref.
    pub fn of(repository: &str, reference: &str) -> Self {
        let url = format!("https://github.com/{repository}");
        let workflow = format!("{url}/.github/workflows/deploy.yml@{reference}");
        let claims = [
            (
                ISSUER,
                "https://token.actions.githubusercontent.com".to_owned(),
            ),
            (SIGNER, workflow.clone()),
            (REPOSITORY, url),
            (COMMIT, "c0ffee".repeat(6) + "c0ff"),
            (REF, reference.to_owned()),
            (REPOSITORY_ID, "74".to_owned()),
            (OWNER_ID, "7".to_owned()),
            (WORKFLOW, workflow),
            (EVENT, "push".to_owned()),
        ];
        Self {
            claims: claims.into(),
            not_before: SIGNED - 60,
            signed: SIGNED,
            signs_code: true,
            in_log: true,
        }
    }

    /// With another claim.
    #[must_use]
    pub fn with(mut self, claim: u64, value: &str) -> Self {
        self.claims.insert(claim, value.to_owned());
        self
    }

    /// Without one.
    #[must_use]
    pub fn without(mut self, claim: u64) -> Self {
        self.claims.remove(&claim);
        self
    }

    fn certificate(
        &self,
        key: &KeyPair,
        authority: &CertifiedIssuer<'static, KeyPair>,
        sct: Option<Vec<u8>>,
    ) -> Certificate {
        let epoch = date_time_ymd(1970, 1, 1);
        let seconds = |seconds: i64| Duration::from_secs(u64::try_from(seconds).unwrap());
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.serial_number = Some(SerialNumber::from_slice(&[7; 16]));
        params.not_before = epoch + seconds(self.not_before);
        params.not_after = epoch + seconds(self.not_before + 600);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![if self.signs_code {
            ExtendedKeyUsagePurpose::CodeSigning
        } else {
            ExtendedKeyUsagePurpose::ServerAuth
        }];
        let uri = self.claims.get(&SIGNER).cloned().unwrap_or_default();
        params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
        for (claim, value) in &self.claims {
            let oid: Vec<u64> = FULCIO.into_iter().chain([*claim]).collect();
            let value = der(0x0c, &[value.as_bytes()]);
            let extension = CustomExtension::from_oid_content(&oid, value);
            params.custom_extensions.push(extension);
        }
        // The last one, so that what the log signed is the rest.
        if let Some(list) = sct {
            let oid = [1, 3, 6, 1, 4, 1, 11129, 2, 4, 2];
            let extension = CustomExtension::from_oid_content(&oid, der(0x04, &[&list]));
            params.custom_extensions.push(extension);
        }
        params.signed_by(key, authority).unwrap()
    }
}

/// One instance.
pub struct Sigstore {
    authority: CertifiedIssuer<'static, KeyPair>,
    /// The log of certificates, and that of signatures.
    logs: Option<(KeyPair, KeyPair)>,
    stamps: Option<Stamps>,
}

impl Sigstore {
    /// As the public one is: with logs.
    pub fn public() -> Self {
        Self {
            authority: authority("sigstore.dev", "sigstore-intermediate"),
            logs: Some((KeyPair::generate().unwrap(), KeyPair::generate().unwrap())),
            stamps: None,
        }
    }

    /// As GitHub's own is: without logs, with time stamps.
    pub fn github() -> Self {
        let organisation = "GitHub, Inc.";
        Self {
            authority: authority(organisation, "Fulcio Intermediate l2"),
            logs: None,
            stamps: Some(Stamps::new(organisation)),
        }
    }

    /// What trusts it: a line of `trusted_root.jsonl`.
    pub fn root(&self) -> Value {
        let window = json!({ "start": "2023-01-01T00:00:00Z" });
        let log = |key: &KeyPair| {
            let spki = key.subject_public_key_info();
            json!({
                "baseUrl": "https://log.example",
                "hashAlgorithm": "SHA2_256",
                "publicKey": {
                    "rawBytes": STANDARD.encode(&spki),
                    "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                    "validFor": window,
                },
                "logId": { "keyId": STANDARD.encode(sha256(&spki)) },
            })
        };
        let authority = |chain: &[&[u8]]| {
            let chain = chain.iter();
            let chain: Vec<Value> = chain
                .map(|der| json!({ "rawBytes": STANDARD.encode(der) }))
                .collect();
            json!({
                "subject": { "organization": "x", "commonName": "x" },
                "uri": "https://authority.example",
                "certChain": { "certificates": chain },
                "validFor": window,
            })
        };
        let logs = self.logs.as_ref();
        let stamps = self.stamps.as_ref();
        json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "certificateAuthorities": [authority(&[self.authority.as_ref().der()])],
            "ctlogs": logs.map(|(log_of_certificates, _)| log(log_of_certificates)).as_slice(),
            "tlogs": logs.map(|(_, signatures)| log(signatures)).as_slice(),
            "timestampAuthorities": stamps
                .map(|it| authority(&[it.leaf.der(), it.root.as_ref().der()]))
                .as_slice(),
        })
    }

    /// The bundle that a job makes of a statement.
    pub fn attest(&self, job: &Job, statement: &Value) -> Value {
        self.attest_as(job, IN_TOTO, statement)
    }

    /// The same, of another type of payload.
    pub fn attest_as(&self, job: &Job, kind: &str, statement: &Value) -> Value {
        let key = KeyPair::generate().unwrap();
        let certificate = self.certificate(job, &key);
        self.bundle(certificate.der(), &key, job.signed, kind, statement)
    }

    /// The bundle of a statement that is signed with this certificate's key.
    pub fn bundle(
        &self,
        certificate: &[u8],
        key: &KeyPair,
        time: i64,
        kind: &str,
        statement: &Value,
    ) -> Value {
        let payload = statement.to_string().into_bytes();
        let mut signed = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).into_bytes();
        signed.extend_from_slice(&payload);
        let signature = key.sign(&signed).unwrap();
        let mut material = json!({
            "certificate": { "rawBytes": STANDARD.encode(certificate) },
        });
        if let Some((_, log)) = &self.logs {
            let entry = entry(log, time, &payload, &signature, certificate);
            material["tlogEntries"] = json!([entry]);
        }
        if let Some(stamps) = &self.stamps {
            let token = STANDARD.encode(stamps.stamp(&signature, time));
            material["timestampVerificationData"] =
                json!({ "rfc3161Timestamps": [{ "signedTimestamp": token }] });
        }
        json!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": material,
            "dsseEnvelope": {
                "payload": STANDARD.encode(&payload),
                "payloadType": kind,
                "signatures": [{ "sig": STANDARD.encode(&signature) }],
            },
        })
    }

    /// Certificate and key of its authority, in PEM, for another program to be it.
    pub fn authority(&self) -> (String, String) {
        (self.authority.pem(), self.authority.key().serialize_pem())
    }

    /// The job's certificate, with what the log of certificates says of it (RFC 6962,
    /// section 3.2).
    fn certificate(&self, job: &Job, key: &KeyPair) -> Certificate {
        let bare = job.certificate(key, &self.authority, None);
        let Some((log, _)) = self.logs.as_ref().filter(|_| job.in_log) else {
            return bare;
        };
        let issuer = self.authority.key().subject_public_key_info();
        let body = first(inner(bare.der()));
        let time = u64::try_from(job.signed).unwrap() * 1000;
        let mut signed = vec![0, 0];
        signed.extend(time.to_be_bytes());
        signed.extend([0, 1]);
        signed.extend(sha256(&issuer));
        signed.extend(&u32::try_from(body.len()).unwrap().to_be_bytes()[1..]);
        signed.extend(body);
        signed.extend([0, 0]);
        let signature = log.sign(&signed).unwrap();
        let mut sct = vec![0];
        sct.extend(sha256(&log.subject_public_key_info()));
        sct.extend(time.to_be_bytes());
        sct.extend([0, 0, 4, 3]);
        sct.extend(sized(&signature));
        job.certificate(key, &self.authority, Some(sized(&sized(&sct))))
    }
}

/// A statement of how something was built.
pub fn provenance(hex: &str) -> Value {
    statement(PROVENANCE, hex)
}

/// A statement of this type about something.
pub fn statement(predicate: &str, hex: &str) -> Value {
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": "ghcr.io/acme/shop/api", "digest": { "sha256": hex } }],
        "predicateType": predicate,
        "predicate": {},
    })
}

/// The log's entry of a signature, in a tree of its own.
fn entry(log: &KeyPair, time: i64, payload: &[u8], signature: &[u8], certificate: &[u8]) -> Value {
    let certificate = format!(
        "-----BEGIN CERTIFICATE-----
{}
-----END CERTIFICATE-----
",
        STANDARD.encode(certificate)
    );
    let hash = |bytes: &[u8]| json!({ "algorithm": "sha256", "value": hex(&sha256(bytes)) });
    let body = json!({
        "apiVersion": "0.0.1",
        "kind": "dsse",
        "spec": {
            "envelopeHash": hash(payload),
            "payloadHash": hash(payload),
            "signatures": [{
                "signature": STANDARD.encode(signature),
                "verifier": STANDARD.encode(certificate),
            }],
        },
    })
    .to_string();
    let id = sha256(&log.subject_public_key_info());
    let leaf = sha256(&[b"\0", body.as_bytes()].concat());
    let note = format!("log.example - 1\n1\n{}\n", STANDARD.encode(&leaf));
    let by = [&id[..4], &log.sign(note.as_bytes()).unwrap()].concat();
    let body = STANDARD.encode(body);
    // The order of RFC 8785.
    let promise = format!(
        r#"{{"body":"{body}","integratedTime":{},"logID":"{}","logIndex":0}}"#,
        time,
        hex(&id)
    );
    json!({
        "logIndex": "0",
        "logId": { "keyId": STANDARD.encode(&id) },
        "kindVersion": { "kind": "dsse", "version": "0.0.1" },
        "integratedTime": time.to_string(),
        "inclusionPromise": {
            "signedEntryTimestamp": STANDARD.encode(log.sign(promise.as_bytes()).unwrap()),
        },
        "inclusionProof": {
            "logIndex": "0",
            "rootHash": STANDARD.encode(&leaf),
            "treeSize": "1",
            "hashes": [],
            "checkpoint": {
                "envelope": format!("{note}\n\u{2014} log.example {}\n", STANDARD.encode(by)),
            },
        },
        "canonicalizedBody": body,
    })
}

fn named(organisation: &str, name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    let names = &mut params.distinguished_name;
    names.push(DnType::OrganizationName, organisation);
    names.push(DnType::CommonName, name);
    params
}

fn authority(organisation: &str, name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = named(organisation, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest(&SHA256, bytes).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    let add = |mut text: String, byte: &u8| {
        let _ = write!(text, "{byte:02x}");
        text
    };
    bytes.iter().fold(String::new(), add)
}

/// With its length before it, in two bytes.
fn sized(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
    [&length, bytes].concat()
}
