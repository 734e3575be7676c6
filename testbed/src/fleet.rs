//! What people give Argo CD, and a node, before a signal comes: as data.

use serde_json::{Value, json};

pub use crate::cluster::argocd::NAMESPACE;

/// Where an owner's charts are, as Argo CD writes it.
pub fn charts(owner: &str) -> String {
    format!("ghcr.io/{owner}/charts")
}

/// Tells Argo CD of an owner's charts.
pub fn repository(owner: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": owner,
            "namespace": NAMESPACE,
            "labels": {"argocd.argoproj.io/secret-type": "repository"},
        },
        "stringData": {
            "type": "helm",
            "name": owner,
            "enableOCI": "true",
            "url": charts(owner),
        },
    })
}

/// An Application for a namespace of one of the clusters.
pub fn application(name: &str, cluster: &str, namespace: &str, source: &Value) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "project": "default",
            "destination": {"name": cluster, "namespace": namespace},
            "source": source,
            "syncPolicy": {
                "automated": {"prune": true, "selfHeal": true},
                "syncOptions": ["CreateNamespace=true"],
            },
        },
    })
}

/// The lines of a deploy.toml for an app in waves of Applications. `hub` is the kubeconfig of Argo
/// CD's cluster; `clusters` are those of some Applications.
pub fn config(
    app: &str,
    hub: &str,
    waves: &[Vec<String>],
    clusters: &[(String, String)],
) -> String {
    let clusters = clusters
        .iter()
        .map(|(name, file)| format!("clusters.{name} = {{ kubeconfig = {file:?} }}\n"));
    format!(
        "[apps.{app}]\n\
         argocd.kubeconfig = {hub:?}\n\
         argocd.namespace = {NAMESPACE:?}\n\
         waves = {waves:?}\n{}",
        clusters.collect::<String>()
    )
}
