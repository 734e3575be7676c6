//! Attestations of a Sigstore that the tests own, each by itself.

mod bundles;
mod claims;
mod elsewhere;
mod words;

use super::{Prover, bytes, digest};
use crate::event::Origin;
use crate::plan::{TrustedRootFile, Verify, WorkflowPolicy};
use crate::provenance::{Candidate, Refusal};

#[allow(dead_code, unreachable_pub, reason = "other tests use the rest of it")]
#[path = "../../../../tests/data/own_sigstore/mod.rs"]
mod sigstore;

use sigstore::{COMMIT, Job, Sigstore, provenance};

const MAIN: &str = "refs/heads/main";

/// What deploy.toml asks for, with these roots.
fn policy(roots: &[&Sigstore]) -> WorkflowPolicy {
    let content: Vec<String> = roots.iter().map(|it| it.root().to_string()).collect();
    WorkflowPolicy {
        workflow: "acme/shop/.github/workflows/deploy.yml".parse().unwrap(),
        signer: None,
        refs: vec![MAIN.parse().unwrap(), "refs/tags/v*".parse().unwrap()],
        repository_id: None,
        owner_id: None,
        trusted_root: Some(TrustedRootFile {
            path: "/etc/deploy/trusted_root.jsonl".into(),
            content: content.join("\n"),
        }),
    }
}

fn judged(policy: &WorkflowPolicy, candidate: Candidate) -> Result<Origin, Refusal> {
    let verify = Verify::Workflow(Box::new(policy.clone()));
    let prover = Prover::new(verify).unwrap();
    prover
        .judge(&digest('a'), &[candidate])
        .map_err(|mut refusals| refusals.remove(0))
}

/// Texts of the crate's are only held against their beginning.
fn expect(name: &str, verdict: Result<Origin, Refusal>, expected: Option<&Refusal>) {
    let refusal = verdict.err();
    let same = match (&refusal, expected) {
        (Some(Refusal::Forged(found)), Some(Refusal::Forged(begins)))
        | (Some(Refusal::Stale(found)), Some(Refusal::Stale(begins))) => found.starts_with(begins),
        (Some(Refusal::Unreadable(found)), Some(Refusal::Unreadable(begins))) => {
            found.starts_with(&**begins)
        }
        (Some(Refusal::Future(_)), Some(Refusal::Future(_)))
        | (Some(Refusal::Stamp(_)), Some(Refusal::Stamp(_))) => true,
        (found, expected) => found.as_ref() == expected,
    };
    assert!(same, "{name}: {refusal:?}, expected {expected:?}");
}

#[test]
fn both_of_githubs_kinds_are_taken() {
    let (public, own) = (Sigstore::public(), Sigstore::github());
    let policy = policy(&[&public, &own]);
    let a = "a".repeat(64);
    for reference in [MAIN, "refs/tags/v1.2.3"] {
        for sigstore in [&public, &own] {
            let job = Job::of("acme/shop", reference);
            let bundle = sigstore.attest(&job, &provenance(&a));
            let origin = judged(&policy, bytes(&bundle)).unwrap();
            assert_eq!(
                origin.by,
                format!("workflow acme/shop/.github/workflows/deploy.yml@{reference}")
            );
            assert_eq!(origin.commit.as_ref(), Some(&job.claims[&COMMIT]));
            assert_eq!(origin.digest, digest('a'));
        }
    }
}

/// A file of roots that cannot be used is told of before anything is asked.
#[test]
fn a_trusted_root_that_is_none_is_told_of() {
    let public = Sigstore::public();
    let policy = policy(&[&public]);
    let line = public.root().to_string();
    for (content, told) in [
        (String::new(), "it is empty"),
        ("\n \n".to_owned(), "it is empty"),
        ("{}\n".to_owned(), "line 1: "),
        (format!("{line}\n{{\n"), "line 2: "),
        (
            format!("{line}\n").repeat(33),
            "it holds more than 32 roots",
        ),
    ] {
        let file = TrustedRootFile {
            path: "/etc/deploy/trusted_root.jsonl".into(),
            content,
        };
        let policy = WorkflowPolicy {
            trusted_root: Some(file),
            ..policy.clone()
        };
        let error = Prover::new(Verify::Workflow(Box::new(policy)))
            .err()
            .unwrap();
        assert_eq!(error.kind(), crate::Kind::Node);
        let file = "/etc/deploy/trusted_root.jsonl";
        let told = format!("the trusted root {file} cannot be used: {told}");
        assert!(error.to_string().starts_with(&told), "{error}");
    }
}
