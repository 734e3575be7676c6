//! A node as a run finds it: its deploy.toml, and who runs `deploy` there.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::config::Config;
use super::file_permissions;
use super::locate::{self, RECEIVER, SYSTEM};
use crate::error::{Error, Kind, Result};
use crate::host::{Accounts, Environment};
use crate::signal::{App, DeclaredKeys};
use crate::text;

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

/// The node, for a program that was invoked under this name (`argv[0]`).
///
/// `Kind::Node` where deploy.toml cannot be read, is open to others or has
/// mistakes. A caller that has such an error asks
/// [`super::event_policy::refuse_pull_requests`] before it reports it: what no
/// node can allow is refused also where deploy.toml is broken.
pub fn load(invoked_as: &OsStr, environment: &Environment, cwd: &Path) -> Result<Node> {
    load_from(Path::new(SYSTEM), invoked_as, environment, cwd)
}

pub(super) fn load_from(
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
    if let Some(file) = node.file.clone() {
        node.read(&file, "deploy.toml")?;
        let is_named = environment.by_hand("DEPLOY_CONFIG").is_some();
        if node.config.receive.is_some() && !is_named {
            let message = format!(
                "{} has a table [receive], which is for {RECEIVER}",
                text::line(&file.to_string_lossy(), text::LINE)
            );
            return Err(Error::new(Kind::Node, message)
                .hint("put it there: deploy receive reads no deploy.toml"));
        }
    }
    Ok(node)
}

/// The node for what operators ask for. As root, on a machine that has a receiver,
/// it is the receiver's: that is who deploys there.
pub fn load_operated(invoked_as: &OsStr, environment: &Environment, cwd: &Path) -> Result<Node> {
    let receiver = Path::new(RECEIVER);
    let looks = rustix::process::geteuid().is_root()
        && !environment.inside_actions()
        && environment.by_hand("DEPLOY_CONFIG").is_none();
    if looks && locate::is_there(receiver)? {
        return load_receiver(receiver, cwd);
    }
    load(invoked_as, environment, cwd)
}

/// The node as `deploy receive` sees it: its own configuration, which has to be
/// there, and no script.
pub fn load_receiver(file: &Path, cwd: &Path) -> Result<Node> {
    let mut node = Node {
        config: Config::default(),
        file: Some(cwd.join(file)),
        script: None,
        cwd: cwd.to_owned(),
        uid: rustix::process::geteuid().as_raw(),
        accounts: Accounts::of_machine(),
    };
    node.read(&cwd.join(file), "receive.toml")?;
    Ok(node)
}

impl Node {
    fn read(&mut self, file: &Path, what: &str) -> Result<()> {
        let document = file_permissions::read(file, what, self.caller())?;
        self.config = Config::parse(&document, file)?;
        Ok(())
    }

    /// The keys that the node names for an app, further ones and required ones.
    pub fn declared_keys(&self, app: &App) -> DeclaredKeys {
        let Some(app) = self.config.apps.get(app) else {
            return DeclaredKeys::Known(BTreeMap::new());
        };
        let keys = app.images.keys().chain(&app.required);
        DeclaredKeys::Known(
            keys.map(|key| (key.clone(), app.required.contains(key)))
                .collect(),
        )
    }

    pub(super) fn caller(&self) -> file_permissions::Caller<'_> {
        file_permissions::Caller {
            uid: self.uid,
            accounts: &self.accounts,
        }
    }

    /// The caller's home: `HOME`, else the one of its account.
    pub(super) fn home(&self, environment: &Environment) -> Option<PathBuf> {
        let home = environment.get("HOME").map(|home| self.cwd.join(home));
        home.or_else(|| self.accounts.home(self.uid).map(Path::to_owned))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeMap;
    use std::ffi::OsStr;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::load_from;
    use crate::error::Kind;
    use crate::host::Environment;
    use crate::signal::DeclaredKeys;

    #[test]
    fn a_configuration_that_others_may_write_is_refused() {
        let scratch = tempfile::tempdir().unwrap();
        let system = scratch.path().join("deploy.toml");
        let load = || {
            load_from(
                &system,
                OsStr::new("/none/deploy.sh"),
                &Environment::default(),
                Path::new("/"),
            )
        };
        assert_eq!(load().unwrap().file, None);
        fs::write(
            &system,
            "[apps.shop]\nimages.cron = [\"c\"]\nrequired = [\"worker\"]",
        )
        .unwrap();
        fs::set_permissions(&system, fs::Permissions::from_mode(0o644)).unwrap();
        let node = load().unwrap();
        let declared = node.declared_keys(&"shop".parse().unwrap());
        assert_eq!(
            declared,
            DeclaredKeys::Known(BTreeMap::from([
                ("cron".parse().unwrap(), false),
                ("worker".parse().unwrap(), true)
            ]))
        );
        assert_eq!(
            node.declared_keys(&"other".parse().unwrap()),
            DeclaredKeys::Known(BTreeMap::new())
        );
        fs::set_permissions(&system, fs::Permissions::from_mode(0o666)).unwrap();
        let error = load().unwrap_err();
        assert_eq!(error.kind(), Kind::Node);
        assert!(
            error.to_string().contains("may be written by everyone"),
            "{error}"
        );
        assert!(
            load_from(
                &system,
                OsStr::new(""),
                &Environment::default(),
                Path::new("relative")
            )
            .is_err()
        );
    }
}
