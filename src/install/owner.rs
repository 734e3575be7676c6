//! Whom the state directory is to belong to. It is never guessed.

use rustix::fs::{Gid, Uid};
use rustix::process::{getgid, getuid};

use super::Installer;
use super::folder::Folder;
use crate::error::{Error, Kind, Result};
use crate::text;

/// A user, and the group where it is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner {
    pub(super) user: Uid,
    pub(super) group: Option<Gid>,
}

impl Owner {
    /// The user that is named, else the owner of the link's directory.
    /// `Kind::Request` for one that is not known, `Kind::Node` where that is root.
    pub(super) fn of(installer: &Installer<'_>, home: &Folder) -> Result<Self> {
        if !installer.root {
            return Ok(Self {
                user: getuid(),
                group: Some(getgid()),
            });
        }
        if let Some(named) = &installer.places.user {
            let accounts = &installer.accounts;
            // A number need not be known here: a directory service's users are not.
            let (uid, gid) = match named.parse() {
                Ok(uid) => (uid, accounts.group_of(uid)),
                Err(_) => accounts
                    .by_name(named)
                    .map(|(uid, gid)| (uid, Some(gid)))
                    .ok_or_else(|| {
                        let named = text::line(named, 60);
                        Error::new(
                            Kind::Request,
                            format!("there is no user {named} in /etc/passwd"),
                        )
                        .hint("name the user that runs the runner, or its number: --user USER")
                    })?,
            };
            let group = gid.map(Gid::from_raw);
            return Ok(Self {
                user: Uid::from_raw(uid),
                group,
            });
        }
        let about = home.own()?;
        if about.st_uid == 0 {
            let shown = home.path.display();
            let message = format!("{shown} belongs to root, so the runner's user is not known");
            return Err(Error::new(Kind::Node, message).hint("name it: --user USER"));
        }
        Ok(Self {
            user: Uid::from_raw(about.st_uid),
            group: Some(Gid::from_raw(about.st_gid)),
        })
    }
}
