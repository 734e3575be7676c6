//! Tokens that prove nothing.

use ring::hmac;
use serde_json::{Value, json};

use super::issuer::{Issuer, MODULUS, encoded, head, signed};

/// Tokens that prove nothing for the signal of this audience; an empty one is none.
pub fn forged(issuer: &Issuer, audience: &str, used: &str) -> Vec<(&'static str, String)> {
    let now = jiff::Timestamp::now().as_second();
    let with = |name: &str, changes: &[(&str, Value)]| {
        let mut claims = issuer.claims(audience, name);
        for (claim, value) in changes {
            claims[*claim] = value.clone();
        }
        claims
    };
    let claim = |name: &'static str, changes: &[(&str, Value)]| {
        (name, signed(&head(), &with(name, changes)))
    };
    let headed = |name: &'static str, head: &Value| (name, signed(head, &with(name, &[])));
    let mut digit = audience.to_owned();
    let last = if digit.pop() == Some('0') { '1' } else { '0' };
    digit.push(last);
    let part = |value: &Value| encoded(value.to_string().as_bytes());
    let text = |head: &Value, name: &str| format!("{}.{}", part(head), part(&with(name, &[])));
    let none = json!({ "alg": "none", "kid": "k1" });
    let symmetric = json!({ "alg": "HS256", "kid": "k1" });
    let key = hmac::Key::new(hmac::HMAC_SHA256, MODULUS.as_bytes());
    let by_public_key = {
        let text = text(&symmetric, "HS256");
        let tag = hmac::sign(&key, text.as_bytes());
        format!("{text}.{}", encoded(tag.as_ref()))
    };
    let mut tricks = Vec::new();
    for (name, id) in [
        ("a key id with a path", "../../../../etc/passwd"),
        ("a key id with a URL", "https://evil.test/jwks"),
    ] {
        tricks.push(headed(
            name,
            &json!({ "alg": "RS256", "kid": id, "jku": id }),
        ));
    }
    let mut all = vec![
        ("none", String::new()),
        ("used before", used.to_owned()),
        claim("for another signal", &[("aud", json!(digit))]),
        claim(
            "of another repository",
            &[
                ("repository_id", json!("75")),
                ("repository", json!("evil/shop")),
            ],
        ),
        claim(
            "of a fork",
            &[
                ("repository_id", json!("76")),
                ("event_name", json!("push")),
            ],
        ),
        claim(
            "of a pull request",
            &[
                ("event_name", json!("pull_request")),
                ("ref", json!("refs/pull/1/merge")),
            ],
        ),
        claim(
            "of another workflow",
            &[(
                "job_workflow_ref",
                json!("acme/shop/.github/workflows/own.yml@refs/heads/main"),
            )],
        ),
        claim("expired", &[("iat", json!(now - 4000))]),
        claim("not yet valid", &[("iat", json!(now + 4000))]),
        ("alg none", format!("{}.", text(&none, "none"))),
        ("HS256 with the public key", by_public_key),
        ("huge", "e".repeat(90_000)),
        claim(
            "with an id that was used",
            &[("jti", json!("first")), ("sha", json!("0"))],
        ),
        // What a process that an earlier job left asks for, from the step's environment.
        claim(
            "asked for by an earlier job",
            &[("runner_environment", json!("self-hosted"))],
        ),
    ];
    all.extend(tricks);
    all
}
