//! Furnishes fresh namespaces: cgroups, covered files and folders, a network. Runs as process 1
//! in them and must never be run elsewhere.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use rustix::fs::{Mode, OFlags};
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_change, mount_move,
    unmount,
};

use super::cgroups::{self, Hierarchy};
use super::instance::Settings;
use crate::cluster::{self, COVERED, Place, SYSCTLS};

/// The folders of the host's cgroups, held open: inside, they cannot be seen any more.
#[derive(Debug)]
pub(super) struct HostCgroups {
    held: Vec<Held>,
    name: String,
}

#[derive(Debug)]
struct Held {
    own: OwnedFd,
    parent: OwnedFd,
}

/// Makes the inside of the namespaces what a cluster needs.
pub(super) fn furnish(settings: &Settings) -> Result<HostCgroups> {
    let held = cover_cgroups(settings).context("the cgroups cannot be set up")?;
    cover_sysctls(settings).context("the kernel's settings cannot be covered")?;
    cover_folders(settings).context("the machine's folders cannot be covered")?;
    for place in cluster::places(&settings.artefacts) {
        let run = place.folder(&settings.run);
        share_kubelet(&run).context("the kubelet's folder cannot be shared")?;
        if place != Place::FIRST {
            give_cgroup(settings, place).context("a cluster cannot have a cgroup")?;
        }
    }
    network()?;
    Ok(held)
}

impl HostCgroups {
    fn hold(settings: &Settings) -> Result<Self> {
        let open = |path: &Path| {
            rustix::fs::open(
                path,
                OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
                Mode::empty(),
            )
            .with_context(|| format!("{} cannot be opened", path.display()))
        };
        let hold = |hierarchy: &Hierarchy| {
            Ok(Held {
                own: open(&hierarchy.own)?,
                parent: open(&hierarchy.parent)?,
            })
        };
        Ok(Self {
            held: settings
                .hierarchies
                .iter()
                .map(hold)
                .collect::<Result<_>>()?,
            name: settings.cgroup.clone(),
        })
    }

    /// Leaves our cgroups for those that the janitor was started in, and gives the folders of
    /// ours, to be removed.
    pub(super) fn leave(&self) -> Result<Vec<PathBuf>> {
        let folder = |fd: &OwnedFd| PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()));
        for held in &self.held {
            cgroups::join(&folder(&held.own), 0)?;
        }
        Ok(self
            .held
            .iter()
            .map(|held| folder(&held.parent).join(&self.name))
            .collect())
    }
}

/// Puts our cgroups where the host's were. The cgroup namespace makes each the root of its
/// hierarchy; what is left of the host's mounts would mislead runc, so they go.
fn cover_cgroups(settings: &Settings) -> Result<HostCgroups> {
    const ROOT: &str = "/sys/fs/cgroup";
    let host = HostCgroups::hold(settings)?;
    let links = symlinks(Path::new(ROOT))?;
    let mut staged = Vec::new();
    for (index, hierarchy) in settings.hierarchies.iter().enumerate() {
        let stage = settings.run.join("cover/cgroup").join(index.to_string());
        fs::create_dir_all(&stage)?;
        mount_bind(hierarchy.ours(&settings.cgroup), &stage)?;
        staged.push((stage, &hierarchy.mount));
    }
    unmount(ROOT, UnmountFlags::DETACH)?;
    if !settings
        .hierarchies
        .iter()
        .any(|hierarchy| hierarchy.mount == Path::new(ROOT))
    {
        mount(
            "cgroups",
            ROOT,
            "tmpfs",
            MountFlags::NOSUID | MountFlags::NODEV,
            c"mode=755",
        )?;
    }
    for (stage, target) in staged {
        fs::create_dir_all(target)?;
        mount_move(&stage, target)?;
    }
    for (link, target) in links {
        std::os::unix::fs::symlink(target, link)?;
    }
    for hierarchy in settings
        .hierarchies
        .iter()
        .filter(|hierarchy| hierarchy.unified)
    {
        // A cgroup with processes cannot hand its controllers on.
        let leaf = hierarchy.mount.join("supervisor");
        fs::create_dir(&leaf)?;
        cgroups::join(&leaf, 0)?;
        cgroups::enable_controllers(&hierarchy.mount)?;
    }
    Ok(host)
}

/// Other names of hierarchies, such as `cpu` for `cpu,cpuacct`.
fn symlinks(folder: &Path) -> Result<Vec<(PathBuf, PathBuf)>> {
    let mut links = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if let Ok(target) = fs::read_link(&path) {
            links.push((path, target));
        }
    }
    Ok(links)
}

fn cover_sysctls(settings: &Settings) -> Result<()> {
    for name in SYSCTLS {
        let real = Path::new("/proc/sys").join(name);
        if !real.exists() {
            continue;
        }
        let cover = settings.run.join("cover/sysctl").join(name);
        fs::create_dir_all(cover.parent().unwrap_or(&cover))?;
        fs::write(&cover, fs::read(&real)?)?;
        mount_bind(&cover, &real).with_context(|| format!("{}", real.display()))?;
    }
    Ok(())
}

fn cover_folders(settings: &Settings) -> Result<()> {
    for folder in COVERED {
        let cover = settings
            .run
            .join("cover")
            .join(folder.trim_start_matches('/'));
        fs::create_dir_all(&cover)?;
        mount_bind(&cover, folder).with_context(|| folder.to_owned())?;
    }
    Ok(())
}

/// A kubelet makes the cgroup of its pods by itself, but not one above that.
fn give_cgroup(settings: &Settings, place: Place) -> Result<()> {
    for hierarchy in &settings.hierarchies {
        let inside = Hierarchy {
            parent: hierarchy.mount.clone(),
            ..hierarchy.clone()
        };
        inside.create(place.name())?;
    }
    Ok(())
}

/// A kubelet whose folder is on no shared mount makes it one while it starts, and a socket that it
/// renames there at that instant is on two mounts: "invalid cross-device link", and it ends.
fn share_kubelet(run: &Path) -> Result<()> {
    let folder = run.join("kubelet");
    fs::create_dir_all(&folder)?;
    mount_bind(&folder, &folder)?;
    Ok(mount_change(
        &folder,
        MountPropagationFlags::SHARED | MountPropagationFlags::REC,
    )?)
}

/// The kubelet takes its address from the interface of the default route, so there must be one.
/// It leads nowhere.
fn network() -> Result<()> {
    for arguments in [
        "link set lo up",
        "link add uplink type bridge",
        "addr add 10.200.0.1/24 dev uplink",
        "link set uplink up",
        "route add default via 10.200.0.254 dev uplink",
    ] {
        let output = Command::new("ip")
            .args(arguments.split(' '))
            .output()
            .context("`ip` cannot be run")?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr);
            bail!(
                "`ip {arguments}` ended with {} and said: {}",
                output.status,
                text.trim()
            );
        }
    }
    Ok(())
}

/// The mounts in a folder, in the order of their making.
pub(super) fn mounts_under(folder: &Path) -> Result<Vec<PathBuf>> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let points = mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(unescape);
    Ok(points.filter(|point| point.starts_with(folder)).collect())
}

/// The kernel writes space, tab, newline and backslash as octal numbers.
fn unescape(text: &str) -> PathBuf {
    let codes = [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ];
    let plain = codes.iter().fold(text.to_owned(), |text, (code, plain)| {
        text.replace(code, plain)
    });
    PathBuf::from(plain)
}

/// Unmounts all in a folder. Only for mounts that no other namespace has.
pub(super) fn unmount_under(folder: &Path) -> Result<()> {
    for point in mounts_under(folder)?.iter().rev() {
        unmount(point, UnmountFlags::DETACH)
            .with_context(|| format!("{} cannot be unmounted", point.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_unescaped() {
        assert_eq!(unescape("/a\\040b\\134"), Path::new("/a b\\"));
        assert_eq!(unescape("/plain"), Path::new("/plain"));
    }
}
