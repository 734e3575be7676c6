//! The event policy: which events may deploy, inside Actions.
//!
//! A deploy never runs for a pull request, whatever a node allows. Pure over
//! the environment and the payload's bytes. A job on the runner can claim any
//! event, so this guards against accidents, not against attackers.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;

use super::events::{EVENTS, EventName, is_pull_request};
use crate::error::{Error, Kind, Result};
use crate::host::Environment;
use crate::host::file::open_regular;
use crate::run::Workflow;
use crate::text;

/// The largest payload that is read, in bytes: GitHub caps a webhook's at
/// 25 MB (docs.github.com, "Webhook events and payloads").
const PAYLOAD_MAX: u64 = 25_000_000;

/// Whether a ref is a pull request's, or the merge queue's candidate of one
/// (docs.github.com, "Managing a merge queue").
fn is_pull_request_ref(reference: &str) -> bool {
    reference.starts_with("refs/pull/") || reference.starts_with("refs/heads/gh-readonly-queue/")
}

/// What of a payload counts.
#[derive(Debug, Default, Deserialize)]
struct Payload {
    repository: Option<Repository>,
    workflow_run: Option<WorkflowRun>,
    #[serde(default)]
    pull_request: Presence,
    issue: Option<Issue>,
    deployment: Option<Deployment>,
}

#[derive(Debug, Deserialize)]
struct Repository {
    full_name: Option<String>,
    private: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct WorkflowRun {
    event: Option<String>,
    head_branch: Option<String>,
    head_repository: Option<Repository>,
}

#[derive(Debug, Deserialize)]
struct Issue {
    #[serde(default)]
    pull_request: Presence,
}

#[derive(Debug, Deserialize)]
struct Deployment {
    #[serde(rename = "ref")]
    reference: Option<String>,
}

/// Whether a key is there with anything but null; its content is not kept.
#[derive(Debug, Default)]
struct Presence(bool);

impl<'de> Deserialize<'de> for Presence {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::<serde::de::IgnoredAny>::deserialize(deserializer)
            .map(|value| Self(value.is_some()))
    }
}

/// Refuses what no node can allow, from the environment alone. It comes before
/// deploy.toml is read, so that it holds where that is broken.
pub fn refuse_pull_requests(environment: &Environment) -> Result<()> {
    if !environment.inside_actions() {
        return Ok(());
    }
    let Some(event) = environment.text("GITHUB_EVENT_NAME") else {
        return Err(refused(
            "inside Actions the event must be known, but GITHUB_EVENT_NAME is not set",
        )
        .hint("call deploy from a step of the workflow itself; GitHub's runner sets it there"));
    };
    if is_pull_request(event) {
        return Err(pull_request(&format!("the event {}", text::quoted(event))));
    }
    for name in ["GITHUB_REF", "GITHUB_WORKFLOW_REF"] {
        let reference = environment.get(name).map(std::ffi::OsStr::to_string_lossy);
        let reference = reference.as_deref().unwrap_or_default();
        let reference = reference.rsplit_once('@').map_or(reference, |(_, end)| end);
        if is_pull_request_ref(reference) {
            let seen = format!("{name} {}", text::quoted(reference));
            return Err(pull_request(&seen));
        }
    }
    // GitHub sets it for pull requests only.
    if let Some(head) = environment.get("GITHUB_HEAD_REF") {
        let seen = format!("GITHUB_HEAD_REF {}", text::quoted(&head.to_string_lossy()));
        return Err(pull_request(&seen));
    }
    Ok(())
}

/// The error where sudo took the event's variables away and no parent's can be
/// read ([`crate::host::EventEnvironment::Hidden`]).
pub fn hidden() -> Error {
    Error::new(
        Kind::Node,
        "sudo took the workflow's variables away, so the event cannot be known",
    )
    .hint("in a workflow: sudo --preserve-env=GITHUB_ACTIONS,GITHUB_EVENT_NAME,GITHUB_EVENT_PATH,GITHUB_REF,GITHUB_WORKFLOW_REF,GITHUB_HEAD_REF,GITHUB_REPOSITORY")
    .hint("or call deploy without sudo; by hand, from a terminal")
}

/// Whether this event may deploy: `allowed` is what the node says, `payload`
/// the bytes at `GITHUB_EVENT_PATH` or why they could not be read. By hand
/// everything may.
pub fn check(
    environment: &Environment,
    allowed: Option<&BTreeSet<EventName>>,
    payload: Result<&[u8], &str>,
) -> Result<()> {
    if !environment.inside_actions() {
        return Ok(());
    }
    refuse_pull_requests(environment)?;
    let event = environment.text("GITHUB_EVENT_NAME").unwrap_or_default();
    let payload = parse(payload)?;
    if payload.pull_request.0 || payload.issue.is_some_and(|issue| issue.pull_request.0) {
        return Err(pull_request(
            "the event's payload, which holds a pull request",
        ));
    }
    if let Some(before) = payload
        .workflow_run
        .as_ref()
        .and_then(|run| run.event.as_deref())
        && is_pull_request(before)
    {
        // A deployment that a pull request's workflow made carries it too.
        let seen = format!("a workflow run of the event {}", text::quoted(before));
        return Err(pull_request(&seen));
    }
    if let Some(reference) = payload
        .deployment
        .and_then(|deployment| deployment.reference)
        && (is_pull_request_ref(&reference) || reference.starts_with("pull/"))
    {
        let seen = format!("the deployment's ref {}", text::quoted(&reference));
        return Err(pull_request(&seen));
    }
    if !is_allowed(event, allowed) {
        return Err(not_allowed("the event", event, allowed));
    }
    if event == "workflow_run" {
        let repository = payload
            .repository
            .and_then(|repository| repository.full_name);
        let own = environment.text("GITHUB_REPOSITORY");
        return workflow_run(payload.workflow_run, repository.as_deref(), own, allowed);
    }
    Ok(())
}

/// A `workflow_run` stands for the event of the run before it, which may be a
/// fork's pull request with this repository's rights around it.
fn workflow_run(
    run: Option<WorkflowRun>,
    repository: Option<&str>,
    own: Option<&str>,
    allowed: Option<&BTreeSet<EventName>>,
) -> Result<()> {
    let run = run.ok_or_else(|| unreadable("it says nothing of the workflow run"))?;
    let event = run
        .event
        .ok_or_else(|| unreadable("it does not say which event started the workflow run"))?;
    if let Some(branch) = run.head_branch
        && (branch.starts_with("gh-readonly-queue/") || branch.starts_with("pull/"))
    {
        let seen = format!("a workflow run of the branch {}", text::quoted(&branch));
        return Err(pull_request(&seen));
    }
    if event == "workflow_run" || !is_allowed(&event, allowed) {
        return Err(not_allowed("a workflow run of the event", &event, allowed));
    }
    let head = run
        .head_repository
        .and_then(|repository| repository.full_name);
    let (Some(head), Some(repository)) = (head, repository) else {
        return Err(unreadable(
            "it does not say which repository the run came from",
        ));
    };
    let same = |other: &str| head.eq_ignore_ascii_case(other);
    if !same(repository) || own.is_some_and(|own| !same(own)) {
        return Err(refused(format!(
            "the workflow run came from the repository {}, expected {}",
            text::quoted(&head),
            text::quoted(own.unwrap_or(repository)),
        ))
        .hint("only runs of this repository's own branches and tags may deploy"));
    }
    Ok(())
}

/// Refuses what no node can allow, and an event outside of `allowed`, by what the
/// sender of a signal claims of its workflow. It can claim anything: this guards
/// against a workflow that is wired wrongly.
pub fn check_claim(workflow: &Workflow, allowed: Option<&BTreeSet<EventName>>) -> Result<()> {
    let event = workflow.event.as_deref().unwrap_or_default();
    if is_pull_request(event) {
        return Err(pull_request(&format!("the event {}", text::quoted(event))));
    }
    if let Some(reference) = workflow
        .reference
        .as_deref()
        .filter(|r| is_pull_request_ref(r))
    {
        return Err(pull_request(&format!(
            "the ref {}",
            text::quoted(reference)
        )));
    }
    if !is_allowed(event, allowed) {
        return Err(not_allowed("the event", event, allowed));
    }
    Ok(())
}

/// Whether pod logs may be printed: by hand, or where the payload says that
/// the repository is private. A public repository's log is public.
fn logs_may_be_shown(environment: &Environment, payload: Result<&[u8], &str>) -> bool {
    !environment.inside_actions()
        || parse(payload)
            .ok()
            .and_then(|payload| payload.repository)
            .is_some_and(|repository| repository.private == Some(true))
}

/// The same for this process, whose payload is read.
pub fn may_show_logs(environment: &Environment) -> bool {
    let payload = read_payload(environment);
    logs_may_be_shown(environment, payload.as_deref().map_err(String::as_str))
}

/// The payload's bytes, at most 25 MB, or why they cannot be had.
pub(super) fn read_payload(environment: &Environment) -> Result<Vec<u8>, String> {
    let path = environment
        .get("GITHUB_EVENT_PATH")
        .ok_or("GITHUB_EVENT_PATH is not set")?;
    let shown = |error: std::io::Error| {
        let path = text::quoted(&path.to_string_lossy());
        match error.kind() {
            std::io::ErrorKind::InvalidInput => format!("{path} is not a file: {error}"),
            _ => format!("{path}: {error}"),
        }
    };
    let mut bytes = Vec::new();
    open_regular(Path::new(path))
        .map_err(shown)?
        .take(PAYLOAD_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(shown)?;
    if bytes.len() as u64 > PAYLOAD_MAX {
        return Err("it is larger than 25 MB".to_owned());
    }
    Ok(bytes)
}

fn parse(payload: Result<&[u8], &str>) -> Result<Payload> {
    // The parser's message may quote the payload; its place is enough.
    serde_json::from_slice(payload.map_err(unreadable)?).map_err(|error| {
        unreadable(&format!(
            "no event in JSON at line {}, column {}",
            error.line(),
            error.column()
        ))
    })
}

fn is_allowed(event: &str, allowed: Option<&BTreeSet<EventName>>) -> bool {
    match allowed {
        Some(allowed) => allowed.iter().any(|name| name.as_str() == event),
        None => EVENTS.contains(&event),
    }
}

fn refused(message: impl Into<String>) -> Error {
    Error::new(Kind::Policy, message)
}

fn pull_request(seen: &str) -> Error {
    refused(format!(
        "a deploy never runs for a pull request; this is {seen}"
    ))
    .hint("deploy on push, on a tag or by hand: on a pull request a workflow only checks")
}

fn unreadable(why: &str) -> Error {
    refused(format!("the event's payload cannot be read: {why}"))
        .hint("call deploy from a step of the workflow itself, with the runner's GITHUB_EVENT_PATH")
}

fn not_allowed(what: &str, event: &str, allowed: Option<&BTreeSet<EventName>>) -> Error {
    let list = match allowed {
        Some(allowed) => allowed.iter().map(EventName::as_str).collect(),
        None => EVENTS.to_vec(),
    };
    let error = refused(format!(
        "{what} {} is not allowed to deploy; this node allows {}",
        text::quoted(event),
        if list.is_empty() {
            "none".to_owned()
        } else {
            list.join(", ")
        },
    ));
    let can = event.parse::<EventName>().is_ok();
    if can && (what == "the event" || event != "workflow_run") {
        let list: Vec<String> = list
            .iter()
            .chain([&event])
            .map(|name| format!("\"{}\"", text::line(name, 60)))
            .collect();
        return error.hint(format!(
            "to allow it, an operator writes into deploy.toml: events = [{}]",
            list.join(", ")
        ));
    }
    error
}

#[cfg(test)]
mod tests;
