//! Reads what hangs beside an artifact in the registry.
//!
//! GHCR has no referrers API, so that what refers to a digest is listed under the
//! tag `sha256-<hex>` (OCI distribution specification, "Referrers Tag Schema").
//! What an index says of its entries is not believed: GHCR's clients leave the
//! type out or name another. Numbers and sizes are bounded.

use std::collections::BTreeMap;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use oci_client::manifest::{OciDescriptor, OciManifest};

use super::refusal::refused;
use super::{Artifact, Candidate, Prover, Refusal};
use crate::error::Result;
use crate::event::Origin;
use crate::registry::artifacts::ArtifactReader;
use crate::signal::Digest;

/// The most signatures, and the most entries of the list, that are read: the last
/// ones, since clients append.
const CANDIDATES: usize = 32;

/// How many are read at once.
const AT_ONCE: usize = 8;

/// The largest simple signing document, in bytes.
const SIMPLE_MAX: usize = 64 << 10;

/// The largest bundle, in bytes: an attestation's statement may be long.
const BUNDLE_MAX: usize = 4 << 20;

const SIMPLE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";

impl Prover {
    /// Proves where the artifact comes from, as the policy asks. Where there is no
    /// proof that is [`crate::Kind::Policy`]; a registry that refuses or does not
    /// answer gives its own error, never a proof.
    pub async fn prove(&self, reader: &ArtifactReader, artifact: &Artifact) -> Result<Origin> {
        let (mut candidates, bundles) =
            tokio::try_join!(simple(reader, artifact), bundles(reader, artifact))?;
        candidates.extend(bundles);
        self.judge(&artifact.digest, &candidates)
            .map_err(|refusals| refused(artifact, &self.policy, &refusals))
    }
}

/// What cosign 2 left: one manifest, each of whose layers is a signature.
async fn simple(reader: &ArtifactReader, artifact: &Artifact) -> Result<Vec<Candidate>> {
    let tag = format!("sha256-{}.sig", artifact.digest.hex());
    let manifest = reader.at_tag(&artifact.repository, &tag).await?;
    let Some(OciManifest::Image(manifest)) = manifest else {
        return Ok(Vec::new());
    };
    let layers = manifest.layers.into_iter().rev();
    let layers = layers.filter(|layer| layer.media_type == SIMPLE);
    let read = layers.take(CANDIDATES).map(async |layer| {
        let signature = annotation(layer.annotations.as_ref(), SIGNATURE);
        let Some(signature) = signature else {
            return Ok(Candidate::Unread(Refusal::Unreadable(
                "it has no signature beside what is signed".into(),
            )));
        };
        let payload = reader
            .blob(&artifact.repository, &layer, SIMPLE_MAX)
            .await?;
        Ok(match payload {
            Some(payload) => Candidate::Simple { payload, signature },
            None => Candidate::Unread(Refusal::TooLarge(SIMPLE_MAX)),
        })
    });
    stream::iter(read).buffered(AT_ONCE).try_collect().await
}

/// What cosign 3 and GitHub left, and whatever else refers to the artifact and is a bundle.
async fn bundles(reader: &ArtifactReader, artifact: &Artifact) -> Result<Vec<Candidate>> {
    let tag = format!("sha256-{}", artifact.digest.hex());
    let list = reader.at_tag(&artifact.repository, &tag).await?;
    let Some(OciManifest::ImageIndex(list)) = list else {
        return Ok(Vec::new());
    };
    let entries = list.manifests.into_iter().rev().take(CANDIDATES);
    let read = entries.map(async |entry| match entry.digest.parse::<Digest>() {
        Ok(digest) => bundle(reader, artifact, &digest).await,
        Err(_) => Ok(None),
    });
    let read = stream::iter(read).buffered(AT_ONCE);
    let read: Vec<Option<Candidate>> = read.try_collect().await?;
    Ok(read.into_iter().flatten().collect())
}

/// The bundle that a manifest carries; none where it is something else, or where
/// the list is older than a clean-up.
async fn bundle(
    reader: &ArtifactReader,
    artifact: &Artifact,
    digest: &Digest,
) -> Result<Option<Candidate>> {
    let manifest = reader.at_digest(&artifact.repository, digest).await?;
    let Some(OciManifest::Image(manifest)) = manifest else {
        return Ok(None);
    };
    let is_bundle = |layer: &&OciDescriptor| layer.media_type.starts_with(BUNDLE);
    let Some(layer) = manifest.layers.iter().find(is_bundle) else {
        return Ok(None);
    };
    let bundle = reader.blob(&artifact.repository, layer, BUNDLE_MAX).await?;
    Ok(Some(match bundle {
        Some(bundle) => Candidate::Bundle(bundle),
        None => Candidate::Unread(Refusal::TooLarge(BUNDLE_MAX)),
    }))
}

fn annotation(annotations: Option<&BTreeMap<String, String>>, name: &str) -> Option<String> {
    annotations?.get(name).cloned()
}
