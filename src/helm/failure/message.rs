//! A failure of helm in words: what it means, in one line, and what to do.

use std::sync::LazyLock;

use regex::Regex;

use super::FailureKind;
use super::words::{object, why};
use crate::helm::missing_namespace;
use crate::helm::pattern::pattern;
use crate::text;

/// The longest reason that is quoted in the one line.
const REASON: usize = 300;

/// `chart/templates/x.yaml:12:3`, as helm names the place in a template.
static PLACE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"[\w./-]+/templates/[\w./-]+(?::\d+(?::\d+)?)?"));

/// `User "x" cannot get resource "y" in API group "z" in the namespace "n"`.
static RIGHT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"User "([^"]*)" cannot (\S+) resource "([^"]*)"(?: in API group "([^"]*)")?(?: in the namespace "([^"]*)"| (at the cluster scope))?"#,
    )
});

/// `Job.batch "migrate" is invalid: spec.template: Invalid value: {…}: why`
static INVALID: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"([A-Za-z]+)(?:\.[a-z0-9.-]+)? "([^"]*)" is invalid: ([\w.\[\]]+): "#)
});

/// A webhook that cannot be called (`k8s.io/apiserver@v0.34.4`,
/// `pkg/util/webhook/error.go`, `pkg/admission/plugin/webhook/*/dispatcher.go`;
/// `k8s.io/apiextensions-apiserver@v0.34.4`, `pkg/apiserver/conversion/webhook_converter.go`),
/// with the reason behind the address, where one was asked.
static CALLED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"(?:failed calling webhook "(?<admission>[^"]*)"|conversion webhook for (?<converted>.+?) failed)[:;] (?:failed to call webhook: )?(?:Post "(?:[^"]*?timeout=(?<budget>[0-9a-z.]+)[^"]*|[^"]*)": )?(?<why>.*)"#,
    )
});

/// A webhook that denied (`pkg/admission/plugin/webhook/errors/statuserror.go`);
/// its words can have lines of their own.
static DENIED: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"(?s)admission webhook "([^"]*)" denied the request:? (.*)"#));

/// `Deployment.apps "api" is invalid: why`, `services "web" is forbidden: why`.
static SUBJECT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"^([\w-]+)(?:\.[a-z0-9.-]+)? "([^"]*)" is (?:invalid|forbidden): (.*)"#)
});

/// `resource mapping not found for name: "web" namespace: "" from "": no matches
/// for kind "PodDisruptionBudget" in version "policy/v1beta1"`.
static UNSERVED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"resource mapping not found for name: "([^"]*)".*no matches for kind "([^"]*)" in version "([^"]*)""#,
    )
});

/// The one line, and the hint.
pub(super) fn tell(cause: FailureKind, said: &str) -> (String, Option<String>) {
    let reason = || reason(why(said));
    let place = place(said).map_or_else(String::new, |place| format!(" at {place}"));
    let plain = |message: &str, hint: &str| (message.to_owned(), Some(hint.to_owned()));
    match cause {
        FailureKind::Unreachable => plain(
            "helm cannot reach the cluster",
            "see that the API server runs, and that kubeconfig and proxy settings lead there; `deploy doctor` tests each",
        ),
        FailureKind::Lost => plain(
            "the connection to the cluster was lost while helm was at work",
            "see that the API server runs, then send the same signal again",
        ),
        FailureKind::Unauthorized => plain(
            "the cluster does not accept the credentials of the kubeconfig",
            "renew them: a token or client certificate has expired, or its exec plugin failed",
        ),
        FailureKind::Forbidden => forbidden(said),
        FailureKind::NoNamespace => plain(
            "the release's namespace is not there",
            "create it, or let the kubeconfig's user create namespaces",
        ),
        FailureKind::ObjectWithoutNamespace => (
            missing_namespace::message(said, &[]),
            Some("create the namespace, or render it with the chart: helm creates none but the release's".to_owned()),
        ),
        FailureKind::Pending => plain(
            "another helm is at work on this release, or was killed there",
            "see `helm history`: a pending revision whose helm is gone has to be settled first",
        ),
        FailureKind::Schema => plain(
            "the values do not meet the chart's values.schema.json",
            "correct the node's values file, or the chart's schema",
        ),
        FailureKind::KubeVersion => (
            reason(),
            Some("use a chart for this cluster's version, or upgrade the cluster".to_owned()),
        ),
        FailureKind::Template => (
            format!("the chart does not render{place}"),
            Some(
                "correct the chart, or give the value it asks for in the node's values file"
                    .to_owned(),
            ),
        ),
        FailureKind::Values => (
            "a values file cannot be read".to_owned(),
            Some("correct the node's values file".to_owned()),
        ),
        FailureKind::Dependency => plain(
            "the packaged chart lacks one of its dependencies",
            "run `helm dependency build` before `helm package` in the workflow",
        ),
        FailureKind::UnknownKind => plain(
            "the chart has a kind that the cluster does not know",
            "install the CRD that defines it, or correct its apiVersion",
        ),
        FailureKind::Ownership => plain(
            "an object of the chart is there already and belongs to something else",
            "remove it, rename it in the chart, or let helm adopt it: set helm's labels and annotations on it",
        ),
        FailureKind::Immutable => (
            immutable(said),
            Some("delete the object first (a StatefulSet with --cascade=orphan), or give it a new name in the chart".to_owned()),
        ),
        FailureKind::Conflict => plain(
            "another manager owns a field that the chart sets",
            "leave the field out of the chart, or stop the other manager (an autoscaler, an operator) from setting it",
        ),
        FailureKind::StoredApi => (
            stored_api(said),
            Some("let the record name an API that is served: helm mapkubeapis RELEASE --namespace NAMESPACE (a plugin of helm)".to_owned()),
        ),
        FailureKind::Webhook => (
            uncallable(said),
            Some("see that the service behind the webhook runs (kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations), then send the same signal again".to_owned()),
        ),
        FailureKind::Admission => (
            denied(said),
            Some("meet the policy or quota that is named, or have its owner change it".to_owned()),
        ),
        FailureKind::Invalid => (
            refused(said),
            Some("correct the object in the chart, or the value it is made of".to_owned()),
        ),
        FailureKind::Hook => (format!("a hook of the chart failed{place}: {}", reason()), None),
        FailureKind::Timeout => plain(
            "the rollout did not become ready in time",
            "see the pods of the release",
        ),
        FailureKind::Killed | FailureKind::Other => (format!("helm failed: {}", reason()), None),
    }
}

/// Outside words for the one line: on one line, and not too long.
fn reason(words: &str) -> String {
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.as_str() {
        "" => "nothing".to_owned(),
        words => text::line(words, REASON).into_owned(),
    }
}

/// What is refused: helm names the object on some ways only.
fn subject(said: &str) -> String {
    object(said).unwrap_or_else(|| {
        if said.starts_with("create: failed to create: ") {
            "the release's record".to_owned()
        } else {
            place(said).map_or_else(
                || "an object of the chart".to_owned(),
                |place| format!("the hook {place}"),
            )
        }
    })
}

/// The API server says itself which object it is, but by the name of its resource
/// where it forbids it.
fn refused(said: &str) -> String {
    let why = why(said);
    let Some(found) = SUBJECT.captures(why) else {
        return format!("the cluster refuses {}: {}", subject(said), reason(why));
    };
    let named = || {
        let [kind, name] = [1, 2].map(|at| text::line(&found[at], text::VALUE));
        format!("{kind} {name}")
    };
    let object = object(said).unwrap_or_else(named);
    format!("the cluster refuses {object}: {}", reason(&found[3]))
}

fn denied(said: &str) -> String {
    let Some(found) = DENIED.captures(said) else {
        return refused(said);
    };
    let [webhook, words] = [1, 2].map(|at| reason(&found[at]));
    let words = match words.as_str() {
        "without explanation" => String::new(),
        words => format!(": {}", words.trim_start_matches(": ")),
    };
    format!(
        "the cluster refuses {}: admission webhook {webhook} denied it{words}",
        subject(said)
    )
}

fn uncallable(said: &str) -> String {
    let Some(found) = CALLED.captures(said) else {
        return refused(said);
    };
    let part = |name| found.name(name).map_or("", |part| part.as_str());
    let webhook = match (part("admission"), part("converted")) {
        ("", kind) => format!("the conversion webhook for {}", reason(kind)),
        (name, _) => format!("admission webhook {}", reason(name)),
    };
    let why = match (part("why"), part("budget")) {
        (why, budget) if why.contains("deadline exceeded") || why.contains("Timeout exceeded") => {
            match budget {
                "" => "it does not answer".to_owned(),
                budget => format!("no answer within {budget}"),
            }
        }
        (why, _) => reason(why),
    };
    format!(
        "the cluster refuses {}: {webhook} cannot be called: {why}",
        subject(said)
    )
}

fn stored_api(said: &str) -> String {
    let Some(found) = UNSERVED.captures(said) else {
        return "the release's record holds an API that the cluster no longer serves".to_owned();
    };
    let [name, kind, api] = [1, 2, 3].map(|at| text::line(&found[at], text::VALUE));
    format!("the release's record holds {kind} {name} of {api}, which the cluster no longer serves")
}

fn forbidden(said: &str) -> (String, Option<String>) {
    let found = RIGHT.captures(said);
    let Some(found) = found else {
        return (
            "the cluster refuses this to the kubeconfig's user".to_owned(),
            None,
        );
    };
    let part = |at: usize| found.get(at).map_or("", |part| part.as_str());
    let [user, verb, resource, group, namespace] =
        [1, 2, 3, 4, 5].map(|at| text::line(part(at), text::VALUE));
    let object = if group.is_empty() {
        resource.into_owned()
    } else {
        format!("{resource}.{group}")
    };
    let place = match (part(6), namespace.as_ref()) {
        ("", "") => String::new(),
        ("", namespace) => format!(" in namespace {namespace}"),
        _ => " in the whole cluster".to_owned(),
    };
    (
        format!("the kubeconfig's user {user} is not allowed to {verb} {object}{place}"),
        Some(format!(
            "grant {user} the verb {verb} on {object}{place} with a Role and a RoleBinding"
        )),
    )
}

fn immutable(said: &str) -> String {
    let found = INVALID.captures(said);
    let Some(found) = found else {
        return "the chart changes a field that cannot be changed".to_owned();
    };
    let [kind, name, field] = [1, 2, 3].map(|at| text::line(&found[at], text::VALUE));
    format!("the chart changes {field} of {kind} {name}, which cannot be changed")
}

fn place(said: &str) -> Option<String> {
    let found = PLACE.find(said)?;
    Some(text::line(found.as_str(), 200).into_owned())
}
