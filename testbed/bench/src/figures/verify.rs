//! What proofs of origin cost: upgrades that change nothing of a chart and images that are
//! signed with a key and attested for a workflow, with `verify` and without.

use std::fs;
use std::path::Path;

use anyhow::{Result, anyhow};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

use super::{Figure, beyond, pairs, time};
use testbed::chart::Shop;
use testbed::client::Info;
use testbed::ghcr::{Blob, Manifest};
use testbed::image::Spec;
use testbed::push::Pusher;
use testbed::site::Site;

#[allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "it is the tests', which use the rest of it"
)]
#[path = "../../../../tests/data/own_sigstore/mod.rs"]
mod own_sigstore;

use own_sigstore::{Job, Sigstore, provenance};

const OWNER: &str = "bench-verify";
const VERSION: &str = "1.0.0";
const TAGS: [&str; 2] = ["a", "a"];

/// The most that it may cost, in milliseconds.
const BAR: f64 = 300.0;

/// What a public key for ECDSA on P-256 begins with in DER (RFC 5480).
const P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// The figure of so many pairs.
pub fn verified(info: &Info, deploy: &Path, rounds: usize) -> Result<Vec<Figure>> {
    let pusher = Pusher::new(info)?;
    let (signer, sigstore) = (Signer::new()?, Sigstore::public());
    let job = Job::of(&format!("{OWNER}/shop"), "refs/heads/main");
    let prove = |path: &str, digest: &str| {
        let attested = provenance(digest.trim_start_matches("sha256:"));
        let bundles = [signer.bundle(digest)?, sigstore.attest(&job, &attested)];
        hang(&pusher, path, digest, &bundles)
    };
    let chart = pusher.chart(OWNER, &Shop::new("shop", VERSION).grace(1).chart())?;
    prove("charts/shop", &chart)?;
    for key in ["api", "web"] {
        let path = format!("shop/{key}");
        let digest = pusher.image(&format!("{OWNER}/{path}"), TAGS[0], &Spec::default())?;
        prove(&path, &digest)?;
    }
    let id = std::process::id();
    let (plain, proven) = (format!("plain-{id}"), format!("proven-{id}"));
    let namespaces = vec![plain.clone(), proven.clone()];
    let site = Site::new(info, &info.helm4, deploy, "", namespaces)?;
    fs::write(site.path("deploy.pub"), signer.public())?;
    fs::write(
        site.path("trusted_root.jsonl"),
        format!("{}\n", sigstore.root()),
    )?;
    let settings = fs::read_to_string(site.path("deploy.toml"))?;
    let workflow = format!(
        "{{ workflow = \"{OWNER}/shop/.github/workflows/deploy.yml\", refs = [\"refs/heads/main\"] }}"
    );
    let ways = [
        ("a key", "{ key = \"deploy.pub\" }".to_owned()),
        ("a workflow", workflow),
    ];
    let without = |_: usize| time(&mut site.signal(&plain, OWNER, VERSION, TAGS), 0);
    let mut figures = Vec::new();
    for (name, verify) in ways {
        let file = site.path("verify.toml");
        fs::write(&file, format!("{settings}verify = {verify}\n"))?;
        let with = |_: usize| {
            let mut signal = site.signal(&proven, OWNER, VERSION, TAGS);
            time(signal.env("DEPLOY_CONFIG", &file), 0)
        };
        // The first are installs.
        with(rounds)?;
        without(rounds)?;
        let pairs = pairs(rounds, with, without)?;
        let what = format!("an unchanged upgrade that is proven by {name}");
        figures.push(beyond(what, "one without verify", &pairs, BAR));
    }
    Ok(figures)
}

/// Hangs bundles beside what was pushed, as `hosted/sign.sh` and `actions/attest` do.
fn hang(pusher: &Pusher, path: &str, digest: &str, bundles: &[Value]) -> Result<()> {
    let repository = format!("{OWNER}/{path}");
    let mut listed = Vec::new();
    for bundle in bundles {
        let (bundle, config) = (Blob::new(bundle.to_string()), Blob::new("{}"));
        let manifest = json!({
            "schemaVersion": 2, "mediaType": IMAGE,
            "config": config.descriptor("application/vnd.oci.empty.v1+json"),
            "layers": [bundle.descriptor(BUNDLE)],
        });
        let manifest = Manifest {
            media_type: IMAGE,
            blob: Blob::new(manifest.to_string()),
        };
        pusher.artifact(&repository, None, &manifest, &[bundle, config])?;
        listed.push(manifest.blob.descriptor(IMAGE));
    }
    let list = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": listed });
    let list = Manifest {
        media_type: INDEX,
        blob: Blob::new(list.to_string()),
    };
    pusher.artifact(&repository, Some(&digest.replace(':', "-")), &list, &[])?;
    Ok(())
}

/// A key that was made for this run.
struct Signer(EcdsaKeyPair);

impl Signer {
    fn new() -> Result<Self> {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let unable = |_| anyhow!("no key can be made");
        let pair = EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(unable)?;
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, pair.as_ref(), &random);
        Ok(Self(pair.map_err(|error| anyhow!("the key: {error}"))?))
    }

    /// The public key in PEM.
    fn public(&self) -> String {
        let der = [&P256[..], self.0.public_key().as_ref()].concat();
        let body = STANDARD.encode(der);
        format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n")
    }

    /// As cosign 3 writes it.
    fn bundle(&self, digest: &str) -> Result<Value> {
        let kind = "application/vnd.in-toto+json";
        let statement = json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{ "digest": { "sha256": digest.trim_start_matches("sha256:") } }],
            "predicateType": "https://sigstore.dev/cosign/sign/v1",
            "predicate": {},
        })
        .to_string();
        let (of_kind, of_statement) = (kind.len(), statement.len());
        let signed = format!("DSSEv1 {of_kind} {kind} {of_statement} {statement}");
        let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes());
        let signature = signature.map_err(|_| anyhow!("nothing can be signed"))?;
        Ok(json!({
            "mediaType": BUNDLE,
            "verificationMaterial": { "publicKey": { "hint": "" } },
            "dsseEnvelope": {
                "payload": STANDARD.encode(&statement),
                "payloadType": kind,
                "signatures": [{ "sig": STANDARD.encode(signature) }],
            },
        }))
    }
}
