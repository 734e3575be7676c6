//! What is told of artifacts without a proof.

use super::{
    Candidate, IN_TOTO, KIND, Refusal, SIGN, Signer, bytes, digest, judge, payload, statement,
};
use crate::error::Kind;
use crate::plan::Verify;
use crate::provenance::Artifact;
use crate::provenance::refusal::refused;

/// One good one suffices, whatever hangs beside it; without one, what tells most is
/// told first, and each reason has words of its own.
#[test]
fn one_good_signature_suffices_and_each_reason_has_its_own_words() {
    let (key, stranger) = (Signer::new(), Signer::new());
    let policy = Verify::Key(key.public());
    let good = key.simple(&payload(KIND, digest('a').as_str()));
    let foreign = bytes(&stranger.bundle(IN_TOTO, &statement(SIGN, 'a')));
    let moved = bytes(&key.bundle(IN_TOTO, &statement(SIGN, 'b')));
    let odd = Candidate::Unread(Refusal::TooLarge(4));
    let all = [odd.clone(), foreign.clone(), moved.clone(), good];
    assert!(judge(&policy, &digest('a'), &all).is_ok());

    let artifact = Artifact {
        what: "api: ghcr.io/acme/shop/api:1".into(),
        repository: "acme/shop/api".into(),
        digest: digest('a'),
        is_named: false,
    };
    let fingerprint = key.public().fingerprint().to_owned();
    let told = |candidates: &[Candidate]| {
        let refusals = judge(&policy, &digest('a'), candidates).unwrap_err();
        let error = refused(&artifact, &policy, &refusals);
        assert_eq!(error.kind(), Kind::Policy);
        assert!(!error.hints().is_empty());
        (error.to_string(), error.evidence().len())
    };
    let sbom = bytes(&key.bundle(IN_TOTO, &statement("x\u{1b}[2J", 'a')));
    let certified = Candidate::Unread(Refusal::Certificate);
    let unreadable = Candidate::Bundle(Vec::new());
    for (candidates, message, evidence) in [
        (
            vec![],
            "it is not signed, and deploy.toml asks for it (verify)".to_owned(),
            1,
        ),
        (
            vec![odd.clone(), foreign.clone(), moved],
            format!("its signature belongs to another artifact, {}", digest('b')),
            4,
        ),
        (
            vec![odd.clone(), foreign],
            format!(
                "its signature is not one of the key {fingerprint}: another key made it, or it was altered"
            ),
            3,
        ),
        (
            vec![odd],
            "a signature is larger than 4 bytes".to_owned(),
            1,
        ),
        (
            vec![sbom],
            format!(
                "the key {fingerprint} signed a statement of the type 'x\\x1b[2J' about it, expected {SIGN}"
            ),
            1,
        ),
        (
            vec![certified],
            format!(
                "it has an attestation by a certificate, expected a signature by the key {fingerprint}"
            ),
            1,
        ),
        (
            vec![unreadable],
            "a signature cannot be read: it is no bundle".to_owned(),
            1,
        ),
    ] {
        let expected = format!("api: ghcr.io/acme/shop/api:1: {message}");
        assert_eq!(told(&candidates), (expected, evidence));
    }
}
