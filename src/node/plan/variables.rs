//! The environment variables that helm gets from the node.
//!
//! Pure. None of them may lead helm to another cluster than `deploy` looks at.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::EffectiveSettings;
use crate::error::{Error, Kind, Result};
use crate::host::{self, EnvPolicy, Environment};
use crate::node::machine::Node;

/// The variables that helm is given, and the names of those that it is not.
pub(super) fn given(
    node: &Node,
    environment: &Environment,
    settings: &EffectiveSettings<'_>,
) -> (BTreeMap<OsString, OsString>, Vec<String>) {
    let nothing = BTreeSet::new();
    let base = node.file.as_deref().and_then(Path::parent);
    let policy = EnvPolicy {
        env: &node.config.env,
        inherit: settings
            .pick(|s| s.inherit_env.as_ref())
            .unwrap_or(&nothing),
        base: base.unwrap_or(&node.cwd),
    };
    let (mut given, dropped) = host::for_helm(environment, policy, &node.cwd);
    if !given.contains_key(OsStr::new("HOME"))
        && let Some(home) = node.home(environment)
    {
        given.insert("HOME".into(), home.into_os_string());
    }
    (given, dropped)
}

/// `HELM_KUBE…` would show helm another cluster, or another user there, than
/// the one that `deploy` itself looks at, which it takes from the kubeconfig.
pub(super) fn refuse_other_cluster(given: &BTreeMap<OsString, OsString>) -> Result<()> {
    let name = given
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, _)| name.to_string_lossy())
        .find(|name| name.starts_with("HELM_KUBE"));
    let Some(name) = name else { return Ok(()) };
    let message = format!(
        "{name} is set: helm would work on another cluster, or as another user, than deploy itself uses"
    );
    Err(Error::new(Kind::Node, message).hint(format!(
        "unset {name} and put it into a kubeconfig (KUBECONFIG, or kubeconfig in deploy.toml)"
    )))
}
