//! Fills the registry from code that is not asynchronous, as tests are.

use std::fs;

use anyhow::{Context as _, Result};
use tokio::runtime::Runtime;

use crate::chart::Chart;
use crate::client::Info;
use crate::ghcr::{Admin, Asked, Blob, Client, Manifest, Policy};
use crate::image::{self, Base, Spec};

/// Pushes images and charts through the front, and steers it.
pub struct Pusher {
    runtime: Runtime,
    client: Client,
    admin: Admin,
    base: Base,
}

impl Pusher {
    /// For this testbed.
    pub fn new(info: &Info) -> Result<Self> {
        let authority =
            fs::read_to_string(&info.ca).context("the testbed's certificate authority")?;
        Ok(Self {
            runtime: Runtime::new()?,
            client: Client::new(&info.proxy, &authority)?,
            admin: Admin::new(&info.proxy),
            base: Base::new(info.app.clone()),
        })
    }

    /// Pushes the test application as `ghcr.io/<repository>:<tag>`; gives its digest.
    pub fn image(&self, repository: &str, tag: &str, spec: &Spec) -> Result<String> {
        let push = image::push(&self.client, &self.base, repository, tag, spec);
        self.runtime.block_on(push)
    }

    /// Pushes a program as the image `ghcr.io/<repository>:<tag>`, built from `revision`; gives its
    /// digest.
    pub fn program(
        &self,
        repository: &str,
        tag: &str,
        (name, binary): (&str, &[u8]),
        revision: &str,
    ) -> Result<String> {
        let push = image::push_program(&self.client, repository, tag, (name, binary), revision);
        self.runtime.block_on(push)
    }

    /// Pushes a chart as `oci://ghcr.io/<owner>/charts/<name>`; gives its digest.
    pub fn chart(&self, owner: &str, chart: &Chart) -> Result<String> {
        self.runtime.block_on(chart.push(&self.client, owner))
    }

    /// Pushes a manifest of any kind to a repository, under a tag or its own digest, with the
    /// blobs that it names; gives its digest.
    pub fn artifact(
        &self,
        repository: &str,
        tag: Option<&str>,
        manifest: &Manifest,
        blobs: &[Blob],
    ) -> Result<String> {
        let digest = manifest.blob.digest().to_owned();
        self.runtime.block_on(async {
            let mut session = self.client.session(repository).await?;
            for blob in blobs {
                session.push_blob(blob, None).await?;
            }
            session
                .push_manifest(manifest, tag.unwrap_or(&digest))
                .await?;
            Ok(digest)
        })
    }

    /// How the registry answers for an owner from now on.
    pub fn policy(&self, owner: &str, policy: &Policy) -> Result<()> {
        self.runtime.block_on(self.admin.set_policy(owner, policy))
    }

    /// What was asked of an owner's packages so far.
    pub fn asked(&self, owner: &str) -> Result<Vec<Asked>> {
        self.runtime.block_on(self.admin.requests(owner))
    }
}
