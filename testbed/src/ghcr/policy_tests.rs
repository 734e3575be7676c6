//! Each line of what ghcr.io was seen to do, as tables.
#![allow(clippy::unwrap_used)]

use super::*;

const CHART: &str = "charts/shop";

fn ask(policy: &Policy, kind: Kind, caller: Caller, exists: bool) -> Answer {
    let package = CHART;
    answer(
        policy,
        Question {
            kind,
            package,
            caller,
            exists,
        },
    )
}

/// What a caller meets, and what it is answered at the token, a manifest, a blob, the tags, a push.
type Row = (&'static str, Policy, Caller, bool, [Answer; 5]);

const OK: Answer = Answer::Allow;
const AUTH: Answer = Answer::Refuse(Refusal::AuthenticationRequired);
const ACCESS: Answer = Answer::Refuse(Refusal::AccessDenied);
const DENIED: Answer = Answer::Refuse(Refusal::Denied);
const NO_READ: Answer = Answer::Refuse(Refusal::NoReadPackage);
const NO_WRITE: Answer = Answer::Refuse(Refusal::NoWritePackage);
const NOBODY: Answer = Answer::Refuse(Refusal::Unauthenticated);
const CHALLENGE: Answer = Answer::Refuse(Refusal::Challenge);
const INVALID: Answer = Answer::Refuse(Refusal::InvalidToken);

fn check(table: Vec<Row>) {
    let kinds = [
        Kind::Token,
        Kind::Manifest,
        Kind::Blob,
        Kind::Tags,
        Kind::Push,
    ];
    for (name, policy, caller, exists, answers) in table {
        for (kind, expected) in kinds.into_iter().zip(answers) {
            assert_eq!(
                ask(&policy, kind, caller, exists),
                expected,
                "{name}: {kind:?}"
            );
        }
    }
}

#[test]
fn anonymous_callers_are_answered_as_ghcr_does() {
    use AnonymousRefusal::{Manifest, Token, TokenDenied};
    let anon = Caller::Anonymous;
    let private = |at| Policy::private().refuse_anonymous_at(at);
    let public = |at| Policy::public().refuse_anonymous_at(at);
    check(vec![
        (
            "public: token 200, manifest 200",
            public(Token),
            anon,
            true,
            [OK, OK, OK, OK, NOBODY],
        ),
        (
            "private, at the token",
            private(Token),
            anon,
            true,
            [AUTH, DENIED, DENIED, DENIED, NOBODY],
        ),
        (
            "private, denied there",
            private(TokenDenied),
            anon,
            true,
            [ACCESS, DENIED, DENIED, DENIED, NOBODY],
        ),
        (
            "private, at the manifest",
            private(Manifest),
            anon,
            true,
            [OK, DENIED, DENIED, DENIED, NOBODY],
        ),
        (
            "missing looks private",
            public(Token),
            anon,
            false,
            [AUTH, DENIED, DENIED, DENIED, NOBODY],
        ),
        (
            "missing, denied there",
            public(TokenDenied),
            anon,
            false,
            [ACCESS, DENIED, DENIED, DENIED, NOBODY],
        ),
        (
            "missing, at the manifest",
            public(Manifest),
            anon,
            false,
            [OK, DENIED, DENIED, DENIED, NOBODY],
        ),
    ]);
}

#[test]
fn signed_in_callers_are_answered_as_ghcr_does() {
    use Access::{Expired, None, Read, Write};
    let user = Caller::User;
    let (public, private) = (Policy::public, Policy::private);
    // Allowed reads go on to the registry: a missing tag is its 404.
    check(vec![
        (
            "may read",
            private(),
            user(Read),
            true,
            [OK, OK, OK, OK, NO_WRITE],
        ),
        (
            "may write, even what is new",
            private(),
            user(Write),
            false,
            [OK, OK, OK, OK, OK],
        ),
        (
            "no access",
            private(),
            user(None),
            true,
            [OK, NO_READ, NO_READ, NO_READ, NO_WRITE],
        ),
        (
            "no access, public",
            public(),
            user(None),
            true,
            [OK, OK, OK, OK, NO_WRITE],
        ),
        (
            "no access, missing",
            public(),
            user(None),
            false,
            [OK, NO_READ, NO_READ, NO_READ, NO_WRITE],
        ),
        (
            "expired breaks public ones too",
            public(),
            user(Expired),
            true,
            [DENIED; 5],
        ),
        (
            "unknown credentials",
            public(),
            Caller::BadCredentials,
            true,
            [DENIED; 5],
        ),
    ]);
}

#[test]
fn tokens_are_asked_for_before_anything_is_told() {
    let public = Policy::public;
    check(vec![
        ("no token", public(), Caller::NoToken, true, [CHALLENGE; 5]),
        (
            "no token, missing",
            public(),
            Caller::NoToken,
            false,
            [CHALLENGE; 5],
        ),
        ("too old", public(), Caller::OldToken, true, [CHALLENGE; 5]),
        (
            "of somebody's making",
            public(),
            Caller::BadToken,
            true,
            [INVALID; 5],
        ),
    ]);
}

#[test]
fn one_package_may_differ_from_its_owner() {
    let policy = Policy::public().package(CHART, Visibility::Private);
    let refused = Answer::Refuse(Refusal::Denied);
    assert_eq!(
        ask(&policy, Kind::Manifest, Caller::Anonymous, true),
        refused
    );
    let other = Question {
        kind: Kind::Manifest,
        package: "shop/api",
        caller: Caller::Anonymous,
        exists: true,
    };
    assert_eq!(answer(&policy, other), Answer::Allow);
}

#[test]
fn refusals_carry_ghcrs_words() {
    let words = |refusal: Refusal| refusal.parts();
    assert_eq!(
        words(Refusal::Challenge),
        (401, "UNAUTHORIZED", "authentication required")
    );
    assert_eq!(
        words(Refusal::AuthenticationRequired),
        (401, "UNAUTHORIZED", "authentication required")
    );
    assert_eq!(words(Refusal::Denied), (403, "DENIED", "denied"));
    assert_eq!(
        words(Refusal::AccessDenied),
        (403, "DENIED", "requested access to the resource is denied")
    );
    assert_eq!(
        words(Refusal::NoReadPackage),
        (403, "DENIED", "permission_denied: read_package")
    );
    assert_eq!(
        words(Refusal::ManifestUnknown),
        (404, "MANIFEST_UNKNOWN", "manifest unknown")
    );
}

#[test]
fn faults_strike_their_kind_and_package_and_count() {
    let mut faults = vec![
        Fault::delay(Kind::Manifest, Duration::from_millis(5)),
        Fault::status(Kind::Manifest, 503)
            .package(CHART)
            .skip(1)
            .times(2),
        Fault::cut_off(Kind::Blob, 10),
    ];
    let status = Some(Effect::Status {
        status: 503,
        body: None,
        retry_after: None,
    });
    let delay = Duration::from_millis(5);
    let none = Struck { delay, end: None };
    let failed = Struck { delay, end: status };
    assert_eq!(
        strike(&mut faults, Kind::Manifest, CHART),
        none,
        "the first passes"
    );
    assert_eq!(
        strike(&mut faults, Kind::Manifest, "shop/api"),
        none,
        "another package"
    );
    assert_eq!(strike(&mut faults, Kind::Manifest, CHART), failed);
    assert_eq!(strike(&mut faults, Kind::Manifest, CHART), failed);
    assert_eq!(strike(&mut faults, Kind::Manifest, CHART), none, "used up");
    assert_eq!(strike(&mut faults, Kind::Token, CHART), Struck::default());
    let cut = strike(&mut faults, Kind::Blob, CHART);
    assert_eq!(cut.end, Some(Effect::CutOff { after_bytes: 10 }));
}

#[test]
fn a_policy_is_plain_json() {
    let text = r#"{"visibility":"private","users":{"bot":{"password":"x","access":"expired"}},
        "anonymous_refusal":"manifest","faults":[{"on":"token","times":1,"effect":{"status":{"status":503}}}]}"#;
    let policy: Policy = serde_json::from_str(text).unwrap();
    let same = Policy::private()
        .user("bot", "x", Access::Expired)
        .refuse_anonymous_at(AnonymousRefusal::Manifest)
        .fault(Fault::status(Kind::Token, 503).times(1));
    assert_eq!(policy, same);
    assert_eq!(
        serde_json::from_str::<Policy>("{}").unwrap(),
        Policy::public()
    );
    assert!(serde_json::from_str::<Policy>(r#"{"visible":"x"}"#).is_err());
}
