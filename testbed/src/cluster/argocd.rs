//! Argo CD on a testbed of more than one cluster: its parts as plain processes, the objects that
//! they read in the first cluster, and how they come up. Must not run in a testbed without a fleet.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::boot::{listens, served};
use super::programs::Program;
use super::{Cluster, PROXY, Place, loopback};
use crate::build::Fleet;
use crate::supervisor::Children;

/// The namespace that Argo CD keeps its objects in.
pub const NAMESPACE: &str = "argocd";

const REDIS_PORT: u16 = 6379;
const REPO_SERVER_PORT: u16 = 8081;
const CONTROLLER_METRICS: &str = "--metrics-port=8082";
const REPO_SERVER_METRICS: &str = "--metrics-port=8084";

/// How often Argo CD looks at an Application that nothing happened to, in seconds. Changes of an
/// Application or of what it deploys are watched.
const RESYNC_SECONDS: u32 = 10;

/// Starts Argo CD in the first cluster, which knows all of them, where this testbed has it.
pub(super) async fn boot(clusters: &[Cluster], children: &Children) -> Result<()> {
    let (Some(hub), Some(fleet)) = (
        clusters.first(),
        clusters.first().and_then(|hub| hub.artefacts.fleet.clone()),
    ) else {
        return Ok(());
    };
    let argo = Argo { hub, fleet };
    children.start(&argo.redis())?;
    argo.write(clusters)?;
    let kinds = argo.fleet.kinds.display().to_string();
    children.finish(&argo.apply("argocd-kinds", &kinds)).await?;
    for kind in ["appprojects", "applications"] {
        served(hub, &format!("/apis/argoproj.io/v1alpha1/{kind}")).await?;
    }
    children
        .finish(&argo.apply("argocd-objects", &argo.objects()))
        .await?;
    listens(loopback(REDIS_PORT)).await?;
    children.start(&argo.repo_server())?;
    children.start(&argo.controller())?;
    listens(loopback(REPO_SERVER_PORT)).await
}

struct Argo<'a> {
    hub: &'a Cluster,
    fleet: Fleet,
}

impl Argo<'_> {
    fn path(&self, name: &str) -> PathBuf {
        self.hub.run.join("argocd").join(name)
    }

    fn objects(&self) -> String {
        self.path("objects.json").display().to_string()
    }

    fn redis(&self) -> Program {
        let args = [
            "--port",
            &REDIS_PORT.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ];
        let mut program = self.program("redis-server", &args);
        if let Ok(libraries) = std::env::join_paths(&self.fleet.libraries) {
            let libraries = libraries.to_string_lossy().into_owned();
            program.env.push(("LD_LIBRARY_PATH", libraries));
        }
        program
    }

    /// It fetches charts from the registry, as containerd fetches images, and renders them with
    /// Helm 3.
    fn repo_server(&self) -> Program {
        let mut program = self.program(
            "argocd-repo-server",
            &[
                &format!("--redis=127.0.0.1:{REDIS_PORT}"),
                "--address=127.0.0.1",
                &format!("--port={REPO_SERVER_PORT}"),
                "--metrics-address=127.0.0.1",
                REPO_SERVER_METRICS,
            ],
        );
        let authority = self.hub.registry_authority.display().to_string();
        program.env.extend([
            ("HTTPS_PROXY", format!("http://{PROXY}")),
            ("NO_PROXY", "127.0.0.1,localhost".to_owned()),
            ("SSL_CERT_FILE", authority),
        ]);
        program
    }

    fn controller(&self) -> Program {
        let mut program = self.program(
            "argocd-application-controller",
            &[
                &format!("--redis=127.0.0.1:{REDIS_PORT}"),
                &format!("--repo-server=127.0.0.1:{REPO_SERVER_PORT}"),
                &format!("--kubeconfig={}", self.hub.inner_kubeconfig().display()),
                &format!("--namespace={NAMESPACE}"),
                &format!("--app-resync={RESYNC_SECONDS}"),
                "--app-resync-jitter=0",
                CONTROLLER_METRICS,
            ],
        );
        program
            .env
            .push(("ARGOCD_CONTROLLER_REPLICAS", "1".to_owned()));
        program
    }

    fn apply(&self, step: &str, files: &str) -> Program {
        let mut program = self.program("kubectl", &["apply", "--server-side", "--filename", files]);
        step.clone_into(&mut program.name);
        program
    }

    fn program(&self, program: &'static str, args: &[&str]) -> Program {
        let args = args.iter().map(|&arg| arg.to_owned()).collect();
        let mut program = Program::returning(Place::FIRST, program, args);
        let path = [&self.fleet.argocd, &self.fleet.redis]
            .into_iter()
            .map(PathBuf::as_path)
            .chain(self.hub.artefacts.helm3.parent())
            .map(|folder| folder.display().to_string());
        let path: Vec<String> = path.chain([self.hub.search_path()]).collect();
        let folder = |name| self.path(name).display().to_string();
        program.env = vec![
            ("PATH", path.join(":")),
            (
                "KUBECONFIG",
                self.hub.inner_kubeconfig().display().to_string(),
            ),
            ("ARGOCD_TLS_DATA_PATH", folder("tls")),
            ("ARGOCD_SSH_DATA_PATH", folder("ssh")),
            ("ARGOCD_GPG_ENABLED", "false".to_owned()),
        ];
        program
    }

    /// Writes what its parts read: files of the machine's, and the objects in the cluster.
    fn write(&self, clusters: &[Cluster]) -> Result<()> {
        for folder in ["tls", "ssh"] {
            fs::create_dir_all(self.path(folder))?;
        }
        let mut items = settings();
        for cluster in clusters {
            items.push(known(cluster)?);
        }
        let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
        super::config::write_private(&self.path("objects.json"), &list.to_string())?;
        Ok(())
    }
}

/// The namespace, the settings, and a project that allows everything.
fn settings() -> Vec<Value> {
    let labels = json!({"app.kubernetes.io/part-of": "argocd"});
    let own = |name: &str| json!({"name": name, "namespace": NAMESPACE, "labels": labels});
    vec![
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}),
        json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": own("argocd-cm"),
            "data": {"resource.exclusions": EXCLUSIONS},
        }),
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": own("argocd-secret"),
            // It signs the sessions of a server that does not run here.
            "stringData": {"server.secretkey": "no server runs"},
        }),
        json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "AppProject",
            "metadata": {"name": "default", "namespace": NAMESPACE},
            "spec": {
                "sourceRepos": ["*"],
                "destinations": [{"namespace": "*", "server": "*"}],
                "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
            },
        }),
    ]
}

/// What Argo CD's own manifests keep it from watching.
const EXCLUSIONS: &str = "
- apiGroups: ['', discovery.k8s.io]
  kinds: [Endpoints, EndpointSlice]
- apiGroups: [apiregistration.k8s.io]
  kinds: [APIService]
- apiGroups: [coordination.k8s.io]
  kinds: [Lease]
- apiGroups: [authentication.k8s.io, authorization.k8s.io]
  kinds: ['*']
- apiGroups: [certificates.k8s.io]
  kinds: [CertificateSigningRequest]
";

/// A cluster as Argo CD is told of one. The first one too: from outside of a pod it does not know
/// the cluster that it keeps its objects in.
fn known(cluster: &Cluster) -> Result<Value> {
    let data = |path: PathBuf| {
        let text = fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        Ok::<_, anyhow::Error>(STANDARD.encode(text))
    };
    let place = cluster.place;
    let config = json!({"tlsClientConfig": {
        "caData": data(cluster.pki.cert("ca"))?,
        "certData": data(cluster.pki.cert("admin"))?,
        "keyData": data(cluster.pki.key("admin"))?,
    }});
    Ok(json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": format!("cluster-{}", place.name()),
            "namespace": NAMESPACE,
            "labels": {"argocd.argoproj.io/secret-type": "cluster"},
        },
        "stringData": {
            "name": place.name(),
            "server": format!("https://{}", place.apiserver()),
            "config": config.to_string(),
        },
    }))
}
