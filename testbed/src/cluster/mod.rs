//! What a cluster of one node consists of: its folders, its configuration files and the command
//! lines of its programs, as data. Must not start or write anything: the supervisor does.

pub mod argocd;
pub mod boot;
pub mod config;
pub mod pause;
pub mod place;
pub mod programs;

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::{Path, PathBuf};

use crate::build::Artefacts;
use crate::pki::Pki;

pub use place::{FURTHER, Place};

/// The registry behind the front that answers as ghcr.io does.
pub const REGISTRY: SocketAddr = loopback(5000);
/// The CONNECT proxy for containerd.
pub const PROXY: SocketAddr = loopback(3128);
/// The name of the node. The apiserver dials a node by it, and it must lead to loopback.
pub const NODE: &str = "localhost";
/// The image of the container that holds a pod's namespaces. Its registry does not exist: the
/// image is imported and never pulled.
pub const PAUSE_IMAGE: &str = "testbed.invalid/pause:1";

const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))
}

/// The parts that the texts and command lines are made from.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// Which of the testbed's clusters it is.
    pub place: Place,
    /// The run folder; everything that is written lies under it.
    pub run: PathBuf,
    /// Certificates and keys.
    pub pki: Pki,
    /// The authority that vouches for ghcr.io.
    pub registry_authority: PathBuf,
    /// The programs.
    pub artefacts: Artefacts,
}

/// The clusters of a testbed with these programs.
pub fn places(artefacts: &Artefacts) -> impl Iterator<Item = Place> + use<> {
    let further = artefacts.fleet.iter().flat_map(|_| FURTHER);
    let further: Vec<Place> = further.collect();
    std::iter::once(Place::FIRST).chain(further)
}

impl Cluster {
    /// A path in the run folder, as the text that goes into files and arguments.
    pub fn path(&self, name: &str) -> String {
        self.run.join(name).display().to_string()
    }

    /// The folder for the programs' logs.
    pub fn logs(&self) -> PathBuf {
        self.run.join("logs")
    }

    /// The kubeconfig of the administrator inside the namespaces, where the apiserver listens
    /// on its own port.
    pub fn inner_kubeconfig(&self) -> PathBuf {
        self.run.join("admin.kubeconfig")
    }

    /// containerd's socket.
    pub fn containerd_socket(&self) -> PathBuf {
        self.run.join("containerd.sock")
    }

    /// PATH for the cluster's programs: ours first, then the machine's for mount and the like.
    pub fn search_path(&self) -> String {
        let system = &self.artefacts.system.path;
        let folders = std::iter::once(&self.artefacts.kube).chain(system);
        let mut path: Vec<String> = folders.map(|folder| folder.display().to_string()).collect();
        path.push("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned());
        path.join(":")
    }
}

/// The longest path that a unix socket may have is 107 bytes; the longest socket in a run
/// folder is the kubelet's for device plugins, of a further cluster.
pub const LONGEST_RUN_FOLDER: usize = 107 - "/eu/kubelet/device-plugins/kubelet.sock".len();

/// Folders of the machine that containerd, runc, CNI and the kubelet write to at fixed places.
/// Inside, folders of the run folder lie over them.
pub const COVERED: [&str; 3] = ["/run", "/var/lib", "/var/log"];

/// Settings of the kernel that a kubelet writes and that no namespace keeps apart. Inside, a
/// file with the same content lies over each.
///
/// From `setupKernelTunables` in `pkg/kubelet/cm/container_manager_linux.go` of Kubernetes.
pub const SYSCTLS: [&str; 6] = [
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
];

/// Why a folder cannot be a run folder, if it cannot.
pub fn unfit(run: &Path) -> Option<String> {
    let length = run.as_os_str().len();
    if length > LONGEST_RUN_FOLDER {
        return Some(format!(
            "its path has {length} bytes, and the sockets in it allow {LONGEST_RUN_FOLDER}"
        ));
    }
    hidden(run)
}

/// Why a folder cannot be seen inside, if it cannot.
pub fn hidden(folder: &Path) -> Option<String> {
    let covered = COVERED.iter().find(|covered| folder.starts_with(covered))?;
    Some(format!(
        "the cluster has a {covered} of its own that would hide it"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_folders() {
        assert_eq!(unfit(Path::new("/tmp/deploy-testbed-abcdef")), None);
        assert!(unfit(Path::new("/run/user/0/x")).is_some_and(|why| why.contains("/run")));
        assert!(unfit(Path::new(&format!("/tmp/{}", "x".repeat(80)))).is_some());
    }
}
