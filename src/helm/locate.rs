//! Finds helm and asks it for its version.
//!
//! It looks only where the plan says: the node's own path, or the plan's
//! `PATH`, never that of the workflow that called.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use super::compat;
use crate::error::{Error, Kind, Result};
use crate::plan::Plan;
use crate::process::cancel::{Cancel, cancelled};
use crate::process::runner::{Invocation, Runner, StopReason};
use crate::{process, text};

/// Helm tells its version in 0.05 s; a cold disk may take its time.
const PATIENCE: Duration = Duration::from_secs(20);

/// The absolute path of the plan's helm.
pub fn locate(plan: &Plan) -> Result<PathBuf> {
    let path = plan.environment.get(OsStr::new("PATH"));
    if let Some(named) = &plan.helm {
        return which::which_in(named, None::<&OsStr>, "/")
            .ok()
            .filter(|found| found.is_absolute())
            .ok_or_else(|| {
                Error::new(
                    Kind::Node,
                    format!("no helm that can be run at {}", named.display()),
                )
                .hint("install helm there, or correct helm in deploy.toml")
            });
    }
    process::in_path(OsStr::new("helm"), &plan.environment).ok_or_else(|| {
        let seen = path.map_or_else(
            || "PATH is not set".to_owned(),
            |path| {
                format!(
                    "PATH is {}",
                    text::line(&path.to_string_lossy(), text::LINE)
                )
            },
        );
        Error::new(Kind::Node, "helm is not in PATH")
            .detail(seen)
            .hint("install Helm 3.14 or newer, or name it in deploy.toml: helm = \"/path/to/helm\"")
    })
}

/// The version that the runner's helm tells.
pub(super) async fn version(runner: &Runner, cancel: &Cancel) -> Result<semver::Version> {
    let call = Invocation {
        args: ["version", "--template", "{{.Version}}"]
            .map(Into::into)
            .to_vec(),
        ..Invocation::default()
    };
    let ran = runner
        .run(
            &call,
            cancel,
            Instant::now() + PATIENCE,
            std::future::pending(),
        )
        .await?;
    let helm = runner.helm();
    match ran.stopped {
        Some(StopReason::Cancelled(signal)) => return Err(cancelled(signal)),
        Some(_) => {
            return Err(unusable(
                helm,
                &format!(
                    "it did not print its version within {} s",
                    PATIENCE.as_secs()
                ),
            ));
        }
        None => {}
    }
    if !ran.status.success() {
        return Err(
            unusable(helm, "it does not print its version").details(text::tail(&ran.stderr, 5))
        );
    }
    compat::version(&ran.stdout)
}

fn unusable(helm: &Path, why: &str) -> Error {
    Error::new(
        Kind::Node,
        format!("helm at {} is unusable: {why}", helm.display()),
    )
    .hint(format!("try it by hand: {} version", helm.display()))
}
