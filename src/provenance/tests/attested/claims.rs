//! What the certificate says.

use super::sigstore::{
    COMMIT, EVENT, ISSUER, Job, OWNER_ID, REF, REPOSITORY, REPOSITORY_ID, SIGNED, SIGNER, Sigstore,
    WORKFLOW, provenance,
};
use super::{MAIN, bytes, expect, judged, policy};
use crate::plan::WorkflowPolicy;
use crate::provenance::Refusal;

/// Judged by the name of each case: an attestation of `a…a` for the main branch of
/// acme/shop, and what is odd about it.
#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn forged_and_odd_certificates_are_judged() {
    let (public, own) = (Sigstore::public(), Sigstore::github());
    let a = "a".repeat(64);
    let job = Job::of("acme/shop", MAIN);
    let of = |job: &Job| public.attest(job, &provenance(&a));
    let text = |text: &str| text.to_owned();
    let uri = |of: &str| format!("https://github.com/{of}");
    let plain = policy(&[&public, &own]);
    let strict = WorkflowPolicy {
        signer: Some(
            "acme/deploy/.github/workflows/build.yml@refs/tags/v1"
                .parse()
                .unwrap(),
        ),
        repository_id: Some("74".parse().unwrap()),
        owner_id: Some("7".parse().unwrap()),
        ..plain.clone()
    };
    let called = uri("acme/deploy/.github/workflows/build.yml@refs/tags/v1");
    let reusable = job.clone().with(SIGNER, &called);
    let only_own = policy(&[&own]);

    for (name, policy, job, expected) in [
        ("as it should be", &plain, job.clone(), None),
        (
            "with all that is asked for",
            &strict,
            reusable.clone(),
            None,
        ),
        (
            "of an enterprise's issuer",
            &plain,
            job.clone()
                .with(ISSUER, "https://token.actions.githubusercontent.com/acme"),
            None,
        ),
        (
            "with another case of the owner's name",
            &plain,
            job.clone().with(REPOSITORY, &uri("Acme/Shop")),
            None,
        ),
        (
            "of another repository",
            &plain,
            Job::of("evil/shop", MAIN),
            Some(Refusal::Repository(uri("evil/shop"))),
        ),
        (
            "of another repository that calls the trusted workflow",
            &plain,
            job.clone().with(REPOSITORY, &uri("evil/shop")),
            Some(Refusal::Repository(uri("evil/shop"))),
        ),
        (
            "of a repository whose name begins so",
            &plain,
            Job::of("acme/shop2", MAIN),
            Some(Refusal::Repository(uri("acme/shop2"))),
        ),
        (
            "of another host",
            &plain,
            job.clone()
                .with(REPOSITORY, "https://github.com.evil.example/acme/shop"),
            Some(Refusal::Repository(text(
                "https://github.com.evil.example/acme/shop",
            ))),
        ),
        (
            "of a repository that took the name",
            &strict,
            reusable.clone().with(REPOSITORY_ID, "75"),
            Some(Refusal::RepositoryId(text("75"))),
        ),
        (
            "of an owner who took the name",
            &strict,
            reusable.clone().with(OWNER_ID, "8"),
            Some(Refusal::OwnerId(text("8"))),
        ),
        (
            "without the repository's number",
            &strict,
            reusable.clone().without(REPOSITORY_ID),
            Some(Refusal::Silent("the repository's number")),
        ),
        (
            "of another workflow of the repository",
            &plain,
            job.clone().with(
                WORKFLOW,
                &uri("acme/shop/.github/workflows/test.yml@refs/heads/main"),
            ),
            Some(Refusal::Workflow(uri(
                "acme/shop/.github/workflows/test.yml@refs/heads/main",
            ))),
        ),
        (
            "of a workflow outside its folder",
            &plain,
            job.clone()
                .with(WORKFLOW, &uri("acme/shop/deploy.yml@refs/heads/main")),
            Some(Refusal::Workflow(uri(
                "acme/shop/deploy.yml@refs/heads/main",
            ))),
        ),
        (
            "of a pull request",
            &plain,
            Job::of("acme/shop", "refs/pull/7/merge").with(EVENT, "pull_request"),
            Some(Refusal::Ref(text("refs/pull/7/merge"))),
        ),
        (
            "of another branch",
            &plain,
            Job::of("acme/shop", "refs/heads/topic"),
            Some(Refusal::Ref(text("refs/heads/topic"))),
        ),
        (
            "of a tag below the pattern",
            &plain,
            Job::of("acme/shop", "refs/tags/v1/x"),
            Some(Refusal::Ref(text("refs/tags/v1/x"))),
        ),
        (
            "of a branch, by the workflow of the main one",
            &plain,
            job.clone().with(REF, "refs/heads/topic"),
            Some(Refusal::Ref(text("refs/heads/topic"))),
        ),
        (
            "for a stranger's commit, by the workflow of the main branch",
            &plain,
            job.clone().with(EVENT, "pull_request_target"),
            Some(Refusal::Event(text("pull_request_target"))),
        ),
        (
            "by another reusable workflow",
            &strict,
            job.clone().with(
                SIGNER,
                &uri("evil/deploy/.github/workflows/build.yml@refs/tags/v1"),
            ),
            Some(Refusal::Signer(uri(
                "evil/deploy/.github/workflows/build.yml@refs/tags/v1",
            ))),
        ),
        (
            "by the reusable workflow at another ref",
            &strict,
            job.clone().with(
                SIGNER,
                &uri("acme/deploy/.github/workflows/build.yml@refs/heads/topic"),
            ),
            Some(Refusal::Signer(uri(
                "acme/deploy/.github/workflows/build.yml@refs/heads/topic",
            ))),
        ),
        (
            "of another issuer of tokens",
            &plain,
            job.clone().with(ISSUER, "https://gitlab.com"),
            Some(Refusal::Issuer(text("https://gitlab.com"))),
        ),
        (
            "of an issuer whose name begins so",
            &plain,
            job.clone().with(
                ISSUER,
                "https://token.actions.githubusercontent.com.evil.example",
            ),
            Some(Refusal::Issuer(text(
                "https://token.actions.githubusercontent.com.evil.example",
            ))),
        ),
        (
            "without a commit",
            &plain,
            job.clone().without(COMMIT),
            Some(Refusal::Silent("the commit")),
        ),
        (
            "with a commit that is none",
            &plain,
            job.clone().with(COMMIT, "main"),
            Some(Refusal::Silent("the commit")),
        ),
        (
            "signed after its certificate had expired",
            &plain,
            Job {
                not_before: SIGNED - 3600,
                ..job.clone()
            },
            Some(Refusal::Expired),
        ),
        (
            "signed before its certificate was valid",
            &plain,
            Job {
                not_before: SIGNED + 3600,
                ..job.clone()
            },
            Some(Refusal::Expired),
        ),
        (
            "with its root a stranger to the node",
            &only_own,
            job.clone(),
            Some(Refusal::Stale(text("no authority of that name is in it"))),
        ),
        (
            "before log and authority were trusted",
            &plain,
            Job {
                not_before: 1_600_000_000,
                signed: 1_600_000_060,
                ..job.clone()
            },
            Some(Refusal::Stale(text("it does not know the log"))),
        ),
        (
            "for signing something else",
            &plain,
            Job {
                signs_code: false,
                ..job.clone()
            },
            Some(Refusal::Forged(text("certificate chain validation failed"))),
        ),
        (
            "in no log of certificates",
            &plain,
            Job {
                in_log: false,
                ..job.clone()
            },
            Some(Refusal::Forged(text(
                "invalid signed certificate timestamp",
            ))),
        ),
    ] {
        expect(name, judged(policy, bytes(&of(&job))), expected.as_ref());
    }
}
