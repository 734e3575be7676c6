//! What the bundle says.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::Signer;
use super::sigstore::{IN_TOTO, Job, PROVENANCE, SIGNED, Sigstore, provenance, statement};
use super::{MAIN, bytes, expect, judged, policy};
use crate::provenance::Refusal;

/// Judged by the name of each case: an attestation of `a…a` for the main branch of
/// acme/shop, and what is odd about it.
#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn forged_and_odd_bundles_are_judged() {
    let (public, own, stranger) = (Sigstore::public(), Sigstore::github(), Sigstore::public());
    let a = "a".repeat(64);
    let job = Job::of("acme/shop", MAIN);
    let good = public.attest(&job, &provenance(&a));
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut bundle = good.clone();
        change(&mut bundle);
        bundle
    };
    let entry = |change: &dyn Fn(&mut Value)| {
        changed(&|bundle| change(&mut bundle["verificationMaterial"]["tlogEntries"][0]))
    };
    let text = |text: &str| text.to_owned();
    let plain = policy(&[&public, &own]);
    let only_public = policy(&[&public]);
    let foreign = stranger.attest(&job, &provenance(&a));
    let of_b = public.attest(&job, &provenance(&"b".repeat(64)));
    let by_own = own.attest(&job, &provenance(&a));
    let later = i64::from(u32::MAX);
    let future = Job {
        not_before: later - 60,
        signed: later,
        ..job.clone()
    };
    let mut many = provenance(&a);
    many["subject"] =
        json!([{ "digest": { "sha256": "b".repeat(64) } }, { "digest": { "sha256": a } }]);
    let mut none = provenance(&a);
    none["subject"] = json!([]);
    let sbom = "https://spdx.dev/Document/v2.3";
    for (name, policy, bundle, expected) in [
        ("of two artifacts", &plain, public.attest(&job, &many), None),
        (
            "of a stranger's authority with the same name",
            &plain,
            foreign.clone(),
            // The time is looked at first.
            Some(Refusal::Stale(text("it does not know the log"))),
        ),
        (
            "of a stranger's authority, with the log's entry of a good one",
            &plain,
            changed(&|it| {
                it["verificationMaterial"]["certificate"] =
                    foreign["verificationMaterial"]["certificate"].clone();
            }),
            Some(Refusal::Stale(text(
                "none of its authorities signed that certificate",
            ))),
        ),
        (
            "with another's certificate",
            &plain,
            changed(&|it| {
                it["verificationMaterial"]["certificate"] =
                    of_b["verificationMaterial"]["certificate"].clone();
            }),
            Some(Refusal::Forged(text("invalid signature"))),
        ),
        (
            "with its payload altered",
            &plain,
            changed(&|it| {
                it["dsseEnvelope"]["payload"] = json!(
                    STANDARD.encode(statement(PROVENANCE, &a).to_string().replace("{}", "{ }"))
                );
            }),
            Some(Refusal::Forged(text("invalid signature"))),
        ),
        (
            "of another artifact",
            &plain,
            of_b.clone(),
            Some(Refusal::OtherArtifact(format!("sha256:{}", "b".repeat(64)))),
        ),
        (
            "of no artifact",
            &plain,
            public.attest(&job, &none),
            Some(Refusal::Unreadable(
                "in-toto statement has no subjects".into(),
            )),
        ),
        (
            "that is a list of what is in it",
            &plain,
            public.attest(&job, &statement(sbom, &a)),
            Some(Refusal::OtherStatement(sbom.to_owned())),
        ),
        (
            "with another payload type",
            &plain,
            public.attest_as(&job, "text/plain", &provenance(&a)),
            Some(Refusal::Unreadable("unsupported DSSE payload type".into())),
        ),
        (
            "with two signatures",
            &plain,
            changed(&|it| {
                let own = it["dsseEnvelope"]["signatures"][0].clone();
                it["dsseEnvelope"]["signatures"] = json!([own, own]);
            }),
            Some(Refusal::Unreadable("it is no bundle: ".into())),
        ),
        (
            "with its signature stripped",
            &plain,
            changed(&|it| it["dsseEnvelope"]["signatures"] = json!([])),
            Some(Refusal::Unreadable("it is no bundle: ".into())),
        ),
        (
            "with its log entry stripped",
            &plain,
            changed(&|it| it["verificationMaterial"]["tlogEntries"] = json!([])),
            Some(Refusal::Unreadable(
                "application/vnd.dev.sigstore.bundle.v0.3+json bundle must have an inclusion proof"
                    .into(),
            )),
        ),
        (
            "with the log's promise stripped",
            &plain,
            entry(&|it| {
                it.as_object_mut().unwrap().remove("inclusionPromise");
            }),
            Some(Refusal::NoTime),
        ),
        (
            "with the log's time altered",
            &plain,
            entry(&|it| it["integratedTime"] = json!((SIGNED + 1).to_string())),
            Some(Refusal::Forged(text("invalid inclusion promise"))),
        ),
        (
            "with the log entry of another",
            &plain,
            entry(&|it| *it = of_b["verificationMaterial"]["tlogEntries"][0].clone()),
            Some(Refusal::Forged(text("log entry does not match the bundle"))),
        ),
        (
            "with the log's root altered",
            &plain,
            entry(&|it| it["inclusionProof"]["hashes"] = json!([STANDARD.encode([0; 32])])),
            Some(Refusal::Forged(text("invalid inclusion proof"))),
        ),
        (
            "of the future",
            &plain,
            public.attest(&future, &provenance(&a)),
            Some(Refusal::Future(String::new())),
        ),
        (
            "of GitHub's own, unknown to the node",
            &only_public,
            by_own.clone(),
            Some(Refusal::Stale(text("no authority of that name is in it"))),
        ),
        (
            "of the public one, as if it were GitHub's own",
            &plain,
            changed(&|it| {
                it["verificationMaterial"]["tlogEntries"] = json!([]);
                it["verificationMaterial"]["timestampVerificationData"] =
                    by_own["verificationMaterial"]["timestampVerificationData"].clone();
            }),
            Some(Refusal::Unreadable(
                "application/vnd.dev.sigstore.bundle.v0.3+json bundle must have an inclusion proof"
                    .into(),
            )),
        ),
        (
            "of GitHub's own without a time stamp",
            &plain,
            {
                let mut bundle = by_own.clone();
                let material = bundle["verificationMaterial"].as_object_mut().unwrap();
                material.remove("timestampVerificationData");
                bundle
            },
            Some(Refusal::Unreadable(
                "bundle must have at least one tlog entry".into(),
            )),
        ),
        (
            "of GitHub's own with another's time stamp",
            &plain,
            {
                let mut bundle = by_own.clone();
                bundle["verificationMaterial"]["timestampVerificationData"] = Sigstore::github()
                    .attest(&job, &provenance(&a))["verificationMaterial"]["timestampVerificationData"]
                    .clone();
                bundle
            },
            Some(Refusal::Stamp(String::new())),
        ),
        (
            "of a key",
            &plain,
            Signer::new().bundle(IN_TOTO, &provenance(&a)),
            Some(Refusal::ByKey),
        ),
        (
            "with a certificate that is none",
            &plain,
            changed(&|it| it["verificationMaterial"]["certificate"]["rawBytes"] = json!("MAA=")),
            Some(Refusal::Unreadable("its certificate: ".into())),
        ),
        (
            "that is no bundle",
            &plain,
            json!([]),
            Some(Refusal::Unreadable("it is no bundle: ".into())),
        ),
    ] {
        expect(name, judged(policy, bytes(&bundle)), expected.as_ref());
    }
}
