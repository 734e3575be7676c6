//! OCI images of the test application, made in memory and pushed through the front.
//!
//! No network, no container engine, no base image: a layer with the binary, a layer with the
//! behaviour and the tag, a config and a manifest or an index. The same input gives the same
//! digest; the tag is baked in, so that two tags are two digests unless asked to be one.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::OnceLock;

use anyhow::{Context as _, ensure};
use flate2::Compression;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::archive::{Entry, gzip, tar};
use crate::ghcr::{Blob, Client, Manifest, digest};

mod program;

pub use program::push_program;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Where the layers with the binaries are kept; from here the registry mounts them elsewhere.
const BASE_REPOSITORY: &str = "testbed/app";

/// The binaries of the test application, `testbed/go/app`, built static.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AppBinaries {
    /// For `linux/amd64`.
    pub amd64: PathBuf,
    /// For `linux/arm64`.
    pub arm64: PathBuf,
}

/// What an image can be made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Platform {
    /// `linux/amd64`
    Amd64,
    /// `linux/arm64`
    Arm64,
}

impl Platform {
    /// The platform of this machine.
    pub const fn here() -> Self {
        if cfg!(target_arch = "aarch64") {
            Self::Arm64
        } else {
            Self::Amd64
        }
    }
}

impl fmt::Display for Platform {
    /// The architecture, as OCI and Go name it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        })
    }
}

/// What a tag points to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The manifest of the one platform.
    Manifest,
    /// An index over the platforms.
    Index,
}

/// What an image shall be.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Settings of the application, one to a line: see `testbed/go/app/behaviour.go`.
    pub behaviour: String,
    /// The platforms; one of them where `form` is a manifest.
    pub platforms: Vec<Platform>,
    /// Manifest or index.
    pub form: Form,
    /// Labels in the image's config.
    pub labels: BTreeMap<String, String>,
    /// The tag that is baked in; `None`: the one that is pushed. The same for two tags makes them
    /// one digest.
    pub baked_tag: Option<String>,
    /// The binary inside, where it is not the platform's own: an image that lies about its platform.
    pub binary: Option<Platform>,
}

impl Default for Spec {
    /// A healthy application for this machine, as a single manifest.
    fn default() -> Self {
        Self {
            behaviour: String::new(),
            platforms: vec![Platform::here()],
            form: Form::Manifest,
            labels: BTreeMap::new(),
            baked_tag: None,
            binary: None,
        }
    }
}

impl Spec {
    /// An image for this machine that behaves so.
    pub fn behaving(behaviour: &str) -> Self {
        let behaviour = behaviour.to_owned();
        Self {
            behaviour,
            ..Self::default()
        }
    }

    /// An index over these platforms.
    #[must_use]
    pub fn index(mut self, platforms: &[Platform]) -> Self {
        self.platforms = platforms.to_vec();
        self.form = Form::Index;
        self
    }
}

/// The layers with the binaries, each packed when it is first wanted and then kept.
#[derive(Debug)]
pub struct Base {
    binaries: AppBinaries,
    amd64: OnceLock<Layer>,
    arm64: OnceLock<Layer>,
}

#[derive(Debug, Clone)]
struct Layer {
    blob: Blob,
    /// The digest of the tar inside.
    diff_id: String,
}

impl Base {
    /// Reads nothing yet. Packing takes some tenths of a second: one for each process is enough.
    pub fn new(binaries: AppBinaries) -> Self {
        let (amd64, arm64) = (OnceLock::new(), OnceLock::new());
        Self {
            binaries,
            amd64,
            arm64,
        }
    }

    fn layer(&self, platform: Platform) -> anyhow::Result<&Layer> {
        let (path, kept) = match platform {
            Platform::Amd64 => (&self.binaries.amd64, &self.amd64),
            Platform::Arm64 => (&self.binaries.arm64, &self.arm64),
        };
        if let Some(layer) = kept.get() {
            return Ok(layer);
        }
        let read = std::fs::read(path);
        let binary =
            read.with_context(|| format!("the test application is not at {}", path.display()))?;
        // Stored, not deflated: it never leaves this machine.
        let entries = [
            Entry::File("app", 0o755, &binary),
            Entry::Folder("tmp/", 0o1777),
        ];
        let layer = Layer::new(&entries, Compression::none())?;
        // Where two were at it, both made the same.
        Ok(kept.get_or_init(|| layer))
    }
}

impl Layer {
    fn new(entries: &[Entry<'_>], level: Compression) -> anyhow::Result<Self> {
        let tar = tar(entries)?;
        let blob = Blob::new(gzip(&tar, level)?);
        Ok(Self {
            blob,
            diff_id: digest(&tar),
        })
    }
}

/// An image that is ready to be pushed.
#[derive(Debug)]
struct Image {
    /// Layers with a binary.
    bases: Vec<Blob>,
    /// All other blobs.
    blobs: Vec<Blob>,
    /// The manifests under an index.
    children: Vec<Manifest>,
    /// What the tag points to.
    top: Manifest,
}

fn build(base: &Base, tag: &str, spec: &Spec) -> anyhow::Result<Image> {
    let count = spec.platforms.len();
    ensure!(count > 0, "an image needs a platform, none was given");
    ensure!(
        spec.form == Form::Index || count == 1,
        "a single manifest is for one platform, {count} were given"
    );
    let baked = spec.baked_tag.as_deref().unwrap_or(tag);
    let entries = [
        Entry::Folder("etc/", 0o755),
        Entry::File("etc/behaviour", 0o644, spec.behaviour.as_bytes()),
        Entry::File("etc/tag", 0o644, baked.as_bytes()),
    ];
    let own = Layer::new(&entries, Compression::fast())?;
    let mut bases = Vec::new();
    let mut blobs = vec![own.blob.clone()];
    let mut children = Vec::new();
    for platform in &spec.platforms {
        let binary = base.layer(spec.binary.unwrap_or(*platform))?;
        let config = config(*platform, baked, spec, [&binary.diff_id, &own.diff_id])?;
        let manifest = manifest(&config, &[&binary.blob, &own.blob])?;
        bases.push(binary.blob.clone());
        blobs.push(config);
        children.push((*platform, manifest));
    }
    let top = match spec.form {
        Form::Manifest => children.remove(0).1,
        Form::Index => index(&children)?,
    };
    let children = children.into_iter().map(|(_, manifest)| manifest).collect();
    Ok(Image {
        bases,
        blobs,
        children,
        top,
    })
}

fn config(platform: Platform, tag: &str, spec: &Spec, diff_ids: [&str; 2]) -> anyhow::Result<Blob> {
    let mut labels = spec.labels.clone();
    labels
        .entry("org.opencontainers.image.version".to_owned())
        .or_insert_with(|| tag.to_owned());
    let config = json!({
        "architecture": platform.to_string(),
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": { "Entrypoint": ["/app"], "ExposedPorts": { "8080/tcp": {} }, "Labels": labels },
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    });
    Ok(Blob::new(serde_json::to_vec(&config)?))
}

/// The manifest of one platform.
fn manifest(config: &Blob, layers: &[&Blob]) -> anyhow::Result<Manifest> {
    let layers: Vec<_> = layers.iter().map(|blob| blob.descriptor(LAYER)).collect();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config.descriptor(CONFIG),
        "layers": layers,
    });
    Ok(Manifest {
        media_type: MANIFEST,
        blob: Blob::new(serde_json::to_vec(&manifest)?),
    })
}

fn index(children: &[(Platform, Manifest)]) -> anyhow::Result<Manifest> {
    let entries: Vec<_> = children
        .iter()
        .map(|(platform, manifest)| {
            let mut descriptor = manifest.blob.descriptor(MANIFEST);
            descriptor["platform"] = json!({ "architecture": platform.to_string(), "os": "linux" });
            descriptor
        })
        .collect();
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries });
    Ok(Manifest {
        media_type: INDEX,
        blob: Blob::new(serde_json::to_vec(&index)?),
    })
}

/// Makes the image and pushes it as `ghcr.io/REPOSITORY:TAG` (`repository`: `owner/path`). Returns
/// the digest that the tag points to.
pub async fn push(
    client: &Client,
    base: &Base,
    repository: &str,
    tag: &str,
    spec: &Spec,
) -> anyhow::Result<String> {
    build(base, tag, spec)?.push(client, repository, tag).await
}

impl Image {
    /// Pushes it; gives the digest that the tag points to then.
    async fn push(&self, client: &Client, repository: &str, tag: &str) -> anyhow::Result<String> {
        let mut session = client.session(repository).await?;
        for blob in &self.bases {
            if session.push_blob(blob, Some(BASE_REPOSITORY)).await? {
                // The first of its kind: the next repository mounts it from there.
                client
                    .session(BASE_REPOSITORY)
                    .await?
                    .push_blob(blob, Some(repository))
                    .await?;
            }
        }
        for blob in &self.blobs {
            session.push_blob(blob, None).await?;
        }
        for child in &self.children {
            session.push_manifest(child, child.blob.digest()).await?;
        }
        session.push_manifest(&self.top, tag).await?;
        Ok(self.top.blob.digest().to_owned())
    }
}

#[cfg(test)]
mod tests;
