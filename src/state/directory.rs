//! The state directory: which one it is, and how things are made in it.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Gid, Mode, OFlags, Uid, fchmod, fchown, fstat, mkdirat, openat};
use rustix::io::Errno;
use rustix::process::geteuid;

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
    use rustix::fs::{Access, AtFlags, accessat};
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
    Inside::of(state)?.enter(relative(state, path)?).map(drop)
}

/// Makes a file inside the state directory; none where something is there already,
/// so that of several who try at once one alone has made it.
pub(super) fn create_file(state: &Path, path: &Path) -> io::Result<Option<fs::File>> {
    let inside = Inside::of(state)?;
    let path = relative(state, path)?;
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let parent = inside.open(path.parent().unwrap_or(Path::new("")))?;
    let access = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(inside.file_mode);
    match openat(&parent, name, access, mode) {
        Ok(file) => inside
            .give(file, inside.file_mode)
            .map(|file| Some(file.into())),
        Err(Errno::EXIST) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Opens a file inside the state directory with this access, making it where it
/// is not there. Only a plain file of one name is opened.
pub(super) fn open_file(state: &Path, path: &Path, access: OFlags) -> io::Result<fs::File> {
    let inside = Inside::of(state)?;
    let path = relative(state, path)?;
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let parent = inside.open(path.parent().unwrap_or(Path::new("")))?;
    // A FIFO would be waited for.
    let access = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let new = OFlags::CREATE | OFlags::EXCL;
    let mode = Mode::from_raw_mode(inside.file_mode);
    let file = match openat(&parent, name, access | new, mode) {
        Ok(file) => inside.give(file, inside.file_mode)?,
        Err(Errno::EXIST) => openat(&parent, name, access, Mode::empty())?,
        Err(error) => return Err(error.into()),
    };
    let file = fs::File::from(file);
    let about = file.metadata()?;
    if !about.is_file() || about.nlink() > 1 {
        return Err(io::Error::other("it is not a plain file"));
    }
    Ok(file)
}

/// Puts a file in place of the one before, whole or not at all.
pub(super) fn replace_file(state: &Path, path: &Path, content: &[u8]) -> io::Result<()> {
    let part = path.with_extension(std::process::id().to_string());
    let mut file = open_file(state, &part, OFlags::WRONLY | OFlags::TRUNC)?;
    file.write_all(content)?;
    file.sync_data()?;
    fs::rename(part, path)
}

fn relative<'a>(state: &Path, path: &'a Path) -> io::Result<&'a Path> {
    path.strip_prefix(state)
        .map_err(|_| io::ErrorKind::InvalidInput.into())
}

/// The state directory, for what is made in it. Its group shares that where the
/// directory itself is open to the group, as several users of one node need;
/// nobody else reads it. What root makes is its owner's, who has to write there
/// later. All of it is reached by descriptors and no link is followed: the
/// directory may be shared.
struct Inside {
    directory: OwnedFd,
    directory_mode: u32,
    file_mode: u32,
    /// Whose what root makes shall be.
    owner: Option<(Uid, Gid)>,
}

impl Inside {
    fn of(state: &Path) -> io::Result<Self> {
        // The operators chose this path; it may be a link.
        let directory = openat(CWD, state, OPEN_DIRECTORY, Mode::empty())?;
        let about = fstat(&directory)?;
        let group = about.st_mode & 0o070;
        let of_root = about.st_uid == 0 || !geteuid().is_root();
        Ok(Self {
            directory,
            directory_mode: 0o700 | group | if group & 0o020 == 0 { 0 } else { 0o2000 },
            file_mode: 0o600 | (group & 0o060),
            owner: (!of_root).then(|| (Uid::from_raw(about.st_uid), Gid::from_raw(about.st_gid))),
        })
    }

    /// Opens a directory in it.
    fn open(&self, path: &Path) -> io::Result<OwnedFd> {
        self.walk(path, |parent, name| Ok(step(parent, name)?))
    }

    /// The same, making each that is not there.
    fn enter(&self, path: &Path) -> io::Result<OwnedFd> {
        self.walk(path, |parent, name| {
            let mode = Mode::from_raw_mode(self.directory_mode & 0o777);
            match mkdirat(parent, name, mode) {
                Ok(()) => self.give(step(parent, name)?, self.directory_mode),
                Err(Errno::EXIST) => Ok(step(parent, name)?),
                Err(error) => Err(error.into()),
            }
        })
    }

    fn walk(
        &self,
        path: &Path,
        next: impl Fn(&OwnedFd, &OsStr) -> io::Result<OwnedFd>,
    ) -> io::Result<OwnedFd> {
        let mut at = self.directory.try_clone()?;
        for component in path.components() {
            at = next(&at, component.as_os_str())?;
        }
        Ok(at)
    }

    /// Gives something new its mode, of which the umask took bits away, and its
    /// owner.
    fn give(&self, new: OwnedFd, mode: u32) -> io::Result<OwnedFd> {
        if let Some((user, group)) = self.owner {
            fchown(&new, Some(user), Some(group))?;
        }
        // Last: a change of the owner takes setgid away.
        fchmod(&new, Mode::from_raw_mode(mode))?;
        Ok(new)
    }
}

const OPEN_DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

/// Opens a directory in another; a symlink is none.
fn step(parent: &OwnedFd, name: &OsStr) -> Result<OwnedFd, Errno> {
    openat(
        parent,
        name,
        OPEN_DIRECTORY | OFlags::NOFOLLOW,
        Mode::empty(),
    )
}

#[cfg(test)]
#[path = "directory_tests.rs"]
mod tests;
