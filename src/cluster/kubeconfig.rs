//! The plan's kubeconfig as kube wants it: the same cluster, user and way
//! there as helm takes.
//!
//! Only the plan is read: which files and which context count, and that nothing
//! leads helm elsewhere, was decided when it was made. kube asks the environment
//! of this process for a proxy and gives it to exec plugins. Inside Actions that
//! environment is the workflow's, so both are settled here from the plan's.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use kube::config::{
    AuthInfo, Cluster, Config, ExecAuthCluster, ExecInteractiveMode, Kubeconfig, KubeconfigError,
};

use crate::error::{Error, Kind, Result};
use crate::host::file::open_regular;
use crate::net::{proxy, tls};
use crate::plan::Plan;
use crate::text;

/// The configuration that leads to the plan's cluster.
pub(super) fn load(plan: &Plan) -> Result<Config> {
    let (mut config, own) = match &plan.kubeconfig {
        Some(paths) => from_files(plan, paths)?,
        None => (in_cluster(&plan.environment)?, None),
    };
    let proxy = own.or_else(|| {
        let (host, port) = (config.cluster_url.host()?, config.cluster_url.port_u16());
        // As Go: a cluster without TLS would have another variable, and none here.
        (config.cluster_url.scheme_str() == Some("https"))
            .then(|| proxy::for_https(&plan.environment, host, port.unwrap_or(443)))
            .flatten()
    });
    // Not the URL itself: it can hold a password.
    let unparsed = |_| Error::new(Kind::Node, "the proxy to the cluster is not a URL");
    config.proxy_url = proxy
        .as_deref()
        .map(str::parse)
        .transpose()
        .map_err(unparsed)?;
    if config.root_cert.is_none() {
        config.root_cert = tls::roots(&plan.environment)?;
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
///
/// Put together here and not by `Config::from_custom_kubeconfig`, which would
/// look into the environment for a proxy, and fail where `NO_PROXY` has a word
/// that it does not know.
fn from_files(plan: &Plan, paths: &OsStr) -> Result<(Config, Option<String>)> {
    let files = existing(paths)?;
    let mut merged = Kubeconfig::default();
    for file in &files {
        // The parser would wait for whoever writes into a FIFO.
        open_regular(file).map_err(|error| not_a_file("the kubeconfig", file, error))?;
        merged = Kubeconfig::read_from(file)
            .and_then(|next| merged.merge(next))
            .map_err(|error| unreadable(file, error))?;
    }
    let (cluster, user) = chosen(&merged, plan.kube_context.as_deref()).map_err(|why| {
        let files: Vec<_> = files
            .iter()
            .map(|file| file.display().to_string())
            .collect();
        Error::new(
            Kind::Node,
            format!("the kubeconfig {} cannot be used: {why}", files.join(":")),
        )
        .hint("list the contexts: kubectl config get-contexts")
    })?;
    named_files_are_regular(cluster, &user)?;
    let incomplete = |why: &str| {
        Error::new(
            Kind::Node,
            format!("the kubeconfig's cluster cannot be used: {why}"),
        )
        .hint("show what is used of it: kubectl config view --minify")
    };
    let server = cluster.server.as_deref().unwrap_or_default();
    let url = server
        .parse()
        .map_err(|_| incomplete("its server is not a URL"))?;
    let mut config = Config::new(url);
    // This reads the authority for the plugin, from where it lies.
    let described = ExecAuthCluster::try_from(cluster).map_err(|error| {
        incomplete("its certificate authority cannot be read").with_source(error)
    })?;
    if let Some(pem) = &described.certificate_authority_data {
        let parsed = tls::certificates(pem);
        config.root_cert =
            Some(parsed.ok_or_else(|| incomplete("its certificate authority is not PEM"))?);
    }
    config.accept_invalid_certs = cluster.insecure_skip_tls_verify.unwrap_or(false);
    config.disable_compression = cluster.disable_compression.unwrap_or(false);
    config.tls_server_name.clone_from(&cluster.tls_server_name);
    config.auth_info = user;
    if let Some(exec) = config
        .auth_info
        .exec
        .as_mut()
        .filter(|exec| exec.provide_cluster_info)
    {
        exec.cluster = Some(described);
    }
    Ok((
        config,
        cluster.proxy_url.clone().filter(|url| !url.is_empty()),
    ))
}

/// The cluster and the user that `context`, or else the current one, names. As
/// in client-go the user can be missing.
fn chosen<'a>(
    kubeconfig: &'a Kubeconfig,
    context: Option<&str>,
) -> std::result::Result<(&'a Cluster, AuthInfo), String> {
    let shown = |name: &str| text::quoted(name);
    let name = context
        .or(kubeconfig.current_context.as_deref())
        .filter(|name| !name.is_empty())
        .ok_or("it has no current context, and none was named")?;
    let context = kubeconfig
        .contexts
        .iter()
        .find(|named| named.name == name)
        .and_then(|named| named.context.as_ref())
        .ok_or_else(|| format!("it has no context {}", shown(name)))?;
    let cluster = kubeconfig
        .clusters
        .iter()
        .find(|named| named.name == context.cluster)
        .and_then(|named| named.cluster.as_ref())
        .ok_or_else(|| format!("its context {} names no cluster", shown(name)))?;
    let user = kubeconfig
        .auth_infos
        .iter()
        .find(|named| Some(&named.name) == context.user.as_ref())
        .and_then(|named| named.auth_info.clone());
    Ok((cluster, user.unwrap_or_default()))
}

/// The files that a kubeconfig names are opened by the client, which would wait
/// at a FIFO too.
fn named_files_are_regular(cluster: &Cluster, user: &AuthInfo) -> Result<()> {
    for (what, file) in [
        ("certificate-authority", &cluster.certificate_authority),
        ("client-certificate", &user.client_certificate),
        ("client-key", &user.client_key),
        ("tokenFile", &user.token_file),
    ] {
        let Some(file) = file.as_deref().map(Path::new) else {
            continue;
        };
        match open_regular(file) {
            // The rest is told by whoever reads it, if it counts at all.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                return Err(not_a_file(&format!("the kubeconfig's {what}"), file, error));
            }
            _ => {}
        }
    }
    Ok(())
}

fn not_a_file(what: &str, file: &Path, error: io::Error) -> Error {
    let file = text::line(&file.to_string_lossy(), text::LINE).into_owned();
    if error.kind() == io::ErrorKind::InvalidInput {
        return Error::new(Kind::Node, format!("{what} {file} is not a file: {error}"))
            .hint("put a regular file there");
    }
    Error::new(Kind::Node, format!("{what} {file} cannot be read"))
        .with_source(error)
        .hint("check that it is a kubeconfig and that the user who runs deploy can read it")
}

/// A parser's message quotes the text around the mistake, which can be a token:
/// only the place is told.
fn unreadable(file: &Path, error: KubeconfigError) -> Error {
    let new = Error::new(
        Kind::Node,
        format!("the kubeconfig {} cannot be read", file.display()),
    )
    .hint("check that it is a kubeconfig and that the user who runs deploy can read it");
    if let KubeconfigError::ReadConfig(cause, _) = error {
        return new.with_source(cause);
    }
    let said = error.to_string();
    let place = said.find("line ").map(|at| &said[at..]).unwrap_or_default();
    let place: Vec<_> = place.split([' ', ':', ',']).take(4).collect();
    match place.as_slice() {
        ["line", line, "column", column] => new.detail(format!(
            "it is not YAML from line {line}, column {column} on"
        )),
        _ => new,
    }
}

/// Those of the files that exist: as for kubectl, a list can name missing ones, but
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
            "there is no kubeconfig, and deploy does not run in a pod of a cluster",
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
    let mut config = Config::incluster_dns().map_err(|error| nowhere().with_source(error))?;
    config.cluster_url = url;
    Ok(config)
}

/// Gives an exec plugin the plan's environment and nothing of this process's,
/// whose variables are `inherited`.
fn settle_exec(
    user: &mut AuthInfo,
    plan: &BTreeMap<OsString, OsString>,
    inherited: impl Iterator<Item = OsString>,
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
    // What the kubeconfig sets itself comes last and wins.
    let named = exec.env.take().unwrap_or_default();
    let kept: Vec<String> = named
        .iter()
        .filter_map(|variable| variable.get("name").cloned())
        .collect();
    variables.extend(named);
    exec.env = Some(variables);
    exec.drop_env = Some(
        inherited
            .filter_map(|name| name.into_string().ok())
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
