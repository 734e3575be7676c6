//! Asks GHCR whether the requested images are there, before anything is
//! touched.
//!
//! With the node's own credentials, and once more without them where they are
//! refused. Only a definite answer stops a deploy, not found or built for other
//! platforms than the nodes': the cluster may hold other credentials than the
//! node, so that a refusal is no proof. Nothing is pulled but manifests and, of
//! an image for one platform, its config.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::join_all;
use oci_client::Reference;
use oci_client::client::Client;
use oci_client::manifest::{OciDescriptor, OciManifest};
use oci_client::secrets::RegistryAuth;

use super::answer::{meaning, words};
use super::artifacts::ArtifactReader;
use super::error::{self, RegistryError, RegistryRequest};
use super::index::{self, DeletedManifests};
use crate::error::{Error, Kind, Result};
use crate::signal::{Digest, ImageKey, ImageRef};
use crate::text;

/// How long all of it may take for one image.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long an image's config may take, of which only the platform is wanted.
const CONFIG_PATIENCE: Duration = Duration::from_secs(3);

/// The largest config that is read, in bytes.
const CONFIG_MAX: usize = 4 << 20;

/// What is known of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageStatus {
    /// It is there.
    Found {
        /// The digest of its manifest or index.
        digest: Option<Digest>,
        /// `os/architecture` of each platform that it is built for; empty where
        /// that is not known.
        platforms: BTreeSet<String>,
        /// The platforms of which the registry has no manifest, with the digest
        /// that the index lists.
        deleted: BTreeMap<String, String>,
    },
    /// It is definitely not there.
    NotFound,
    /// Nothing certain: what the answer was, and its words.
    Unknown(RegistryError, String),
}

/// What is known of the images.
#[derive(Debug, Default)]
pub struct Preflight {
    /// Each image's verdict.
    pub verdicts: Vec<(ImageKey, ImageRef, ImageStatus)>,
    /// Warnings: expired credentials, unreadable ones.
    pub warnings: Vec<String>,
    stored: Option<PathBuf>,
}

impl Preflight {
    /// The error of the images that are definitely not there: one for all.
    pub fn check(&self) -> Result<()> {
        let missing = self
            .verdicts
            .iter()
            .filter(|(_, _, verdict)| *verdict == ImageStatus::NotFound);
        let missing: Vec<_> = missing
            .map(|(key, image, _)| format!("{key}: {image}"))
            .collect();
        match missing.as_slice() {
            [] => Ok(()),
            [one] => Err(not_found(&format!(
                "ghcr.io does not have the image of {one}"
            ))),
            several => Err(not_found(&format!(
                "ghcr.io does not have {} of the images",
                several.len()
            ))
            .details(several.iter().cloned())),
        }
    }

    /// The error of the first image that the registry said nothing certain of: for
    /// whoever has to know. [`Kind::Registry`] where access is refused,
    /// [`Kind::Node`] where something on the node is the cause.
    pub fn certain(&self) -> Result<()> {
        let error = self.verdicts.iter().find_map(|(key, image, verdict)| {
            let ImageStatus::Unknown(answer, said) = verdict else {
                return None;
            };
            Some(error::error(*answer, &self.request(key, image), said))
        });
        error.map_or(Ok(()), Err)
    }

    fn request(&self, key: &ImageKey, image: &ImageRef) -> RegistryRequest {
        RegistryRequest {
            what: format!("{key}: {image}"),
            stored: self.stored.clone(),
            anonymous: self.stored.is_some(),
        }
    }

    /// The images that no node of these platforms can run: a line for each, with
    /// both sides. What is not known for sure is not in it.
    pub fn incompatible_images(&self, nodes: &BTreeSet<String>) -> Vec<String> {
        let listed = |platforms: &BTreeSet<String>| {
            let names: Vec<_> = platforms.iter().map(String::as_str).collect();
            text::line(&names.join(", "), text::LINE).into_owned()
        };
        let incompatible = |(key, image, verdict): &(ImageKey, ImageRef, ImageStatus)| match verdict
        {
            ImageStatus::Found { platforms, .. }
                if !platforms.is_empty() && platforms.is_disjoint(nodes) =>
            {
                Some(format!(
                    "{key}: {image} is built for {}, the cluster's nodes are {}",
                    listed(platforms),
                    listed(nodes)
                ))
            }
            _ => None,
        };
        self.verdicts.iter().filter_map(incompatible).collect()
    }

    /// The images whose manifest was deleted, for nodes of these platforms;
    /// none where that is not known, and any can be meant.
    pub fn deleted_manifests(&self, nodes: Option<&BTreeSet<String>>) -> DeletedManifests {
        let mut found = DeletedManifests::default();
        for (key, image, status) in &self.verdicts {
            let ImageStatus::Found {
                platforms, deleted, ..
            } = status
            else {
                continue;
            };
            let needed = |platform: &&String| nodes.is_none_or(|nodes| nodes.contains(*platform));
            let there = platforms
                .iter()
                .filter(needed)
                .any(|platform| !deleted.contains_key(platform));
            let gone = deleted.iter().find(|(platform, _)| needed(platform));
            if let Some((platform, digest)) = gone {
                let line = index::line(key, image, platform, digest);
                if there {
                    found.for_some.push(line);
                } else {
                    found.for_all.push(line);
                }
            }
        }
        found
    }

    /// Notes: images that the registry said nothing certain of.
    pub fn notes(&self) -> Vec<String> {
        let unknown = self
            .verdicts
            .iter()
            .filter_map(|(key, image, verdict)| match verdict {
                ImageStatus::Unknown(answer, said) => Some((key, image, *answer, said)),
                _ => None,
            });
        unknown
            .map(|(key, image, answer, said)| {
                let error = error::error(answer, &self.request(key, image), said);
                format!("{error}; the cluster may still have access, so the deploy goes on")
            })
            .collect()
    }
}

/// The error of images that no node can run ([`Preflight::incompatible_images`]).
pub fn wrong_platform(incompatible_images: &[String]) -> Error {
    let error = match incompatible_images {
        [one] => Error::new(Kind::Chart, format!("no node can run {one}")),
        several => Error::new(
            Kind::Chart,
            format!("no node can run {} of the images", several.len()),
        )
        .details(several.iter().cloned()),
    };
    error
        .hint("build it for the nodes' platform too: docker buildx build --platform …")
        .hint("where the nodes run it all the same (binfmt_misc), say so in deploy.toml: platforms = [\"linux/amd64\"]")
}

fn not_found(message: &str) -> Error {
    Error::new(Kind::Registry, message)
        .hint("push it before the deploy job runs, and see that the signal's tag or digest is the one that was pushed")
}

/// Asks for every image at once. What the registry answers is in the verdicts.
pub async fn preflight(
    reader: &ArtifactReader,
    images: &BTreeMap<ImageKey, ImageRef>,
) -> Preflight {
    let mut found = Preflight {
        verdicts: Vec::new(),
        warnings: reader.warning.iter().cloned().collect(),
        stored: reader.stored.clone(),
    };
    let mut ways = reader.ways.iter();
    let mut verdicts = Vec::new();
    if let Some((client, auth)) = ways.next() {
        verdicts = join_all(images.values().map(|image| ask(client, image, auth))).await;
    }
    if let (Some((client, auth)), Some(file)) = (ways.next(), &found.stored) {
        let again = images
            .values()
            .zip(&verdicts)
            .map(async |(image, verdict)| match verdict {
                ImageStatus::Unknown(RegistryError::Denied | RegistryError::NoRight, _) => {
                    Some(ask(client, image, auth).await)
                }
                _ => None,
            });
        let again = join_all(again).await;
        let mut dead = false;
        for (verdict, again) in verdicts.iter_mut().zip(again) {
            if let Some(again @ (ImageStatus::Found { .. } | ImageStatus::NotFound)) = again {
                dead = true;
                *verdict = again;
            }
        }
        if dead {
            found.warnings.push(error::dead_credentials(file));
        }
    }
    for (image, verdict) in images.values().zip(&verdicts) {
        tracing::debug!(%image, ?verdict, stored = found.stored.is_some(), "asked ghcr.io");
    }
    let named = images
        .iter()
        .map(|(key, image)| (key.clone(), image.clone()));
    found.verdicts = named
        .zip(verdicts)
        .map(|((key, image), verdict)| (key, image, verdict))
        .collect();
    found
}

async fn ask(client: &Client, image: &ImageRef, auth: &RegistryAuth) -> ImageStatus {
    let (registry, repository) = (ImageRef::REGISTRY.to_owned(), image.repository());
    // The digest counts where there are both, as for the kubelet.
    let reference = match (image.digest(), image.tag()) {
        (Some(digest), _) => Reference::with_digest(registry, repository, digest.to_string()),
        (None, Some(tag)) => Reference::with_tag(registry, repository, tag.to_string()),
        (None, None) => {
            return ImageStatus::Unknown(RegistryError::Unknown, "no tag and no digest".to_owned());
        }
    };
    match tokio::time::timeout(PATIENCE, client.pull_manifest(&reference, auth)).await {
        Ok(Ok((manifest, digest))) => {
            let (platforms, deleted) = match &manifest {
                OciManifest::ImageIndex(list) => (
                    index::platforms(list),
                    index::deleted(client, &reference, auth, list).await,
                ),
                OciManifest::Image(image) => (
                    platform(client, &reference, &image.config).await,
                    BTreeMap::new(),
                ),
            };
            ImageStatus::Found {
                digest: digest.parse().ok(),
                platforms,
                deleted,
            }
        }
        Ok(Err(error)) => match meaning(&error) {
            RegistryError::NotFound => ImageStatus::NotFound,
            answer => ImageStatus::Unknown(answer, words(&error)),
        },
        Err(_) => ImageStatus::Unknown(
            RegistryError::Unavailable,
            format!("no answer within {} s", PATIENCE.as_secs()),
        ),
    }
}

/// The platform of a single image, which only its config tells. Nothing where
/// that cannot be had soon: the manifest is there, and that is what counts.
async fn platform(
    client: &Client,
    reference: &Reference,
    config: &OciDescriptor,
) -> BTreeSet<String> {
    let read = async {
        let mut stream = client.pull_blob_stream(reference, config).await.ok()?;
        let mut bytes = Vec::new();
        while let Some(some) = stream.next().await {
            bytes.extend_from_slice(&some.ok()?);
            if bytes.len() > CONFIG_MAX {
                return None;
            }
        }
        named_platform(&bytes)
    };
    let read = tokio::time::timeout(CONFIG_PATIENCE, read).await;
    read.ok().flatten().into_iter().collect()
}

/// `os` and `architecture` of an image's config (OCI image specification,
/// `config.md`); none where it is something else, as a chart's is.
fn named_platform(config: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Config {
        os: String,
        architecture: String,
    }
    let config: Config = serde_json::from_slice(config).ok()?;
    let named = !config.os.is_empty() && !config.architecture.is_empty();
    named.then(|| format!("{}/{}", config.os, config.architecture))
}

#[cfg(test)]
#[path = "preflight_tests.rs"]
mod tests;
