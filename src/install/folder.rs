//! A directory that is held open: what is done in it is done there, whatever
//! becomes of the names on the way to it.
//!
//! A component is opened by its name alone and without following a link; a link of
//! root's own is read and its target walked in the same way. So each step is judged
//! by the directory that it stands in (openat2's `RESOLVE_NO_SYMLINKS` would refuse
//! root's links, too, such as `/bin`). Nothing here decides what to install.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, RenameFlags, Stat, Uid, fchmod, fchown, fstat,
    linkat, mkdirat, openat, readlinkat, renameat, renameat_with, statat, symlinkat, unlinkat,
};
use rustix::io::Errno;
use rustix::process::{Pid, fchdir, test_kill_process};

use crate::error::{Error, Kind, Result};

/// The most links that a path may lead through, as in the kernel.
const LINKS: usize = 40;

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Makes a component that is not there; none where a dry run ends.
type Make<'a> = dyn FnMut(&Folder, &OsStr) -> Result<Option<Folder>> + 'a;

/// An open directory.
#[derive(Debug)]
pub(super) struct Folder {
    fd: OwnedFd,
    /// Its path, without links.
    pub path: PathBuf,
}

impl Folder {
    /// The directory, where it is there.
    pub(super) fn find(path: &Path, root: bool) -> Result<Option<Self>> {
        Self::walk(path, root, &mut |_, _| Ok(None))
    }

    /// Goes to an absolute path. As `root`, a link in a directory that others can
    /// write to is refused (`Kind::Node`).
    pub(super) fn walk(path: &Path, root: bool, make: &mut Make<'_>) -> Result<Option<Self>> {
        let mut at = Self::top()?;
        let mut rest: VecDeque<OsString> = parts(path);
        let mut links = 0;
        while let Some(part) = rest.pop_front() {
            if part == ".." {
                let above = at.path.parent().unwrap_or(Path::new("/")).to_owned();
                at = Self {
                    fd: at.open("..".as_ref())?,
                    path: above,
                };
                continue;
            }
            let shown = at.path.join(&part);
            match at.stat(&part)? {
                None => match make(&at, &part)? {
                    Some(new) => at = new,
                    None => return Ok(None),
                },
                Some(about) if FileType::from_raw_mode(about.st_mode).is_symlink() => {
                    links += 1;
                    if root && !at.is_roots()? {
                        return Err(refused(format!(
                            "{} is a symlink in a directory that others can write to",
                            shown.display()
                        ))
                        .hint("as root it is not followed: name the real directory instead"));
                    }
                    if links > LINKS {
                        return Err(refused(format!("{} leads in a circle", shown.display())));
                    }
                    let target = at.read_link(&part)?.unwrap_or_default();
                    if target.is_absolute() {
                        at = Self::top()?;
                    }
                    for part in parts(&target).into_iter().rev() {
                        rest.push_front(part);
                    }
                }
                Some(_) => {
                    at = Self {
                        fd: at.open(&part)?,
                        path: shown,
                    }
                }
            }
        }
        Ok(Some(at))
    }

    fn top() -> Result<Self> {
        let path = PathBuf::from("/");
        let fd = openat(CWD, "/", DIRECTORY, Mode::empty())
            .map_err(|error| cannot("open", &path, error))?;
        Ok(Self { fd, path })
    }

    fn open(&self, name: &OsStr) -> Result<OwnedFd> {
        let shown = self.path.join(name);
        openat(&self.fd, name, DIRECTORY, Mode::empty()).map_err(|error| match error {
            Errno::NOTDIR | Errno::LOOP => refused(format!("{} is no directory", shown.display())),
            error => cannot("enter", &shown, error),
        })
    }

    /// Makes a directory in it; one that came meanwhile will do.
    pub(super) fn make(&self, name: &OsStr) -> Result<Self> {
        let path = self.path.join(name);
        match mkdirat(&self.fd, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(cannot("make", &path, error)),
        }
        Ok(Self {
            fd: self.open(name)?,
            path,
        })
    }

    /// Whether only root can change its entries.
    pub(super) fn is_roots(&self) -> Result<bool> {
        let about = self.own()?;
        Ok(about.st_uid == 0 && about.st_mode & 0o022 == 0)
    }

    /// What is known of the directory itself.
    pub(super) fn own(&self) -> Result<Stat> {
        fstat(&self.fd).map_err(|error| cannot("look at", &self.path, error))
    }

    /// What is known of an entry; of a link itself, not of what it leads to.
    pub(super) fn about(&self, name: &str) -> Result<Option<Stat>> {
        self.stat(name.as_ref())
    }

    fn stat(&self, name: &OsStr) -> Result<Option<Stat>> {
        match statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(about) => Ok(Some(about)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(cannot("look at", &self.path.join(name), error)),
        }
    }

    /// What kind of file an entry is.
    pub(super) fn kind(&self, name: &str) -> Result<Option<FileType>> {
        let about = self.about(name)?;
        Ok(about.map(|about| FileType::from_raw_mode(about.st_mode)))
    }

    /// Where a link leads; none where the entry is no link.
    pub(super) fn read_link(&self, name: impl AsRef<OsStr>) -> Result<Option<PathBuf>> {
        let name = name.as_ref();
        match readlinkat(&self.fd, name, Vec::new()) {
            Ok(target) => Ok(Some(OsString::from_vec(target.into_bytes()).into())),
            Err(Errno::NOENT | Errno::INVAL) => Ok(None),
            Err(error) => Err(cannot("read", &self.path.join(name), error)),
        }
    }

    /// What a file holds; none where the entry is not a file.
    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        if self.kind(name)? != Some(FileType::RegularFile) {
            return Ok(None);
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let path = self.path.join(name);
        let mut bytes = Vec::new();
        let file = openat(&self.fd, name, flags, Mode::empty());
        let read = file
            .map_err(Into::into)
            .and_then(|fd| File::from(fd).read_to_end(&mut bytes));
        read.map_err(|error| cannot("read", &path, error))?;
        Ok(Some(bytes))
    }

    /// Whether two entries are one file.
    pub(super) fn same(&self, one: &str, other: &str) -> Result<bool> {
        let (one, other) = (self.about(one)?, self.about(other)?);
        Ok(one
            .zip(other)
            .is_some_and(|(one, other)| (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)))
    }

    /// Gives a file of these bytes the name, with this mode, whatever stood there.
    pub(super) fn put(&self, name: &str, bytes: &[u8], mode: u32) -> Result<()> {
        self.put_for(name, bytes, mode, None)
    }

    /// The same, of this group.
    pub(super) fn put_for(
        &self,
        name: &str,
        bytes: &[u8],
        mode: u32,
        group: Option<Gid>,
    ) -> Result<()> {
        let new = begun(name);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let written = openat(&self.fd, new.as_str(), flags, Mode::from_raw_mode(0o600))
            .map_err(std::io::Error::from)
            .and_then(|fd| {
                let mut file = File::from(fd);
                file.write_all(bytes)?;
                if group.is_some() {
                    fchown(&file, None, group)?;
                }
                fchmod(&file, Mode::from_raw_mode(mode))?;
                file.sync_all()
            });
        self.finish(&new, name, written)
    }

    /// Gives the file a second name; what had that before is lost.
    pub(super) fn link(&self, from: &str, name: &str) -> Result<()> {
        let new = begun(name);
        let made = linkat(&self.fd, from, &self.fd, new.as_str(), AtFlags::empty());
        self.finish(&new, name, made.map_err(Into::into))
    }

    /// Makes the name a link to this place; what stood there is lost.
    pub(super) fn lead(&self, name: &str, to: &Path) -> Result<()> {
        let new = begun(name);
        let made = symlinkat(to, &self.fd, new.as_str());
        self.finish(&new, name, made.map_err(Into::into))
    }

    /// Gives an entry a second name that nothing has; a link is copied, not followed.
    pub(super) fn keep(&self, name: &str, kept: &str) -> Result<()> {
        let made = match self.read_link(name)? {
            Some(target) => symlinkat(&target, &self.fd, kept),
            None => linkat(&self.fd, name, &self.fd, kept, AtFlags::empty()),
        };
        made.map_err(|error| cannot("write to", &self.path, error))
    }

    /// Makes a directory of somebody's; at its name it is never seen as another's.
    pub(super) fn give(&self, name: &str, owner: (Uid, Option<Gid>), mode: u32) -> Result<()> {
        let new = begun(name);
        let given = mkdirat(&self.fd, new.as_str(), Mode::from_raw_mode(0o700))
            .and_then(|()| openat(&self.fd, new.as_str(), DIRECTORY, Mode::empty()))
            .and_then(|fd| {
                fchown(&fd, Some(owner.0), owner.1)?;
                fchmod(&fd, Mode::from_raw_mode(mode))
            })
            .and_then(|()| {
                let once = RenameFlags::NOREPLACE;
                renameat_with(&self.fd, new.as_str(), &self.fd, name, once)
            });
        if given.is_err() {
            self.discard(&new);
        }
        given.map_err(|error| cannot("make", &self.path.join(name), error))
    }

    /// Renames what was begun, or removes it where that went wrong.
    fn finish(&self, new: &str, name: &str, written: std::io::Result<()>) -> Result<()> {
        let done = written.and_then(|()| Ok(renameat(&self.fd, new, &self.fd, name)?));
        if done.is_err() {
            self.discard(new);
        }
        done.map_err(|error| cannot("write to", &self.path, error))
    }

    fn discard(&self, name: &str) {
        if unlinkat(&self.fd, name, AtFlags::empty()).is_err() {
            let _ = unlinkat(&self.fd, name, AtFlags::REMOVEDIR);
        }
    }

    /// Removes an entry that is no directory.
    pub(super) fn remove(&self, name: &str) -> Result<()> {
        match unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(cannot("remove", &self.path.join(name), error)),
        }
    }

    /// The names of its entries.
    pub(super) fn names(&self) -> Result<Vec<String>> {
        let read = || -> rustix::io::Result<Vec<String>> {
            let mut names = Vec::new();
            for entry in rustix::fs::Dir::read_from(&self.fd)? {
                names.push(entry?.file_name().to_string_lossy().into_owned());
            }
            names.sort();
            Ok(names)
        };
        read().map_err(|error| cannot("list", &self.path, error))
    }

    /// Removes what a killed run began under this name.
    pub(super) fn sweep(&self, name: &str) -> Result<()> {
        let prefix = format!(".{name}.new.");
        for left in self.names()? {
            let Some(pid) = left.strip_prefix(&prefix).and_then(|pid| pid.parse().ok()) else {
                continue;
            };
            let lives =
                Pid::from_raw(pid).is_none_or(|pid| test_kill_process(pid) != Err(Errno::SRCH));
            if !lives {
                self.discard(&left);
            }
        }
        Ok(())
    }

    /// What a program in it prints; none where it does not run or fails.
    pub(super) fn run(&self, name: &str, args: &[&str]) -> Option<Vec<u8>> {
        fchdir(&self.fd).ok()?;
        output(Path::new(".").join(name).as_os_str(), args)
    }
}

/// What a program prints; none where it does not run or fails.
pub(super) fn output(program: &OsStr, args: &[&str]) -> Option<Vec<u8>> {
    let mut command = Command::new(program);
    command
        .args(args)
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    let output = command.output().ok()?;
    output.status.success().then_some(output.stdout)
}

/// The name of what is not whole yet, with whose it is.
fn begun(name: &str) -> String {
    format!(".{name}.new.{}", std::process::id())
}

fn parts(path: &Path) -> VecDeque<OsString> {
    let parts = path.components().filter_map(|part| match part {
        Component::Normal(part) => Some(part.to_owned()),
        Component::ParentDir => Some(OsStr::from_bytes(b"..").to_owned()),
        _ => None,
    });
    parts.collect()
}

fn refused(message: String) -> Error {
    Error::new(Kind::Node, message)
}

fn cannot(what: &str, path: &Path, error: impl Into<std::io::Error>) -> Error {
    refused(format!("cannot {what} {}: {}", path.display(), error.into()))
        .hint("run this as root, see that there is room, or name a place of your own (deploy install --help)")
}
