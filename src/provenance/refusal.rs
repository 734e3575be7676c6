//! Why something proves nothing, each reason in words of its own. Pure.

use std::borrow::Cow;

use super::{Artifact, PROVENANCE, SIGN};
use crate::error::{Error, Kind};
use crate::plan::caller::GITHUB;
use crate::plan::{RefPattern, Verify, VerifyingKey, WorkflowPolicy};
use crate::text;

/// How many of an artifact's candidates are told of.
const TOLD: usize = 8;

/// Why a candidate proves nothing. The later in this list, the more it tells.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// It could not be understood, and why.
    Unreadable(Cow<'static, str>),
    /// It is larger than this many bytes.
    TooLarge(usize),
    /// It was made with a certificate, and a key is asked for.
    Certificate,
    /// It was made with a key, and a workflow's attestation is asked for.
    ByKey,
    /// Another key made it, or it was altered since.
    OtherKey,
    /// The trusted root does not know who made it, and what it lacks.
    Stale(String),
    /// Nothing proves when it was made.
    NoTime,
    /// What says when it was made does not hold by the trusted root.
    Stamp(String),
    /// It was made in the future, by this machine's clock.
    Future(String),
    /// Its certificate was not valid when it was made.
    Expired,
    /// It was altered or forged, and what shows that.
    Forged(String),
    /// Something else was signed than that the artifact is signed, or how it was built.
    OtherStatement(String),
    /// Another artifact was signed: its digest.
    OtherArtifact(String),
    /// The certificate was not issued to a job of GitHub Actions.
    Issuer(String),
    /// The certificate does not say this.
    Silent(&'static str),
    /// Another repository was built.
    Repository(String),
    /// Another repository was built, by its number.
    RepositoryId(String),
    /// The repository belongs to another owner, by its number.
    OwnerId(String),
    /// Another workflow built it.
    Workflow(String),
    /// The workflow built it for this event.
    Event(String),
    /// Another workflow signed.
    Signer(String),
    /// Another branch or tag was built.
    Ref(String),
}

impl Refusal {
    /// In words, of `it`.
    fn words(&self, policy: &Verify) -> String {
        match policy {
            Verify::Key(key) => self.of_key(key),
            Verify::Workflow(workflow) => self.of_workflow(workflow),
        }
    }

    fn of_key(&self, key: &VerifyingKey) -> String {
        let fingerprint = key.fingerprint();
        match self {
            Self::TooLarge(max) => format!("a signature is larger than {max} bytes"),
            Self::Certificate => format!(
                "it has an attestation by a certificate, expected a signature by the key {fingerprint}"
            ),
            Self::OtherKey => format!(
                "its signature is not one of the key {fingerprint}: another key made it, or it was altered"
            ),
            Self::OtherStatement(kind) => format!(
                "the key {fingerprint} signed a statement of the type {} about it, expected {SIGN}",
                text::quoted(kind)
            ),
            Self::OtherArtifact(digest) => format!(
                "its signature belongs to another artifact, {}",
                short(digest)
            ),
            Self::Unreadable(why) => format!("a signature cannot be read: {}", short(why)),
            // The rest is of attestations.
            other => format!("a signature cannot be read: {other:?}"),
        }
    }

    fn of_workflow(&self, policy: &WorkflowPolicy) -> String {
        match self {
            Self::Unreadable(why) => format!("an attestation cannot be read: {}", short(why)),
            Self::TooLarge(max) => format!("an attestation is larger than {max} bytes"),
            Self::ByKey | Self::Certificate | Self::OtherKey => format!(
                "it has a signature by a key, expected an attestation of {}",
                policy.workflow
            ),
            Self::Stale(why) => format!(
                "the trusted root does not know who made its attestation: {}",
                short(why)
            ),
            Self::NoTime => "nothing proves when its attestation was made".to_owned(),
            Self::Stamp(why) => format!(
                "the time stamp of its attestation does not hold by the trusted root: {}",
                short(why)
            ),
            Self::Future(why) => format!(
                "its attestation was made in the future, by the clock of this machine: {}",
                short(why)
            ),
            Self::Expired => {
                "the certificate of its attestation was not valid when it was signed".to_owned()
            }
            Self::Forged(why) => {
                format!("its attestation was altered or forged: {}", short(why))
            }
            Self::OtherStatement(kind) => format!(
                "its attestation is a statement of the type {}, expected {PROVENANCE}",
                text::quoted(kind)
            ),
            Self::OtherArtifact(digest) => format!(
                "its attestation belongs to another artifact, {}",
                short(digest)
            ),
            Self::Silent(what) => {
                format!("the certificate of its attestation does not tell {what}")
            }
            said => said.of_claim(policy),
        }
    }

    /// What the certificate says, and what was expected.
    fn of_claim(&self, policy: &WorkflowPolicy) -> String {
        let (seen, found, expected) = match self {
            Self::Issuer(found) => (
                "the certificate of its attestation was issued for a token of ",
                found,
                GITHUB.to_owned(),
            ),
            Self::Repository(found) => (
                "it was built in another repository, ",
                found,
                policy.workflow.repository().to_owned(),
            ),
            Self::RepositoryId(found) => (
                "it was built in another repository of the same name, with the number ",
                found,
                policy
                    .repository_id
                    .as_ref()
                    .map_or("", |id| id.as_str())
                    .to_owned(),
            ),
            Self::OwnerId(found) => (
                "it was built in a repository of another owner, with the number ",
                found,
                policy
                    .owner_id
                    .as_ref()
                    .map_or("", |id| id.as_str())
                    .to_owned(),
            ),
            Self::Workflow(found) => (
                "it was built by another workflow, ",
                found,
                policy.workflow.to_string(),
            ),
            Self::Signer(found) => (
                "its attestation was signed by another workflow, ",
                found,
                policy
                    .signer
                    .as_ref()
                    .map(ToString::to_string)
                    .unwrap_or_default(),
            ),
            Self::Event(found) => (
                "it was built for the event ",
                found,
                "one that no stranger's commit triggers, such as push".to_owned(),
            ),
            Self::Ref(found) => {
                let refs: Vec<&str> = policy.refs.iter().map(RefPattern::as_str).collect();
                ("it was built from ", found, refs.join(" or "))
            }
            other => return format!("an attestation cannot be read: {other:?}"),
        };
        format!("{seen}{}, expected {expected}", text::quoted(found))
    }

    fn hint(&self, policy: &Verify) -> &'static str {
        match (self, policy) {
            (Self::Stale(_) | Self::Stamp(_), _) => {
                "renew the trusted root first, it changes about every half year: gh attestation trusted-root > /etc/deploy/trusted_root.jsonl; if that changes nothing, see who pushed this"
            }
            (Self::Future(_), _) => "set the clock of this machine: timedatectl",
            (Self::OtherArtifact(_), _) => {
                "a signature was copied, or the tag was moved after it was signed: see who pushed this, and sign the digest that is to run"
            }
            (Self::Certificate, Verify::Key(_)) => {
                "sign it with the key as well, where it is pushed: cosign sign --key … <image>@<digest>"
            }
            (Self::OtherKey, Verify::Key(_)) => {
                "if the key was replaced, put the new public key where verify in deploy.toml names it; else see who pushed this"
            }
            (_, Verify::Key(_)) => {
                "sign it where it is pushed: cosign sign --key … <image>@<digest>"
            }
            (
                Self::Unreadable(_) | Self::TooLarge(_) | Self::ByKey | Self::OtherStatement(_),
                Verify::Workflow(_),
            ) => ATTEST,
            (Self::NoTime | Self::Expired | Self::Forged(_), Verify::Workflow(_)) => {
                "see who pushed this; gh attestation verify oci://<image>@<digest> --repo <owner>/<name> gives GitHub's own verdict"
            }
            (Self::RepositoryId(_) | Self::OwnerId(_), Verify::Workflow(_)) => {
                "a name can be taken by another after a renaming: gh api repos/OWNER/NAME --jq '.id, .owner.id' tells the numbers of today"
            }
            (_, Verify::Workflow(_)) => {
                "deploy what the trusted workflow built, or name what may be deployed in verify of deploy.toml"
            }
        }
    }
}

/// What is signed of an image for several platforms is its index.
const OF_INDEX: &str = "where that is one platform's digest of an index that is signed, send the index's: docker buildx imagetools inspect <image>:<tag>";

/// How to get an attestation.
const ATTEST: &str =
    "attest it where it is pushed: actions/attest with subject-digest and push-to-registry: true";

fn short(outside: &str) -> Cow<'_, str> {
    text::line(outside, 100)
}

/// The error of an artifact for which there was no proof among its candidates.
pub(super) fn refused(artifact: &Artifact, policy: &Verify, refusals: &[Refusal]) -> Error {
    let what = text::line(&artifact.what, 300);
    let Some(most) = refusals.iter().max() else {
        let (how, hint) = match policy {
            Verify::Key(_) => (
                "it is not signed, and deploy.toml asks for it (verify)",
                "sign it where it is pushed: cosign sign --key … <image>@<digest>",
            ),
            Verify::Workflow(_) => (
                "it is not attested, and deploy.toml asks for it (verify)",
                ATTEST,
            ),
        };
        let message = format!("{what}: {how}");
        let error = Error::new(Kind::Policy, message)
            .detail(format!(
                "ghcr.io has neither a signature nor a bundle beside {}",
                artifact.digest
            ))
            .hint(hint);
        return if artifact.is_named {
            error.hint(OF_INDEX)
        } else {
            error
        };
    };
    let expected = match policy {
        Verify::Key(_) => "a signature",
        Verify::Workflow(_) => "an attestation",
    };
    let mut error = Error::new(Kind::Policy, format!("{what}: {}", most.words(policy)))
        .detail(format!("expected {expected} of {}", artifact.digest));
    if refusals.len() > 1 {
        let each = refusals.iter().take(TOLD).enumerate();
        error = error.details(each.map(|(at, refusal)| {
            format!(
                "{} of {}: {}",
                at + 1,
                refusals.len(),
                refusal.words(policy)
            )
        }));
    }
    error.hint(most.hint(policy))
}
