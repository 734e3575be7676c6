//! The plan's kubeconfig as kube wants it: the same cluster, user and way
//! there as helm takes.
//!
//! kube asks the environment of this process for a proxy and gives it to exec
//! plugins. Inside Actions that environment is the workflow's, so both are
//! settled here from the plan's.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use kube::config::{AuthInfo, Config, ExecInteractiveMode, KubeConfigOptions, Kubeconfig};

use super::proxy;
use crate::error::{Error, Kind, Result};
use crate::plan::Plan;
use crate::registry;
use crate::text;

/// Keeps kube from looking into the environment for a proxy; never connected to.
const NO_PROXY_HERE: &str = "http://unused.invalid";

/// What would send helm to another cluster than the kubeconfig names
/// (`helm.sh/helm/v4@v4.3.1/pkg/cli/environment.go`).
const REDIRECTS: [&str; 7] = [
    "HELM_KUBEAPISERVER",
    "HELM_KUBETOKEN",
    "HELM_KUBEASUSER",
    "HELM_KUBEASGROUPS",
    "HELM_KUBECAFILE",
    "HELM_KUBETLS_SERVER_NAME",
    "HELM_KUBEINSECURE_SKIP_TLS_VERIFY",
];

/// The context that the plan, or else helm's own variable, names.
pub(crate) fn context(plan: &Plan) -> Option<String> {
    plan.kube_context.clone().or_else(|| {
        let named = plan.environment.get(OsStr::new("HELM_KUBECONTEXT"))?;
        let named = named.to_string_lossy().into_owned();
        (!named.is_empty()).then_some(named)
    })
}

/// The configuration that leads to the plan's cluster.
pub(super) async fn load(plan: &Plan) -> Result<Config> {
    let set = |name: &&&str| {
        plan.environment
            .get(OsStr::new(name))
            .is_some_and(|value| !value.is_empty())
    };
    if let Some(name) = REDIRECTS.iter().find(set) {
        return Err(Error::new(
            Kind::Node,
            format!("{name} is set: helm would go to a cluster that is not the kubeconfig's"),
        )
        .hint(format!(
            "unset {name}, and put what it says into the kubeconfig"
        )));
    }
    let (mut config, own) = match &plan.kubeconfig {
        Some(paths) => from_files(plan, paths).await?,
        None => (in_cluster(&plan.environment)?, None),
    };
    let proxy = own.or_else(|| {
        let (host, port) = (config.cluster_url.host()?, config.cluster_url.port_u16());
        // As Go: a cluster without TLS would have another variable, and none here.
        (config.cluster_url.scheme_str() == Some("https"))
            .then(|| proxy::for_https(&plan.environment, host, port.unwrap_or(443)))
            .flatten()
    });
    // Not the URL itself: it may hold a password.
    let unparsed = |_| Error::new(Kind::Node, "the proxy to the cluster is not a URL");
    config.proxy_url = proxy
        .as_deref()
        .map(str::parse)
        .transpose()
        .map_err(unparsed)?;
    if config.root_cert.is_none() {
        config.root_cert = registry::roots(&plan.environment)?;
    }
    if let Some(exec) = &mut config.auth_info.exec {
        // Never a terminal: nobody is there to answer.
        exec.interactive_mode = Some(ExecInteractiveMode::Never);
        if let Some(cluster) = &mut exec.cluster {
            cluster.proxy_url = proxy;
        }
    }
    settle_exec(
        &mut config.auth_info,
        &plan.environment,
        std::env::vars_os().map(|(name, _)| name),
    );
    Ok(config)
}

/// The configuration of the files, and the proxy that they name for its cluster.
async fn from_files(plan: &Plan, paths: &OsStr) -> Result<(Config, Option<String>)> {
    let files = existing(paths)?;
    let mut merged = Kubeconfig::default();
    for file in &files {
        merged = Kubeconfig::read_from(file)
            .and_then(|next| merged.merge(next))
            .map_err(|error| {
                Error::new(
                    Kind::Node,
                    format!("the kubeconfig {} cannot be read", file.display()),
                )
                .because(error)
                .hint("see that it is a kubeconfig and that this user may read it")
            })?;
    }
    let mut own = HashMap::new();
    for named in &mut merged.clusters {
        let Some(cluster) = &mut named.cluster else {
            continue;
        };
        let proxy = cluster.proxy_url.take().filter(|url| !url.is_empty());
        own.insert(cluster.server.clone().unwrap_or_default(), proxy);
        cluster.proxy_url = Some(NO_PROXY_HERE.to_owned());
    }
    let options = KubeConfigOptions {
        context: context(plan),
        ..KubeConfigOptions::default()
    };
    let shown: Vec<_> = files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    let server = server(&merged, options.context.as_deref());
    let config = Config::from_custom_kubeconfig(merged, &options)
        .await
        .map_err(|error| {
            let context = options.context.as_deref().unwrap_or("its current context");
            Error::new(
                Kind::Node,
                format!(
                    "the kubeconfig {} leads nowhere with {}",
                    shown.join(":"),
                    text::line(context, text::VALUE)
                ),
            )
            .because(error)
            .hint("see `kubectl config get-contexts`")
        })?;
    Ok((config, own.remove(&server).flatten()))
}

/// The address of the cluster that `context` leads to.
fn server(kubeconfig: &Kubeconfig, context: Option<&str>) -> String {
    let context = context.or(kubeconfig.current_context.as_deref());
    let cluster = kubeconfig
        .contexts
        .iter()
        .find(|named| Some(named.name.as_str()) == context)
        .and_then(|named| named.context.as_ref())
        .map(|context| context.cluster.as_str());
    let cluster = kubeconfig
        .clusters
        .iter()
        .find(|named| Some(named.name.as_str()) == cluster);
    let server = cluster.and_then(|named| named.cluster.as_ref()?.server.clone());
    server.unwrap_or_default()
}

/// Those of the files that exist: as kubectl, a list may name missing ones, but
/// not only such.
fn existing(paths: &OsStr) -> Result<Vec<PathBuf>> {
    let named: Vec<_> = std::env::split_paths(paths)
        .filter(|path| !path.as_os_str().is_empty())
        .collect();
    let found: Vec<_> = named.iter().filter(|path| path.exists()).cloned().collect();
    if found.is_empty() {
        let named: Vec<_> = named
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        return Err(Error::new(
            Kind::Node,
            format!("there is no kubeconfig at {}", named.join(", ")),
        )
        .hint(
            "put the cluster's kubeconfig there, or name it in deploy.toml: kubeconfig = \"/path\"",
        ));
    }
    Ok(found)
}

/// The account of the pod that this runs in; its address comes from the
/// plan's environment.
fn in_cluster(environment: &BTreeMap<OsString, OsString>) -> Result<Config> {
    let host = environment.get(OsStr::new("KUBERNETES_SERVICE_HOST"));
    let port = environment.get(OsStr::new("KUBERNETES_SERVICE_PORT"));
    let nowhere = || {
        Error::new(
            Kind::Node,
            "there is no kubeconfig, and this is no pod of a cluster",
        )
        .hint("name the kubeconfig in deploy.toml: kubeconfig = \"/etc/rancher/k3s/k3s.yaml\"")
    };
    let (Some(host), Some(port)) = (host, port) else {
        return Err(nowhere());
    };
    let (host, port) = (host.to_string_lossy(), port.to_string_lossy());
    let host = if host.contains(':') {
        format!("[{host}]")
    } else {
        host.into_owned()
    };
    let url = format!("https://{host}:{port}")
        .parse()
        .map_err(|_| nowhere())?;
    let mut config = Config::incluster_dns().map_err(|error| nowhere().because(error))?;
    config.cluster_url = url;
    Ok(config)
}

/// Gives an exec plugin the plan's environment and nothing of `ours`.
fn settle_exec(
    user: &mut AuthInfo,
    plan: &BTreeMap<OsString, OsString>,
    ours: impl Iterator<Item = OsString>,
) {
    let Some(exec) = &mut user.exec else { return };
    let pair = |name: &str, value: &str| {
        HashMap::from([
            ("name".to_owned(), name.to_owned()),
            ("value".to_owned(), value.to_owned()),
        ])
    };
    let mut variables: Vec<_> = plan
        .iter()
        .filter_map(|(name, value)| Some(pair(name.to_str()?, value.to_str()?)))
        .collect();
    // The kubeconfig's own say comes last and wins.
    let named = exec.env.take().unwrap_or_default();
    let kept: Vec<String> = named
        .iter()
        .filter_map(|variable| variable.get("name").cloned())
        .collect();
    variables.extend(named);
    exec.env = Some(variables);
    exec.drop_env = Some(
        ours.filter_map(|name| name.into_string().ok())
            .filter(|name| {
                !plan.contains_key(OsStr::new(name))
                    && !kept.contains(name)
                    && name != "KUBERNETES_EXEC_INFO"
            })
            .collect(),
    );
}

#[cfg(test)]
#[path = "kubeconfig_tests.rs"]
mod tests;
