//! What the preflight saw, as data for every step after it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::Client;
use serde_json::Value;

use super::context::Run;
use super::origin::OriginCheck;
use crate::chart::Chart;
use crate::cluster::discovery::{self, NamespacePresence};
use crate::error::{Exit, Kind, Result};
use crate::helm::Helm;
use crate::plan::{Capabilities, Plan};
use crate::release::record::{Driver, Record, Status};
use crate::release::{judgement, store};
use crate::run::Timestamp;
use crate::signal::{ImageKey, ImageRef};
use crate::state::journal::{self, Entry};

/// How soon a cluster that does not answer is asked again.
const AGAIN: Duration = Duration::from_secs(1);

/// What is known of the release, its chart and its cluster before anything is
/// touched.
pub(super) struct ReleaseObservation {
    pub(super) helm: Helm,
    pub(super) archive: PathBuf,
    pub(super) chart: Chart,
    pub(super) values: Vec<Value>,
    pub(super) cluster: Cluster,
    pub(super) records: Vec<Record>,
    /// What the images were in earlier deploys.
    pub(super) earlier: PreviousDigests,
    /// What asks for proofs of origin, where the node wants them.
    pub(super) origin: Option<OriginCheck>,
}

/// The cluster, as far as a deploy asks for it.
pub(super) struct Cluster {
    pub(super) client: Client,
    pub(super) capabilities: Capabilities,
    pub(super) namespace: NamespacePresence,
    pub(super) driver: Driver,
    /// The platforms of its nodes, where they may be known.
    pub(super) platforms: Option<BTreeSet<String>>,
}

impl Cluster {
    /// The release's records as they are now.
    pub(super) async fn records(&self, plan: &Plan) -> Result<Vec<Record>> {
        store::list(&self.client, self.driver, &plan.release).await
    }

    /// The last of them.
    pub(super) async fn last(&self, plan: &Plan) -> Result<Option<Record>> {
        store::last(&self.client, self.driver, &plan.release).await
    }
}

impl ReleaseObservation {
    /// Reads the records again: whatever wrote to the release, nothing goes on with
    /// records from before it.
    pub(super) async fn refresh(&mut self, run: &Run<'_>) -> Result<()> {
        let cluster = &self.cluster;
        let read = patiently(run, &cluster.client, async || {
            cluster.records(run.plan).await
        });
        self.records = read.await?;
        Ok(())
    }

    /// The last record, as it was found.
    pub(super) fn last(&self) -> Option<&Record> {
        self.records.iter().max_by_key(|record| record.revision)
    }

    /// Whether helm will upgrade, as it decides it itself: an uninstalled
    /// release is installed anew, and one that never served and was left
    /// pending is healed away before (`cmd/helm/upgrade.go`).
    pub(super) fn is_upgrade(&self) -> bool {
        self.last().is_some_and(|last| {
            last.status != Status::Uninstalled
                && (judgement::was_applied(&self.records) || !last.status.is_pending())
        })
    }

    /// The record of the revision that serves.
    pub(super) fn serving(&self) -> Option<&Record> {
        judgement::last_good(&self.records)
    }
}

/// Asks the cluster again while it does not answer, until the budget is spent or
/// the run is cancelled: an API server that restarts is no verdict.
pub(super) async fn patiently<T>(
    run: &Run<'_>,
    client: &Client,
    mut ask: impl AsyncFnMut() -> Result<T>,
) -> Result<T> {
    let mut told = false;
    loop {
        let error = match run.unless_cancelled(ask()).await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let over = matches!(error.kind(), Kind::Cancelled(_)) || run.left().is_zero();
        if over || discovery::silent(client).await.is_none() {
            return Err(error);
        }
        if !std::mem::replace(&mut told, true) {
            run.events
                .progress("the cluster does not answer: waiting for it");
        }
        let rest = AGAIN.min(run.left());
        run.unless_cancelled(async {
            tokio::time::sleep(rest).await;
            Ok(())
        })
        .await?;
    }
}

/// Each image's digests in earlier deploys, and when each was last deployed.
#[derive(Debug, Default)]
pub(super) struct PreviousDigests(pub(super) BTreeMap<String, BTreeMap<String, Timestamp>>);

impl PreviousDigests {
    /// What the journal knows of these images. Of a digest nothing can be said
    /// but that it is one: only tags count.
    pub(super) fn read(state: &Path, images: &BTreeMap<ImageKey, ImageRef>) -> Self {
        let wanted: BTreeSet<String> = images
            .values()
            .filter(|image| image.digest().is_none())
            .map(ToString::to_string)
            .collect();
        let mut earlier = Self::default();
        if !wanted.is_empty() {
            let read = journal::each(state, |entry| earlier.take(&wanted, entry));
            if let Err(error) = read {
                tracing::debug!(%error, "earlier digests are not known");
            }
        }
        earlier
    }

    fn take(&mut self, wanted: &BTreeSet<String>, entry: Entry) {
        // What was applied may be on a node, whatever became of it.
        let applied = [
            Exit::Deployed,
            Exit::Failed(Kind::RolledBack),
            Exit::Failed(Kind::Broken),
        ];
        let applied = applied.iter().any(|exit| exit.code() == entry.exit);
        if entry.dry_run || !applied {
            return;
        }
        let mut digests = entry.digests;
        for (key, image) in entry.request.images {
            if let Some(digest) = digests.remove(&key)
                && wanted.contains(&image)
            {
                let known = self.0.entry(image).or_default();
                known.insert(digest, entry.at);
            }
        }
    }

    /// The last time that the image was another one than it is now.
    pub(super) fn other(&self, image: &str, now: &str) -> Option<(&str, Timestamp)> {
        let others = self.0.get(image)?.iter();
        let others = others.filter(|(digest, _)| *digest != now);
        let last = others.max_by_key(|(_, at)| **at);
        last.map(|(digest, at)| (digest.as_str(), *at))
    }
}
