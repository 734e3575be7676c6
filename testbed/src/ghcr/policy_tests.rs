//! Each line of what ghcr.io was seen to do, as a table.
#![allow(clippy::unwrap_used)]

use super::*;

const CHART: &str = "charts/shop";

fn ask(policy: &Policy, kind: Kind, caller: Caller, exists: bool) -> Answer {
    let package = CHART;
    answer(policy, Question { kind, package, caller, exists })
}

#[test]
fn answers_as_ghcr_does() {
    use AnonymousRefusal::{Manifest as AtManifest, Token as AtToken, TokenDenied};
    use Answer::{Allow, Refuse};
    use Caller::{Anonymous, BadCredentials, BadToken, NoToken, OldToken, User};
    use Kind::{Blob, Manifest, Push, Tags, Token};

    let public = Policy::public();
    let private = |at| Policy::private().refuse_anonymous_at(at);
    let missing = |at| Policy::public().refuse_anonymous_at(at);
    let table: Vec<(&str, Policy, Caller, bool, Vec<(Kind, Answer)>)> = vec![
        (
            "anonymous, public package: token 200, manifest 200",
            public.clone(), Anonymous, true,
            vec![(Token, Allow), (Manifest, Allow), (Blob, Allow), (Tags, Allow), (Push, Refuse(Refusal::Unauthenticated))],
        ),
        (
            "anonymous, private package, refused at the token",
            private(AtToken), Anonymous, true,
            vec![(Token, Refuse(Refusal::AuthenticationRequired)), (Manifest, Refuse(Refusal::Denied)), (Blob, Refuse(Refusal::Denied))],
        ),
        (
            "anonymous, private package, denied at the token",
            private(TokenDenied), Anonymous, true,
            vec![(Token, Refuse(Refusal::AccessDenied))],
        ),
        (
            "anonymous, private package, refused at the manifest",
            private(AtManifest), Anonymous, true,
            vec![(Token, Allow), (Manifest, Refuse(Refusal::Denied)), (Tags, Refuse(Refusal::Denied))],
        ),
        (
            "anonymous, missing package: as a private one, at the token",
            missing(AtToken), Anonymous, false,
            vec![(Token, Refuse(Refusal::AuthenticationRequired)), (Manifest, Refuse(Refusal::Denied))],
        ),
        (
            "anonymous, missing package: as a private one, at the manifest",
            missing(AtManifest), Anonymous, false,
            vec![(Token, Allow), (Manifest, Refuse(Refusal::Denied))],
        ),
        (
            "signed in and readable: on to the registry, which knows the tag or not",
            private(AtToken), User(Access::Read), true,
            vec![(Token, Allow), (Manifest, Allow), (Blob, Allow), (Tags, Allow), (Push, Refuse(Refusal::NoWritePackage))],
        ),
        (
            "signed in without access",
            private(AtToken), User(Access::None), true,
            vec![(Token, Allow), (Manifest, Refuse(Refusal::NoReadPackage)), (Blob, Refuse(Refusal::NoReadPackage)), (Push, Refuse(Refusal::NoWritePackage))],
        ),
        (
            "signed in without access, public package",
            public.clone(), User(Access::None), true,
            vec![(Token, Allow), (Manifest, Allow)],
        ),
        (
            "signed in without access, missing package",
            public.clone(), User(Access::None), false,
            vec![(Token, Allow), (Manifest, Refuse(Refusal::NoReadPackage))],
        ),
        (
            "expired credentials break public packages too",
            public.clone(), User(Access::Expired), true,
            vec![(Token, Refuse(Refusal::Denied)), (Manifest, Refuse(Refusal::Denied))],
        ),
        (
            "credentials that nobody knows",
            public.clone(), BadCredentials, true,
            vec![(Token, Refuse(Refusal::Denied)), (Manifest, Refuse(Refusal::Denied))],
        ),
        (
            "without a token: the challenge, also for what does not exist",
            public.clone(), NoToken, false,
            vec![(Manifest, Refuse(Refusal::Challenge)), (Blob, Refuse(Refusal::Challenge)), (Push, Refuse(Refusal::Challenge))],
        ),
        ("a token too old: the challenge", public.clone(), OldToken, true, vec![(Manifest, Refuse(Refusal::Challenge))]),
        ("a token of somebody's making", public.clone(), BadToken, true, vec![(Manifest, Refuse(Refusal::InvalidToken))]),
        (
            "may push, even what is not there yet",
            private(AtToken), User(Access::Write), false,
            vec![(Token, Allow), (Push, Allow), (Manifest, Allow)],
        ),
    ];
    for (name, policy, caller, exists, answers) in table {
        for (kind, expected) in answers {
            assert_eq!(ask(&policy, kind, caller, exists), expected, "{name}: {kind:?}");
        }
    }
}

#[test]
fn one_package_may_differ_from_its_owner() {
    let policy = Policy::public().package(CHART, Visibility::Private);
    let refused = Answer::Refuse(Refusal::Denied);
    assert_eq!(ask(&policy, Kind::Manifest, Caller::Anonymous, true), refused);
    let other = Question { kind: Kind::Manifest, package: "shop/api", caller: Caller::Anonymous, exists: true };
    assert_eq!(answer(&policy, other), Answer::Allow);
}

#[test]
fn refusals_carry_ghcrs_words() {
    let words = |refusal: Refusal| refusal.parts();
    assert_eq!(words(Refusal::Challenge), (401, "UNAUTHORIZED", "authentication required"));
    assert_eq!(words(Refusal::AuthenticationRequired), (401, "UNAUTHORIZED", "authentication required"));
    assert_eq!(words(Refusal::Denied), (403, "DENIED", "denied"));
    assert_eq!(words(Refusal::AccessDenied), (403, "DENIED", "requested access to the resource is denied"));
    assert_eq!(words(Refusal::NoReadPackage), (403, "DENIED", "permission_denied: read_package"));
    assert_eq!(words(Refusal::ManifestUnknown), (404, "MANIFEST_UNKNOWN", "manifest unknown"));
}

#[test]
fn faults_strike_their_kind_and_package_and_count() {
    let mut faults = vec![
        Fault::delay(Kind::Manifest, Duration::from_millis(5)),
        Fault::status(Kind::Manifest, 503).package(CHART).skip(1).times(2),
        Fault::cut_off(Kind::Blob, 10),
    ];
    let status = Some(Effect::Status { status: 503, body: None, retry_after: None });
    let delay = Duration::from_millis(5);
    let none = Struck { delay, end: None };
    let failed = Struck { delay, end: status };
    assert_eq!(strike(&mut faults, Kind::Manifest, CHART), none, "the first passes");
    assert_eq!(strike(&mut faults, Kind::Manifest, "shop/api"), none, "another package");
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
    assert_eq!(serde_json::from_str::<Policy>("{}").unwrap(), Policy::public());
    assert!(serde_json::from_str::<Policy>(r#"{"visible":"x"}"#).is_err());
}
