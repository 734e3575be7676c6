//! The pause image: an OCI image layout in a tar, as `ctr images import` reads it.
//!
//! Source: the image layout specification, version 1.0.

use std::io::Write;

use anyhow::Result;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::hex::hex;

/// The tar of an image that holds one static program, and runs it.
pub fn image(name: &str, program: &[u8]) -> Result<Vec<u8>> {
    let layer = tar_of(&[("pause", program, 0o755)])?;
    let config = json!({
        "architecture": architecture(),
        "os": "linux",
        "config": {"Entrypoint": ["/pause"]},
        "rootfs": {"type": "layers", "diff_ids": [digest(&layer)]},
    })
    .to_string()
    .into_bytes();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", &layer)],
    })
    .to_string()
    .into_bytes();
    let mut entry = descriptor("application/vnd.oci.image.manifest.v1+json", &manifest);
    // containerd names the image by this annotation.
    entry["annotations"] = json!({"io.containerd.image.name": name});
    let index = json!({"schemaVersion": 2, "manifests": [entry]}).to_string();
    let version = json!({"imageLayoutVersion": "1.0.0"}).to_string();
    let blobs = [&layer, &config, &manifest].map(|blob| (blob_path(blob), blob.as_slice(), 0o644));
    let mut files: Vec<(&str, &[u8], u32)> = vec![
        ("oci-layout", version.as_bytes(), 0o644),
        ("index.json", index.as_bytes(), 0o644),
    ];
    files.extend(
        blobs
            .iter()
            .map(|(path, blob, mode)| (path.as_str(), *blob, *mode)),
    );
    tar_of(&files)
}

/// What OCI calls the architecture that this program was built for.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn descriptor(media_type: &str, blob: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": digest(blob), "size": blob.len()})
}

fn digest(blob: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(blob)))
}

fn blob_path(blob: &[u8]) -> String {
    format!("blobs/sha256/{}", hex(&Sha256::digest(blob)))
}

fn tar_of(files: &[(&str, &[u8], u32)]) -> Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, content, mode) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(*mode);
        header.set_mtime(0);
        tar.append_data(&mut header, path, *content)?;
    }
    let mut bytes = tar.into_inner()?;
    bytes.flush()?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::Read;

    #[test]
    fn digests_lead_to_blobs() {
        let bytes = image("x.invalid/pause:1", b"program").unwrap();
        let mut files = std::collections::BTreeMap::new();
        for entry in tar::Archive::new(bytes.as_slice()).entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().display().to_string();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            files.insert(path, content);
        }
        let blob = |descriptor: &Value| -> Vec<u8> {
            let digest = descriptor["digest"].as_str().unwrap();
            files[&digest.replace("sha256:", "blobs/sha256/")].clone()
        };
        let index: Value = serde_json::from_slice(&files["index.json"]).unwrap();
        let manifest: Value = serde_json::from_slice(&blob(&index["manifests"][0])).unwrap();
        let config: Value = serde_json::from_slice(&blob(&manifest["config"])).unwrap();
        assert_eq!(
            config["rootfs"]["diff_ids"][0],
            manifest["layers"][0]["digest"]
        );
        assert!(!blob(&manifest["layers"][0]).is_empty());
    }
}
