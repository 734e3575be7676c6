//! `env`: a shell that works in the testbed.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::build::Cache;
use crate::client::{self, Info};
use crate::ghcr::{PUSH_PASSWORD, PUSH_USER};
use crate::supervisor::Status;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Which Helm `helm` is
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(3..=4))]
    helm: u8,
    /// Of the one with three clusters and Argo CD: kubectl works on the first of them
    #[arg(long)]
    fleet: bool,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let all = client::status(&Cache::open()?)?;
    let wanted = |status: &&Status| status.info.fleet.is_some() == args.fleet;
    match all.iter().find(wanted) {
        Some(status) => {
            // In place of one in /etc, which is for another cluster: an empty file configures
            // nothing. It goes with the testbed.
            fs::write(config(&status.info), "")?;
            log_in(&login(&status.info)).context("the login for the registry")?;
            super::print(&exports(&status.info, args.helm));
        }
        None if args.fleet => {
            bail!("no testbed of three clusters is up: start one with `cargo testbed up --fleet`")
        }
        None => bail!("no testbed is up: start one with `cargo testbed up`"),
    }
    Ok(())
}

fn config(info: &Info) -> PathBuf {
    info.run.join("deploy.toml")
}

/// The directory of a login that may push to every owner, as docker keeps one.
fn login(info: &Info) -> PathBuf {
    info.run.join("login")
}

/// Writes it, for this user alone. It opens nothing but a registry on this machine's loopback.
fn log_in(folder: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let auth = STANDARD.encode(format!("{PUSH_USER}:{PUSH_PASSWORD}"));
    let login = json!({"auths": {"ghcr.io": {"auth": auth}}});
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(folder.join("config.json"))?;
    file.write_all(login.to_string().as_bytes())?;
    Ok(())
}

fn exports(info: &Info, helm: u8) -> String {
    let helm = if helm == 3 { &info.helm3 } else { &info.helm4 };
    let folder = |program: &Path| {
        program
            .parent()
            .unwrap_or(Path::new("/"))
            .display()
            .to_string()
    };
    let argocd = info.fleet.iter().map(|fleet| folder(&fleet.argocd));
    let path = [folder(helm), folder(&info.kubectl)];
    let path = path.into_iter().chain(argocd).collect::<Vec<_>>().join(":");
    let path = format!("export PATH={}:\"$PATH\"", quote(&path));
    let login = login(info);
    let own = [
        // Read by docker's tools and crane; by helm; by skopeo and buildah.
        ("DOCKER_CONFIG", login.clone().into()),
        ("HELM_REGISTRY_CONFIG", login.join("config.json").into()),
        ("REGISTRY_AUTH_FILE", login.join("config.json").into()),
        ("DEPLOY_CONFIG", config(info).into()),
        ("DEPLOY_STATE_DIR", info.run.join("deploy-state").into()),
    ];
    let variables = info.variables().into_iter().chain(own);
    let variables =
        variables.map(|(name, value)| format!("export {name}={}", quote(&value.to_string_lossy())));
    variables.chain([path]).collect::<Vec<_>>().join("\n")
}

/// One word for a POSIX shell.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted() {
        assert_eq!(quote("/a b"), "'/a b'");
        assert_eq!(quote("it's"), r"'it'\''s'");
    }
}
