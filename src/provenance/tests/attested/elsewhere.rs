//! Attestations that real instances made.

use serde_json::Value;

use super::{MAIN, Prover, expect};
use crate::plan::{TrustedRootFile, Verify, WorkflowPolicy};
use crate::provenance::{Candidate, Refusal};

/// What real instances made: with the roots that come with the program, but for
/// staging's.
#[test]
fn attestations_made_elsewhere() {
    let beacon = "sigstore-conformance/extremely-dangerous-public-oidc-beacon";
    let mut policy = WorkflowPolicy {
        workflow: format!("{beacon}/.github/workflows/extremely-dangerous-oidc-beacon.yml")
            .parse()
            .unwrap(),
        refs: vec![MAIN.parse().unwrap()],
        repository_id: Some("632596897".parse().unwrap()),
        owner_id: Some("131804563".parse().unwrap()),
        trusted_root: None,
        signer: None,
    };
    let judged = |policy: &WorkflowPolicy, hex: &str, bundle: &[u8]| {
        let verify = Verify::Workflow(Box::new(policy.clone()));
        let digest = format!("sha256:{hex}").parse().unwrap();
        let candidate = Candidate::Bundle(bundle.to_vec());
        let verdict = Prover::new(verify).unwrap().judge(&digest, &[candidate]);
        verdict.map_err(|mut refusals| refusals.remove(0))
    };
    let staging = include_bytes!("../../../../tests/data/sigstore/staging.json");
    let a = "a0cfc71271d6e278e57cd332ff957c3f7043fdda354c4cbb190a30d56efa01bf";
    for (hex, bundle, expected) in [
        (
            "54303491a8418fbed24344b513546182c29b43bf282ceb433af65e2299f9271f",
            &include_bytes!("../../../../tests/data/sigstore/public.json")[..],
            Refusal::OtherStatement(
                "https://schemas.conda.org/attestations-publish-1.schema.json".into(),
            ),
        ),
        (
            "76f1fe8593bf227cca2c089e3c16dc95014a8d3e89c5dd220530469ca043c428",
            include_bytes!("../../../../tests/data/sigstore/github.json"),
            Refusal::OtherStatement("https://in-toto.io/attestation/release/v0.2".into()),
        ),
        (
            a,
            include_bytes!("../../../../tests/data/sigstore/cve-2022-36056.json"),
            Refusal::Unreadable("it has no DSSE envelope".into()),
        ),
        // Staging's authority has the name of the public one's.
        (a, staging, Refusal::Stamp(String::new())),
    ] {
        expect(hex, judged(&policy, hex, bundle), Some(&expected));
    }

    let root: Value = serde_json::from_slice(include_bytes!(
        "../../../../tests/data/sigstore/staging-root.json"
    ))
    .unwrap();
    policy.trusted_root = Some(TrustedRootFile {
        path: "trusted_root.jsonl".into(),
        content: format!("{root}\n"),
    });
    let origin = judged(&policy, a, staging).unwrap();
    assert_eq!(origin.by, format!("workflow {}@{MAIN}", policy.workflow));
    let commit = "977e8d08554ca9bda279c96e91be2119fb67c730";
    assert_eq!(origin.commit.as_deref(), Some(commit));
    policy.owner_id = Some("1".parse().unwrap());
    let other = judged(&policy, a, staging).unwrap_err();
    assert_eq!(other, Refusal::OwnerId("131804563".into()));
}
