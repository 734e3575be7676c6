//! What helm's error output means: which failure it was, of what kind, and
//! what to do.
//!
//! Pure. The texts are those of helm 3.22.0 and 4.3.1 and of the API server
//! behind them; what is not known stays helm's own words. It must never judge
//! whether the release serves: that is what records and workloads tell.

use std::os::unix::process::ExitStatusExt as _;
use std::sync::LazyLock;

use regex::Regex;

use super::missing_namespace;
use super::pattern::pattern;
use crate::error::{Error, Kind};
use crate::manifest::Object;
use crate::process::runner::CommandOutput;
use crate::text;

/// What helm was doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HelmOperation {
    /// Rendering; nothing was touched.
    Render,
    /// An install or upgrade.
    Upgrade,
    /// A rollback.
    Rollback,
}

/// Why helm failed, as far as it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// No way to the cluster; helm asks for this first and touched nothing.
    Unreachable,
    /// The way to the cluster was lost while helm was at work.
    Lost,
    /// The cluster does not accept the credentials.
    Unauthorized,
    /// The cluster knows the user, who lacks a right.
    Forbidden,
    /// The release's namespace is not there: helm could not store its record.
    NoNamespace,
    /// An object of the chart is in a namespace that is not there.
    ObjectWithoutNamespace,
    /// The last record is pending, or another helm was faster to write one.
    Pending,
    /// The values do not meet the chart's schema.
    Schema,
    /// The chart wants another Kubernetes.
    KubeVersion,
    /// A template does not render, or not to YAML.
    Template,
    /// A values file cannot be read.
    Values,
    /// A dependency is not packed into the chart.
    Dependency,
    /// A kind that the server does not know.
    UnknownKind,
    /// An object belongs to somebody else.
    Ownership,
    /// A field that cannot be changed.
    Immutable,
    /// Another manager owns a field.
    Conflict,
    /// An admission webhook or policy refused.
    Admission,
    /// A hook failed.
    Hook,
    /// The rollout took too long.
    Timeout,
    /// Helm was killed, and not by `deploy`.
    Killed,
    /// Something else.
    Other,
}

/// A failure of helm.
#[derive(Debug)]
pub struct Failure {
    /// Why.
    pub cause: FailureKind,
    /// What to tell.
    pub error: Error,
}

/// The first rule whose pattern is found names the cause. The order matters:
/// a hook that timed out is a hook's failure, a forbidden look-up inside of a
/// template is a right that is missing.
static RULES: LazyLock<Vec<(FailureKind, Regex)>> = LazyLock::new(|| {
    use FailureKind as C;
    [
        (C::Pending, r"another operation \(install/upgrade/rollback\) is in progress|release: already exists|cannot re-use a name that is still in use"),
        (C::Schema, r"values don't meet the specifications of the schema"),
        (C::KubeVersion, r"chart requires kubeVersion"),
        (C::Dependency, r"(?i)an error occurred while checking for chart dependencies"),
        (C::Values, r"^failed to parse \S+\.ya?ml|^open \S+: (no such file|permission denied)"),
        (C::Hook, r"(pre|post)-(install|upgrade|rollback) hooks failed|failed (pre|post)-install|[Hh]ook \S+ \S+ failed"),
        (C::Unauthorized, r"(?i)the server has asked for the client to provide credentials|\bunauthorized\b|getting credentials: exec"),
        (C::Forbidden, r"is forbidden: User|cannot \S+ resource"),
        (C::Unreachable, r"(?i)kubernetes cluster unreachable"),
        (C::NoNamespace, r#"(create|update): failed to (create|update): namespaces? "[^"]*" not found"#),
        (C::ObjectWithoutNamespace, r#"namespaces? "[^"]*" not found"#),
        (C::Ownership, r"invalid ownership metadata"),
        (C::Immutable, r"field is immutable|updates to statefulset spec for fields other than"),
        (C::Conflict, r"conflict occurred while applying object|Apply failed with \d+ conflict|the object has been modified"),
        (C::UnknownKind, r"no matches for kind|ensure CRDs are installed first"),
        (C::Admission, r"admission webhook \S+ denied the request|ValidatingAdmissionPolicy|exceeded quota"),
        (C::Template, r"execution error at \(|parse error at \(|YAML parse error on|(?m)^template: |executing \S+ at <|error converting YAML to JSON"),
        (C::Timeout, r"context deadline exceeded|timed out waiting|resource \S+ not ready"),
        (C::Lost, r"connection refused|no such host|no route to host|i/o timeout|x509:|TLS handshake"),
    ]
    .map(|(cause, literal)| (cause, pattern(literal)))
    .into()
});

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

/// The longest value of a field that is shown.
const SHOWN: usize = 60;

/// What the end of a call that failed means.
pub fn of(doing: HelmOperation, ran: &CommandOutput) -> Failure {
    let Some(signal) = ran.status.signal() else {
        return read(doing, &ran.stderr);
    };
    let kind = match doing {
        HelmOperation::Render => Kind::Node,
        HelmOperation::Upgrade | HelmOperation::Rollback => Kind::Broken,
    };
    let error = Error::new(
        kind,
        format!("helm was killed by signal {signal}, not by deploy"),
    )
    .details(text::tail(&ran.stderr, 5))
    .hint("see the node's memory: the kernel's log tells whether it ran out of it (dmesg)");
    Failure {
        cause: FailureKind::Killed,
        error,
    }
}

/// Reads what helm wrote to standard error.
pub fn read(doing: HelmOperation, stderr: &str) -> Failure {
    let said = &without_values(last_words(stderr));
    let cause = RULES
        .iter()
        .find(|(_, pattern)| pattern.is_match(said))
        .map_or(FailureKind::Other, |(cause, _)| *cause);
    let (message, hint) = tell(cause, said);
    // The first thing that helm does with a cluster is to ask for its version.
    let untouched = said.get(..30).is_some_and(|start| {
        start.eq_ignore_ascii_case("kubernetes cluster unreachable")
            || start.starts_with("query: failed to query")
    });
    let kind = if untouched {
        Kind::Node
    } else {
        kind(cause, doing)
    };
    let mut error = Error::new(kind, message).details(text::tail(said, 20));
    if let Some(hint) = hint {
        error = error.hint(hint);
    }
    Failure { cause, error }
}

/// What stands behind the last `Error: `, without helm's advice on its own
/// flags.
fn last_words(stderr: &str) -> &str {
    let from = stderr
        .rfind("\nError: ")
        .map(|at| at + 1)
        .or_else(|| stderr.starts_with("Error: ").then_some(0));
    let said = from.map_or(stderr, |at| &stderr[at + "Error: ".len()..]);
    let said = said.split("\nUse --debug flag").next().unwrap_or(said);
    said.trim()
        .trim_start_matches("UPGRADE FAILED: ")
        .trim_start_matches("INSTALLATION FAILED: ")
}

/// The API server quotes the whole field that it refuses: for a Job that is its
/// pod template, with the values of its environment.
fn without_values(said: &str) -> String {
    const MARK: &str = "Invalid value: ";
    let shorten = |line: &str| {
        let (before, value, why) = line.split_once(MARK).and_then(|(before, rest)| {
            rest.rsplit_once(": ")
                .map(|(value, why)| (before, value, why))
        })?;
        (value.len() > SHOWN).then(|| format!("{before}{MARK}(left out): {why}"))
    };
    let lines = said
        .lines()
        .map(|line| shorten(line).unwrap_or_else(|| line.to_owned()));
    lines.collect::<Vec<_>>().join("\n")
}

/// The kind of a failure. Some things helm finds out before it stores a record.
/// Once an upgrade began only the records tell what came of it, so that whatever
/// may have changed something is [`Kind::Broken`] until they were read.
const fn kind(cause: FailureKind, doing: HelmOperation) -> Kind {
    match (cause, doing) {
        (
            FailureKind::Lost | FailureKind::Unauthorized | FailureKind::Forbidden,
            HelmOperation::Render,
        )
        | (FailureKind::Values | FailureKind::Unreachable | FailureKind::NoNamespace, _) => {
            Kind::Node
        }
        (FailureKind::Pending, _) => Kind::Locked,
        (
            FailureKind::Schema
            | FailureKind::KubeVersion
            | FailureKind::Template
            | FailureKind::Dependency
            | FailureKind::UnknownKind
            | FailureKind::Ownership,
            _,
        )
        | (_, HelmOperation::Render) => Kind::Chart,
        _ => Kind::Broken,
    }
}

fn tell(cause: FailureKind, said: &str) -> (String, Option<String>) {
    let first = text::line(said.lines().next().unwrap_or("nothing"), 300).into_owned();
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
            first,
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
        FailureKind::Admission => plain(
            "the cluster's admission control refuses an object of the chart",
            "meet the policy or quota that is named, or have its owner change it",
        ),
        FailureKind::Hook => (format!("a hook of the chart failed{place}"), None),
        FailureKind::Timeout => plain(
            "the rollout did not become ready in time",
            "see the pods of the release",
        ),
        FailureKind::Killed | FailureKind::Other => (format!("helm failed: {first}"), None),
    }
}

impl Failure {
    /// Names what the render has in a namespace that is not there: Helm 3 names only the
    /// namespace.
    #[must_use]
    pub fn naming(mut self, rendered: &[Object]) -> Self {
        if self.cause != FailureKind::ObjectWithoutNamespace {
            return self;
        }
        let evidence = self.error.evidence();
        let message = missing_namespace::message(&evidence.join("\n"), rendered);
        let error = Error::new(self.error.kind(), message).details(evidence);
        let hints = self.error.hints().to_vec();
        self.error = hints.into_iter().fold(error, Error::hint);
        self
    }
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

#[cfg(test)]
#[path = "failure_tests.rs"]
mod tests;
