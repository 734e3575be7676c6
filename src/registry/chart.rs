//! Fetches a chart's archive, as helm would.
//!
//! Only the plain way: whatever is odd or refused is left to helm itself, whose words
//! and second tries count.

use std::time::Duration;

use super::artifacts::ArtifactReader;
use crate::signal::{ChartRef, ChartVersion, Digest};

/// What the layer of a chart is called (helm.sh/docs/topics/registries).
const CHART: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";

/// The largest archive that is held in memory, in bytes. A release with its chart has
/// to fit into a Secret of 1 MiB, so that charts are smaller.
const MAX: usize = 4 << 20;

/// How long it may take until helm is asked.
const PATIENCE: Duration = Duration::from_secs(10);

/// The archive of one exact version, and the digest of its manifest; none where helm
/// has to be asked.
pub async fn fetch(
    reader: &ArtifactReader,
    chart: &ChartRef,
    version: &ChartVersion,
) -> Option<(Vec<u8>, Digest)> {
    let repository = chart.repository();
    let work = async {
        let reader = reader.without_second_try();
        let (manifest, digest) = reader
            .single_at_tag(&repository, &version.tag())
            .await
            .ok()??;
        let mut charts = manifest
            .layers
            .iter()
            .filter(|layer| layer.media_type == CHART);
        let (layer, None) = (charts.next()?, charts.next()) else {
            return None;
        };
        let archive = reader.blob(&repository, layer, MAX).await.ok()??;
        Some((archive, digest))
    };
    tokio::time::timeout(PATIENCE, work).await.ok()?
}
