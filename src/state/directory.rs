//! The state directory: which one it is, and how things are made in it.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result};
use crate::host::{Accounts, Environment};
use crate::text;

/// Where state lies on a node whose operators prepared it.
pub const SYSTEM: &str = "/var/lib/deploy";

/// The state directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// Its path, absolute. It may not be there yet.
    pub path: PathBuf,
    /// What people should know of the choice.
    pub warning: Option<String>,
}

/// Chooses the state directory; nothing is written. /var/lib/deploy where this
/// user can use it, else the user's XDG state directory with a warning.
/// `DEPLOY_STATE_DIR`, `STATE_DIRECTORY` and `XDG_STATE_HOME` count by hand
/// only: a workflow that chose the directory would choose the lock.
pub fn directory(
    environment: &Environment,
    uid: u32,
    accounts: &Accounts,
    cwd: &Path,
) -> Result<Directory> {
    directory_from(Path::new(SYSTEM), environment, uid, accounts, cwd)
}

fn directory_from(
    system: &Path,
    environment: &Environment,
    uid: u32,
    accounts: &Accounts,
    cwd: &Path,
) -> Result<Directory> {
    let chosen = |path| Directory {
        path,
        warning: None,
    };
    if let Some(named) = environment.by_hand("DEPLOY_STATE_DIR") {
        return Ok(chosen(cwd.join(named)));
    }
    // systemd gives a list; the first is the service's own.
    if let Some(list) = environment.by_hand("STATE_DIRECTORY")
        && let Some(first) = std::env::split_paths(list).find(|path| path.is_absolute())
    {
        return Ok(chosen(first));
    }
    let why = match usable(system) {
        Ok(()) => return Ok(chosen(system.to_owned())),
        Err(why) => why,
    };
    let of_account = accounts.home(uid).map(Path::to_owned);
    let of_environment = environment.get("HOME").map(|home| cwd.join(home));
    let home = if environment.inside_actions() {
        of_account.or(of_environment)
    } else {
        of_environment.or(of_account)
    };
    let path = environment
        .by_hand("XDG_STATE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or(home.map(|home| home.join(".local/state")))
        .map(|parent| parent.join("deploy"));
    let Some(path) = path else {
        let message = format!(
            "there is no place for lock and journal: {} {why}, and the caller has no home",
            system.display()
        );
        return Err(Error::new(Kind::Node, message).hint(prepare_hint(system, uid, accounts)));
    };
    let warning = format!(
        "{} {why}: lock and journal lie in {}, and other users of this node are not excluded; {}",
        system.display(),
        text::line(&path.to_string_lossy(), 500),
        prepare_hint(system, uid, accounts)
    );
    Ok(Directory {
        path,
        warning: Some(warning),
    })
}

fn prepare_hint(system: &Path, uid: u32, accounts: &Accounts) -> String {
    let user = accounts
        .name(uid)
        .map_or(uid.to_string(), |name| text::line(name, 60).into_owned());
    format!("as root: install -d -m 0750 -o {user} {}", system.display())
}

/// Whether this user can make files in a directory, or the directory itself.
fn usable(path: &Path) -> Result<(), &'static str> {
    use rustix::fs::{Access, AtFlags, CWD, accessat};
    let may = |path: &Path| {
        accessat(
            CWD,
            path,
            Access::WRITE_OK | Access::EXEC_OK,
            AtFlags::EACCESS,
        )
        .is_ok()
    };
    match path.metadata() {
        Ok(found) if !found.is_dir() => Err("is not a directory"),
        Ok(_) if may(path) => Ok(()),
        Ok(_) => Err("cannot be written by this user"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match path.parent() {
            Some(parent) if may(parent) => Ok(()),
            _ => Err("is not there"),
        },
        Err(_) => Err("cannot be looked at"),
    }
}

/// The modes of what is made in a state directory: its group shares it where
/// the directory itself is open to the group, as several users of one node
/// need; nobody else reads it.
struct FileModes {
    directory: u32,
    file: u32,
}

impl FileModes {
    fn of(state: &Path) -> Self {
        let group = state.metadata().map_or(0, |found| found.mode()) & 0o070;
        Self {
            directory: 0o700 | group | if group & 0o020 == 0 { 0 } else { 0o2000 },
            file: 0o600 | (group & 0o060),
        }
    }
}

/// Makes the state directory where it is not there: for root at its usual
/// place and in a home alike, for this user alone.
pub(super) fn prepare(state: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(state)
}

/// Makes a directory inside the state directory.
pub(super) fn make_directory(state: &Path, path: &Path) -> io::Result<()> {
    prepare(state)?;
    let mode = FileModes::of(state).directory;
    match fs::DirBuilder::new().mode(mode & 0o777).create(path) {
        // The umask took bits away, and mkdir ignores setgid.
        Ok(()) => fs::set_permissions(path, fs::Permissions::from_mode(mode)),
        // A symlink is none: the directory may be shared.
        Err(error)
            if error.kind() == io::ErrorKind::AlreadyExists
                && path.symlink_metadata().is_ok_and(|found| found.is_dir()) =>
        {
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Opens a file inside the state directory, making it where it is not there.
/// Symlinks are not followed: the directory may be shared.
pub(super) fn open_file(
    state: &Path,
    path: &Path,
    options: &mut fs::OpenOptions,
) -> io::Result<fs::File> {
    let mode = FileModes::of(state).file;
    let nofollow = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
    let created = options
        .clone()
        .create_new(true)
        .mode(mode)
        .custom_flags(nofollow)
        .open(path);
    match created {
        Ok(file) => {
            file.set_permissions(fs::Permissions::from_mode(mode))?;
            Ok(file)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            options.custom_flags(nofollow).open(path)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
#[path = "directory_tests.rs"]
mod tests;
