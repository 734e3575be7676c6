//! Charts: from files or from a small description, packaged the same way each time, and pushed as
//! helm pushes them.
//!
//! It never runs helm: what helm must accept is checked by helm itself, in the scenarios.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, ensure};
use flate2::Compression;
use serde_json::json;

use crate::archive::{Entry, gzip, tar};
use crate::ghcr::{Blob, Client, Manifest};

mod shop;

pub use shop::{Hook, Shop};

// As in helm.sh/helm/v3/pkg/registry/constants.go.
const CONFIG: &str = "application/vnd.cncf.helm.config.v1+json";
const CONTENT: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A chart's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chart {
    name: String,
    version: String,
    files: BTreeMap<String, String>,
}

impl Chart {
    /// A chart of these files, each a path inside the chart and its content. Name and version are
    /// read from `Chart.yaml`. Errors: that is missing or lacks one of them, or a path leads out.
    pub fn from_files(files: &[(&str, &str)]) -> anyhow::Result<Self> {
        let files: BTreeMap<String, String> = files
            .iter()
            .map(|(path, text)| ((*path).into(), (*text).into()))
            .collect();
        for path in files.keys() {
            let plain = Path::new(path)
                .components()
                .all(|part| matches!(part, Component::Normal(_)));
            ensure!(
                plain && !path.is_empty(),
                "{path:?} is no path inside a chart"
            );
        }
        let about = files
            .get("Chart.yaml")
            .context("a chart needs a Chart.yaml, none was given")?;
        let field = |name| {
            top_level(about, name)
                .with_context(|| format!("Chart.yaml has no `{name}:` line of its own"))
        };
        Ok(Self {
            name: field("name")?,
            version: field("version")?,
            files,
        })
    }

    /// Reads a chart's folder, subfolders included. Text files only.
    pub fn from_folder(folder: &Path) -> anyhow::Result<Self> {
        let mut files = Vec::new();
        collect(folder, "", &mut files)
            .with_context(|| format!("the chart at {}", folder.display()))?;
        let files: Vec<_> = files
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
            .collect();
        Self::from_files(&files)
    }

    /// Adds a file, or replaces it. Not for `Chart.yaml`: see [`Chart::versioned`].
    #[must_use]
    pub fn with(mut self, path: &str, content: &str) -> Self {
        self.files.insert(path.to_owned(), content.to_owned());
        self
    }

    /// The content of a file, where there is such a one.
    pub fn file(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// The same chart under another version.
    #[must_use]
    pub fn versioned(mut self, version: &str) -> Self {
        let about = self
            .files
            .get("Chart.yaml")
            .map(String::as_str)
            .unwrap_or_default();
        let lines = about.lines().map(|line| {
            if line.starts_with("version:") {
                format!("version: {version:?}\n")
            } else {
                format!("{line}\n")
            }
        });
        let about = lines.collect();
        self.files.insert("Chart.yaml".to_owned(), about);
        version.clone_into(&mut self.version);
        self
    }

    /// The name in `Chart.yaml`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version in `Chart.yaml`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The `.tgz` that `helm package` would make, without the time of day.
    pub fn package(&self) -> anyhow::Result<Vec<u8>> {
        let paths: Vec<(String, &str)> = self
            .files
            .iter()
            .map(|(path, text)| (format!("{}/{path}", self.name), text.as_str()))
            .collect();
        let entries: Vec<_> = paths
            .iter()
            .map(|(path, text)| Entry::File(path, 0o644, text.as_bytes()))
            .collect();
        gzip(&tar(&entries)?, Compression::fast())
    }

    /// Writes the chart as a folder of its name into `parent`. Returns that folder.
    pub fn write(&self, parent: &Path) -> anyhow::Result<PathBuf> {
        let folder = parent.join(&self.name);
        for (path, text) in &self.files {
            let file = folder.join(path);
            let wrote = file
                .parent()
                .map_or(Ok(()), std::fs::create_dir_all)
                .and_then(|()| std::fs::write(&file, text));
            wrote.with_context(|| format!("writing {}", file.display()))?;
        }
        Ok(folder)
    }

    /// Pushes the chart as `oci://ghcr.io/OWNER/charts/NAME`, tagged with its version. Returns the
    /// manifest's digest.
    pub async fn push(&self, client: &Client, owner: &str) -> anyhow::Result<String> {
        let metadata = json!({ "apiVersion": "v2", "name": self.name, "version": self.version, "type": "application" });
        let config = Blob::new(serde_json::to_vec(&metadata)?);
        let content = Blob::new(self.package()?);
        let manifest = Manifest {
            media_type: MANIFEST,
            blob: Blob::new(serde_json::to_vec(&json!({
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": config.descriptor(CONFIG),
                "layers": [content.descriptor(CONTENT)],
                "annotations": {
                    "org.opencontainers.image.title": self.name,
                    "org.opencontainers.image.version": self.version,
                },
            }))?),
        };
        let mut session = client
            .session(&format!("{owner}/charts/{}", self.name))
            .await?;
        session.push_blob(&config, None).await?;
        session.push_blob(&content, None).await?;
        // A tag knows no `+`; helm writes `_` and reads it back.
        session
            .push_manifest(&manifest, &self.version.replace('+', "_"))
            .await?;
        Ok(manifest.blob.digest().to_owned())
    }
}

/// A scalar at the top level of a YAML file, as `Chart.yaml` writes its name and version.
fn top_level(text: &str, name: &str) -> Option<String> {
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let value = value
        .split_once(" #")
        .map_or(value, |(value, _)| value)
        .trim();
    let value = value.trim_matches(['"', '\'']);
    (!value.is_empty()).then(|| value.to_owned())
}

fn collect(folder: &Path, prefix: &str, files: &mut Vec<(String, String)>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry
            .file_name()
            .into_string()
            .ok()
            .context("a file name that is not UTF-8")?;
        let path = format!("{prefix}{name}");
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &format!("{path}/"), files)?;
        } else {
            let text = std::fs::read_to_string(entry.path()).with_context(|| path.clone())?;
            files.push((path, text));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::Read as _;

    #[test]
    fn name_and_version_come_from_chart_yaml() {
        let about = "apiVersion: v2\nname: shop # a remark\nversion: \"1.2.3+b\"\ndependencies:\n  - name: other\n    version: 9.9.9\n";
        let chart = Chart::from_files(&[("Chart.yaml", about), ("values.yaml", "")]).unwrap();
        assert_eq!((chart.name(), chart.version()), ("shop", "1.2.3+b"));
        let next = chart.clone().versioned("2.0.0");
        assert_eq!(
            Chart::from_files(&[("Chart.yaml", next.files["Chart.yaml"].as_str())])
                .unwrap()
                .version(),
            "2.0.0"
        );
        assert!(
            next.files["Chart.yaml"].contains("version: 9.9.9"),
            "a dependency keeps its own"
        );
        for bad in [
            &[("values.yaml", "")][..],
            &[("Chart.yaml", "name: x")],
            &[("Chart.yaml", about), ("../x", "")],
        ] {
            assert!(Chart::from_files(bad).is_err());
        }
    }

    #[test]
    fn packages_are_equal_and_hold_every_file_under_the_name() {
        let chart = Shop::new("shop", "1.0.0").chart();
        let package = chart.package().unwrap();
        assert_eq!(package, chart.clone().package().unwrap());
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(&package[..]));
        let mut found = BTreeMap::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().display().to_string();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            found.insert(path.strip_prefix("shop/").unwrap().to_owned(), text);
        }
        assert_eq!(found, chart.files);
    }

    #[test]
    fn a_folder_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let chart = Shop::new("shop", "1.0.0").worker().chart();
        let written = chart.write(folder.path()).unwrap();
        assert_eq!(Chart::from_folder(&written).unwrap(), chart);
    }
}
