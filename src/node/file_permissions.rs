//! Who can write a file of the node's: nobody but root and the caller.
//!
//! The rule covers deploy.toml, values files, and the directories that they
//! lie in, as named and behind symlinks. A directory with the sticky bit may
//! be open to all (as /tmp is): others can add files there but cannot replace
//! these, and theirs are refused by the owner. Group write counts as the
//! owner's own where the group is the user's private one (Debian's and Red
//! Hat's default, with a umask of 002): no one else is in it.

use std::fs::Metadata;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::error::{Error, Kind, Result};
use crate::host::Accounts;
use crate::host::file::open_regular;
use crate::text;

/// The largest file that is read, in bytes.
const FILE_MAX: u64 = 1 << 20;

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller<'a> {
    /// The effective user.
    pub(super) uid: u32,
    /// The accounts of this machine.
    pub(super) accounts: &'a Accounts,
}

/// Reads a file that only root and the caller may write. `what` names it for
/// people ("deploy.toml").
pub(super) fn read(path: &Path, what: &str, caller: Caller<'_>) -> Result<String> {
    let mut file = open_regular(path).map_err(|error| cannot_read(path, what, &error))?;
    let opened = file
        .metadata()
        .map_err(|error| cannot_read(path, what, &error))?;
    check_file(path, what, &opened, caller)?;
    let mut bytes = Vec::new();
    file.by_ref()
        .take(FILE_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| cannot_read(path, what, &error))?;
    if bytes.len() as u64 > FILE_MAX {
        let message = format!("{what} {} is larger than 1 MiB", shown(path));
        return Err(Error::new(Kind::Node, message));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let message = format!("{what} {} is not UTF-8 at byte {at}", shown(path));
        Error::new(Kind::Node, message).hint("save it as UTF-8")
    })
}

/// Reads a secret: as [`read`], and others may not even read it.
pub(super) fn read_secret(path: &Path, what: &str, caller: Caller<'_>) -> Result<String> {
    let secret = read(path, what, caller)?;
    let mode = path
        .metadata()
        .map_err(|error| cannot_read(path, what, &error))?
        .mode();
    if mode & 0o004 != 0 {
        let name = shown(path);
        let mode = mode & 0o7777;
        let message = format!("{what} {name} may be read by everyone (mode {mode:04o})");
        return Err(Error::new(Kind::Node, message).hint(format!(
            "take the right away: chmod o-r {name} — and replace the secret"
        )));
    }
    Ok(secret)
}

/// Checks a file that others read later.
pub(super) fn check(path: &Path, what: &str, caller: Caller<'_>) -> Result<()> {
    let file = open_regular(path).map_err(|error| cannot_read(path, what, &error))?;
    let opened = file
        .metadata()
        .map_err(|error| cannot_read(path, what, &error))?;
    check_file(path, what, &opened, caller)
}

fn check_file(path: &Path, what: &str, opened: &Metadata, caller: Caller<'_>) -> Result<()> {
    let real = path
        .canonicalize()
        .map_err(|error| cannot_read(path, what, &error))?;
    check_access(&real, what, opened, caller)?;
    let mut directories: Vec<&Path> = [path, &real].into_iter().filter_map(Path::parent).collect();
    directories.dedup();
    for directory in directories {
        let found = directory
            .metadata()
            .map_err(|error| cannot_read(directory, "the directory", &error))?;
        check_access(
            directory,
            &format!("the directory of {what}"),
            &found,
            caller,
        )?;
    }
    Ok(())
}

fn check_access(path: &Path, what: &str, found: &Metadata, caller: Caller<'_>) -> Result<()> {
    let name = shown(path);
    let (mode, owner) = (found.mode(), found.uid());
    if owner != 0 && owner != caller.uid {
        let who = caller.accounts.user(owner);
        let message = format!("{what} {name} belongs to {who}, expected root or the caller");
        // A home is not to be given away for this.
        let cure = if found.is_dir() {
            format!("move the file to /etc/deploy, or run deploy as {who}")
        } else {
            format!("make it root's: chown root {name} — or run deploy as {who}")
        };
        return Err(Error::new(Kind::Node, message).hint(cure));
    }
    let sticky = found.is_dir() && mode & 0o1000 != 0;
    let others = mode & 0o002 != 0;
    let group = mode & 0o020 != 0 && !caller.accounts.is_private_group(owner, found.gid());
    if (others || group) && !sticky {
        let message = format!(
            "{what} {name} may be written by {} (mode {:04o})",
            if others { "everyone" } else { "its group" },
            mode & 0o7777
        );
        return Err(
            Error::new(Kind::Node, message).hint(format!("take the right away: chmod go-w {name}"))
        );
    }
    Ok(())
}

fn cannot_read(path: &Path, what: &str, error: &io::Error) -> Error {
    if error.kind() == io::ErrorKind::InvalidInput {
        let message = format!("{what} {} is not a file: {error}", shown(path));
        return Error::new(Kind::Node, message).hint("put a regular file there");
    }
    let message = format!("{what} {} cannot be read: {error}", shown(path));
    let hint = match error.kind() {
        io::ErrorKind::NotFound => "create it, or remove what names it".to_owned(),
        io::ErrorKind::PermissionDenied => format!(
            "let the user that runs deploy read it: namei -l {} shows which right is missing",
            shown(path)
        ),
        _ => "check the file system".to_owned(),
    };
    Error::new(Kind::Node, message).hint(hint)
}

fn shown(path: &Path) -> String {
    text::line(&path.to_string_lossy(), 500).into_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;
    use std::os::unix::fs::{PermissionsExt, chown, symlink};
    use std::path::Path;

    use super::{Accounts, Caller, check, read};

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// A file of `file` mode in a directory of `directory` mode, both the
    /// test's own, judged for its own user.
    fn verdict(directory: u32, file: u32, accounts: &Accounts) -> Result<(), String> {
        let scratch = tempfile::tempdir().unwrap();
        let place = scratch.path().join("place");
        fs::create_dir(&place).unwrap();
        let path = place.join("deploy.toml");
        fs::write(&path, "[defaults]\n").unwrap();
        mode(&path, file);
        mode(&place, directory);
        let caller = Caller {
            uid: rustix::process::geteuid().as_raw(),
            accounts,
        };
        let told = check(&path, "deploy.toml", caller).map_err(|error| {
            format!("{error} {}", error.hints().join(" "))
                .replace(&place.to_string_lossy().into_owned(), "D")
        });
        assert_eq!(told.is_ok(), read(&path, "deploy.toml", caller).is_ok());
        told
    }

    #[test]
    fn what_others_may_write_is_refused() {
        let none = Accounts::default();
        for (directory, file, told) in [
            (0o755, 0o644, None),
            (0o700, 0o600, None),
            (0o1777, 0o644, None),
            (
                0o755,
                0o664,
                Some(
                    "D/deploy.toml may be written by its group (mode 0664) take the right away: chmod go-w D/deploy.toml",
                ),
            ),
            (
                0o755,
                0o646,
                Some("D/deploy.toml may be written by everyone (mode 0646)"),
            ),
            (0o755, 0o666, Some("by everyone")),
            (
                0o775,
                0o644,
                Some("the directory of deploy.toml D may be written by its group (mode 0775)"),
            ),
            (
                0o777,
                0o644,
                Some("the directory of deploy.toml D may be written by everyone (mode 0777)"),
            ),
            (
                0o1777,
                0o666,
                Some("D/deploy.toml may be written by everyone"),
            ),
        ] {
            match (verdict(directory, file, &none), told) {
                (Ok(()), None) => {}
                (Err(error), Some(told)) => assert!(error.contains(told), "{error}"),
                (verdict, _) => panic!("{directory:o} {file:o}: {verdict:?}"),
            }
        }
    }

    #[test]
    fn a_private_group_is_the_owner() {
        let root = rustix::process::geteuid().is_root();
        let (uid, gid) = if root {
            (4242, 4242)
        } else {
            let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
            (uid.as_raw(), gid.as_raw())
        };
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("a.values.yaml");
        fs::write(&path, "").unwrap();
        for path in [scratch.path(), &path] {
            chown(path, Some(uid), Some(gid)).unwrap();
            mode(path, 0o775);
        }
        let passwd = format!("me:x:{uid}:{gid}::/home/me:/bin/sh\n");
        let you = format!("{passwd}you:x:4343:{gid}::/home/you:/bin/sh\n");
        let fine = |passwd: &str, group: &str| {
            let accounts = Accounts::parse(passwd, group);
            let caller = Caller {
                uid,
                accounts: &accounts,
            };
            check(&path, "the values file", caller).is_ok()
        };
        assert!(fine(&passwd, &format!("me:x:{gid}:\n")));
        assert!(fine(&passwd, &format!("me:x:{gid}:me\n")));
        assert!(!fine(&passwd, &format!("me:x:{gid}:you\n")), "a member");
        assert!(
            !fine(&you, &format!("me:x:{gid}:\n")),
            "another's own group"
        );
        assert!(!fine(&passwd, &format!("staff:x:{gid}:\n")), "another name");
        assert!(!fine(&passwd, ""), "unknown");
        // Root's group is never private: services run with it.
        let accounts = Accounts::parse("root:x:0:0::/root:/bin/sh\n", "root:x:0:\n");
        assert!(!accounts.is_private_group(0, 0));
    }

    #[test]
    fn a_strangers_file_is_refused_also_behind_a_link() {
        if rustix::process::geteuid().as_raw() != 0 {
            // Only root can give a file away; the owner rule is then shown
            // with a file that is always root's, for a caller of another id.
            let accounts = Accounts::default();
            let caller = Caller {
                uid: 12345,
                accounts: &accounts,
            };
            assert!(check(Path::new("/etc/passwd"), "it", caller).is_ok());
            return;
        }
        let scratch = tempfile::tempdir().unwrap();
        mode(scratch.path(), 0o755);
        let path = scratch.path().join("a.values.yaml");
        fs::write(&path, "").unwrap();
        let link = scratch.path().join("link.yaml");
        symlink(&path, &link).unwrap();
        let accounts = Accounts::parse("runner:x:4242:4242::/home/runner:/bin/sh\n", "");
        for (uid, owner, fine) in [
            (0, 0, true),
            (4242, 4242, true),
            (4242, 0, true),
            (0, 4242, false),
            (4242, 4243, false),
        ] {
            chown(&path, Some(owner), Some(owner)).unwrap();
            chown(scratch.path(), Some(0), Some(0)).unwrap();
            let caller = Caller {
                uid,
                accounts: &accounts,
            };
            assert_eq!(
                check(&path, "the values file", caller).is_ok(),
                fine,
                "{uid} {owner}"
            );
            assert_eq!(check(&link, "the values file", caller).is_ok(), fine);
        }
        chown(&path, Some(4242), Some(4242)).unwrap();
        let caller = Caller {
            uid: 0,
            accounts: &accounts,
        };
        let error = check(&path, "the values file", caller).unwrap_err();
        assert!(
            error.to_string().contains("belongs to runner (4242)"),
            "{error}"
        );
        assert!(error.hints()[0].contains("chown root"), "{error}");
    }

    /// Case F4: what is no file is told at once, and never waited for.
    #[test]
    fn what_is_no_file_is_told() {
        let scratch = tempfile::tempdir().unwrap();
        let accounts = Accounts::default();
        let caller = Caller {
            uid: rustix::process::geteuid().as_raw(),
            accounts: &accounts,
        };
        let missing = scratch.path().join("none");
        assert!(
            read(&missing, "deploy.toml", caller)
                .unwrap_err()
                .to_string()
                .contains("cannot be read")
        );
        assert!(
            read(scratch.path(), "deploy.toml", caller)
                .unwrap_err()
                .to_string()
                .contains("is not a file")
        );
        let fifo = scratch.path().join("fifo");
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RUSR).unwrap();
        for told in [
            read(&fifo, "deploy.toml", caller).unwrap_err(),
            check(&fifo, "the values file", caller).unwrap_err(),
        ] {
            assert_eq!(told.kind(), crate::error::Kind::Node);
            assert!(
                told.to_string().contains("is not a file: it is a FIFO"),
                "{told}"
            );
        }
        let path = scratch.path().join("latin");
        fs::write(&path, b"a\xff").unwrap();
        mode(&path, 0o600);
        assert!(
            read(&path, "deploy.toml", caller)
                .unwrap_err()
                .to_string()
                .contains("not UTF-8 at byte 1")
        );
        fs::write(&path, vec![b'#'; (1 << 20) + 1]).unwrap();
        assert!(
            read(&path, "deploy.toml", caller)
                .unwrap_err()
                .to_string()
                .contains("larger than 1 MiB")
        );
    }
}
