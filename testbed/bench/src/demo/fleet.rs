//! `demo fleet`: one signal, three clusters. Argo CD applies; `deploy` orders, watches and stops.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use testbed::client::{FleetInfo, Options, Testbed};
use testbed::fleet;

use super::{APP, Node, OWNER, ROLLED_BACK, Registry, tell};

/// What is listed of an Application.
const COLUMNS: &str = "custom-columns=APPLICATION:.metadata.name,CLUSTER:.spec.destination.name,\
    VERSION:.spec.source.targetRevision,SYNC:.status.sync.status,HEALTH:.status.health.status";

pub(super) fn run(deploy: &Path) -> Result<()> {
    let testbed = Testbed::join_or_start_with(&Options::fleet())?;
    let registry = Registry::fill(&testbed.info)?;
    let node = Node::new(&testbed.info, deploy)?;
    let known = testbed.info.fleet.as_ref();
    let known = known.context("this testbed has one cluster")?;

    tell(
        "Three clusters and a registry run on this machine, and Argo CD in the first, canary.\nPeople made an Application for each cluster. What a signal says is left out of them:",
    );
    node.apply(&fleet::repository(OWNER))?;
    for cluster in &known.clusters {
        let source = json!({"repoURL": fleet::charts(OWNER)});
        let name = application(&cluster.name);
        node.apply(&fleet::application(&name, &cluster.name, APP, &source))?;
    }
    let listed = [
        "get",
        "applications",
        "--namespace",
        fleet::NAMESPACE,
        "--output",
        COLUMNS,
    ];
    node.kubectl(&listed)?;

    tell("The node's deploy.toml says in which order they come:");
    crate::print(&configured(&node, known)?);

    tell("A signal, as for one cluster: the chart, and images by digest.");
    node.signal(&registry.version, &registry.digests, 0)?;

    tell(
        "A build whose web crashes as it starts: the first wave stops it and goes back; the second is\nnot touched.",
    );
    node.signal(&registry.version, &registry.crashing, ROLLED_BACK)?;

    tell("What Argo CD has now:");
    node.kubectl(&listed)?;

    tell("The clusters go after this. To have some that stay, and look around:");
    crate::print(
        "$ cargo testbed up --fleet\n\
         $ eval \"$(cargo testbed env --fleet)\"     # kubectl, argocd and target/debug/deploy then use it\n\
         $ cargo testbed down",
    );
    Ok(())
}

fn application(cluster: &str) -> String {
    format!("{APP}-{cluster}")
}

/// Writes the node's configuration: the first cluster is a wave, the others are the next.
fn configured(node: &Node<'_>, known: &FleetInfo) -> Result<String> {
    let (mut waves, mut clusters) = (vec![Vec::new(), Vec::new()], Vec::new());
    for cluster in &known.clusters {
        let file = format!("{}.kubeconfig", cluster.name);
        // Beside the configuration, which names it.
        fs::copy(&cluster.kubeconfig, node.home.path().join(&file))?;
        let name = application(&cluster.name);
        waves[usize::from(!clusters.is_empty())].push(name.clone());
        clusters.push((name, file));
    }
    let (_, hub) = clusters.first().context("a fleet has a cluster")?;
    let config = fleet::config(APP, hub, &waves, &clusters);
    fs::write(node.home.path().join("deploy.toml"), &config)?;
    Ok(config)
}

impl Node<'_> {
    /// Hands an object to the first cluster.
    fn apply(&self, object: &Value) -> Result<()> {
        let file = self.home.path().join("object.json");
        fs::write(&file, object.to_string())?;
        let mut kubectl = self.command(&self.info.kubectl);
        kubectl
            .args(["apply", "--server-side", "--filename"])
            .arg(&file);
        let status = kubectl.stdout(Stdio::null()).status()?;
        ensure!(status.success(), "kubectl ended by {status}");
        Ok(())
    }
}
