//! Pulls the chart, once, with the node's own credentials, and once more
//! without them where they are refused.
//!
//! A process of helm's costs a tenth of a second, so the archive is first asked for
//! without one; helm pulls where that does not go the plain way, and its words tell why.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use tokio::time::Instant;

use super::command;
use crate::error::{Error, Kind, Result};
use crate::process::cancel::{Cancel, cancelled};
use crate::process::runner::{CommandOutput, Invocation, Runner, StopReason};
use crate::registry::artifacts::ArtifactReader;
use crate::registry::chart::fetch;
use crate::registry::credentials::{self, StoredCredential};
use crate::registry::error::{self, RegistryError, RegistryRequest};
use crate::signal::{ChartRef, ChartVersion, Digest, ImageRef};
use crate::text;

/// A chart that was pulled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PulledChart {
    /// The archive, absolute; it lies in the runner's private directory.
    pub archive: PathBuf,
    /// The digest of its manifest, as helm tells it.
    pub digest: Option<Digest>,
    /// What to tell: credentials that stood in the way.
    pub warning: Option<String>,
}

/// Pulls one exact version into the private directory; by `reader`, where somebody has
/// one already.
pub(super) async fn chart(
    runner: &Runner,
    reader: Option<&ArtifactReader>,
    chart: &ChartRef,
    version: &ChartVersion,
    cancel: &Cancel,
    deadline: Instant,
) -> Result<PulledChart> {
    if let Some((archive, digest)) = fetched(runner, reader, chart, version).await
        && let Some(archive) = written(runner, &archive)
    {
        return Ok(PulledChart {
            archive,
            digest: Some(digest),
            warning: None,
        });
    }
    pull(runner, chart, version, cancel, deadline).await
}

/// The archive and its digest, without helm; none where helm has to be asked.
async fn fetched(
    runner: &Runner,
    reader: Option<&ArtifactReader>,
    chart: &ChartRef,
    version: &ChartVersion,
) -> Option<(Vec<u8>, Digest)> {
    if let Some(reader) = reader {
        return fetch(reader, chart, version).await;
    }
    let reader = ArtifactReader::new(runner.environment(), [chart.repository()]);
    fetch(&reader.await.ok()?, chart, version).await
}

/// The archive as a file for its owner alone; none where it cannot be written.
fn written(runner: &Runner, archive: &[u8]) -> Option<PathBuf> {
    let path = runner.private().join("chart.tgz");
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .ok()?;
    file.write_all(archive).ok()?;
    Some(path)
}

/// The same by helm.
async fn pull(
    runner: &Runner,
    chart: &ChartRef,
    version: &ChartVersion,
    cancel: &Cancel,
    deadline: Instant,
) -> Result<PulledChart> {
    let folder = runner.private().join("chart");
    let call = command::pull(chart, version, &folder);
    let ran = runner
        .run(&call, cancel, deadline, std::future::pending())
        .await?;
    let what = format!("{chart} {version}");
    let Some((said, answer)) = refused(&ran, &what)? else {
        return pulled(&folder, &ran, None);
    };
    let stored = match credentials::find(runner.environment(), ImageRef::REGISTRY).await {
        Ok(stored) => stored,
        // The words of a failed helper do not tell that they are its.
        Err(error) if matches!(answer, RegistryError::Credentials | RegistryError::Unknown) => {
            return Err(error);
        }
        Err(_) => None,
    };
    let mut asked = RegistryRequest {
        what: what.clone(),
        stored: None,
        anonymous: false,
    };
    let (mut said, mut answer) = (said, answer);
    if let (RegistryError::Denied | RegistryError::NoRight, Some(StoredCredential { file, .. })) =
        (answer, &stored)
    {
        let again = anonymous(runner, call)?;
        let ran = runner
            .run(&again, cancel, deadline, std::future::pending())
            .await?;
        match refused(&ran, &what)? {
            None => return pulled(&folder, &ran, Some(error::dead_credentials(file))),
            // Refused both ways: the first words tell more.
            Some((_, RegistryError::Denied)) => {}
            // The package is public, so that this is the truth about it.
            Some(truth) => (said, answer) = truth,
        }
        asked.anonymous = true;
    }
    asked.stored = stored.map(|stored| stored.file);
    Err(error::error(answer, &asked, &said))
}

/// What helm said where it failed; an error where it was stopped.
fn refused(ran: &CommandOutput, what: &str) -> Result<Option<(String, RegistryError)>> {
    match ran.stopped {
        Some(StopReason::Cancelled(signal)) => return Err(cancelled(signal)),
        Some(_) => {
            return Err(Error::new(
                Kind::Registry,
                format!("{what}: ghcr.io did not give it within the deploy's time limit"),
            )
            .hint(
                "see githubstatus.com and the node's way to ghcr.io, then send the signal again",
            ));
        }
        None => {}
    }
    // Go's words for ENOSPC: the node's disk, not the registry's answer.
    if !ran.status.success() && ran.stderr.contains("no space left on device") {
        return Err(
            Error::new(Kind::Node, format!("{what}: no space is left for it"))
                .details(text::tail(ran.stderr.trim(), 3))
                .hint("free some where helm writes: in TMPDIR, else /tmp"),
        );
    }
    Ok((!ran.status.success()).then(|| {
        let said = ran.stderr.trim().trim_start_matches("Error: ").to_owned();
        let answer = error::read(&said);
        (said, answer)
    }))
}

/// The same call with no credentials in reach.
fn anonymous(runner: &Runner, mut call: Invocation) -> Result<Invocation> {
    let unable = |error: std::io::Error| {
        Error::new(Kind::Node, "no private file can be written").with_source(error)
    };
    let file = runner.private().join("anonymous.json");
    std::fs::write(&file, "{}").map_err(unable)?;
    call.env.insert("HELM_REGISTRY_CONFIG".into(), file.into());
    call.env.insert(
        "DOCKER_CONFIG".into(),
        OsString::from(runner.private().join("empty")),
    );
    Ok(call)
}

/// The one archive of the folder; its name is helm's matter.
fn pulled(folder: &Path, ran: &CommandOutput, warning: Option<String>) -> Result<PulledChart> {
    let unable = |error: std::io::Error| {
        Error::new(Kind::Internal, "the pulled chart cannot be found").with_source(error)
    };
    let mut archives = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unable)? {
        let path = entry.map_err(unable)?.path();
        if path.extension().is_some_and(|end| end == "tgz") {
            archives.push(path);
        }
    }
    let [archive] = archives.as_slice() else {
        return Err(Error::new(
            Kind::Internal,
            "helm pull did not leave exactly one archive",
        ));
    };
    // Helm 3 tells it on standard error, Helm 4 on standard output.
    let digest = ran
        .stdout
        .lines()
        .chain(ran.stderr.lines())
        .find_map(|line| line.strip_prefix("Digest: "));
    Ok(PulledChart {
        archive: archive.clone(),
        digest: digest.and_then(|digest| digest.trim().parse().ok()),
        warning,
    })
}

#[cfg(test)]
#[path = "pull_tests.rs"]
mod tests;
