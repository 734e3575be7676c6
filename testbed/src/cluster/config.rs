//! The texts of the cluster's configuration files.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::{Cluster, PAUSE_IMAGE, REGISTRY};

/// The longest wait before a crashed container is started again. Kubernetes waits up to five
/// minutes; its steps are the same here, only cut earlier, so that a test sees four restarts.
const LONGEST_RESTART_WAIT: Duration = Duration::from_secs(5);

impl Cluster {
    /// Every configuration file with its text, keyed by its name in the run folder.
    pub fn files(&self) -> Result<Vec<(&'static str, String)>> {
        let kubeconfig = |user| self.kubeconfig(self.place.apiserver(), user);
        Ok(vec![
            ("admin.kubeconfig", kubeconfig("admin")?),
            ("controllers.kubeconfig", kubeconfig("controllers")?),
            ("scheduler.kubeconfig", kubeconfig("scheduler")?),
            ("kubelet.kubeconfig", kubeconfig("kubelet")?),
            ("kubelet.json", self.kubelet()),
            ("containerd.toml", self.containerd()),
            ("cni/10-testbed.conflist", self.cni()),
            ("registry.json", self.registry()),
            // Pods ask nobody: there is no name server in the testbed.
            ("resolv.conf", "nameserver 127.0.0.1\n".to_owned()),
        ])
    }

    /// A kubeconfig for one of the certificates. It holds all that it needs, so that it can be
    /// copied for a user who cannot read the run folder.
    pub fn kubeconfig(&self, server: SocketAddr, user: &str) -> Result<String> {
        let data = |path: PathBuf| {
            let text =
                fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))?;
            Ok::<_, anyhow::Error>(STANDARD.encode(text))
        };
        let authority = data(self.pki.cert("ca"))?;
        let certificate = data(self.pki.cert(user))?;
        let key = data(self.pki.key(user))?;
        Ok(format!(
            "apiVersion: v1
kind: Config
clusters:
- name: testbed
  cluster:
    server: https://{server}
    certificate-authority-data: {authority}
users:
- name: {user}
  user:
    client-certificate-data: {certificate}
    client-key-data: {key}
contexts:
- name: testbed
  context:
    cluster: testbed
    user: {user}
current-context: testbed
"
        ))
    }

    fn kubelet(&self) -> String {
        json!({
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": "127.0.0.1",
            "port": self.place.kubelet().port(),
            "healthzPort": 0,
            // Two kubelets must not tidy each other's pods away.
            "cgroupRoot": self.place.cgroup(),
            "podLogsDir": self.place.pod_logs(),
            "authentication": {
                "anonymous": {"enabled": false},
                "webhook": {"enabled": true},
                "x509": {"clientCAFile": self.pki.cert("ca")},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": self.pki.cert("kubelet"),
            "tlsPrivateKeyFile": self.pki.key("kubelet"),
            "containerRuntimeEndpoint": format!("unix://{}", self.containerd_socket().display()),
            "volumePluginDir": self.path("volume-plugins"),
            "resolvConf": self.path("resolv.conf"),
            "clusterDomain": "cluster.local",
            // Nobody answers there, but without one the kubelet warns on every pod.
            "clusterDNS": ["10.96.0.10"],
            "cgroupDriver": "cgroupfs",
            "failCgroupV1": false,
            "failSwapOn": false,
            "enforceNodeAllocatable": [],
            "makeIPTablesUtilChains": false,
            "oomScoreAdj": 0,
            "maxPods": 500,
            // The disk and the memory belong to the machine, not to the node.
            "localStorageCapacityIsolation": false,
            "imageGCHighThresholdPercent": 100,
            "evictionHard": {
                "memory.available": "0%",
                "nodefs.available": "0%",
                "nodefs.inodesFree": "0%",
                "imagefs.available": "0%",
                "imagefs.inodesFree": "0%",
            },
            // Tests wait for all of these.
            "serializeImagePulls": false,
            "registryPullQPS": 0,
            // Not 0: the kubelet hands it to its client, where 0 means 5 a second, and the events
            // that a scenario waits for would come half a minute late.
            "eventRecordQPS": 500,
            "eventBurst": 1000,
            "kubeAPIQPS": 500,
            "kubeAPIBurst": 1000,
            "nodeStatusUpdateFrequency": "2s",
            "featureGates": {"KubeletCrashLoopBackOffMax": true},
            "crashLoopBackOff": {
                "maxContainerRestartPeriod": format!("{}s", LONGEST_RESTART_WAIT.as_secs()),
            },
        })
        .to_string()
    }

    /// Without the right to lower a process's OOM score (`CAP_SYS_RESOURCE`), containers start
    /// only with `restrict_oom_score_adj`.
    fn containerd(&self) -> String {
        format!(
            r#"version = 2
root = "{root}"
state = "{state}"
[grpc]
  address = "{socket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{opt}"
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  disable_apparmor = true
  sandbox_image = "{PAUSE_IMAGE}"
  max_concurrent_downloads = 8
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{cni}"
    conf_dir = "{conf}"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
"#,
            root = self.path("containerd"),
            state = self.path("containerd-state"),
            socket = self.containerd_socket().display(),
            opt = self.path("opt"),
            cni = self.artefacts.system.cni.display(),
            conf = self.path("cni"),
        )
    }

    fn cni(&self) -> String {
        json!({
            "cniVersion": "0.4.0",
            "name": "testbed",
            "plugins": [{
                "type": "bridge",
                "bridge": self.place.named("pods"),
                "isGateway": true,
                "ipMasq": false,
                "ipam": {
                    "type": "host-local",
                    "dataDir": self.path("ipam"),
                    "ranges": [[{"subnet": self.place.pods()}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            }],
        })
        .to_string()
    }

    /// JSON is YAML, which the registry reads.
    fn registry(&self) -> String {
        json!({
            "version": "0.1",
            "log": {"accesslog": {"disabled": false}, "level": "info"},
            "storage": {
                "filesystem": {"rootdirectory": self.path("registry")},
                "delete": {"enabled": true},
                "cache": {"blobdescriptor": "inmemory"},
            },
            "http": {"addr": REGISTRY.to_string(), "relativeurls": true},
        })
        .to_string()
    }

    /// The file names of [`Cluster::files`], written under the run folder.
    pub fn write_files(&self) -> Result<()> {
        for (name, text) in self.files()? {
            let path = self.run.join(name);
            write_private(&path, &text)
                .with_context(|| format!("{} cannot be written", path.display()))?;
        }
        Ok(())
    }
}

/// Writes a file that only its owner can read.
pub fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut options = fs::File::options();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path)?.write_all(text.as_bytes())
}
