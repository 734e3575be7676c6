//! The ways into the registry, and what is read by them: manifests and small blobs
//! that lie beside an image or a chart, which say where it comes from.
//!
//! With the node's own credentials, and once more without them where they are
//! refused. Credentials are asked for once: a helper program may take seconds, or ask
//! a person. A digest is always held against what came. It never writes, and
//! reads no more of anything than it was told to.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use futures::StreamExt as _;
use oci_client::Reference;
use oci_client::client::Client;
use oci_client::errors::OciDistributionError;
use oci_client::manifest::{
    IMAGE_MANIFEST_LIST_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE,
    OCI_IMAGE_MEDIA_TYPE, OciDescriptor, OciImageManifest, OciManifest,
};
use oci_client::secrets::RegistryAuth;

use super::answer::{meaning, words};
use super::client::{auth, client};
use super::credentials;
use super::error::{self, RegistryError, RegistryRequest};
use crate::error::{Error, Kind, Result};
use crate::signal::{Digest, ImageRef};

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The largest manifest that is read, in bytes: what a registry has to take at
/// least (OCI distribution specification, "Pushing Manifests").
const MANIFEST_MAX: usize = 4 << 20;

const ACCEPTED: &[&str] = &[
    OCI_IMAGE_INDEX_MEDIA_TYPE,
    OCI_IMAGE_MEDIA_TYPE,
    IMAGE_MANIFEST_LIST_MEDIA_TYPE,
    IMAGE_MANIFEST_MEDIA_TYPE,
];

/// A way into the registry, for some of its repositories.
pub struct ArtifactReader {
    /// The file that holds credentials that are shown, where there is one.
    pub(super) stored: Option<PathBuf>,
    /// Why stored credentials cannot be shown: a warning.
    pub(super) warning: Option<String>,
    /// With those, where there are any, then without: a client keeps what it saw
    /// first.
    pub(super) ways: Vec<(Client, RegistryAuth)>,
}

impl ArtifactReader {
    /// For these repositories. Errors are [`Kind::Node`]: no client can be made of
    /// the node's settings. Credentials that cannot be had are left out; whoever
    /// asks for images ([`super::preflight`]) tells of them.
    pub async fn new(
        environment: &BTreeMap<OsString, OsString>,
        repositories: impl IntoIterator<Item = String>,
    ) -> Result<Self> {
        crate::net::tls::install();
        let repositories: BTreeSet<String> = repositories.into_iter().collect();
        let repositories: Vec<String> = repositories.into_iter().collect();
        let (mut stored, mut warning) = (None, None);
        let mut ways = Vec::new();
        match credentials::find(environment, ImageRef::REGISTRY).await {
            Ok(None) => {}
            Ok(Some(found)) => match auth(environment, &found, &repositories).await {
                Ok(auth) => {
                    ways.push((client(environment)?, auth));
                    stored = Some(found.file);
                }
                Err(why) => warning = Some(why),
            },
            Err(error) => {
                warning = Some(format!("images are asked for without credentials: {error}"));
            }
        }
        ways.push((client(environment)?, RegistryAuth::Anonymous));
        Ok(Self {
            stored,
            warning,
            ways,
        })
    }

    /// The same, content with the first answer: where the credentials are refused,
    /// nothing is asked for without them.
    #[must_use]
    pub fn without_second_try(&self) -> Self {
        Self {
            stored: self.stored.clone(),
            warning: None,
            ways: self.ways.iter().take(1).cloned().collect(),
        }
    }

    /// The digest that a tag means now; none where the registry does not have it.
    pub async fn digest(&self, repository: &str, tag: &str) -> Result<Option<Digest>> {
        let at = at_tag(repository, tag);
        let answer = self.ask(&at, async |client, auth| {
            client.fetch_manifest_digest(&at, auth).await
        });
        let Some(digest) = answer.await? else {
            return Ok(None);
        };
        digest.parse().map(Some).map_err(|_| {
            let message = format!("{at}: ghcr.io names it by a digest that is no sha256");
            Error::new(Kind::Registry, message).hint("push it again with a client that uses sha256")
        })
    }

    /// The manifest or index that a tag means; none where the registry does not
    /// have it, or what it has is none.
    pub async fn at_tag(&self, repository: &str, tag: &str) -> Result<Option<OciManifest>> {
        self.manifest(&at_tag(repository, tag)).await
    }

    /// The same of a digest.
    pub async fn at_digest(
        &self,
        repository: &str,
        digest: &Digest,
    ) -> Result<Option<OciManifest>> {
        self.manifest(&at_digest(repository, digest.as_str())).await
    }

    /// The manifest of a single artifact that a tag means, and its digest.
    pub async fn single_at_tag(
        &self,
        repository: &str,
        tag: &str,
    ) -> Result<Option<(OciImageManifest, Digest)>> {
        let bytes = self.bytes(&at_tag(repository, tag)).await?;
        Ok(
            bytes
                .and_then(|bytes| Some((serde_json::from_slice(&bytes).ok()?, Digest::of(&bytes)))),
        )
    }

    async fn manifest(&self, at: &Reference) -> Result<Option<OciManifest>> {
        let bytes = self.bytes(at).await?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    async fn bytes(&self, at: &Reference) -> Result<Option<Vec<u8>>> {
        let answer = self.ask(at, async |client, auth| {
            client.pull_manifest_raw(at, auth, ACCEPTED).await
        });
        let bytes = answer.await?.map(|(bytes, _)| bytes.to_vec());
        Ok(bytes.filter(|bytes| bytes.len() <= MANIFEST_MAX))
    }

    /// A blob of at most `max` bytes; none where it is larger, or not there.
    pub async fn blob(
        &self,
        repository: &str,
        descriptor: &OciDescriptor,
        max: usize,
    ) -> Result<Option<Vec<u8>>> {
        if usize::try_from(descriptor.size).map_or(true, |size| size > max) {
            return Ok(None);
        }
        let at = at_digest(repository, &descriptor.digest);
        let answer = self.ask(&at, async |client, auth| {
            client.store_auth_if_needed(ImageRef::REGISTRY, auth).await;
            // What comes is held against the descriptor's digest at its end.
            let mut stream = client.pull_blob_stream(&at, descriptor).await?;
            let mut bytes = Vec::new();
            while let Some(some) = stream.next().await {
                bytes.extend_from_slice(&some?);
                if bytes.len() > max {
                    return Ok(None);
                }
            }
            Ok(Some(bytes))
        });
        Ok(answer.await?.flatten())
    }

    /// Asks each way, until one is not refused.
    async fn ask<T>(
        &self,
        at: &Reference,
        request: impl AsyncFn(&Client, &RegistryAuth) -> Result<T, OciDistributionError>,
    ) -> Result<Option<T>> {
        let mut refused = (RegistryError::Unknown, String::new());
        for (client, auth) in &self.ways {
            refused = match tokio::time::timeout(PATIENCE, request(client, auth)).await {
                Ok(Ok(answer)) => return Ok(Some(answer)),
                Ok(Err(error)) => match meaning(&error) {
                    RegistryError::NotFound => return Ok(None),
                    meaning => (meaning, words(&error)),
                },
                Err(_) => (
                    RegistryError::Unavailable,
                    format!("no answer within {} s", PATIENCE.as_secs()),
                ),
            };
            if !matches!(refused.0, RegistryError::Denied | RegistryError::NoRight) {
                break;
            }
        }
        let asked = RegistryRequest {
            what: at.to_string(),
            stored: self.stored.clone(),
            anonymous: self.stored.is_some(),
        };
        Err(error::error(refused.0, &asked, &refused.1))
    }
}

fn at_tag(repository: &str, tag: &str) -> Reference {
    Reference::with_tag(
        ImageRef::REGISTRY.to_owned(),
        repository.to_owned(),
        tag.to_owned(),
    )
}

fn at_digest(repository: &str, digest: &str) -> Reference {
    Reference::with_digest(
        ImageRef::REGISTRY.to_owned(),
        repository.to_owned(),
        digest.to_owned(),
    )
}
