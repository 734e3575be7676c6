//! What is told of artifacts without a good attestation.

use super::sigstore::{PROVENANCE, Sigstore};
use super::{digest, policy};
use crate::error::Kind;
use crate::plan::{Verify, WorkflowPolicy};
use crate::provenance::refusal::refused;
use crate::provenance::{Artifact, Refusal};

/// Each reason has words of its own, with what was found and what was expected.
#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn each_refusal_of_an_attestation_has_its_own_words() {
    let public = Sigstore::public();
    let plain = policy(&[&public]);
    let policy = Verify::Workflow(Box::new(WorkflowPolicy {
        signer: Some("acme/deploy/.github/workflows/build.yml".parse().unwrap()),
        repository_id: Some("74".parse().unwrap()),
        owner_id: Some("7".parse().unwrap()),
        ..plain
    }));
    let artifact = Artifact {
        what: "api: ghcr.io/acme/shop/api:1".into(),
        repository: "acme/shop/api".into(),
        digest: digest('a'),
        is_named: false,
    };
    let text = |text: &str| text.to_owned();
    let workflow = "acme/shop/.github/workflows/deploy.yml";
    let mut told = std::collections::BTreeSet::new();
    for (refusal, words) in [
        (
            Refusal::Unreadable("x\u{1b}".into()),
            text("an attestation cannot be read: x\\x1b"),
        ),
        (
            Refusal::TooLarge(4),
            text("an attestation is larger than 4 bytes"),
        ),
        (
            Refusal::ByKey,
            format!("it has a signature by a key, expected an attestation of {workflow}"),
        ),
        (
            Refusal::Stale(text("x")),
            text("the trusted root does not know who made its attestation: x"),
        ),
        (
            Refusal::NoTime,
            text("nothing proves when its attestation was made"),
        ),
        (
            Refusal::Stamp(text("x")),
            text("the time stamp of its attestation does not hold by the trusted root: x"),
        ),
        (
            Refusal::Future(text("x")),
            text("its attestation was made in the future, by the clock of this machine: x"),
        ),
        (
            Refusal::Expired,
            text("the certificate of its attestation was not valid when it was signed"),
        ),
        (
            Refusal::Forged(text("x")),
            text("its attestation was altered or forged: x"),
        ),
        (
            Refusal::OtherStatement(text("x")),
            format!("its attestation is a statement of the type 'x', expected {PROVENANCE}"),
        ),
        (
            Refusal::OtherArtifact(text("x")),
            text("its attestation belongs to another artifact, x"),
        ),
        (
            Refusal::Issuer(text("x")),
            text(
                "the certificate of its attestation was issued for a token of 'x', expected https://token.actions.githubusercontent.com",
            ),
        ),
        (
            Refusal::Silent("the commit"),
            text("the certificate of its attestation does not tell the commit"),
        ),
        (
            Refusal::Repository(text("x")),
            text("it was built in another repository, 'x', expected acme/shop"),
        ),
        (
            Refusal::RepositoryId(text("75")),
            text(
                "it was built in another repository of the same name, with the number '75', expected 74",
            ),
        ),
        (
            Refusal::OwnerId(text("8")),
            text("it was built in a repository of another owner, with the number '8', expected 7"),
        ),
        (
            Refusal::Workflow(text("x")),
            format!("it was built by another workflow, 'x', expected {workflow}"),
        ),
        (
            Refusal::Event(text("pull_request_target")),
            text(
                "it was built for the event 'pull_request_target', expected one that no stranger's commit triggers, such as push",
            ),
        ),
        (
            Refusal::Signer(text("x")),
            text(
                "its attestation was signed by another workflow, 'x', expected acme/deploy/.github/workflows/build.yml",
            ),
        ),
        (
            Refusal::Ref(text("refs/heads/x")),
            text("it was built from 'refs/heads/x', expected refs/heads/main or refs/tags/v*"),
        ),
    ] {
        let error = refused(&artifact, &policy, &[refusal]);
        assert_eq!(error.kind(), Kind::Policy);
        assert_eq!(error.hints().len(), 1, "{words}");
        assert_eq!(
            error.to_string(),
            format!("api: ghcr.io/acme/shop/api:1: {words}")
        );
        assert!(told.insert(words));
    }
    let error = refused(&artifact, &policy, &[]).to_string();
    let words = "it is not attested, and deploy.toml asks for it (verify)";
    assert_eq!(error, format!("api: ghcr.io/acme/shop/api:1: {words}"));
    // What tells most comes first.
    let several = [
        Refusal::Ref(text("refs/heads/x")),
        Refusal::ByKey,
        Refusal::NoTime,
    ];
    let error = refused(&artifact, &policy, &several);
    assert!(error.to_string().contains("it was built from"), "{error}");
    assert_eq!(error.evidence().len(), 4);
}
