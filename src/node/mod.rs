//! The node: its configuration, its event guard and its policy.
//!
//! The node says where and how. Nothing here trusts what a workflow put into
//! the environment beyond the table in `variables`, and nothing here talks to
//! helm, the cluster or the registry.

pub mod config;
pub mod event_policy;
mod file_permissions;
mod locate;
mod plan;
mod policy;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

pub use config::Config;
pub use locate::SYSTEM;
pub use plan::{plan, plan_unchecked};

use crate::error::{Error, Kind, Result};
use crate::host::{Accounts, Environment};
use crate::signal::{App, ImageKey};

/// A node as a deploy finds it.
#[derive(Clone, Debug)]
pub struct Node {
    /// What deploy.toml says; the default where there is none.
    pub config: Config,
    /// The deploy.toml that counts, absolute.
    pub file: Option<PathBuf>,
    /// The directory of the script as invoked, absolute.
    pub script: Option<PathBuf>,
    /// The caller's working directory.
    pub cwd: PathBuf,
    /// The effective user.
    pub uid: u32,
    /// Users and groups.
    pub accounts: Accounts,
}

/// What the node says of an app's images beyond the contract.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declared {
    /// Each key that the node names, and whether a signal must carry it.
    pub keys: Vec<(ImageKey, bool)>,
}

/// The node, for a program that was invoked under this name (`argv[0]`).
///
/// `Kind::Node` where deploy.toml cannot be read, is open to others or has
/// mistakes. A caller that has such an error asks
/// [`event_policy::refuse_pull_requests`] before it tells it: what no node can allow
/// is refused also where deploy.toml is broken.
pub fn load(invoked_as: &OsStr, environment: &Environment, cwd: &Path) -> Result<Node> {
    load_from(Path::new(SYSTEM), invoked_as, environment, cwd)
}

fn load_from(
    system: &Path,
    invoked_as: &OsStr,
    environment: &Environment,
    cwd: &Path,
) -> Result<Node> {
    if !cwd.is_absolute() {
        let message = format!("the working directory {} is not absolute", cwd.display());
        return Err(Error::new(Kind::Internal, message));
    }
    let script = locate::script_directory(invoked_as, environment, cwd);
    let mut node = Node {
        config: Config::default(),
        file: locate::config(system, script.as_deref(), environment, cwd)?,
        script,
        cwd: cwd.to_owned(),
        uid: rustix::process::geteuid().as_raw(),
        accounts: Accounts::of_machine(),
    };
    if let Some(file) = &node.file {
        let document = file_permissions::read(file, "deploy.toml", node.caller())?;
        node.config = Config::parse(&document, file)?;
    }
    Ok(node)
}

impl Node {
    /// The keys that the node names for an app, further ones and required ones.
    pub fn declared(&self, app: &App) -> Declared {
        let Some(app) = self.config.apps.get(app) else {
            return Declared::default();
        };
        let mut keys: Vec<&ImageKey> = app.images.keys().chain(&app.required).collect();
        keys.sort_unstable();
        keys.dedup();
        Declared {
            keys: keys
                .into_iter()
                .map(|key| (key.clone(), app.required.contains(key)))
                .collect(),
        }
    }

    fn caller(&self) -> file_permissions::Caller<'_> {
        file_permissions::Caller {
            uid: self.uid,
            accounts: &self.accounts,
        }
    }

    /// The caller's home: `HOME`, else the one of its account.
    fn home(&self, environment: &Environment) -> Option<PathBuf> {
        let home = environment.get("HOME").map(|home| self.cwd.join(home));
        home.or_else(|| self.accounts.home(self.uid).map(Path::to_owned))
    }
}

#[cfg(test)]
mod tests;
