//! Certificates of a real Fulcio, for tokens of an issuer that the tests own: what it
//! writes into them is what is read out of them.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use deploy::plan::{TrustedRootFile, Verify, WorkflowPolicy};
use deploy::provenance::{Candidate, Prover};
use jiff::Timestamp;
use rcgen::{KeyPair, SigningKey as _};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};
use testbed::build::{self, Cache};
use testbed::progress::Progress;

use crate::attested::own_sigstore::{IN_TOTO, Sigstore, provenance};
use crate::forward::hostile;
use crate::harness::until;

const ISSUER: &str = "https://token.actions.githubusercontent.com";
const KEY: &[u8] = include_bytes!("../data/issuer.pk8");
const MODULUS: &str = include_str!("../data/issuer.modulus");

/// A Fulcio that is somebody's authority, until it is dropped.
struct Fulcio {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Fulcio {
    fn start(sigstore: &Sigstore) -> Self {
        let cache = Cache::open().unwrap();
        let program = build::fulcio(&cache, Progress::stderr()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, content: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        let (certificate, key) = sigstore.authority();
        let issuer =
            json!({ "IssuerURL": ISSUER, "ClientID": "sigstore", "Type": "github-workflow" });
        let config = json!({ "OIDCIssuers": { ISSUER: issuer } });
        let (issuer, _, trusted) =
            hostile::on_tls_as("token.actions.githubusercontent.com", Box::new(issue));
        let (proxy, _) = hostile::proxy(issuer);
        let [port, grpc, metrics] = [(); 3].map(|()| free());
        let child = Command::new(program)
            .arg("serve")
            .args(["--ca", "fileca", "--ct-log-url", "", "--host", "127.0.0.1"])
            .args([
                "--grpc-host",
                "127.0.0.1",
                "--fileca-watch=false",
                "--fileca-key-passwd",
                "none",
            ])
            .arg(format!("--port={port}"))
            .arg(format!("--grpc-port={grpc}"))
            .arg(format!("--metrics-port={metrics}"))
            .arg("--fileca-cert")
            .arg(put("ca.pem", &certificate))
            .arg("--fileca-key")
            .arg(put("ca.key", &key))
            .arg("--config-path")
            .arg(put("config.json", &config.to_string()))
            .arg("--legacy-unix-domain-socket")
            .arg(folder.path().join("legacy.sock"))
            .env("HTTPS_PROXY", format!("http://127.0.0.1:{proxy}"))
            .env("SSL_CERT_FILE", put("issuer.pem", &trusted))
            .stdin(Stdio::null())
            .stdout(std::fs::File::create(folder.path().join("log")).unwrap())
            .stderr(std::fs::File::create(folder.path().join("errors")).unwrap())
            .spawn()
            .unwrap();
        let mut fulcio = Self {
            child,
            port,
            folder,
        };
        until("Fulcio answers", || {
            let ended = fulcio.child.try_wait().unwrap();
            let said = |name: &str| std::fs::read_to_string(fulcio.folder.path().join(name));
            assert!(ended.is_none(), "{:?} {:?}", said("log"), said("errors"));
            request(port, "GET /healthz", "").is_some()
        });
        fulcio
    }

    /// The certificate for a job with these claims, in DER.
    fn certificate(&self, claims: &Value, key: &KeyPair) -> Vec<u8> {
        let subject = claims["sub"].as_str().unwrap();
        let body = json!({
            "credentials": { "oidcIdentityToken": token(claims) },
            "publicKeyRequest": {
                "publicKey": { "algorithm": "ECDSA", "content": key.public_key_pem() },
                "proofOfPossession": STANDARD.encode(key.sign(subject.as_bytes()).unwrap()),
            },
        });
        let answer = request(self.port, "POST /api/v2/signingCert", &body.to_string()).unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let chain = &answer["signedCertificateDetachedSct"]["chain"]["certificates"];
        let pem = chain[0].as_str().unwrap_or_else(|| panic!("{answer}"));
        let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        STANDARD.decode(body).unwrap()
    }
}

impl Drop for Fulcio {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port of the loopback that nobody listens at.
fn free() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// The body of an answer with a good status; of HTTP 1.0, so that it comes in one piece.
fn request(port: u16, what: &str, body: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    let head = format!(
        "{what} HTTP/1.0\r\nHost: fulcio\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (_, body) = answer.split_once("\r\n\r\n")?;
    Some(body.to_owned())
}

/// What GitHub's issuer says of itself, and of its key.
fn issue(stream: &mut dyn hostile::Stream, asked: &hostile::Asked) {
    let modulus = MODULUS.trim();
    let answer = if asked.line.contains("openid-configuration") {
        json!({
            "issuer": ISSUER,
            "jwks_uri": format!("{ISSUER}/.well-known/jwks"),
            "id_token_signing_alg_values_supported": ["RS256"],
        })
    } else {
        json!({ "keys": [{ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": "k1", "n": modulus, "e": "AQAB" }] })
    };
    let answer = answer.to_string();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        answer.len()
    );
    let _ = stream.write_all(format!("{head}{answer}").as_bytes());
}

fn token(claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let head = json!({ "alg": "RS256", "typ": "JWT", "kid": "k1" });
    let signed = format!("{}.{}", part(&head), part(claims));
    let key = RsaKeyPair::from_pkcs8(KEY).unwrap();
    let mut signature = vec![0; key.public().modulus_len()];
    let random = SystemRandom::new();
    key.sign(
        &RSA_PKCS1_SHA256,
        &random,
        signed.as_bytes(),
        &mut signature,
    )
    .unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// What GitHub says of a job of acme/shop that calls a workflow of acme/deploy.
fn claims(change: &[(&str, &str)]) -> Value {
    let now = Timestamp::now().as_second();
    let sha = "c0ffee".repeat(6) + "c0ff";
    let mut claims = json!({
        "iss": ISSUER, "aud": "sigstore", "iat": now, "nbf": now - 60, "exp": now + 300,
        "sub": "repo:acme/shop:ref:refs/heads/main",
        "repository": "acme/shop", "repository_id": "74", "repository_owner": "acme",
        "repository_owner_id": "7", "repository_visibility": "private",
        "workflow": "deploy", "event_name": "push", "ref": "refs/heads/main", "sha": sha,
        "workflow_ref": "acme/shop/.github/workflows/deploy.yml@refs/heads/main",
        "workflow_sha": sha,
        "job_workflow_ref": "acme/deploy/.github/workflows/attest.yml@refs/tags/v1",
        "job_workflow_sha": sha,
        "runner_environment": "github-hosted", "run_id": "1", "run_attempt": "1",
    });
    for (name, value) in change {
        claims[*name] = json!(value);
    }
    claims
}

#[test]
fn what_fulcio_certifies_is_judged() {
    let sigstore = Sigstore::github();
    let fulcio = Fulcio::start(&sigstore);
    let policy = WorkflowPolicy {
        workflow: "acme/shop/.github/workflows/deploy.yml".parse().unwrap(),
        signer: Some(
            "acme/deploy/.github/workflows/attest.yml@refs/tags/v1"
                .parse()
                .unwrap(),
        ),
        refs: vec!["refs/heads/main".parse().unwrap()],
        repository_id: Some("74".parse().unwrap()),
        owner_id: Some("7".parse().unwrap()),
        trusted_root: Some(TrustedRootFile {
            path: Path::new("/etc/deploy/trusted_root.jsonl").to_owned(),
            content: sigstore.root().to_string(),
        }),
    };
    let prover = Prover::new(Verify::Workflow(Box::new(policy))).unwrap();
    let hex = "a".repeat(64);
    let digest = format!("sha256:{hex}").parse().unwrap();
    let judged = |change: &[(&str, &str)]| {
        let key = KeyPair::generate().unwrap();
        let certificate = fulcio.certificate(&claims(change), &key);
        let now = Timestamp::now().as_second();
        let bundle = sigstore.bundle(&certificate, &key, now, IN_TOTO, &provenance(&hex));
        prover.judge(
            &digest,
            &[Candidate::Bundle(bundle.to_string().into_bytes())],
        )
    };
    let origin = judged(&[]).unwrap();
    assert_eq!(
        origin.by,
        "workflow acme/shop/.github/workflows/deploy.yml@refs/heads/main"
    );
    assert_eq!(origin.commit, Some("c0ffee".repeat(6) + "c0ff"));
    for (change, refusal) in [
        (
            &[("repository", "evil/shop")][..],
            "Repository(\"https://github.com/evil/shop\")",
        ),
        (&[("repository_id", "75")], "RepositoryId(\"75\")"),
        (&[("repository_owner_id", "8")], "OwnerId(\"8\")"),
        (
            &[(
                "workflow_ref",
                "acme/shop/.github/workflows/test.yml@refs/heads/main",
            )],
            "Workflow(\"https://github.com/acme/shop/.github/workflows/test.yml@refs/heads/main\")",
        ),
        (
            &[
                ("ref", "refs/pull/7/merge"),
                ("event_name", "pull_request"),
                (
                    "workflow_ref",
                    "acme/shop/.github/workflows/deploy.yml@refs/pull/7/merge",
                ),
            ],
            "Ref(\"refs/pull/7/merge\")",
        ),
        (
            &[("event_name", "pull_request_target")],
            "Event(\"pull_request_target\")",
        ),
        (
            &[(
                "job_workflow_ref",
                "acme/deploy/.github/workflows/attest.yml@refs/heads/topic",
            )],
            "Signer(\"https://github.com/acme/deploy/.github/workflows/attest.yml@refs/heads/topic\")",
        ),
    ] {
        let refusals = judged(change).unwrap_err();
        assert_eq!(format!("{:?}", refusals[0]), refusal);
    }
}
