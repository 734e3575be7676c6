//! Brings the cluster's programs up, in their order, and waits until the node is ready.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::runtime::wait::await_condition;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{sleep, timeout};

use super::{Cluster, NODE, PAUSE_IMAGE, REGISTRY, argocd, pause};
use crate::supervisor::Children;

/// A cold machine reads a gigabyte of programs from its disk before the node is ready.
const DEADLINE: Duration = Duration::from_secs(120);
/// How long to wait before a program that is not there yet is asked again.
const AGAIN: Duration = Duration::from_millis(20);

/// Returns when each cluster's node is ready, and Argo CD listens where there is one. The first
/// cluster has the registry.
pub async fn boot(clusters: &[Cluster], children: &Children) -> Result<()> {
    let boot = async {
        let first = clusters.first().context("a testbed has a cluster")?;
        children.start(&first.registry_program())?;
        nodes(clusters, children).await?;
        argocd::boot(clusters, children).await?;
        listens(REGISTRY).await
    };
    let seconds = DEADLINE.as_secs();
    timeout(DEADLINE, boot)
        .await
        .with_context(|| format!("no ready node after {seconds} s"))?
}

/// All at once.
async fn nodes(clusters: &[Cluster], children: &Children) -> Result<()> {
    let Some((first, others)) = clusters.split_first() else {
        return Ok(());
    };
    let others = Box::pin(nodes(others, children));
    tokio::try_join!(node(first, children), others).map(|_| ())
}

async fn node(cluster: &Cluster, children: &Children) -> Result<()> {
    children.start(&cluster.etcd())?;
    children.start(&cluster.containerd_program())?;
    tokio::try_join!(control_plane(cluster, children), runtime(cluster, children))?;
    children.start(&cluster.kubelet_program())?;
    node_ready(cluster).await
}

async fn control_plane(cluster: &Cluster, children: &Children) -> Result<()> {
    listens(cluster.place.etcd()).await?;
    children.start(&cluster.apiserver())?;
    served(cluster, "/readyz").await?;
    children.start(&cluster.controllers())?;
    children.start(&cluster.scheduler())
}

/// Waits until the apiserver answers for a path.
pub(super) async fn served(cluster: &Cluster, path: &str) -> Result<()> {
    let client = client(&cluster.inner_kubeconfig()).await?;
    while client.request_text(http_request(path)?).await.is_err() {
        sleep(AGAIN).await;
    }
    Ok(())
}

fn http_request(path: &str) -> Result<hyper::Request<Vec<u8>>> {
    Ok(hyper::Request::get(path).body(Vec::new())?)
}

async fn runtime(cluster: &Cluster, children: &Children) -> Result<()> {
    let program = &cluster.artefacts.pause;
    let program =
        fs::read(program).with_context(|| format!("{} cannot be read", program.display()))?;
    let tar = cluster.run.join("pause.tar");
    fs::write(&tar, pause::image(PAUSE_IMAGE, &program)?)?;
    let socket = cluster.containerd_socket();
    while UnixStream::connect(&socket).await.is_err() {
        sleep(AGAIN).await;
    }
    let import = cluster.import_pause(&tar.display().to_string());
    children.finish(&import).await
}

/// Waits until something listens there.
pub(super) async fn listens(address: SocketAddr) -> Result<()> {
    while TcpStream::connect(address).await.is_err() {
        sleep(AGAIN).await;
    }
    Ok(())
}

async fn node_ready(cluster: &Cluster) -> Result<()> {
    let nodes: Api<Node> = Api::all(client(&cluster.inner_kubeconfig()).await?);
    await_condition(nodes, NODE, |node: Option<&Node>| {
        node.is_some_and(is_ready)
    })
    .await?;
    Ok(())
}

fn is_ready(node: &Node) -> bool {
    let conditions = node
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_ref());
    conditions.is_some_and(|all| {
        all.iter()
            .any(|condition| condition.type_ == "Ready" && condition.status == "True")
    })
}

async fn client(kubeconfig: &Path) -> Result<kube::Client> {
    let kubeconfig = kube::config::Kubeconfig::read_from(kubeconfig)?;
    let options = kube::config::KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await?;
    Ok(kube::Client::try_from(config)?)
}
