//! Where one of the testbed's clusters stands: all of them share one network and one tree of
//! cgroups, so each has ports, a name and folders of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::loopback;

/// The clusters beside the first, in a testbed that has more than one.
pub const FURTHER: [Place; 2] = [Place::further("eu", 1), Place::further("us", 2)];

/// One of the clusters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    name: &'static str,
    number: u16,
}

impl Place {
    /// The cluster that every testbed has.
    pub const FIRST: Self = Self::further("canary", 0);

    const fn further(name: &'static str, number: u16) -> Self {
        Self { name, number }
    }

    /// What Argo CD calls it.
    pub fn name(self) -> &'static str {
        self.name
    }

    /// A program, or another thing, of this cluster: those of the first have no name beside their
    /// own.
    pub fn named(self, thing: &str) -> String {
        match self.number {
            0 => thing.to_owned(),
            _ => format!("{thing}-{}", self.name),
        }
    }

    /// Its folder, in the run folder of the testbed.
    pub fn folder(self, run: &Path) -> PathBuf {
        match self.number {
            0 => run.to_owned(),
            _ => run.join(self.name),
        }
    }

    /// The apiserver's port.
    pub fn apiserver(self) -> SocketAddr {
        self.port(6443)
    }

    /// etcd's, for the apiserver.
    pub fn etcd(self) -> SocketAddr {
        self.port(2379)
    }

    /// etcd's, for others of its kind, of which there are none.
    pub fn etcd_peers(self) -> SocketAddr {
        self.port(2380)
    }

    /// The kubelet's port.
    pub fn kubelet(self) -> SocketAddr {
        self.port(10250)
    }

    /// The controllers' port.
    pub fn controllers(self) -> SocketAddr {
        self.port(10257)
    }

    /// The scheduler's port.
    pub fn scheduler(self) -> SocketAddr {
        self.port(10259)
    }

    fn port(self, of_the_first: u16) -> SocketAddr {
        loopback(of_the_first + 100 * self.number)
    }

    /// The addresses of its pods.
    pub fn pods(self) -> String {
        format!("10.{}.0.0/16", 244 + self.number)
    }

    /// The cgroup that its pods' cgroups are in.
    pub fn cgroup(self) -> String {
        match self.number {
            0 => "/".to_owned(),
            _ => format!("/{}", self.name),
        }
    }

    /// Where the kubelet keeps the logs of its pods.
    pub fn pod_logs(self) -> String {
        format!("/var/log/{}", self.named("pods"))
    }
}
