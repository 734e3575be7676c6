#![allow(clippy::unwrap_used)]

mod attested;
mod cosign;
mod words;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

use super::bundle::authentication_encoding;
use super::{Candidate, Prover, Refusal, SIGN};
use crate::event::Origin;
use crate::plan::{Verify, VerifyingKey};
use crate::signal::Digest;

const IN_TOTO: &str = "application/vnd.in-toto+json";
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const KIND: &str = "cosign container image signature";

fn judge(
    policy: &Verify,
    digest: &Digest,
    candidates: &[Candidate],
) -> Result<Origin, Vec<Refusal>> {
    Prover::new(policy.clone())
        .unwrap()
        .judge(digest, candidates)
}

/// A key pair of the test's own.
struct Signer(EcdsaKeyPair);

impl Signer {
    fn new() -> Self {
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        Self(EcdsaKeyPair::from_pkcs8(algorithm, pair.as_ref(), &random).unwrap())
    }

    /// The public key, as deploy.toml's file holds it.
    fn public(&self) -> VerifyingKey {
        let mut der = vec![0x30, 0x59, 0x30, 0x13, 0x06, 0x07];
        der.extend([0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08]);
        der.extend([0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]);
        der.extend([0x03, 0x42, 0x00]);
        der.extend(self.0.public_key().as_ref());
        let pem = format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            STANDARD.encode(der)
        );
        pem.parse().unwrap()
    }

    fn sign(&self, bytes: &[u8]) -> String {
        let signature = self.0.sign(&SystemRandom::new(), bytes).unwrap();
        STANDARD.encode(signature)
    }

    fn simple(&self, payload: &Value) -> Candidate {
        let payload = payload.to_string().into_bytes();
        let signature = self.sign(&payload);
        Candidate::Simple { payload, signature }
    }

    /// A bundle as cosign 3 writes it, of a statement.
    fn bundle(&self, kind: &str, statement: &Value) -> Value {
        let payload = statement.to_string().into_bytes();
        let sig = self.sign(&authentication_encoding(kind, &payload));
        json!({
            "mediaType": BUNDLE,
            "verificationMaterial": { "publicKey": { "hint": "x" }, "tlogEntries": [] },
            "dsseEnvelope": {
                "payload": STANDARD.encode(&payload),
                "payloadType": kind,
                "signatures": [ { "sig": sig } ],
            },
        })
    }
}

fn digest(of: char) -> Digest {
    format!("sha256:{}", of.to_string().repeat(64))
        .parse()
        .unwrap()
}

fn payload(kind: &str, digest: &str) -> Value {
    json!({
        "critical": {
            "identity": { "docker-reference": "ghcr.io/acme/shop/api" },
            "image": { "docker-manifest-digest": digest },
            "type": kind,
        },
        "optional": null,
    })
}

fn statement(predicate: &str, of: char) -> Value {
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [ { "digest": { "sha256": of.to_string().repeat(64) } } ],
        "predicateType": predicate,
        "predicate": {},
    })
}

fn bytes(bundle: &Value) -> Candidate {
    Candidate::Bundle(bundle.to_string().into_bytes())
}

fn other_artifact(digest: impl Into<String>) -> Option<Refusal> {
    Refusal::OtherArtifact(digest.into()).into()
}

fn other_statement(kind: &str) -> Option<Refusal> {
    Refusal::OtherStatement(kind.into()).into()
}

/// Each candidate by itself: the artifact is `a…a`, and `key` is deploy.toml's.
#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn forged_and_odd_candidates_are_judged() {
    let (key, stranger) = (Signer::new(), Signer::new());
    let hex = |of: char| format!("sha256:{}", of.to_string().repeat(64));
    let good_simple = payload(KIND, &hex('a'));
    let good = key.bundle(IN_TOTO, &statement(SIGN, 'a'));
    let with = |change: &dyn Fn(&mut Value)| {
        let mut bundle = good.clone();
        change(&mut bundle);
        bytes(&bundle)
    };
    let simple = |change: &dyn Fn(&mut Vec<u8>, &mut String)| {
        let Candidate::Simple {
            mut payload,
            mut signature,
        } = key.simple(&good_simple)
        else {
            unreachable!()
        };
        change(&mut payload, &mut signature);
        Candidate::Simple { payload, signature }
    };
    let unreadable = |why: &'static str| Some(Refusal::Unreadable(why.into()));
    let another = Some(Refusal::OtherKey);
    let foreign = stranger.bundle(IN_TOTO, &statement(SIGN, 'a'));
    let mut attestation = foreign.clone();
    attestation["verificationMaterial"] = json!({ "certificate": { "rawBytes": "MA==" } });
    let mut old_attestation = foreign.clone();
    old_attestation["verificationMaterial"] =
        json!({ "x509CertificateChain": { "certificates": [] } });
    let sbom = "https://spdx.dev/Document";
    let two = json!([ { "digest": { "sha256": "b".repeat(64) } }, { "digest": { "sha256": "a".repeat(64) } } ]);
    let mut of_two = statement(SIGN, 'a');
    of_two["subject"] = two;
    let mut of_none = statement(SIGN, 'a');
    of_none["subject"] = json!([]);
    let mut of_sha512 = statement(SIGN, 'a');
    of_sha512["subject"] = json!([ { "digest": { "sha512": "a".repeat(128) } } ]);
    let mut v9 = statement(SIGN, 'a');
    v9["_type"] = json!("https://acme.example/Statement/v1");

    for (name, candidate, expected) in [
        ("v2", key.simple(&good_simple), None),
        ("v3", bytes(&good), None),
        (
            "v3 with two subjects",
            bytes(&key.bundle(IN_TOTO, &of_two)),
            None,
        ),
        (
            "v2 of another key",
            stranger.simple(&good_simple),
            another.clone(),
        ),
        ("v3 of another key", bytes(&foreign), another.clone()),
        (
            "v2 of another artifact",
            key.simple(&payload(KIND, &hex('b'))),
            other_artifact(hex('b')),
        ),
        (
            "v3 of another artifact",
            bytes(&key.bundle(IN_TOTO, &statement(SIGN, 'b'))),
            other_artifact(hex('b')),
        ),
        (
            "v2 with upper-case digits",
            key.simple(&payload(KIND, &hex('a').to_uppercase())),
            other_artifact(hex('a').to_uppercase()),
        ),
        (
            "v2 of another kind",
            key.simple(&payload("atomic container signature", &hex('a'))),
            other_statement("atomic container signature"),
        ),
        (
            "v2 that is no signing document",
            key.simple(&json!({ "digest": hex('a') })),
            unreadable("what is signed is no signing document of cosign's"),
        ),
        (
            "v2 altered",
            simple(&|payload, _| {
                let text = String::from_utf8(payload.clone()).unwrap();
                *payload = text.replace("acme", "evil").into_bytes();
            }),
            another.clone(),
        ),
        (
            "v2 with a space more",
            simple(&|payload, _| payload.push(b' ')),
            another.clone(),
        ),
        (
            "v2 without signature",
            simple(&|_, signature| signature.clear()),
            another.clone(),
        ),
        (
            "v2 not in base64",
            simple(&|_, signature| *signature = "%".into()),
            unreadable("its signature is not base64"),
        ),
        (
            "v2 cut",
            simple(&|_, signature| {
                let bytes = STANDARD.decode(&signature).unwrap();
                *signature = STANDARD.encode(&bytes[..bytes.len() - 1]);
            }),
            another.clone(),
        ),
        (
            "v2 of a DSSE envelope's bytes",
            Candidate::Simple {
                payload: statement(SIGN, 'a').to_string().into_bytes(),
                signature: good["dsseEnvelope"]["signatures"][0]["sig"]
                    .as_str()
                    .unwrap()
                    .into(),
            },
            another.clone(),
        ),
        (
            "v3 with a certificate",
            bytes(&attestation),
            Some(Refusal::Certificate),
        ),
        (
            "v3 with a chain",
            bytes(&old_attestation),
            Some(Refusal::Certificate),
        ),
        (
            "v3 with a list of what is in it",
            bytes(&key.bundle(IN_TOTO, &statement(sbom, 'a'))),
            other_statement(sbom),
        ),
        (
            "v3 of another payload type",
            bytes(&key.bundle("text/plain", &statement(SIGN, 'a'))),
            other_statement("text/plain"),
        ),
        (
            "v3 of another type of statement",
            bytes(&key.bundle(IN_TOTO, &v9)),
            other_statement("https://acme.example/Statement/v1"),
        ),
        (
            "v3 without subject",
            bytes(&key.bundle(IN_TOTO, &of_none)),
            unreadable("what is signed names no artifact by sha256"),
        ),
        (
            "v3 of another digest's kind",
            bytes(&key.bundle(IN_TOTO, &of_sha512)),
            unreadable("what is signed names no artifact by sha256"),
        ),
        (
            "v3 that is no statement",
            bytes(&key.bundle(IN_TOTO, &json!([]))),
            unreadable("what is signed is no in-toto statement"),
        ),
        (
            "v3 with its payload altered",
            with(&|bundle| {
                let payload = statement(SIGN, 'a').to_string().replace("{}", "{ }");
                bundle["dsseEnvelope"]["payload"] = json!(STANDARD.encode(payload));
            }),
            another.clone(),
        ),
        (
            "v3 with its payload type altered",
            with(&|bundle| bundle["dsseEnvelope"]["payloadType"] = json!("text/plain")),
            another.clone(),
        ),
        (
            "v3 signed without the envelope's encoding",
            with(&|bundle| {
                let payload = statement(SIGN, 'a').to_string();
                let sig = key.sign(payload.as_bytes());
                bundle["dsseEnvelope"]["signatures"][0]["sig"] = json!(sig);
            }),
            another.clone(),
        ),
        (
            "v3 with no signature",
            with(&|bundle| bundle["dsseEnvelope"]["signatures"] = json!([])),
            another.clone(),
        ),
        (
            "v3 with a stranger's signature first",
            with(&|bundle| {
                let own = bundle["dsseEnvelope"]["signatures"][0].clone();
                let foreign = foreign["dsseEnvelope"]["signatures"][0].clone();
                bundle["dsseEnvelope"]["signatures"] = json!([foreign, own]);
            }),
            None,
        ),
        (
            "v3 with too many signatures before the good one",
            with(&|bundle| {
                let own = bundle["dsseEnvelope"]["signatures"][0].clone();
                let mut all = vec![json!({ "sig": "" }); 8];
                all.push(own);
                bundle["dsseEnvelope"]["signatures"] = json!(all);
            }),
            another.clone(),
        ),
        (
            "v3 with a payload that is not base64",
            with(&|bundle| bundle["dsseEnvelope"]["payload"] = json!("%")),
            unreadable("its payload is not base64"),
        ),
        (
            "v3 with a signature of a message",
            with(&|bundle| {
                bundle["messageSignature"] = bundle["dsseEnvelope"].take();
            }),
            unreadable("it has no DSSE envelope"),
        ),
        (
            "v3 of another media type",
            with(&|bundle| bundle["mediaType"] = json!("text/plain")),
            unreadable("its media type is not a bundle's"),
        ),
        (
            "v3 with its envelope twice",
            Candidate::Bundle(
                good.to_string()
                    .replacen(
                        '{',
                        &format!("{{\"dsseEnvelope\":{},", foreign["dsseEnvelope"]),
                        1,
                    )
                    .into_bytes(),
            ),
            unreadable("it is no bundle"),
        ),
        (
            "no JSON",
            Candidate::Bundle(b"\x1f\x8b".to_vec()),
            unreadable("it is no bundle"),
        ),
        (
            "JSON without end",
            Candidate::Bundle("[".repeat(100_000).into_bytes()),
            unreadable("it is no bundle"),
        ),
        (
            "too large",
            Candidate::Unread(Refusal::TooLarge(4)),
            Some(Refusal::TooLarge(4)),
        ),
    ] {
        let policy = Verify::Key(key.public());
        let verdict = judge(&policy, &digest('a'), &[candidate]);
        let refusal = verdict.as_ref().err().map(|refusals| refusals[0].clone());
        assert_eq!(refusal, expected, "{name}");
        if let Ok(origin) = verdict {
            assert_eq!(origin.by, format!("key {}", key.public().fingerprint()));
            assert_eq!(origin.digest, digest('a'));
        }
    }
}
