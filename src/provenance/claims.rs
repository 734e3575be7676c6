//! What a certificate says of the job that asked for it, held against deploy.toml
//! (sigstore/fulcio, `docs/oid-info.md`). Pure: the certificate is checked before.

use sigstore_verify::crypto::FulcioCiClaims;

use super::refusal::Refusal;
use crate::plan::caller::GITHUB;
use crate::plan::{WorkflowFile, WorkflowPolicy};
use crate::text;

/// Where repositories and workflows are.
const HOST: &str = "https://github.com/";

/// By what something was built, and of which commit.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Built {
    pub(super) by: String,
    pub(super) commit: String,
}

/// What was built, where all of it is as the policy has it.
pub(super) fn check(
    policy: &WorkflowPolicy,
    issuer: Option<&str>,
    claims: &FulcioCiClaims,
) -> Result<Built, Refusal> {
    // An enterprise's issuer has its name behind GitHub's.
    let is_github = |issuer: &str| {
        let rest = issuer.strip_prefix(GITHUB);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let issuer = issuer.unwrap_or_default();
    if !is_github(issuer) {
        return Err(Refusal::Issuer(issuer.to_owned()));
    }
    let repository = said(claims.source_repository_uri.as_ref(), "the repository")?;
    let expected = policy.workflow.repository();
    let is_own = |name: &str| name.eq_ignore_ascii_case(expected);
    if !repository.strip_prefix(HOST).is_some_and(is_own) {
        return Err(Refusal::Repository(repository.to_owned()));
    }
    if let Some(id) = &policy.repository_id {
        let claim = &claims.source_repository_identifier;
        let found = said(claim.as_ref(), "the repository's number")?;
        if found != id.as_str() {
            return Err(Refusal::RepositoryId(found.to_owned()));
        }
    }
    if let Some(id) = &policy.owner_id {
        let claim = &claims.source_repository_owner_identifier;
        let found = said(claim.as_ref(), "the owner's number")?;
        if found != id.as_str() {
            return Err(Refusal::OwnerId(found.to_owned()));
        }
    }
    let by = built_by(policy, claims)?;
    signed_by(policy, claims)?;
    let commit = said(claims.source_repository_digest.as_ref(), "the commit")?;
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if !matches!(commit.len(), 40 | 64) || !commit.bytes().all(hex) {
        return Err(Refusal::Silent("the commit"));
    }
    Ok(Built {
        by,
        commit: commit.to_owned(),
    })
}

/// The calling workflow at its ref.
fn built_by(policy: &WorkflowPolicy, claims: &FulcioCiClaims) -> Result<String, Refusal> {
    let uri = said(claims.build_config_uri.as_ref(), "the workflow")?;
    let (workflow, at) = workflow(uri).ok_or_else(|| Refusal::Workflow(uri.to_owned()))?;
    if !workflow.is(&policy.workflow) {
        return Err(Refusal::Workflow(uri.to_owned()));
    }
    let built = said(claims.source_repository_ref.as_ref(), "the branch or tag")?;
    // A workflow of one ref can build another.
    for reference in [built, at] {
        if !policy.refs.iter().any(|it| it.matches(reference)) {
            return Err(Refusal::Ref(reference.to_owned()));
        }
    }
    // These run the workflow of a trusted branch for somebody else's commit.
    let event = said(claims.build_trigger.as_ref(), "the event")?;
    let strangers = ["pull_request", "merge_group", "workflow_run", "issue"];
    if strangers.iter().any(|it| event.starts_with(it)) {
        return Err(Refusal::Event(event.to_owned()));
    }
    Ok(text::line(&format!("{workflow}@{built}"), text::LINE).into_owned())
}

/// Whether the workflow that signed is the one that has to be.
fn signed_by(policy: &WorkflowPolicy, claims: &FulcioCiClaims) -> Result<(), Refusal> {
    let Some(expected) = &policy.signer else {
        return Ok(());
    };
    let uri = said(claims.build_signer_uri.as_ref(), "the workflow that signed")?;
    let other = || Refusal::Signer(uri.to_owned());
    let (signer, at) = workflow(uri).ok_or_else(other)?;
    let commit = claims.build_signer_digest.as_deref();
    let is_at = |reference: &String| reference == at || Some(reference.as_str()) == commit;
    if !signer.is(&expected.workflow) || !expected.reference.as_ref().is_none_or(is_at) {
        return Err(other());
    }
    Ok(())
}

/// The workflow and the ref of `https://github.com/…@…`.
fn workflow(uri: &str) -> Option<(WorkflowFile, &str)> {
    let (file, reference) = uri.strip_prefix(HOST)?.split_once('@')?;
    Some((file.parse().ok()?, reference))
}

fn said<'a>(claim: Option<&'a String>, what: &'static str) -> Result<&'a str, Refusal> {
    claim.map(String::as_str).ok_or(Refusal::Silent(what))
}
