//! What a deploy will do: the request joined with the node's settings. Pure data.
//!
//! A plan is made once, before anything is locked or touched, and never
//! changes after that. Nothing in it came from a workflow but the request.

pub mod access;
pub mod caller;
pub mod fleet;
pub mod forward;
pub mod verify;
pub mod windows;
pub mod workflow;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

pub use caller::{Caller, CallerPolicy, RunnerKind};
pub use fleet::Fleet;
pub use forward::{Endpoint, Forward, ForwardTarget, Token};
pub use verify::{Verify, VerifyingKey};
pub use windows::Window;
pub use workflow::{RefPattern, Signer, TrustedRootFile, WorkflowFile, WorkflowPolicy};

use crate::signal::{App, ImageKey, ImageRef, Request};

/// How long a Lease lasts after its last renewal.
pub const LEASE: Duration = Duration::from_secs(60);

/// What happens to a release whose rollout failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// Go back to the last good revision.
    Rollback,
    /// Leave everything as it is.
    Keep,
}

/// A path into a chart's values: `api.image`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValuePath(Vec<String>);

impl ValuePath {
    /// The keys from the top, at least one.
    pub fn keys(&self) -> &[String] {
        &self.0
    }

    /// The path one key further down.
    #[must_use]
    pub fn child(&self, key: impl Into<String>) -> Self {
        let mut keys = self.0.clone();
        keys.push(key.into());
        Self(keys)
    }
}

/// The keys that are joined by dots, whatever stands in them; a dot inside a key is
/// written `\.`, as helm's `--set` has it.
pub fn keys(text: &str) -> Vec<String> {
    let mut keys = vec![String::new()];
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (character, keys.last_mut()) {
            ('.', _) => keys.push(String::new()),
            ('\\', Some(key)) => key.extend(characters.next()),
            (plain, Some(key)) => key.push(plain),
            (_, None) => {}
        }
    }
    keys
}

impl std::str::FromStr for ValuePath {
    type Err = &'static str;

    /// Keys joined by dots; a dot inside a key is written `\.`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let keys = keys(text);
        if keys.iter().any(String::is_empty) || text.chars().any(char::is_control) {
            return Err("keys joined by dots, such as api.image");
        }
        Ok(Self(keys))
    }
}

impl std::fmt::Display for ValuePath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, key) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(".")?;
            }
            f.write_str(&key.replace('\\', "\\\\").replace('.', "\\."))?;
        }
        Ok(())
    }
}

/// A release of the cluster: helm keeps its records in its namespace, so the
/// two names tell it from every other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReleaseId {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl ReleaseId {
    /// The release `name` in `namespace`.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

impl std::fmt::Display for ReleaseId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// What one deploy holds on this node while others wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockName {
    file: String,
    shown: String,
}

impl LockName {
    /// The lock of a client that forwards an app: never the one that the
    /// controller itself takes, which may keep its state in the same directory.
    pub fn forwarded(app: &App) -> Self {
        Self {
            file: format!("forward-{app}"),
            shown: app.to_string(),
        }
    }

    /// Its file's name, without an ending. A namespace and an app have no dot, so
    /// that no two locks share one.
    pub fn file(&self) -> &str {
        &self.file
    }
}

impl From<&ReleaseId> for LockName {
    fn from(release: &ReleaseId) -> Self {
        Self {
            file: format!("{}.{}", release.namespace, release.name),
            shown: release.to_string(),
        }
    }
}

impl std::fmt::Display for LockName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown)
    }
}

/// Where each part of an image stands in the values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageParts {
    /// The registry, or the registry and the owner.
    pub registry: Option<ValuePath>,
    /// The path, or what of it is not fixed by the template.
    pub repository: Option<ValuePath>,
    /// The tag.
    pub tag: Option<ValuePath>,
    /// The digest.
    pub digest: Option<ValuePath>,
}

impl ImageParts {
    /// The places, registry first.
    pub fn paths(&self) -> Vec<ValuePath> {
        let parts = [&self.registry, &self.repository, &self.tag, &self.digest];
        parts.into_iter().flatten().cloned().collect()
    }
}

/// A platform as image indexes name it, without its variant: `linux/amd64`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Platform(String);

impl Platform {
    /// What is expected of one.
    pub const EXPECTED: &str = "a platform such as \"linux/amd64\", without a variant";

    /// `os/architecture`
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Platform {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_word = |word: &str| {
            let mut bytes = word.bytes();
            !word.is_empty() && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        match text.split_once('/') {
            Some((os, architecture)) if is_word(os) && is_word(architecture) => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(Self::EXPECTED),
        }
    }
}

/// What the node says of an application's images.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageRules {
    /// Where a key's image stands in the values, where the node says so.
    pub layouts: BTreeMap<ImageKey, Vec<ValuePath>>,
    /// The parts of a key's image by themselves, where the node says so.
    pub parts: BTreeMap<ImageKey, ImageParts>,
    /// Keys that this node's values switch off.
    pub absent: BTreeSet<ImageKey>,
    /// References of a requested repository that may stand beside the requested ones.
    pub allowed: BTreeSet<ImageRef>,
}

/// What a deploy will do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What was asked for.
    pub request: Request,
    /// The release.
    pub release: ReleaseId,
    /// Values files of the node, in helm's order, absolute.
    pub values: Vec<PathBuf>,
    /// What the node says of the images.
    pub images: ImageRules,
    /// Platforms that the nodes run besides their own.
    pub platforms: BTreeSet<Platform>,
    /// One budget for the whole deploy.
    pub budget: Duration,
    /// Whether deploy.toml names the one chart that the app may be deployed with.
    pub chart_is_pinned: bool,
    /// A rollback's own budget.
    pub rollback_budget: Duration,
    /// What happens after a failed rollout.
    pub on_failure: OnFailure,
    /// How long to wait for another deploy of the release.
    pub lock_timeout: Duration,
    /// After what time a holder that cannot be proven dead counts as dead.
    pub stale_after: Duration,
    /// The helm binary where the node names one; else it is looked up in `PATH`.
    pub helm: Option<PathBuf>,
    /// The kubeconfig files (joined as `KUBECONFIG` is), where one was chosen;
    /// none means in-cluster.
    pub kubeconfig: Option<OsString>,
    /// The kubeconfig's context, where the node names one.
    pub kube_context: Option<String>,
    /// The whole environment that helm is given.
    pub environment: BTreeMap<OsString, OsString>,
    /// Lock and journal lie here.
    pub state: PathBuf,
    /// When signals are taken; always where there is none.
    pub windows: Vec<Window>,
    /// The directories in which a freeze may lie.
    pub freezes: Vec<PathBuf>,
    /// How long evidence is kept, and how much of it in bytes.
    pub evidence: Retention,
    /// The controller that gets the signal instead of Helm.
    pub forward: Option<Forward>,
    /// What carries the signal out in several clusters, instead of Helm here: then
    /// `kubeconfig` leads to the hub, and `release` is the app there.
    pub fleet: Option<Fleet>,
    /// What the origin of chart and images is proven with, where it has to be.
    pub verify: Option<Verify>,
    /// Whose signals are taken: then each needs GitHub's token. Where it is absent,
    /// a signal needs none.
    pub callers: Option<CallerPolicy>,
    /// Prove only; apply nothing.
    pub dry_run: bool,
}

impl Plan {
    /// What this deploy holds on the node.
    pub fn lock(&self) -> LockName {
        match &self.forward {
            Some(_) => LockName::forwarded(&self.request.app),
            None => LockName::from(&self.release),
        }
    }
}

/// How long evidence is kept, and how much of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Older evidence is removed.
    pub keep: Duration,
    /// The oldest goes where all of it is larger, in bytes.
    pub max: u64,
}

/// What the server can do, as charts ask for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// The server's version: `v1.34.4`.
    pub version: String,
    /// `group/version` and `group/version/Kind`.
    pub apis: Vec<String>,
}
