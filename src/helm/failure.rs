//! What helm's error output means: which failure it was, of what kind, and
//! what to do.
//!
//! Pure. The texts are those of helm 3.22.0 and 4.3.1 and of the API server
//! behind them; what is not known stays helm's own words. It must never judge
//! whether the release serves: that is what records and workloads tell.

mod message;
mod words;

use std::os::unix::process::ExitStatusExt as _;
use std::sync::LazyLock;

use regex::Regex;

use super::missing_namespace;
use super::pattern::pattern;
use crate::error::{Error, Kind};
use crate::manifest::Object;
use crate::process::runner::CommandOutput;
use crate::text;
use message::tell;
use words::{last_words, news, without_values};

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
    /// The stored manifest that helm compares with has an API that the cluster
    /// does not serve.
    StoredApi,
    /// A webhook that the API server must ask cannot be called.
    Webhook,
    /// An admission webhook or policy refused.
    Admission,
    /// The API server takes an object for invalid.
    Invalid,
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
/// helm's and the API server's own prefixes come before general words, because
/// what stands behind a prefix can say anything (a webhook may deny with
/// "UNAUTHORIZED", or not be called because of a refused connection); a hook that
/// timed out is a hook's failure, a forbidden look-up inside of a template is a
/// right that is missing.
static RULES: LazyLock<Vec<(FailureKind, Regex)>> = LazyLock::new(|| {
    use FailureKind as C;
    [
        (C::Pending, r"another operation \(install/upgrade/rollback\) is in progress|release: already exists|cannot re-use a name that is still in use"),
        (C::StoredApi, r"current release manifest contains removed kubernetes api|unable to build kubernetes objects from current release manifest"),
        (C::Webhook, r#"failed calling webhook "|conversion webhook for .* failed: "#),
        (C::Admission, r#"admission webhook "[^"]*" denied the request|is forbidden: ValidatingAdmissionPolicy|is forbidden: exceeded quota|is forbidden: violates PodSecurity"#),
        (C::Schema, r"values don't meet the specifications of the schema"),
        (C::KubeVersion, r"chart requires kubeVersion"),
        (C::Dependency, r"(?i)an error occurred while checking for chart dependencies"),
        (C::Values, r"^failed to parse \S+\.ya?ml|^open \S+: (no such file|permission denied)"),
        (C::Hook, r"(pre|post)-(install|upgrade|rollback) hooks failed|failed (pre|post)-install|[Hh]ook \S+ \S+ failed"),
        (C::Unauthorized, r"(?im)the server has asked for the client to provide credentials|(?:^|: |\* )unauthorized$|getting credentials: exec"),
        (C::Forbidden, r"is forbidden: User|cannot \S+ resource"),
        (C::Unreachable, r"(?i)kubernetes cluster unreachable"),
        (C::NoNamespace, r#"(create|update): failed to (create|update): namespaces? "[^"]*" not found"#),
        (C::ObjectWithoutNamespace, r#"namespaces? "[^"]*" not found"#),
        (C::Ownership, r"invalid ownership metadata"),
        (C::Immutable, r"field is immutable|updates to statefulset spec for fields other than"),
        (C::Conflict, r"conflict occurred while applying object|Apply failed with \d+ conflict|the object has been modified"),
        (C::UnknownKind, r"no matches for kind|ensure CRDs are installed first"),
        (C::Invalid, r#"" is invalid: |cannot be handled as a |failed to create typed patch object|is forbidden: "#),
        (C::Template, r"execution error at \(|parse error at \(|YAML parse error on|(?m)^template: |executing \S+ at <|error converting YAML to JSON"),
        (C::Timeout, r"context deadline exceeded|timed out waiting|resource \S+ not ready"),
        // Go's words, `net` and `net/http`, and those of an API server that is ending.
        (C::Lost, r"(?m)connection refused|no such host|no route to host|i/o timeout|x509:|TLS handshake|connection reset by peer|broken pipe|unexpected EOF|: EOF$|client connection lost|server sent GOAWAY|apiserver is shutting down"),
    ]
    .map(|(cause, literal)| (cause, pattern(literal)))
    .into()
});

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
    // What a rollback calls the new manifest is a stored one as well.
    let cause = match (cause, doing) {
        (FailureKind::UnknownKind, HelmOperation::Rollback) => FailureKind::StoredApi,
        _ => cause,
    };
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
    let news = news(said, &message);
    let mut error = Error::new(kind, message).details(news);
    if let Some(hint) = hint {
        error = error.hint(hint);
    }
    Failure { cause, error }
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
        (FailureKind::StoredApi, _) => Kind::Broken,
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

#[cfg(test)]
#[path = "failure_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "failure/refused_tests.rs"]
mod refused_tests;
