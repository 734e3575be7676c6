//! Images as the example's Dockerfiles make them: one static program and nothing else.

use flate2::Compression;
use serde_json::json;

use super::{Image, Layer, Platform, manifest};
use crate::archive::Entry;
use crate::ghcr::{Blob, Client};

/// The user that the programs run as, as the Dockerfiles have it.
const USER: &str = "65532:65532";

/// Pushes a program for this machine as `ghcr.io/REPOSITORY:TAG`. It lies at `/NAME` and is what
/// the image runs; `revision` is the commit that its label names. Returns the digest.
pub async fn push_program(
    client: &Client,
    repository: &str,
    tag: &str,
    (name, binary): (&str, &[u8]),
    revision: &str,
) -> anyhow::Result<String> {
    let image = build(name, binary, revision)?;
    image.push(client, repository, tag).await
}

fn build(name: &str, binary: &[u8], revision: &str) -> anyhow::Result<Image> {
    let layer = Layer::new(&[Entry::File(name, 0o755, binary)], Compression::fast())?;
    let config = json!({
        "architecture": Platform::here().to_string(),
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {
            "User": USER,
            "Entrypoint": [format!("/{name}")],
            "Labels": { "org.opencontainers.image.revision": revision },
        },
        "rootfs": { "type": "layers", "diff_ids": [layer.diff_id] },
    });
    let config = Blob::new(serde_json::to_vec(&config)?);
    let top = manifest(&config, &[&layer.blob])?;
    Ok(Image {
        bases: Vec::new(),
        blobs: vec![layer.blob, config],
        children: Vec::new(),
        top,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn each_revision_is_an_image_of_its_own() {
        let digest = |revision| {
            let image = build("api", b"program", revision).unwrap();
            image.top.blob.digest().to_owned()
        };
        assert_eq!(digest("1"), digest("1"));
        assert_ne!(digest("1"), digest("2"));
    }
}
