//! Release records: what helm stored of each revision.
//!
//! Pure: bytes in, a [`Record`] out. Decoding is bounded and keeps the JSON
//! beneath untouched. It must never guess: a record that cannot be read is an
//! error.
//!
//! Format: `helm.sh/helm/v4@v4.3.1/pkg/storage/driver/{secrets,util}.go` and
//! `pkg/release/v1/release.go`; Helm 3's is the same but for `apply_method`.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use serde_json::Value;

use crate::error::{Error, Kind, Result};
use crate::text;

/// The most that a record can hold, in bytes. A Secret holds 1 MiB, which gzip
/// can blow up to a thousand times that.
const MAX: u64 = 64 << 20;

/// The first bytes of what is compressed; helm's oldest records are not.
const GZIP: [u8; 3] = [0x1f, 0x8b, 0x08];

/// Where helm keeps its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// In Secrets: the default.
    Secrets,
    /// In `ConfigMap`s.
    ConfigMaps,
}

impl Driver {
    /// The one that `HELM_DRIVER` in helm's environment names; an error for one whose
    /// records are not in the cluster.
    pub fn of(environment: &BTreeMap<OsString, OsString>) -> Result<Self> {
        let named = environment
            .get(OsStr::new("HELM_DRIVER"))
            .map(|value| value.to_string_lossy().to_lowercase())
            .unwrap_or_default();
        // helm.sh/helm/v4@v4.3.1/pkg/action/action.go, Configuration.Init
        match named.as_str() {
            "" | "secret" | "secrets" => Ok(Self::Secrets),
            "configmap" | "configmaps" => Ok(Self::ConfigMaps),
            other => Err(Error::new(
                Kind::Node,
                format!(
                    "HELM_DRIVER is {}: releases are kept where they cannot be verified",
                    text::quoted(other)
                ),
            )
            .hint("keep releases in Secrets: leave HELM_DRIVER unset")),
        }
    }
}

/// The state of a revision (`pkg/release/common/status.go`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "helm's own words")]
pub enum Status {
    Unknown,
    Deployed,
    Uninstalled,
    Superseded,
    Failed,
    Uninstalling,
    PendingInstall,
    PendingUpgrade,
    PendingRollback,
}

impl Status {
    /// Helm's word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Deployed => "deployed",
            Self::Uninstalled => "uninstalled",
            Self::Superseded => "superseded",
            Self::Failed => "failed",
            Self::Uninstalling => "uninstalling",
            Self::PendingInstall => "pending-install",
            Self::PendingUpgrade => "pending-upgrade",
            Self::PendingRollback => "pending-rollback",
        }
    }

    /// Whether a helm is at work, or was killed there.
    pub const fn is_pending(self) -> bool {
        matches!(
            self,
            Self::PendingInstall | Self::PendingUpgrade | Self::PendingRollback
        )
    }

    fn read(word: &str) -> Self {
        [
            Self::Deployed,
            Self::Uninstalled,
            Self::Superseded,
            Self::Failed,
            Self::Uninstalling,
            Self::PendingInstall,
            Self::PendingUpgrade,
            Self::PendingRollback,
        ]
        .into_iter()
        .find(|status| status.name() == word)
        .unwrap_or(Self::Unknown)
    }
}

/// A hook of a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// The object's name.
    pub name: String,
    /// The object's kind.
    pub kind: String,
    /// The template it came from.
    pub path: String,
    /// The object.
    pub manifest: String,
    /// When it runs: `pre-upgrade`, `post-install`, `test` …
    pub events: Vec<String>,
    /// When it is deleted: `hook-succeeded`, `hook-failed`, `before-hook-creation`.
    pub delete_policies: Vec<String>,
    /// How its last run ended: `Succeeded`, `Failed`; `Running` or `Unknown`
    /// where helm ended first, empty where it never began.
    pub phase: String,
}

impl Hook {
    /// Whether it runs only for `helm test`.
    pub fn is_test(&self) -> bool {
        !self.events.is_empty()
            && self
                .events
                .iter()
                .all(|event| matches!(event.as_str(), "test" | "test-success" | "test-failure"))
    }
}

/// One revision of a release.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The revision.
    pub revision: u32,
    /// Its state.
    pub status: Status,
    /// The chart's name.
    pub chart: String,
    /// The chart's version.
    pub chart_version: String,
    /// What was rendered, without hooks.
    pub manifest: String,
    /// The hooks.
    pub hooks: Vec<Hook>,
    /// When the release was first deployed, as helm wrote it (RFC 3339).
    pub first_deployed: String,
    /// When this revision was deployed, as helm wrote it (RFC 3339).
    pub last_deployed: String,
    /// Helm's own note.
    pub description: String,
    /// Whether it was applied on the server (`apply_method`, Helm 4).
    pub server_side: bool,
    /// The record as it is stored.
    pub json: Value,
}

impl Record {
    /// The manifest and, behind it, every hook but those of tests: one stream
    /// of YAML documents.
    pub fn documents(&self) -> String {
        documents(&self.manifest, &self.hooks)
    }
}

/// Whether the next `upgrade --install` is applied on the server by Helm 4:
/// as the last revision was, and always for a first install.
pub fn next_is_server_side(last: Option<&Record>) -> bool {
    last.is_none_or(|last| last.status == Status::Uninstalled || last.server_side)
}

/// A record from what helm stored: base64 of (gzip of) JSON.
pub fn decode(stored: &[u8]) -> Result<Value> {
    let bytes = STANDARD
        .decode(stored.trim_ascii())
        .map_err(|_| broken("it is not base64"))?;
    let json = if bytes.starts_with(&GZIP) {
        let mut json = Vec::new();
        let mut reader = GzDecoder::new(bytes.as_slice()).take(MAX + 1);
        reader
            .read_to_end(&mut json)
            .map_err(|error| broken("it is not gzip").with_source(error))?;
        if json.len() as u64 > MAX {
            return Err(broken("it holds more than 64 MiB"));
        }
        json
    } else {
        bytes
    };
    serde_json::from_slice(&json).map_err(|error| broken("it is not JSON").with_source(error))
}

/// A release as helm prints and stores it.
pub fn read(json: Value) -> Result<Record> {
    let text = |pointer: &str| {
        json.pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let revision = json
        .get("version")
        .and_then(Value::as_u64)
        .and_then(|revision| u32::try_from(revision).ok());
    let Some(revision) = revision else {
        return Err(broken("it has no revision"));
    };
    let hooks = json.get("hooks").and_then(Value::as_array);
    Ok(Record {
        revision,
        status: Status::read(&text("/info/status")),
        chart: text("/chart/metadata/name"),
        chart_version: text("/chart/metadata/version"),
        manifest: text("/manifest"),
        hooks: hooks.into_iter().flatten().map(hook).collect(),
        first_deployed: text("/info/first_deployed"),
        last_deployed: text("/info/last_deployed"),
        description: text("/info/description"),
        server_side: text("/apply_method") == "ssa",
        json,
    })
}

/// One stream of YAML documents: the manifest, then the hooks that a deploy runs.
pub(super) fn documents(manifest: &str, hooks: &[Hook]) -> String {
    let mut documents = manifest.trim_end().to_owned();
    for hook in hooks.iter().filter(|hook| !hook.is_test()) {
        documents.push_str("\n---\n# Source: ");
        documents.push_str(&hook.path);
        documents.push('\n');
        documents.push_str(hook.manifest.trim_end());
    }
    documents.push('\n');
    documents
}

fn hook(json: &Value) -> Hook {
    let text = |key: &str| {
        json.get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let words = |key: &str| {
        let words = json
            .get(key)
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        words.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    Hook {
        name: text("name"),
        kind: text("kind"),
        path: text("path"),
        manifest: text("manifest"),
        events: words("events"),
        delete_policies: words("delete_policies"),
        phase: json
            .pointer("/last_run/phase")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
    }
}

pub(super) fn broken(why: &str) -> Error {
    Error::new(Kind::Node, format!("a record of the release cannot be read: {why}"))
        .hint("list the revisions: helm history; a record that was edited or cut off has to be restored or removed by hand")
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
