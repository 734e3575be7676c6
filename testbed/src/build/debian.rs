//! Programs out of Debian's packages, unpacked into the cache. They are not installed: the
//! packages of daemons would start them on a machine with systemd.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::run::{run, tool};
use super::{Cache, System};
use crate::progress::Progress;

/// The packages, each with a program out of it that shows that it is there.
const PACKAGES: [&str; 5] = [
    "etcd-server",
    "containerd",
    "runc",
    "containernetworking-plugins",
    "docker-registry",
];
/// runc is the only one that needs a library besides libc.
const LIBRARY: (&str, &str) = ("libseccomp2", "libseccomp.so.2");
/// What lists a machine's packet filters, of both kinds, and the libraries it needs.
const FILTERS: [&str; 7] = [
    "iptables",
    "libip4tc2",
    "libip6tc2",
    "libxtables12",
    "libnftnl11",
    "libmnl0",
    "libnfnetlink0",
];
/// redis-server under another name, and the libraries it needs besides those that every machine has.
const REDIS: &str = "redis-tools";
const REDIS_LIBRARIES: [(&str, &str); 3] = [
    ("libjemalloc2", "libjemalloc.so.2"),
    ("liblzf1", "liblzf.so.1"),
    ("libatomic1", "libatomic.so.1"),
];
/// Programs that a machine has by itself, and the packages that bring them.
const BASE: [(&str, &str); 5] = [
    ("setpriv", "util-linux"),
    ("unshare", "util-linux"),
    ("setsid", "util-linux"),
    ("mount", "mount"),
    ("ip", "iproute2"),
];
/// What a machine that is not Debian must have on its PATH.
const PROGRAMS: [&str; 6] = [
    "etcd",
    "containerd",
    "containerd-shim-runc-v2",
    "ctr",
    "runc",
    "docker-registry",
];
/// Where other distributions keep the CNI plugins.
const CNI_FOLDERS: [&str; 4] = [
    "/usr/lib/cni",
    "/opt/cni/bin",
    "/usr/libexec/cni",
    "/usr/lib/containernetworking-plugins",
];

/// etcd, containerd, runc, the CNI plugins and the registry.
pub(super) fn system(cache: &Cache, progress: Progress) -> Result<System> {
    let missing: Vec<_> = BASE
        .iter()
        .filter(|(program, _)| find(program).is_none())
        .map(|(program, package)| format!("{program} (Debian: {package})"))
        .collect();
    if !missing.is_empty() {
        bail!(
            "not on PATH: {}. Install them and try again",
            missing.join(", ")
        );
    }
    if find("apt-get").is_none() || find("dpkg-deb").is_none() {
        return installed();
    }
    let mut system = System::default();
    for package in PACKAGES {
        let folder = unpack(cache, package, progress)?;
        system
            .path
            .extend([folder.join("usr/bin"), folder.join("usr/sbin")]);
        if package == "containernetworking-plugins" {
            system.cni = folder.join("usr/lib/cni");
        }
    }
    system.path.retain(|folder| folder.is_dir());
    if !has_library(LIBRARY.1) {
        let folder = unpack(cache, LIBRARY.0, progress)?;
        system.libraries = library_folders(&folder.join("usr/lib"));
    }
    Ok(system)
}

/// The folder of redis-server, and folders with its libraries.
pub(super) fn redis(cache: &Cache, progress: Progress) -> Result<(PathBuf, Vec<PathBuf>)> {
    if let Some(program) = find("redis-server") {
        let folder = program.parent().unwrap_or(Path::new("/"));
        return Ok((folder.to_owned(), Vec::new()));
    }
    if find("apt-get").is_none() || find("dpkg-deb").is_none() {
        bail!("this machine has no apt-get: install redis-server, and try again");
    }
    let package = unpack(cache, REDIS, progress)?;
    let program = package.join("usr/bin/redis-check-rdb");
    // One program does what its name says; the link that is called redis-server is in a package
    // that has nothing else.
    let key = package.file_name().unwrap_or_default().to_string_lossy();
    let folder = cache.artefact("redis-server", &key, progress, |folder| {
        Ok(std::os::unix::fs::symlink(
            &program,
            folder.join("redis-server"),
        )?)
    })?;
    let mut libraries = Vec::new();
    for (package, library) in REDIS_LIBRARIES {
        if !has_library(library) {
            let folder = unpack(cache, package, progress)?;
            libraries.extend(library_folders(&folder.join("usr/lib")));
        }
    }
    Ok((folder, libraries))
}

/// Lists a machine's packet filters, for tests that compare them.
#[derive(Debug, Clone)]
pub struct PacketFilters {
    folders: Vec<PathBuf>,
    libraries: Vec<PathBuf>,
}

impl PacketFilters {
    /// Out of Debian's packages; where there are none to be had, the machine's own.
    pub fn get(cache: &Cache, progress: Progress) -> Result<Self> {
        let (mut folders, mut libraries) = (Vec::new(), Vec::new());
        if find("apt-get").is_some() && find("dpkg-deb").is_some() {
            for package in FILTERS {
                let folder = unpack(cache, package, progress)?;
                folders.push(folder.join("usr/sbin"));
                libraries.extend(library_folders(&folder.join("usr/lib")));
            }
            folders.retain(|folder| folder.is_dir());
        }
        Ok(Self { folders, libraries })
    }

    /// One of the programs of iptables, such as `iptables-nft-save`.
    pub fn command(&self, program: &str) -> Command {
        let unpacked = self.folders.iter().map(|folder| folder.join(program));
        let mut files = unpacked.filter(|file| file.is_file());
        let file = files.next().unwrap_or_else(|| PathBuf::from(program));
        let mut command = Command::new(file);
        if let Ok(path) = std::env::join_paths(&self.libraries) {
            command.env("LD_LIBRARY_PATH", path);
        }
        command
    }
}

/// The machine's own programs, where there are no packages of Debian's to be had.
fn installed() -> Result<System> {
    let cni = CNI_FOLDERS
        .iter()
        .map(Path::new)
        .find(|folder| folder.join("bridge").is_file());
    let mut missing: Vec<&str> = PROGRAMS
        .into_iter()
        .filter(|program| find(program).is_none())
        .collect();
    if cni.is_none() {
        missing.push("the CNI plugins bridge and host-local in /opt/cni/bin");
    }
    match cni {
        Some(cni) if missing.is_empty() => Ok(System {
            cni: cni.to_owned(),
            ..System::default()
        }),
        _ => bail!(
            "this machine has no apt-get, so the testbed cannot get its own programs. Install \
             etcd 3.4, containerd 1.6, runc 1.1, the CNI plugins 1.1 and docker-registry 2.8 or newer; \
             not found: {}",
            missing.join(", ")
        ),
    }
}

/// The folder of a package's files, which is unpacked and never installed.
pub fn unpack(cache: &Cache, package: &str, progress: Progress) -> Result<PathBuf> {
    cache.artefact_of_any_key(package, progress, |folder| {
        let download = tempfile::tempdir().context("no folder for a package")?;
        let what = format!("fetching Debian's package {package}");
        if fetch(package, download.path(), &what, progress).is_err() {
            // A fresh machine has no lists of packages yet, an old one has lists of packages
            // that are gone.
            let mut update = tool("apt-get");
            update.args(["update", "-q"]);
            run(update, "fetching Debian's lists of packages", progress)?;
            fetch(package, download.path(), &what, progress).with_context(|| {
                format!(
                    "try `apt-get download {package}` by hand: the testbed unpacks that package"
                )
            })?;
        }
        let file = fs::read_dir(download.path())?
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .find(|path| path.extension() == Some(OsStr::new("deb")))
            .with_context(|| {
                format!("apt-get download {package} succeeded, but left no .deb file")
            })?;
        let mut extract = tool("dpkg-deb");
        extract.arg("-x").arg(&file).arg(folder);
        run(extract, &format!("unpacking {package}"), progress)?;
        let version = Command::new("dpkg-deb")
            .arg("-f")
            .arg(&file)
            .arg("Version")
            .output()?;
        Ok(String::from_utf8_lossy(&version.stdout)
            .trim()
            .replace(['/', ':'], "_"))
    })
}

fn fetch(package: &str, folder: &Path, what: &str, progress: Progress) -> Result<()> {
    let mut command = tool("apt-get");
    // As root, apt would hand the download to a user who cannot write here.
    command
        .current_dir(folder)
        .args(["-q", "-o", "APT::Sandbox::User=root", "download", package]);
    run(command, what, progress)
}

/// A program on PATH, or where PATH of a plain user does not look.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// Whether the machine has a library, by the folders that Debian's loader looks in.
fn has_library(name: &str) -> bool {
    let mut folders = vec![PathBuf::from("/lib"), PathBuf::from("/usr/lib")];
    folders.extend(library_folders(Path::new("/usr/lib")));
    folders.iter().any(|folder| folder.join(name).exists())
}

/// The multiarch folders under a library folder, such as `x86_64-linux-gnu`.
fn library_folders(root: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(root) else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.is_dir() && path.to_string_lossy().ends_with("-linux-gnu"))
        .collect()
}
