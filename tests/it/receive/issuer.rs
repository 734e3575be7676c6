//! An issuer of tokens of the tests' own, as GitHub's is one: it has keys, and gives a
//! job that may ask a token for the audience that it names.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};

use crate::forward::hostile;
use crate::harness::Home;

/// A key of the tests' own issuer: it opens nothing.
const KEY: &[u8] = include_bytes!("../../data/issuer.pk8");
pub const MODULUS: &str = include_str!("../../data/issuer.modulus");

/// What opens the issuer to a job.
pub const REQUEST_TOKEN: &str = "r3quest-t0ken";

/// An issuer that runs until the test process ends.
pub struct Issuer {
    pub url: String,
    pub port: u16,
    pub asked: hostile::Requests,
    certificate: String,
}

impl Issuer {
    pub fn start() -> Self {
        let (port, asked, certificate) = hostile::on_tls(Box::new(|stream, asked| {
            let host = asked.head.lines().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("host").then_some(value)
            });
            let issuer = format!("https://{}", host.unwrap_or_default());
            let (status, body) = answer(&issuer, asked);
            let body = body.to_string();
            let head = format!(
                "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            hostile::say(stream, &format!("{head}{body}"));
        }));
        Self {
            url: format!("https://127.0.0.1:{port}"),
            port,
            asked,
            certificate,
        }
    }

    /// The node takes its certificate for a good one.
    pub fn is_trusted_on(&self, home: &Home) {
        let trusted = std::fs::read_to_string(home.etc("ghcr-ca.pem")).unwrap_or_default();
        home.write_etc(
            "ghcr-ca.pem",
            &format!("{trusted}\n{}", self.certificate),
            0o644,
        );
    }

    /// The claims of a good token of a hosted runner's.
    pub fn claims(&self, audience: &str, jti: &str) -> Value {
        claims(&self.url, audience, jti, "github-hosted")
    }

    /// A good token.
    pub fn token(&self, audience: &str, jti: &str) -> String {
        signed(&head(), &self.claims(audience, jti))
    }

    /// How often it was asked for its keys.
    pub fn keys_asked(&self) -> usize {
        let asked = self.asked.all();
        asked
            .iter()
            .filter(|asked| asked.line.contains("jwks"))
            .count()
    }
}

fn answer(issuer: &str, asked: &hostile::Asked) -> (u16, Value) {
    let path = asked.line.split(' ').nth(1).unwrap_or_default();
    if path == "/.well-known/jwks" {
        let keys = json!({ "keys": [{ "kid": "k1", "kty": "RSA", "n": MODULUS, "e": "AQAB" }] });
        return (200, keys);
    }
    let opens = format!("bearer {}", REQUEST_TOKEN.to_lowercase());
    let is_open = asked
        .head
        .to_lowercase()
        .lines()
        .any(|line| line == format!("authorization: {opens}"));
    match path.split_once("&audience=") {
        Some((_, audience)) if is_open => {
            let audience = audience.replace("%3A", ":").replace("%3a", ":");
            let runner = if path.contains("self-hosted") {
                "self-hosted"
            } else {
                "github-hosted"
            };
            let claims = claims(issuer, &audience, &audience, runner);
            (200, json!({ "value": signed(&head(), &claims) }))
        }
        Some(_) => (401, json!({})),
        None => (404, json!({})),
    }
}

/// The claims of a good token for this audience.
pub fn claims(issuer: &str, audience: &str, jti: &str, runner: &str) -> Value {
    let now = jiff::Timestamp::now().as_second();
    json!({
        "iss": issuer, "aud": audience, "jti": jti, "iat": now - 100, "nbf": now - 700,
        // The time that a token of a hosted runner waited does not count.
        "exp": if runner == "self-hosted" { now + 200 } else { now - 10 }, "repository": "acme/shop", "repository_id": "74",
        "repository_visibility": "public", "ref": "refs/heads/main", "sha": "8f3c2d1",
        "event_name": "push", "actor": "mona", "run_id": "1",
        "workflow_ref": "acme/shop/.github/workflows/ci.yml@refs/heads/main",
        "job_workflow_ref": "acme/deploy/.github/workflows/deploy-signed.yml@refs/tags/v1",
        "runner_environment": runner,
    })
}

/// The head of a good token.
pub fn head() -> Value {
    json!({ "alg": "RS256", "kid": "k1" })
}

/// A part of a token.
pub fn encoded(value: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(value)
}

/// A token of these, signed with the issuer's key.
pub fn signed(head: &Value, claims: &Value) -> String {
    let part = |value: &Value| encoded(value.to_string().as_bytes());
    let text = format!("{}.{}", part(head), part(claims));
    let key = RsaKeyPair::from_pkcs8(KEY).unwrap();
    let mut signature = vec![0; key.public().modulus_len()];
    let random = SystemRandom::new();
    key.sign(&RSA_PKCS1_SHA256, &random, text.as_bytes(), &mut signature)
        .unwrap();
    format!("{text}.{}", encoded(&signature))
}
