//! The command lines of the cluster's programs.

use std::path::PathBuf;

use super::{Cluster, NODE, PROXY, Place};

/// A program to be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// What it is called in messages; its log is `NAME.log`.
    pub name: String,
    /// The program, looked up in [`Cluster::search_path`].
    pub program: &'static str,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its whole environment, besides PATH.
    pub env: Vec<(&'static str, String)>,
    /// Whether it ends when the apiserver is away, and wants to be started again, as a static
    /// pod is. The end of any other is the end of the testbed.
    pub returns: bool,
}

impl Program {
    /// One of a cluster's programs.
    pub(super) fn new(place: Place, program: &'static str, args: Vec<String>) -> Self {
        Self {
            name: place.named(program),
            program,
            args,
            env: Vec::new(),
            returns: false,
        }
    }

    /// As [`Program::new`], one that is started again when it ends.
    pub(super) fn returning(place: Place, program: &'static str, args: Vec<String>) -> Self {
        Self {
            returns: true,
            ..Self::new(place, program, args)
        }
    }
}

impl Cluster {
    /// etcd keeps nothing that outlives the run: it need not wait for the disk.
    pub fn etcd(&self) -> Program {
        let url = format!("http://{}", self.place.etcd());
        let args = vec![
            format!("--data-dir={}", self.path("etcd")),
            format!("--listen-client-urls={url}"),
            format!("--advertise-client-urls={url}"),
            format!("--listen-peer-urls=http://{}", self.place.etcd_peers()),
            "--unsafe-no-fsync".to_owned(),
            "--logger=zap".to_owned(),
        ];
        Program::new(self.place, "etcd", args)
    }

    /// The registry.
    pub fn registry_program(&self) -> Program {
        Program::new(
            self.place,
            "docker-registry",
            vec!["serve".to_owned(), self.path("registry.json")],
        )
    }

    /// containerd asks ghcr.io for tokens by itself, so it needs the proxy in its environment: a
    /// hosts.toml alone does not lead it there.
    pub fn containerd_program(&self) -> Program {
        let args = vec!["--config".to_owned(), self.path("containerd.toml")];
        let mut program = Program::new(self.place, "containerd", args);
        program.env = vec![
            ("HTTPS_PROXY", format!("http://{PROXY}")),
            ("NO_PROXY", "127.0.0.1,localhost".to_owned()),
            (
                "SSL_CERT_FILE",
                self.registry_authority.display().to_string(),
            ),
        ];
        program
    }

    /// The apiserver, with all that makes aggregated APIs and webhooks work without kube-proxy.
    pub fn apiserver(&self) -> Program {
        let pki = &self.pki;
        let own = self.place.apiserver();
        let mut args = vec![
            format!("--etcd-servers=http://{}", self.place.etcd()),
            format!("--bind-address={}", own.ip()),
            format!("--advertise-address={}", own.ip()),
            format!("--secure-port={}", own.port()),
            format!("--cert-dir={}", self.path("apiserver")),
        ];
        args.extend(
            [
                ("tls-cert-file", pki.cert("apiserver")),
                ("tls-private-key-file", pki.key("apiserver")),
                ("client-ca-file", pki.cert("ca")),
                ("kubelet-client-certificate", pki.cert("apiserver-kubelet")),
                ("kubelet-client-key", pki.key("apiserver-kubelet")),
                ("kubelet-certificate-authority", pki.cert("ca")),
                ("service-account-key-file", pki.public("tokens")),
                ("service-account-signing-key-file", pki.key("tokens")),
                ("requestheader-client-ca-file", pki.cert("ca")),
                ("proxy-client-cert-file", pki.cert("front-proxy")),
                ("proxy-client-key-file", pki.key("front-proxy")),
            ]
            .map(file_flag),
        );
        args.extend(
            [
                "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
                "--service-cluster-ip-range=10.96.0.0/16",
                "--authorization-mode=Node,RBAC",
                "--allow-privileged=true",
                "--endpoint-reconciler-type=none",
                "--enable-aggregator-routing=true",
                "--requestheader-allowed-names=front-proxy",
                "--requestheader-username-headers=X-Remote-User",
                "--requestheader-group-headers=X-Remote-Group",
                "--requestheader-extra-headers-prefix=X-Remote-Extra-",
                "--profiling=false",
            ]
            .map(str::to_owned),
        );
        Program::new(self.place, "kube-apiserver", args)
    }

    /// The controllers. A namespace that a test removes should be gone soon.
    pub fn controllers(&self) -> Program {
        let pki = &self.pki;
        let mut args = vec![
            format!("--kubeconfig={}", self.path("controllers.kubeconfig")),
            format!("--cert-dir={}", self.path("controllers")),
            format!("--secure-port={}", self.place.controllers().port()),
        ];
        args.extend(
            [
                ("service-account-private-key-file", pki.key("tokens")),
                ("root-ca-file", pki.cert("ca")),
                ("cluster-signing-cert-file", pki.cert("ca")),
                ("cluster-signing-key-file", pki.key("ca")),
            ]
            .map(file_flag),
        );
        args.extend(
            [
                "--bind-address=127.0.0.1",
                "--use-service-account-credentials=true",
                "--leader-elect=false",
                "--kube-api-qps=500",
                "--kube-api-burst=1000",
                "--concurrent-namespace-syncs=20",
                "--horizontal-pod-autoscaler-sync-period=2s",
                "--horizontal-pod-autoscaler-initial-readiness-delay=1s",
                "--node-monitor-period=1s",
                "--profiling=false",
            ]
            .map(str::to_owned),
        );
        Program::returning(self.place, "kube-controller-manager", args)
    }

    /// The scheduler.
    pub fn scheduler(&self) -> Program {
        let kubeconfig = self.path("scheduler.kubeconfig");
        let mut args = vec![
            format!("--kubeconfig={kubeconfig}"),
            format!("--authentication-kubeconfig={kubeconfig}"),
            format!("--authorization-kubeconfig={kubeconfig}"),
            format!("--cert-dir={}", self.path("scheduler")),
            format!("--secure-port={}", self.place.scheduler().port()),
        ];
        args.extend(
            [
                "--bind-address=127.0.0.1",
                "--leader-elect=false",
                "--kube-api-qps=500",
                "--kube-api-burst=1000",
                "--profiling=false",
            ]
            .map(str::to_owned),
        );
        Program::returning(self.place, "kube-scheduler", args)
    }

    /// The kubelet.
    pub fn kubelet_program(&self) -> Program {
        let args = vec![
            format!("--config={}", self.path("kubelet.json")),
            format!("--kubeconfig={}", self.path("kubelet.kubeconfig")),
            format!("--root-dir={}", self.path("kubelet")),
            format!("--cert-dir={}", self.path("kubelet/pki")),
            format!("--hostname-override={NODE}"),
        ];
        Program::new(self.place, "kubelet", args)
    }

    /// Brings the pause image into containerd.
    pub fn import_pause(&self, tar: &str) -> Program {
        let args = [
            "--address",
            &self.containerd_socket().display().to_string(),
            "--namespace",
            "k8s.io",
            "images",
            "import",
            tar,
        ];
        let mut program =
            Program::new(self.place, "import-pause", args.map(str::to_owned).to_vec());
        program.program = "ctr";
        program
    }
}

fn file_flag((name, path): (&str, PathBuf)) -> String {
    format!("--{name}={}", path.display())
}
