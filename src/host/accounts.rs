//! Users and groups of this machine, from /etc/passwd and /etc/group.
//!
//! Read as files: asking the C library needs unsafe code. Users that only a
//! directory service knows are shown by number.

use std::fs;
use std::path::{Path, PathBuf};

use crate::text;

/// Users and groups.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    users: Vec<User>,
    groups: Vec<Group>,
}

#[derive(Clone, Debug)]
struct User {
    name: String,
    uid: u32,
    gid: u32,
    home: PathBuf,
}

#[derive(Clone, Debug)]
struct Group {
    name: String,
    gid: u32,
    members: Vec<String>,
}

impl Accounts {
    /// This machine's. What cannot be read is taken as empty.
    pub fn of_machine() -> Self {
        let text = |path| fs::read(path).unwrap_or_default();
        Self::parse(
            &String::from_utf8_lossy(&text("/etc/passwd")),
            &String::from_utf8_lossy(&text("/etc/group")),
        )
    }

    /// From the text of both files (passwd(5), group(5)).
    pub fn parse(passwd: &str, group: &str) -> Self {
        let users = passwd.lines().filter_map(|line| {
            let mut fields = line.split(':');
            let (name, _, uid, gid) = (
                fields.next()?,
                fields.next()?,
                fields.next()?,
                fields.next()?,
            );
            Some(User {
                name: name.to_owned(),
                uid: uid.parse().ok()?,
                gid: gid.parse().ok()?,
                home: fields.nth(1)?.into(),
            })
        });
        let groups = group.lines().filter_map(|line| {
            let mut fields = line.split(':');
            let (name, _, gid) = (fields.next()?, fields.next()?, fields.next()?);
            let members = fields.next().unwrap_or_default();
            Some(Group {
                name: name.to_owned(),
                gid: gid.parse().ok()?,
                members: members
                    .split(',')
                    .filter(|m| !m.is_empty())
                    .map(str::to_owned)
                    .collect(),
            })
        });
        Self {
            users: users.collect(),
            groups: groups.collect(),
        }
    }

    /// A user as people know it: `runner (1001)`.
    pub fn user(&self, uid: u32) -> String {
        match self.name(uid) {
            Some(name) => format!("{} ({uid})", text::line(name, 60)),
            None => format!("the user {uid}"),
        }
    }

    /// A user's name.
    pub fn name(&self, uid: u32) -> Option<&str> {
        Some(&self.users.iter().find(|user| user.uid == uid)?.name)
    }

    /// A user's home, where it is an absolute path.
    pub fn home(&self, uid: u32) -> Option<&Path> {
        let user = self.users.iter().find(|user| user.uid == uid)?;
        user.home.is_absolute().then_some(user.home.as_path())
    }

    /// Number and group of the user of this name.
    pub fn by_name(&self, name: &str) -> Option<(u32, u32)> {
        let user = self.users.iter().find(|user| user.name == name)?;
        Some((user.uid, user.gid))
    }

    /// A user's own group.
    pub fn group_of(&self, uid: u32) -> Option<u32> {
        Some(self.users.iter().find(|user| user.uid == uid)?.gid)
    }

    /// Whether there is a group of this name.
    pub fn has_group(&self, name: &str) -> bool {
        self.groups.iter().any(|group| group.name == name)
    }

    /// The members that a group names, where there is one of this name.
    pub fn members_of(&self, name: &str) -> Option<&[String]> {
        let group = self.groups.iter().find(|group| group.name == name)?;
        Some(&group.members)
    }

    /// Whether a user goes by this name or number.
    pub fn is_user(&self, uid: u32, named: &str) -> bool {
        named.parse() == Ok(uid)
            || self
                .users
                .iter()
                .any(|user| user.name == named && user.uid == uid)
    }

    /// Whether a user is in a group of this name or number: as /etc/group has it,
    /// or because `gid`, its process's own group, is that one.
    pub fn is_in_group(&self, uid: u32, gid: u32, named: &str) -> bool {
        let number = named.parse().ok();
        let fits = |group: &&Group| group.name == named || number == Some(group.gid);
        number == Some(gid)
            || self.groups.iter().filter(fits).any(|group| {
                let of = |user: &&User| user.uid == uid;
                group.gid == gid
                    || self
                        .users
                        .iter()
                        .filter(of)
                        .any(|user| user.gid == group.gid || group.members.contains(&user.name))
            })
    }

    /// Whether a group has no one in it but this user: named as the user, the
    /// user's own, and nobody else's. Root's group is never private.
    pub fn is_private_group(&self, uid: u32, gid: u32) -> bool {
        let Some(user) = self.users.iter().find(|user| user.uid == uid) else {
            return false;
        };
        let Some(group) = self.groups.iter().find(|group| group.gid == gid) else {
            return false;
        };
        gid != 0
            && user.gid == gid
            && group.name == user.name
            && group.members.iter().all(|member| *member == user.name)
            && self
                .users
                .iter()
                .all(|other| other.gid != gid || other.uid == uid)
    }
}
