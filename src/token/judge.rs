//! What a token's claims prove. Pure.
//!
//! `sub` is never read: it can be customised. `nbf` lies in the past and says
//! nothing. Claims: docs.github.com, on what an OIDC token holds.

use serde::Deserialize;

use crate::plan::{Caller, CallerPolicy, RunnerKind};
use crate::run::{ProvenCaller, field};
use crate::text;

/// How far this node's clock may be behind GitHub's, in seconds.
const AHEAD: i64 = 60;

/// What of a token's claims counts.
#[derive(Clone, Debug, Deserialize)]
pub struct Claims {
    /// Who issued it.
    pub iss: String,
    /// For what it was issued: a text, never a list of them.
    pub aud: String,
    /// Its own id.
    pub jti: String,
    /// When it was issued, in seconds since 1970.
    pub iat: i64,
    /// Until when it is good.
    pub exp: i64,
    repository: String,
    repository_id: String,
    repository_visibility: String,
    #[serde(rename = "ref")]
    reference: String,
    sha: String,
    event_name: String,
    actor: String,
    run_id: String,
    workflow_ref: String,
    runner_environment: String,
    environment: Option<String>,
    job_workflow_ref: Option<String>,
    job_workflow_sha: Option<String>,
}

/// Who asks, or why that is not accepted.
pub(super) fn judge(
    claims: &Claims,
    policy: &CallerPolicy,
    audience: &str,
    now: i64,
) -> Result<ProvenCaller, String> {
    let issuer = policy.issuer.as_str();
    if claims.iss != issuer {
        return Err(format!(
            "its issuer is {}, expected {issuer}",
            quoted(&claims.iss)
        ));
    }
    if claims.aud != audience {
        return Err(format!(
            "it is for {}, but this signal is {audience}",
            quoted(&claims.aud)
        ));
    }
    if claims.jti.is_empty() {
        return Err("it has no id of its own".to_owned());
    }
    if claims.iat > now.saturating_add(AHEAD) {
        return Err("it was issued in the future: see this node's clock".to_owned());
    }
    event(claims, policy)?;
    let mut why = Vec::new();
    for caller in &policy.callers {
        match fits(caller, claims).and_then(|()| age(caller, claims, policy, now)) {
            Ok(()) => return Ok(proven(claims)),
            Err(other) => why.push(other),
        }
    }
    // Of several callers the one of this repository was meant.
    let own = policy
        .callers
        .iter()
        .position(|c| c.repository_id == claims.repository_id);
    let told = own
        .or((!why.is_empty()).then_some(0))
        .map(|at| why.swap_remove(at));
    Err(told.unwrap_or_else(|| "this node names no callers".to_owned()))
}

/// What no node can allow, and what this one does not.
fn event(claims: &Claims, policy: &CallerPolicy) -> Result<(), String> {
    let event = claims.event_name.as_str();
    let never = ["pull_request", "merge_group", "workflow_run", "issue"];
    if never.iter().any(|start| event.starts_with(start))
        || claims.reference.starts_with("refs/pull/")
    {
        return Err(format!(
            "its job ran for the event {} at {}, which never deploys",
            quoted(event),
            quoted(&claims.reference)
        ));
    }
    if !policy.events.contains(event) {
        return Err(format!(
            "its job ran for the event {}, which is not in events",
            quoted(event)
        ));
    }
    Ok(())
}

/// Whether the claims are those of a caller.
fn fits(caller: &Caller, claims: &Claims) -> Result<(), String> {
    let absent = || "nothing".to_owned();
    let differs = |what: &str, came: Option<&String>, expected: &str| {
        let came = came.map_or_else(absent, |came| quoted(came));
        Err(format!("its {what} is {came}, expected {expected}"))
    };
    if claims.repository_id != caller.repository_id {
        return Err(format!(
            "its repository is {} ({}), expected {}",
            quoted(&claims.repository),
            quoted(&claims.repository_id),
            caller.repository_id
        ));
    }
    if let Some(expected) = &caller.reference {
        let same = match expected.strip_suffix('*') {
            Some(start) => claims.reference.starts_with(start),
            None => claims.reference == *expected,
        };
        if !same {
            return differs("ref", Some(&claims.reference), expected);
        }
    }
    let calling = Some(&claims.workflow_ref);
    for (what, expected, came) in [
        (
            "environment",
            &caller.environment,
            claims.environment.as_ref(),
        ),
        (
            "called workflow",
            &caller.called,
            claims.job_workflow_ref.as_ref(),
        ),
        (
            "called workflow's commit",
            &caller.called_sha,
            claims.job_workflow_sha.as_ref(),
        ),
        ("workflow", &caller.workflow, calling),
    ] {
        if let Some(expected) = expected
            && came != Some(expected)
        {
            return differs(what, came, expected);
        }
    }
    if claims.runner_environment != caller.runner.claim() {
        let came = Some(&claims.runner_environment);
        return differs("runner", came, caller.runner.claim());
    }
    Ok(())
}

/// Whether it is young enough. A token lives five minutes, less than a queue may
/// take: one of a hosted runner, good for one signal once, counts by its age.
fn age(caller: &Caller, claims: &Claims, policy: &CallerPolicy, now: i64) -> Result<(), String> {
    match caller.runner {
        RunnerKind::Hosted => {
            let most = i64::try_from(policy.token_age.as_secs()).unwrap_or(i64::MAX);
            let age = now.saturating_sub(claims.iat);
            if age > most {
                return Err(format!("it is {age} s old, more than token_age, {most} s"));
            }
        }
        RunnerKind::SelfHosted if claims.exp <= now => {
            return Err("it has expired".to_owned());
        }
        RunnerKind::SelfHosted => {}
    }
    Ok(())
}

fn proven(claims: &Claims) -> ProvenCaller {
    let text = |text: &String| field(text);
    ProvenCaller {
        repository: text(&claims.repository),
        repository_id: text(&claims.repository_id),
        reference: text(&claims.reference),
        sha: text(&claims.sha),
        event: text(&claims.event_name),
        actor: text(&claims.actor),
        workflow: text(&claims.workflow_ref),
        called: claims.job_workflow_ref.as_ref().map(text),
        environment: claims.environment.as_ref().map(text),
        runner: text(&claims.runner_environment),
        run_id: text(&claims.run_id),
        is_private: claims.repository_visibility == "private",
    }
}

fn quoted(text: &str) -> String {
    text::quoted(text)
}
