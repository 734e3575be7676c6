//! `env`: a shell that works in the testbed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::build::Cache;
use crate::client::{self, Info};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Which Helm `helm` is
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(3..=4))]
    helm: u8,
}

pub(super) fn run(args: &Args) -> Result<()> {
    match client::status(&Cache::open()?)?.first() {
        Some(status) => {
            // In place of one in /etc, which is for another cluster: an empty file configures
            // nothing. It goes with the testbed.
            fs::write(config(&status.info), "")?;
            super::print(&exports(&status.info, args.helm));
        }
        None => bail!("no testbed is up: start one with `cargo testbed up`"),
    }
    Ok(())
}

fn config(info: &Info) -> PathBuf {
    info.run.join("deploy.toml")
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
    let path = format!("{}:{}", folder(helm), folder(&info.kubectl));
    let path = format!("export PATH={}:\"$PATH\"", quote(&path));
    let own = [
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
