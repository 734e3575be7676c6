//! A cgroup of our own in every hierarchy. Must never touch a cgroup that is not under it.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

/// One of the machine's hierarchies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hierarchy {
    /// Where it is mounted.
    pub mount: PathBuf,
    /// The folder of the cgroup that this process is in.
    pub own: PathBuf,
    /// The folder that ours goes into.
    pub parent: PathBuf,
    /// Whether it is version 2 and manages resources.
    pub unified: bool,
}

/// Reads the hierarchies of this process.
pub(super) fn hierarchies() -> Result<Vec<Hierarchy>> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let cgroups = fs::read_to_string("/proc/self/cgroup")?;
    let found = parse(&mounts, &cgroups, |mount| {
        fs::read_to_string(mount.join("cgroup.controllers"))
            .is_ok_and(|text| !text.trim().is_empty())
    });
    if found.is_empty() {
        bail!("no cgroup hierarchy is mounted; a kubelet needs them under /sys/fs/cgroup");
    }
    Ok(found)
}

/// Finds the cgroup of a process in each hierarchy: `mounts` is its mountinfo, `cgroups` its
/// /proc/PID/cgroup. Version 2 lets a cgroup have processes or controlled children, not both, so
/// ours must lie at the root there; in version 1 it stays under the limits of its starter.
fn parse(mounts: &str, cgroups: &str, manages: impl Fn(&Path) -> bool) -> Vec<Hierarchy> {
    let mut found: Vec<Hierarchy> = Vec::new();
    for line in mounts.lines() {
        let Some((left, right)) = line.split_once(" - ") else {
            continue;
        };
        let left: Vec<&str> = left.split(' ').collect();
        let right: Vec<&str> = right.split(' ').collect();
        let (&[_, _, _, root, mount, ..], &[kind, _, options]) = (&left[..], &right[..]) else {
            continue;
        };
        let Some(path) = path_in(cgroups, kind, options) else {
            continue;
        };
        let mount = PathBuf::from(mount);
        let inside = Path::new(path).strip_prefix(root).unwrap_or(Path::new(""));
        let visible = !path.contains("..");
        let own = if visible {
            mount.join(inside)
        } else {
            mount.clone()
        };
        let unified = kind == "cgroup2" && manages(&mount);
        let parent = if unified { mount.clone() } else { own.clone() };
        found.retain(|other| other.mount != mount);
        found.push(Hierarchy {
            mount,
            own,
            parent,
            unified,
        });
    }
    found
}

/// The path that /proc/PID/cgroup gives for the hierarchy of a mount.
fn path_in<'a>(cgroups: &'a str, kind: &str, options: &str) -> Option<&'a str> {
    cgroups.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let matches = match kind {
            "cgroup2" => controllers.is_empty(),
            "cgroup" => {
                !controllers.is_empty()
                    && controllers
                        .split(',')
                        .all(|name| options.split(',').any(|option| option == name))
            }
            _ => false,
        };
        matches.then_some(path)
    })
}

impl Hierarchy {
    /// The folder of our cgroup.
    pub fn ours(&self, name: &str) -> PathBuf {
        self.parent.join(name)
    }

    /// Makes our cgroup.
    pub(super) fn create(&self, name: &str) -> Result<()> {
        let ours = self.ours(name);
        let make = || -> std::io::Result<()> {
            if self.unified {
                enable_controllers(&self.parent)?;
            }
            fs::create_dir(&ours)?;
            // A new cpuset is empty, and an empty one takes no process.
            for file in ["cpuset.cpus", "cpuset.mems"] {
                if !self.unified && ours.join(file).exists() {
                    fs::write(ours.join(file), fs::read(self.parent.join(file))?)?;
                }
            }
            Ok(())
        };
        make().with_context(|| format!("the cgroup {} cannot be made", ours.display()))
    }
}

/// Hands every controller of a version 2 cgroup on to its children.
pub(super) fn enable_controllers(cgroup: &Path) -> std::io::Result<()> {
    let enabled = fs::read_to_string(cgroup.join("cgroup.subtree_control"))?;
    let available = fs::read_to_string(cgroup.join("cgroup.controllers"))?;
    for controller in available.split_whitespace() {
        if !enabled.split_whitespace().any(|name| name == controller) {
            fs::write(
                cgroup.join("cgroup.subtree_control"),
                format!("+{controller}"),
            )?;
        }
    }
    Ok(())
}

/// Moves a process into a cgroup; 0 is this one.
pub(super) fn join(cgroup: &Path, pid: u32) -> Result<()> {
    fs::write(cgroup.join("cgroup.procs"), pid.to_string()).with_context(|| {
        format!(
            "no process can be moved into the cgroup {}",
            cgroup.display()
        )
    })
}

/// Removes a cgroup and all under it. The kernel empties the cgroup of a dead process a moment
/// after the process can be waited for, so a busy one is tried again for a while.
pub(super) fn remove(cgroup: &Path) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match remove_tree(cgroup) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) if error.kind() == ErrorKind::ResourceBusy && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(error) => {
                return Err(error).with_context(|| {
                    format!(
                        "the cgroup {} cannot be removed; its cgroup.procs tells which processes it still has",
                        cgroup.display()
                    )
                });
            }
        }
    }
}

fn remove_tree(cgroup: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(cgroup)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            match remove_tree(&entry.path()) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    fs::remove_dir(cgroup)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(mount: &str, own: &str, parent: &str, unified: bool) -> Hierarchy {
        Hierarchy {
            mount: mount.into(),
            own: own.into(),
            parent: parent.into(),
            unified,
        }
    }

    #[test]
    fn version_1_stays_under_its_starter() {
        let mounts = "30 25 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n\
            31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct\n\
            32 30 0:28 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
            33 30 0:29 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n\
            34 30 0:30 / /sys/fs/cgroup/unified rw shared:4 - cgroup2 cgroup2 rw\n";
        let cgroups = "9:name=systemd:/s\n4:memory:/a/b\n1:cpu,cpuacct:/\n0::/u\n";
        assert_eq!(
            parse(mounts, cgroups, |_| false),
            [
                of(
                    "/sys/fs/cgroup/cpu,cpuacct",
                    "/sys/fs/cgroup/cpu,cpuacct/",
                    "/sys/fs/cgroup/cpu,cpuacct/",
                    false
                ),
                of(
                    "/sys/fs/cgroup/memory",
                    "/sys/fs/cgroup/memory/a/b",
                    "/sys/fs/cgroup/memory/a/b",
                    false
                ),
                of(
                    "/sys/fs/cgroup/systemd",
                    "/sys/fs/cgroup/systemd/s",
                    "/sys/fs/cgroup/systemd/s",
                    false
                ),
                of(
                    "/sys/fs/cgroup/unified",
                    "/sys/fs/cgroup/unified/u",
                    "/sys/fs/cgroup/unified/u",
                    false
                ),
            ]
        );
    }

    #[test]
    fn version_2_lies_at_the_root() {
        let mounts = "30 25 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n";
        assert_eq!(
            parse(mounts, "0::/user.slice/x.scope\n", |_| true),
            [of(
                "/sys/fs/cgroup",
                "/sys/fs/cgroup/user.slice/x.scope",
                "/sys/fs/cgroup",
                true
            )]
        );
    }

    #[test]
    fn a_mount_of_a_part_and_a_path_outside() {
        let mounts = "32 30 0:28 /box /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
        let own = |path: &str| {
            parse(mounts, &format!("4:memory:{path}\n"), |_| false)[0]
                .own
                .clone()
        };
        assert_eq!(own("/box/a"), Path::new("/sys/fs/cgroup/memory/a"));
        assert_eq!(own("/../x"), Path::new("/sys/fs/cgroup/memory"));
    }
}
