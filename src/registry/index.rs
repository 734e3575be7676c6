//! The manifests that an index lists: which of them the registry still has.
//!
//! A clean-up of untagged versions deletes them, since only the index has the
//! tag: the tag is still there, and nobody can pull it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::join_all;
use oci_client::Reference;
use oci_client::client::Client;
use oci_client::manifest::OciImageIndex;
use oci_client::secrets::RegistryAuth;

use super::answer::meaning;
use super::error::RegistryError;
use crate::error::{Error, Kind};
use crate::signal::{ImageKey, ImageRef};
use crate::text;

/// How long each may take. What cannot be told by then counts as there.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many of one index are asked for.
const ASKED: usize = 32;

/// The digests by `os/architecture`, without attestations, which are listed as
/// if they were images (docs.docker.com, "Image attestation storage").
fn listed(index: &OciImageIndex) -> BTreeMap<String, Vec<&str>> {
    let mut listed = BTreeMap::<_, Vec<_>>::new();
    for entry in &index.manifests {
        let Some(platform) = &entry.platform else {
            continue;
        };
        let name = format!("{}/{}", platform.os, platform.architecture);
        if !name.contains("unknown") {
            listed.entry(name).or_default().push(entry.digest.as_str());
        }
    }
    listed
}

/// The platforms that an index is built for.
pub(super) fn platforms(index: &OciImageIndex) -> BTreeSet<String> {
    listed(index).into_keys().collect()
}

/// The platforms of which the registry has no manifest any more, each with the
/// digest that the index lists for it. Only a definite answer counts, and of
/// several manifests for a platform (its variants) one that is there is enough.
pub(super) async fn deleted(
    client: &Client,
    image: &Reference,
    auth: &RegistryAuth,
    index: &OciImageIndex,
) -> BTreeMap<String, String> {
    let listed = listed(index);
    let asked = listed
        .iter()
        .flat_map(|(platform, digests)| digests.iter().map(move |digest| (platform, *digest)))
        .take(ASKED)
        .map(async |(platform, digest)| {
            let manifest = image.clone_with_digest(digest.to_owned());
            let answer = client.fetch_manifest_digest(&manifest, auth);
            let gone = matches!(
                tokio::time::timeout(PATIENCE, answer).await,
                Ok(Err(error)) if meaning(&error) == RegistryError::NotFound
            );
            gone.then_some((platform, digest))
        });
    let mut gone = BTreeMap::<_, Vec<_>>::new();
    for (platform, digest) in join_all(asked).await.into_iter().flatten() {
        gone.entry(platform).or_default().push(digest);
    }
    gone.into_iter()
        .filter(|(platform, digests)| digests.len() == listed[*platform].len())
        .map(|(platform, digests)| (platform.clone(), digests[0].to_owned()))
        .collect()
}

/// Images whose manifest for some platform was deleted: a line for each.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct DeletedManifests {
    /// No node can pull these.
    pub for_all: Vec<String>,
    /// Some nodes can.
    pub for_some: Vec<String>,
}

/// What is told of one image.
pub(super) fn line(key: &ImageKey, image: &ImageRef, platform: &str, digest: &str) -> String {
    format!(
        "{key}: {image} lists {} for {}, which ghcr.io does not have",
        text::line(digest, 100),
        text::line(platform, 60)
    )
}

/// The error of images that no node can pull ([`DeletedManifests::for_all`]).
pub fn manifest_deleted(images: &[String]) -> Error {
    let error = match images {
        [one] => Error::new(Kind::Registry, one.clone()),
        several => Error::new(
            Kind::Registry,
            format!(
                "{} of the images list a manifest that ghcr.io does not have",
                several.len()
            ),
        )
        .details(several.iter().cloned()),
    };
    error
        .hint("push the image again with all its platforms, as docker buildx build --push does")
        .hint("a clean-up of untagged versions deletes it, since only the index has the tag: let it spare what a tagged index lists")
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
