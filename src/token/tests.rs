#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};

use super::{TokenPlace, prove};
use crate::error::{Kind, Result};
use crate::plan::{Caller, CallerPolicy, RunnerKind};
use crate::run::{ProvenCaller, SignedToken, Timestamp};
use crate::signal::{DeclaredKeys, Request, parse};

/// A key of the tests' own issuer: it opens nothing.
const KEY: &[u8] = include_bytes!("../../tests/data/issuer.pk8");
const MODULUS: &str = include_str!("../../tests/data/issuer.modulus");

const NOW: i64 = 1_800_000_000;

fn request(api: &str) -> Request {
    let images = json!({ "api": format!("ghcr.io/acme/api:{api}"), "web": "ghcr.io/acme/web:1" });
    let arguments = [
        "--app",
        "shop",
        "--chart",
        "oci://ghcr.io/acme/charts/shop",
        "--chart-version",
        "1.0.0",
        "--images",
        &images.to_string(),
    ];
    let keys = |_: &_| DeclaredKeys::Known(BTreeMap::new());
    parse(&arguments.map(Into::into), keys).unwrap().request
}

fn policy() -> CallerPolicy {
    CallerPolicy {
        callers: vec![Caller {
            repository_id: "74".to_owned(),
            reference: Some("refs/heads/main".to_owned()),
            environment: Some("production".to_owned()),
            called: Some("acme/deploy/.github/workflows/deploy.yml@refs/tags/v1".to_owned()),
            ..Caller::default()
        }],
        events: ["push", "workflow_dispatch"].map(str::to_owned).into(),
        token_age: std::time::Duration::from_secs(1800),
        issuer: "https://issuer.test/enterprise".parse().unwrap(),
    }
}

/// The claims of a good token for the request.
fn claims() -> Value {
    json!({
        "iss": "https://issuer.test/enterprise", "aud": request("1").audience(), "jti": "a-b",
        "sub": "repo:evil/evil:ref:refs/heads/main", "iat": NOW - 100, "nbf": NOW - 700,
        "exp": NOW + 200, "repository": "acme/shop", "repository_id": "74",
        "repository_visibility": "private", "ref": "refs/heads/main", "sha": "8f3c2d1",
        "event_name": "push", "actor": "mona", "run_id": "1",
        "workflow_ref": "acme/shop/.github/workflows/ci.yml@refs/heads/main",
        "job_workflow_ref": "acme/deploy/.github/workflows/deploy.yml@refs/tags/v1",
        "job_workflow_sha": "0123456789012345678901234567890123456789",
        "runner_environment": "github-hosted", "environment": "production",
    })
}

fn with(change: &Value) -> Value {
    let mut claims = claims();
    for (name, value) in change.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

fn encoded(value: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(value)
}

/// A token with this head and these claims, signed by the issuer.
fn signed(head: &Value, claims: &Value) -> String {
    let text = format!(
        "{}.{}",
        encoded(head.to_string().as_bytes()),
        encoded(claims.to_string().as_bytes())
    );
    let key = RsaKeyPair::from_pkcs8(KEY).unwrap();
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        text.as_bytes(),
        &mut signature,
    )
    .unwrap();
    format!("{text}.{}", encoded(&signature))
}

fn head() -> Value {
    json!({ "alg": "RS256", "typ": "JWT", "kid": "k1" })
}

/// A state directory that has the issuer's keys.
fn state() -> tempfile::TempDir {
    let state = tempfile::tempdir().unwrap();
    let kept = json!({
        "issuer": "https://issuer.test/enterprise", "asked": NOW - 5,
        "keys": [{ "kid": "k1", "kty": "RSA", "n": MODULUS, "e": "AQAB" }],
    });
    crate::state::tokens::keep_keys(state.path(), kept.to_string().as_bytes()).unwrap();
    state
}

fn asked(
    state: &Path,
    token: &str,
    request: &Request,
    policy: &CallerPolicy,
) -> Result<ProvenCaller> {
    let environment = BTreeMap::new();
    let place = TokenPlace {
        state,
        environment: &environment,
        spends: true,
    };
    let now = Timestamp::from_second(NOW).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(prove(&SignedToken::new(token), request, policy, place, now))
}

#[test]
fn a_good_token_proves_its_caller_once() {
    let state = state();
    let token = signed(&head(), &claims());
    let proven = asked(state.path(), &token, &request("1"), &policy()).unwrap();
    assert_eq!((&*proven.repository, &*proven.actor), ("acme/shop", "mona"));
    assert!(proven.is_private);
    // The same token, and another with the same id.
    for again in [token, signed(&head(), &with(&json!({ "sha": "0" })))] {
        let error = asked(state.path(), &again, &request("1"), &policy()).unwrap_err();
        assert_eq!(error.kind(), Kind::Policy);
        assert!(error.to_string().contains("used before"), "{error}");
        assert!(error.hints()[0].contains("a retry needs a new token"));
    }
}

/// Whatever is wrong with a token, it is refused, and the words say what.
#[test]
fn whatever_else_comes_is_refused() {
    let state = state();
    for (change, told) in [
        (json!({ "iss": "https://issuer.test" }), "its issuer is"),
        (
            json!({ "iss": "https://issuer.test/enterprise/" }),
            "its issuer is",
        ),
        (json!({ "aud": request("2").audience() }), "it is for"),
        (
            json!({ "aud": [request("1").audience()] }),
            "of another type",
        ),
        (json!({ "aud": "https://github.com/acme" }), "it is for"),
        (
            json!({ "aud": format!("{} ", request("1").audience()) }),
            "it is for",
        ),
        (
            json!({ "aud": request("1").audience().to_uppercase() }),
            "it is for",
        ),
        (json!({ "jti": "" }), "no id of its own"),
        (json!({ "jti": null }), "of another type"),
        (json!({ "iat": NOW + 61 }), "in the future"),
        (json!({ "iat": NOW - 1801 }), "more than token_age"),
        (json!({ "iat": i64::MIN }), "more than token_age"),
        (json!({ "iat": i64::MAX }), "in the future"),
        (json!({ "iat": "now" }), "of another type"),
        (
            json!({ "repository_id": "75", "repository": "fork/shop" }),
            "its repository is 'fork/shop'",
        ),
        (json!({ "repository_id": 74 }), "of another type"),
        (json!({ "repository_id": "074" }), "its repository is"),
        (json!({ "ref": "refs/heads/maintenance" }), "its ref is"),
        (json!({ "ref": "refs/tags/main" }), "its ref is"),
        (json!({ "ref": "refs/pull/7/merge" }), "which never deploys"),
        (
            json!({ "event_name": "pull_request" }),
            "which never deploys",
        ),
        (
            json!({ "event_name": "pull_request_target" }),
            "which never deploys",
        ),
        (
            json!({ "event_name": "merge_group" }),
            "which never deploys",
        ),
        (
            json!({ "event_name": "workflow_run" }),
            "which never deploys",
        ),
        (
            json!({ "event_name": "issue_comment" }),
            "which never deploys",
        ),
        (json!({ "event_name": "issues" }), "which never deploys"),
        (json!({ "event_name": "schedule" }), "not in events"),
        (json!({ "event_name": "" }), "not in events"),
        (json!({ "environment": "staging" }), "its environment is"),
        (json!({ "environment": null }), "its environment is nothing"),
        (
            json!({ "job_workflow_ref": "acme/deploy/.github/workflows/deploy.yml@refs/heads/x" }),
            "its called workflow is",
        ),
        (
            json!({ "job_workflow_ref": "acme/shop/.github/workflows/other.yml@refs/heads/main" }),
            "its called workflow is",
        ),
        (
            json!({ "job_workflow_ref": null }),
            "its called workflow is nothing",
        ),
        (
            json!({ "runner_environment": "self-hosted" }),
            "its runner is",
        ),
    ] {
        let token = signed(&head(), &with(&change));
        let error = asked(state.path(), &token, &request("1"), &policy()).unwrap_err();
        assert_eq!(error.kind(), Kind::Policy, "{change}");
        assert!(error.to_string().contains(told), "{change}: {error}");
    }
    // None of them used the good one up.
    let good = signed(&head(), &claims());
    assert!(asked(state.path(), &good, &request("1"), &policy()).is_ok());
}

/// Another signal by one character of a tag.
#[test]
fn a_token_is_for_one_signal() {
    let state = state();
    let token = signed(&head(), &claims());
    let error = asked(state.path(), &token, &request("11"), &policy()).unwrap_err();
    assert!(error.to_string().contains("it is for"), "{error}");
}

#[test]
fn a_signature_that_is_not_the_issuers_is_none() {
    let state = state();
    let good = signed(&head(), &claims());
    let (text, signature) = good.rsplit_once('.').unwrap();
    let body = text.rsplit_once('.').unwrap().1;
    let with_head = |head: Value| {
        format!(
            "{}.{body}.{signature}",
            encoded(head.to_string().as_bytes())
        )
    };
    let hmac_key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, MODULUS.as_bytes());
    let hmac_head = encoded(
        json!({ "alg": "HS256", "kid": "k1" })
            .to_string()
            .as_bytes(),
    );
    let hmac_text = format!("{hmac_head}.{body}");
    let hmac = ring::hmac::sign(&hmac_key, hmac_text.as_bytes());
    let mut flipped = URL_SAFE_NO_PAD.decode(signature).unwrap();
    flipped[7] ^= 1;
    for (token, told) in [
        (String::new(), "no token"),
        ("a.b".to_owned(), "no token"),
        ("a.b.c".to_owned(), "no token"),
        (
            format!("{}.{body}.", encoded(br#"{"alg":"none","kid":"k1"}"#)),
            "no token",
        ),
        (
            format!("{}.{body}.", encoded(br#"{"alg":"None","kid":"k1"}"#)),
            "no token",
        ),
        (format!("{text}."), "its signature"),
        (format!("{text}.{}", encoded(&flipped)), "its signature"),
        (format!("{text}.{}", encoded(&[0; 256])), "its signature"),
        (
            format!("{hmac_text}.{}", encoded(hmac.as_ref())),
            "not signed by RS256",
        ),
        (
            with_head(json!({ "alg": "RS384", "kid": "k1" })),
            "not signed by RS256",
        ),
        (
            with_head(json!({ "alg": "PS256", "kid": "k1" })),
            "not signed by RS256",
        ),
        (with_head(json!({ "alg": "RS256" })), "names no key"),
        (
            with_head(json!({ "alg": "RS256", "kid": "" })),
            "names no key",
        ),
        (
            with_head(json!({ "alg": "RS256", "kid": "k".repeat(300) })),
            "names no key",
        ),
        (
            with_head(json!({ "alg": "RS256", "kid": "../k1" })),
            "does not name the key",
        ),
        (
            with_head(json!({ "alg": "RS256", "kid": "https://evil.example/k1" })),
            "does not name the key",
        ),
        (
            with_head(json!({ "alg": "RS256", "kid": "k1", "jku": "https://evil.example/jwks" })),
            "its signature",
        ),
        (
            format!("{good}.{}", "x".repeat(20_000)),
            "longer than 16 KiB",
        ),
        (format!("{good}.x"), "no token"),
    ] {
        let error = asked(state.path(), &token, &request("1"), &policy()).unwrap_err();
        assert_eq!(error.kind(), Kind::Policy, "{token}");
        assert!(error.to_string().contains(told), "{told}: {error}");
    }
}

#[test]
fn a_token_of_a_self_hosted_runner_lives_as_long_as_it_says() {
    let state = state();
    let mut own = policy();
    own.callers[0].runner = RunnerKind::SelfHosted;
    let token = |exp: i64, jti: &str| {
        let of_own = json!({ "runner_environment": "self-hosted", "exp": exp, "jti": jti });
        signed(&head(), &with(&of_own))
    };
    let error = asked(state.path(), &token(NOW, "x"), &request("1"), &own).unwrap_err();
    assert!(error.to_string().contains("it has expired"), "{error}");
    assert!(asked(state.path(), &token(NOW + 1, "y"), &request("1"), &own).is_ok());
}

/// Neither the keys nor the store: what cannot be told is not refused, and not taken.
#[test]
fn what_cannot_be_told_is_the_nodes_fault() {
    let token = signed(&head(), &claims());
    let empty = tempfile::tempdir().unwrap();
    let mut away = policy();
    away.issuer = "https://127.0.0.1:1".parse().unwrap();
    let elsewhere = signed(&head(), &with(&json!({ "iss": "https://127.0.0.1:1" })));
    let error = asked(empty.path(), &elsewhere, &request("1"), &away).unwrap_err();
    assert_eq!(error.kind(), Kind::Node, "{error}");
    let state = state();
    std::fs::write(state.path().join("tokens/used"), "").unwrap();
    let error = asked(state.path(), &token, &request("1"), &policy()).unwrap_err();
    assert_eq!(error.kind(), Kind::Node, "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// No change of a good token is one, and none panics.
    #[test]
    fn no_changed_token_is_good(at in 0_usize..1500, with in "[A-Za-z0-9_.=\u{e9}-]{0,3}") {
        let good = signed(&head(), &claims());
        let at = at % (good.len() - 2);
        let mut token = good.clone();
        token.replace_range(at..=at, &with);
        prop_assume!(token != good);
        let state = state();
        prop_assert!(asked(state.path(), &token, &request("1"), &policy()).is_err());
    }
}
