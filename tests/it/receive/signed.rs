//! Signed signals through the receiver, with an issuer of the test's own.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};

use super::{Running, Site};
use crate::forward::hostile;

/// A key of the tests' own issuer: it opens nothing.
const KEY: &[u8] = include_bytes!("../../data/issuer.pk8");
const MODULUS: &str = include_str!("../../data/issuer.modulus");

/// An issuer: where it is, and the certificate to trust.
fn issuer() -> (String, hostile::Requests, String) {
    let (port, asked, certificate) = hostile::on_tls(Box::new(|stream, _| {
        let keys = json!({ "keys": [{ "kid": "k1", "kty": "RSA", "n": MODULUS, "e": "AQAB" }] });
        let body = keys.to_string();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        hostile::say(stream, &format!("{head}{body}"));
    }));
    (format!("https://127.0.0.1:{port}"), asked, certificate)
}

/// A token of the issuer's for this audience.
fn token(issuer: &str, audience: &str, jti: &str) -> String {
    let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let now = jiff::Timestamp::now().as_second();
    let claims = json!({
        "iss": issuer, "aud": audience, "jti": jti, "iat": now - 100, "nbf": now - 700,
        "exp": now - 10, "repository": "acme/shop", "repository_id": "74",
        "repository_visibility": "public", "ref": "refs/heads/main", "sha": "8f3c2d1",
        "event_name": "push", "actor": "mona", "run_id": "1", "workflow_ref": "w@r",
        "runner_environment": "github-hosted",
    });
    let head = json!({ "alg": "RS256", "kid": "k1" });
    let text = format!("{}.{}", encoded(&head), encoded(&claims));
    let key = RsaKeyPair::from_pkcs8(KEY).unwrap();
    let mut signature = vec![0; key.public().modulus_len()];
    let random = SystemRandom::new();
    key.sign(&RSA_PKCS1_SHA256, &random, text.as_bytes(), &mut signature)
        .unwrap();
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// With `callers`, a signal is taken only with a token for this very signal, once,
/// also after a restart; root by hand needs none.
#[test]
fn only_a_signed_signal_is_taken() {
    let (issuer, asked, certificate) = issuer();
    let callers = format!("callers = [{{ repository_id = \"74\" }}]\ntoken_issuer = \"{issuer}\"");
    let site = Site::new("signed", &callers);
    let node = &site.node;
    let trusted = std::fs::read_to_string(node.home.etc("ghcr-ca.pem")).unwrap();
    let trusted = format!("{trusted}\n{certificate}");
    node.home.write_etc("ghcr-ca.pem", &trusted, 0o644);
    node.shop("0.1.0");
    let (api, web) = (node.image("api", "t1"), node.image("web", "t1"));
    let with = |api: &str, token: Option<&str>| {
        let signal = node
            .signal("0.1.0")
            .image("api", api)
            .image("web", web.by_tag());
        match token {
            Some(token) => signal.env("DEPLOY_TOKEN", token),
            None => signal,
        }
    };
    let images = json!({ "api": api.by_tag(), "web": web.by_tag() }).to_string();
    let chart = format!("oci://ghcr.io/{}/charts/shop", node.name);
    let printed = site.ask(&[
        "audience",
        "--app",
        &node.name,
        "--chart",
        &chart,
        "--chart-version",
        "0.1.0",
        "--images",
        &images,
    ]);
    let audience = printed.stdout.trim();

    let receiver = site.receiver();
    with(&api.by_tag(), None)
        .run()
        .exits(4)
        .says("came without a token");
    let good = token(&issuer, audience, "one");
    // One character of another tag.
    let other = node.image("api", "t2").by_tag();
    with(&other, Some(&good))
        .run()
        .exits(4)
        .says("it is for 'deploy:");
    with(&api.by_tag(), Some(&good))
        .run()
        .exits(0)
        .says("GitHub signed it for acme/shop at refs/heads/main")
        .never_says(&good);
    assert_eq!(asked.all().len(), 1, "the keys are kept");
    drop(receiver);

    let _receiver = site.receiver();
    with(&api.by_tag(), Some(&good))
        .run()
        .exits(4)
        .says("it was used before");
    let lines = site.journal();
    let exits: Vec<_> = lines.iter().map(|line| line["exit"].as_u64()).collect();
    assert_eq!(exits, [Some(4), Some(4), Some(0), Some(4)]);
    assert_eq!(lines[2]["who"]["proven"]["repository"], "acme/shop");
    assert!(!lines.iter().any(|line| line.to_string().contains(&good)));

    // As root at the node, through the same socket.
    let words = [
        "/usr/local/bin/deploy",
        "--app",
        &node.name,
        "--chart",
        &chart,
    ];
    let more = ["--chart-version", "0.1.0", "--images", &images];
    let by_root = site.command(0, &[&words[..], &more[..]].concat());
    Running::spawn(by_root)
        .wait()
        .exits(0)
        .says("root by hand needs none");
    assert_eq!(asked.all().len(), 1);
    // Root looks at what the receiver did, though its own deploy.toml forwards.
    let by_root = site.command(0, &["/usr/local/bin/deploy", "status", &node.name]);
    Running::spawn(by_root).wait().exits(0).says("revision");
}
