//! Makes what the testbed runs, once, and keeps it in a cache: programs built from pinned Go
//! modules and programs out of Debian's packages. Must never install anything on the machine.

mod cache;
mod debian;
mod fleet;
mod go;
mod hosted;
mod run;
mod shop;
mod sigstore;

pub use cache::Cache;
pub use debian::{PacketFilters, unpack};
pub use fleet::{ARGO_CD, Fleet, fleet};
pub use go::GoProgram;
pub use hosted::{Hosted, hosted};
pub use shop::shop;
pub use sigstore::{cosign, fulcio};

use std::path::PathBuf;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::image::AppBinaries;
use crate::progress::Progress;

/// The version of Kubernetes. Newer kubelets refuse cgroup v1.
pub const KUBERNETES: &str = "v1.34.4";
/// The version of Helm 3.
pub const HELM3: &str = "v3.22.0";
/// The version of Helm 4.
pub const HELM4: &str = "v4.3.1";

/// Where the programs lie, once they are built.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Artefacts {
    /// Folder with kube-apiserver, kube-controller-manager, kube-scheduler, kubelet and kubectl.
    pub kube: PathBuf,
    /// The `helm` program of Helm 3.
    pub helm3: PathBuf,
    /// The `helm` program of Helm 4.
    pub helm4: PathBuf,
    /// The static program of the pause image.
    pub pause: PathBuf,
    /// The test application.
    pub app: AppBinaries,
    /// etcd, containerd and the like.
    pub system: System,
    /// What a testbed of more than one cluster needs, where this one shall be one.
    #[serde(default)]
    pub fleet: Option<Fleet>,
}

/// What comes from the distribution.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct System {
    /// Folders to look in for programs, before the machine's own.
    pub path: Vec<PathBuf>,
    /// Folders with libraries that the programs need and the machine does not have.
    pub libraries: Vec<PathBuf>,
    /// Folder with the CNI plugins.
    pub cni: PathBuf,
}

impl Artefacts {
    /// Kubernetes' own command line, for people and for the demo.
    pub fn kubectl(&self) -> PathBuf {
        self.kube.join("kubectl")
    }
}

/// Finds everything in the cache; what is missing is built. Two processes that ask at once
/// build once.
///
/// Errors name the program that could not be had and what to do about it.
pub fn all(cache: &Cache, progress: Progress) -> Result<Artefacts> {
    // The quick ones come first: what is missing on the machine is told before a long build.
    let system = debian::system(cache, progress)?;
    let pause = PAUSE.build(cache, progress)?.join("pause");
    let app = AppBinaries {
        amd64: app("app-amd64", "amd64")
            .build(cache, progress)?
            .join("app"),
        arm64: app("app-arm64", "arm64")
            .build(cache, progress)?
            .join("app"),
    };
    let helm3 = helm3().build(cache, progress)?.join("helm");
    let helm4 = helm4().build(cache, progress)?.join("helm");
    let kube = kubernetes().build(cache, progress)?;
    Ok(Artefacts {
        kube,
        helm3,
        helm4,
        pause,
        app,
        system,
        fleet: None,
    })
}

const PAUSE: GoProgram = GoProgram {
    name: "pause",
    version: "1",
    estimate: "",
    files: &[
        ("go.mod", include_str!("../../go/pause/go.mod")),
        ("main.go", include_str!("../../go/pause/main.go")),
    ],
    package: ".",
    stamps: &[],
    program: "pause",
    links: &[],
    architecture: "",
};

/// The application that images are made of. Images for the other architecture are real ones too.
const fn app(name: &'static str, architecture: &'static str) -> GoProgram {
    GoProgram {
        name,
        version: "1",
        estimate: "",
        files: &[
            ("go.mod", include_str!("../../go/app/go.mod")),
            ("main.go", include_str!("../../go/app/main.go")),
            ("behaviour.go", include_str!("../../go/app/behaviour.go")),
        ],
        package: ".",
        stamps: &[],
        program: "app",
        links: &[],
        architecture,
    }
}

/// Without stamps the apiserver calls itself `v0.0.0-master+$Format:%H$`.
fn kubernetes() -> GoProgram {
    GoProgram {
        name: "kubernetes",
        version: KUBERNETES,
        estimate: "about 7 minutes on two cores",
        files: &[
            ("go.mod", include_str!("../../go/kube/go.mod")),
            ("go.sum", include_str!("../../go/kube/go.sum")),
            ("main.go", include_str!("../../go/kube/main.go")),
        ],
        package: ".",
        stamps: &[
            ("k8s.io/component-base/version.gitVersion", KUBERNETES),
            ("k8s.io/component-base/version.gitMajor", "1"),
            ("k8s.io/component-base/version.gitMinor", "34"),
            ("k8s.io/component-base/version.gitTreeState", "clean"),
        ],
        program: "kube",
        links: &[
            "kube-apiserver",
            "kube-controller-manager",
            "kube-scheduler",
            "kubelet",
            "kubectl",
        ],
        architecture: "",
    }
}

/// Without stamps Helm 3 thinks of Kubernetes 1.20, and a chart with `kubeVersion` refuses.
/// Its own Makefile stamps the version of its client-go, as here.
fn helm3() -> GoProgram {
    GoProgram {
        name: "helm3",
        version: HELM3,
        estimate: "about 2 minutes on two cores",
        files: &[
            ("go.mod", include_str!("../../go/helm3/go.mod")),
            ("go.sum", include_str!("../../go/helm3/go.sum")),
        ],
        package: "helm.sh/helm/v3/cmd/helm",
        stamps: &[
            ("helm.sh/helm/v3/internal/version.version", HELM3),
            ("helm.sh/helm/v3/internal/version.gitTreeState", "clean"),
            ("helm.sh/helm/v3/pkg/lint/rules.k8sVersionMajor", "1"),
            ("helm.sh/helm/v3/pkg/lint/rules.k8sVersionMinor", "37"),
            ("helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor", "1"),
            ("helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor", "37"),
        ],
        program: "helm",
        links: &[],
        architecture: "",
    }
}

/// Helm 4 reads the version of its client-go out of the build information by itself.
fn helm4() -> GoProgram {
    GoProgram {
        name: "helm4",
        version: HELM4,
        estimate: "about 3 minutes on two cores",
        files: &[
            ("go.mod", include_str!("../../go/helm4/go.mod")),
            ("go.sum", include_str!("../../go/helm4/go.sum")),
        ],
        package: "helm.sh/helm/v4/cmd/helm",
        stamps: &[
            ("helm.sh/helm/v4/internal/version.version", HELM4),
            ("helm.sh/helm/v4/internal/version.gitTreeState", "clean"),
        ],
        program: "helm",
        links: &[],
        architecture: "",
    }
}
