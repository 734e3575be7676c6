//! The process's environment as a value, and what of it counts.
//!
//! Inside Actions the environment is the workflow's: it may name proxies and
//! credentials where the node names none, as the script did that this program
//! replaces; it must not change what helm does, nor choose configuration, state
//! or lock. By hand all of it counts. Nothing here reads the real environment but
//! [`Environment::of_process`], and nothing ever shows a variable's value.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::variables::{ValueForm, Variable, VariableClass};
use crate::text;

/// How many names a warning shows.
const WARNED: usize = 10;

/// The environment of a process, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// The environment of this process.
    pub fn of_process() -> Self {
        std::env::vars_os().collect()
    }

    /// This one with variables of another, as far as that has them.
    pub(super) fn with(mut self, other: &Self, names: &[&str]) -> Self {
        for name in names {
            if let Some(value) = other.get(name) {
                self.0.insert(name.into(), value.to_owned());
            }
        }
        self
    }

    /// A variable's value. An empty one counts as absent, as helm and kubectl
    /// take it.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        let value = self.0.get(OsStr::new(name))?;
        (!value.is_empty()).then_some(value.as_os_str())
    }

    /// A variable's value where it is UTF-8.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.to_str()
    }

    /// Whether a workflow runs `deploy`: GitHub's runner always sets
    /// `GITHUB_ACTIONS=true` (docs.github.com, "Default environment variables").
    pub fn inside_actions(&self) -> bool {
        self.get("GITHUB_ACTIONS") == Some(OsStr::new("true"))
    }

    /// A variable that only a person at the node may set: absent inside Actions.
    pub fn by_hand(&self, name: &str) -> Option<&OsStr> {
        if self.inside_actions() {
            None
        } else {
            self.get(name)
        }
    }
}

impl FromIterator<(OsString, OsString)> for Environment {
    fn from_iter<I: IntoIterator<Item = (OsString, OsString)>>(variables: I) -> Self {
        Self(variables.into_iter().collect())
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for Environment {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(variables: I) -> Self {
        variables
            .into_iter()
            .map(|(name, value)| (OsString::from(name), OsString::from(value)))
            .collect()
    }
}

/// What deploy.toml says of helm's environment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EnvPolicy<'a> {
    /// `[env]`: set whatever the environment holds.
    pub(crate) env: &'a BTreeMap<String, String>,
    /// Names that are inherited though a workflow set them.
    pub(crate) inherit: &'a BTreeSet<String>,
    /// Relative paths of `[env]` are meant from here.
    pub(crate) base: &'a Path,
}

/// Helm's whole environment, and the names that were dropped though they
/// would have changed what helm or this program does. Relative paths become absolute
/// against `cwd`, since helm runs in a directory of its own. Which kubeconfig
/// counts is decided elsewhere: `KUBECONFIG` is here as it was inherited.
pub(crate) fn for_helm(
    environment: &Environment,
    policy: EnvPolicy<'_>,
    cwd: &Path,
) -> (BTreeMap<OsString, OsString>, Vec<String>) {
    let inside = environment.inside_actions();
    let mut given = BTreeMap::new();
    let mut dropped = Vec::new();
    for (name, value) in &environment.0 {
        let shown = name.to_string_lossy();
        let variable = Variable::of(&shown);
        let named = policy.inherit.contains(shown.as_ref());
        let passes = match variable.map(|variable| variable.class) {
            Some(VariableClass::Deploy | VariableClass::DeployByHand) => false,
            Some(VariableClass::PassedOn | VariableClass::Access) => true,
            Some(VariableClass::AltersHelm | VariableClass::Location) | None => !inside || named,
        };
        if passes {
            let form = variable.map_or(ValueForm::Text, |variable| variable.form);
            given.insert(name.clone(), absolute(value, form, cwd));
        } else if inside
            && !value.is_empty()
            && variable.is_some_and(|variable| variable.class.warns())
        {
            dropped.push(shown.into_owned());
        }
    }
    for name in policy.env.keys() {
        // Programs read one of two spellings first: where the node sets a
        // proxy in one, the other must not survive.
        if Variable::of(name).is_some_and(|variable| variable.either_case) {
            given.remove(OsStr::new(&name.to_ascii_lowercase()));
            given.remove(OsStr::new(&name.to_ascii_uppercase()));
        }
    }
    for (name, value) in policy.env {
        let form = Variable::of(name).map_or(ValueForm::Text, |variable| variable.form);
        given.insert(name.into(), absolute(OsStr::new(value), form, policy.base));
    }
    given.insert("HELM_NO_PLUGINS".into(), "1".into());
    (given, dropped)
}

/// The one warning for what was dropped.
pub(crate) fn dropped_warning(dropped: &[String]) -> Option<String> {
    if dropped.is_empty() {
        return None;
    }
    let mut names: Vec<_> = dropped.iter().map(|name| text::line(name, 60)).collect();
    if names.len() > WARNED {
        let more = format!("{} more", names.len() - WARNED);
        names.truncate(WARNED);
        names.push(more.into());
    }
    let mut warning = format!(
        "ignored from the workflow's environment, since the node decides it: {}",
        names.join(", ")
    );
    let alters =
        |name: &&String| Variable::of(name).is_some_and(|v| v.class == VariableClass::AltersHelm);
    if let Some(name) = dropped.iter().find(alters) {
        let _ = write!(
            warning,
            "; inherit_env = [\"{}\"] in deploy.toml passes one on",
            text::line(name, 60)
        );
    }
    Some(warning)
}

/// A path, or each of a list of paths, against `base` where it is relative. An
/// empty entry of `PATH` means the working directory (POSIX).
pub(crate) fn absolute(value: &OsStr, form: ValueForm, base: &Path) -> OsString {
    match form {
        _ if value.is_empty() => value.to_owned(),
        ValueForm::Text => value.to_owned(),
        ValueForm::Path => base.join(value).into_os_string(),
        ValueForm::Paths => {
            let mut joined = Vec::with_capacity(value.len());
            for (at, entry) in value.as_bytes().split(|byte| *byte == b':').enumerate() {
                if at > 0 {
                    joined.push(b':');
                }
                if entry.is_empty() {
                    continue;
                }
                let entry: PathBuf = base.join(OsStr::from_bytes(entry));
                joined.extend_from_slice(entry.as_os_str().as_bytes());
            }
            OsString::from_vec(joined)
        }
        ValueForm::SearchPath => {
            let entries: Vec<PathBuf> = std::env::split_paths(value)
                .map(|entry| base.join(entry))
                .collect();
            std::env::join_paths(entries).unwrap_or_else(|_| value.to_owned())
        }
    }
}
