//! Who is at the other end of a connection, and whether it may send.
//!
//! The kernel tells the user and the process's own group (`SO_PEERCRED`). Further
//! groups are those of /etc/group: the process's would be told by `SO_PEERGROUPS`,
//! for which there is no safe call, and /proc tells those of whatever process has
//! the pid by now. For the same reason the unit is for the journal, and nothing is
//! decided by it.

use std::fs::File;
use std::io::Read as _;

use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;

use crate::host::Accounts;
use crate::node::config::{Account, Receive};
use crate::text;

/// The most that is read of a process's cgroup, in bytes.
const CGROUP_MAX: u64 = 4096;

/// Who sent a signal, as the kernel says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerIdentity {
    /// The user.
    pub uid: u32,
    /// The process's own group.
    pub gid: u32,
    /// The systemd unit of its process, where it still was there.
    pub unit: Option<String>,
}

impl PeerIdentity {
    /// The other end of a connection.
    pub fn of(stream: &UnixStream) -> std::io::Result<Self> {
        let peer = stream.peer_cred()?;
        Ok(Self {
            uid: peer.uid(),
            gid: peer.gid(),
            unit: peer.pid().and_then(unit),
        })
    }

    /// Whether it may send signals, and ask for their results: root, and whom the
    /// configuration names.
    pub fn may_send(&self, receive: &Receive, accounts: &Accounts) -> bool {
        let users = receive.allow_users.iter().map(Account::as_str);
        let groups = receive.allow_groups.iter().map(Account::as_str);
        self.uid == 0
            || users
                .into_iter()
                .any(|named| accounts.is_user(self.uid, named))
            || groups
                .into_iter()
                .any(|named| accounts.is_in_group(self.uid, self.gid, named))
    }
}

fn unit(pid: i32) -> Option<String> {
    let mut cgroups = String::new();
    let file = File::open(format!("/proc/{pid}/cgroup")).ok()?;
    file.take(CGROUP_MAX).read_to_string(&mut cgroups).ok()?;
    unit_of(&cgroups)
}

/// The unit in a process's cgroup: `0::/system.slice/actions.runner.service`.
fn unit_of(cgroups: &str) -> Option<String> {
    let path = cgroups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let is_unit = |part: &&str| {
        let ending = part.rsplit_once('.').map(|(_, ending)| ending);
        matches!(ending, Some("service" | "scope"))
    };
    let unit = path.split('/').rev().find(is_unit)?;
    Some(text::line(unit, 100).into_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{PeerIdentity, unit_of};
    use crate::host::Accounts;
    use crate::node::config::Receive;

    #[test]
    fn only_those_who_are_named_may_send() {
        let accounts = Accounts::parse(
            "root:x:0:0::/root:/bin/sh\nrunner:x:1001:1001::/home/runner:/bin/sh\n\
             twin:x:1002:1002::/:/bin/sh\nother:x:1003:60::/:/bin/sh\n",
            "root:x:0:\nrunner:x:1001:\ndeployers:x:50:twin\nstaff:x:60:\n",
        );
        let list = |users: &[&str], groups: &[&str]| Receive {
            allow_users: users.iter().map(|name| name.parse().unwrap()).collect(),
            allow_groups: groups.iter().map(|name| name.parse().unwrap()).collect(),
            ..Receive::default()
        };
        for (uid, gid, receive, may) in [
            (0, 0, list(&[], &[]), true),
            (1001, 1001, list(&[], &[]), false),
            (1001, 1001, list(&["runner"], &[]), true),
            (1001, 1001, list(&["1001"], &[]), true),
            (1001, 1001, list(&["run", "runners", "root"], &[]), false),
            (4242, 4242, list(&["runner"], &[]), false),
            (4242, 4242, list(&["4242"], &[]), true),
            (1002, 1002, list(&[], &["deployers"]), true),
            (1001, 1001, list(&[], &["deployers"]), false),
            (1001, 50, list(&[], &["deployers"]), true),
            (1003, 1003, list(&[], &["staff"]), true),
            (4242, 60, list(&[], &["60"]), true),
            (4242, 61, list(&[], &["60", "nobody"]), false),
            // A user is no group, and a group no user.
            (1001, 1001, list(&[], &["twin"]), false),
            (1002, 1002, list(&["deployers"], &[]), false),
        ] {
            let peer = PeerIdentity {
                uid,
                gid,
                unit: None,
            };
            assert_eq!(
                peer.may_send(&receive, &accounts),
                may,
                "{uid} {gid} {receive:?}"
            );
        }
    }

    #[test]
    fn the_unit_of_a_process() {
        for (cgroups, unit) in [
            (
                "0::/system.slice/actions.runner.service\n",
                Some("actions.runner.service"),
            ),
            (
                "12:cpu:/x.service\n0::/user.slice/session-1.scope\n",
                Some("session-1.scope"),
            ),
            ("0::/system.slice/a.service/sub\n", Some("a.service")),
            ("0::/\n", None),
            ("", None),
        ] {
            assert_eq!(unit_of(cgroups).as_deref(), unit, "{cgroups}");
        }
    }
}
