//! The corpus: a folder per chart, its verdicts in `expect.toml`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use deploy::plan::{ImageRules, ValuePath};
use deploy::signal::{ImageKey, ImageRef};
use serde::Deserialize;

/// `expect.toml`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Whether only the server renders it truly.
    #[serde(default)]
    pub server: bool,
    /// What helm is told of a server it cannot ask.
    #[serde(default)]
    pub api_versions: Vec<String>,
    /// The same for its version.
    pub kube_version: Option<String>,
    /// The cases.
    #[serde(rename = "case")]
    pub cases: Vec<Case>,
}

/// One request against one node, and what must come of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// The keys of the request.
    #[serde(default = "keys")]
    pub keys: Vec<String>,
    /// The forms of the references: tag, digest, both.
    #[serde(default = "forms")]
    pub forms: Vec<String>,
    /// The owner, where the chart depends on it.
    pub owner: Option<String>,
    /// The images, where the forms' own do not do; then `forms` does not count.
    #[serde(default)]
    pub images: BTreeMap<String, String>,
    /// The node's values.
    #[serde(default)]
    pub values: String,
    /// `images.<key>` of deploy.toml.
    #[serde(default)]
    pub layouts: BTreeMap<String, Vec<String>>,
    /// `absent` of deploy.toml.
    #[serde(default)]
    pub absent: Vec<String>,
    /// `allow_images` of deploy.toml.
    #[serde(default)]
    pub allow: Vec<String>,
    /// What helm is told of the server's version, here only.
    pub kube_version: Option<String>,
    /// `ok`, `refused` (exit 6 by the proof) or `fails` (helm does not render it).
    #[serde(default = "ok")]
    pub verdict: String,
    /// Pieces of the error, its details or its hints.
    #[serde(default)]
    pub message: Vec<String>,
    /// The fields that set an image: those of one place by commas, places by semicolons.
    #[serde(default)]
    pub layout: BTreeMap<String, String>,
    /// All containers that carry an image.
    #[serde(default)]
    pub placed: BTreeMap<String, Vec<String>>,
    /// A piece of each note, in any order.
    pub notes: Option<Vec<String>>,
    /// By form: override paths that change nothing (`*` is any first key).
    #[serde(default)]
    pub redundant: BTreeMap<String, Vec<String>>,
    /// Names of objects that no override may change.
    #[serde(default)]
    pub unchanged: Vec<String>,
    /// Whether it can be deployed for real where the verdict is ok.
    #[serde(default = "yes")]
    pub deploy: bool,
}

fn keys() -> Vec<String> {
    vec!["api".into(), "web".into()]
}

fn forms() -> Vec<String> {
    vec!["tag".into(), "digest".into(), "both".into()]
}

fn ok() -> String {
    "ok".into()
}

fn yes() -> bool {
    true
}

/// Every chart of the corpus with its expectations.
pub fn load(corpus: &Path) -> Result<Vec<(PathBuf, Expect)>, String> {
    let mut charts = Vec::new();
    let folders = std::fs::read_dir(corpus).map_err(|error| error.to_string())?;
    for folder in folders.flatten().map(|entry| entry.path()) {
        let path = folder.join("expect.toml");
        let Ok(text) = std::fs::read_to_string(&path) else {
            continue;
        };
        let expect =
            toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        charts.push((folder, expect));
    }
    charts.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(charts)
}

/// The chart folder as the archive that `helm package` makes of it.
pub fn package(folder: &Path) -> std::io::Result<Vec<u8>> {
    let name = folder.file_name().unwrap_or_default();
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    tar.append_dir_all(name, folder)?;
    tar.into_inner()?.finish()
}

impl Case {
    /// The images of the request in a form.
    pub fn images(&self, form: &str) -> BTreeMap<ImageKey, ImageRef> {
        let owner = self.owner.as_deref().unwrap_or("acme");
        let whole = |(at, key): (usize, &String)| {
            let digest = format!("@sha256:{}", format!("{:02x}", 0xa0 + at).repeat(32));
            let (tag, digest) = match form {
                "tag" => (":1a2b3c4d5e", ""),
                "digest" => ("", digest.as_str()),
                _ => (":1a2b3c4d5e", digest.as_str()),
            };
            (
                key.clone(),
                format!("ghcr.io/{owner}/shop/{key}{tag}{digest}"),
            )
        };
        let images = if self.images.is_empty() {
            self.keys.iter().enumerate().map(whole).collect()
        } else {
            self.images.clone()
        };
        images
            .iter()
            .map(|(key, image)| (key.parse().unwrap(), image.parse().unwrap()))
            .collect()
    }

    /// The forms to try.
    pub fn forms(&self) -> &[String] {
        if self.images.is_empty() {
            &self.forms
        } else {
            &self.forms[..1]
        }
    }

    /// What deploy.toml says.
    pub fn rules(&self) -> ImageRules {
        let path = |path: &String| path.parse::<ValuePath>().unwrap();
        let layouts = self.layouts.iter();
        ImageRules {
            layouts: layouts
                .map(|(key, paths)| (key.parse().unwrap(), paths.iter().map(path).collect()))
                .collect(),
            parts: BTreeMap::new(),
            absent: self
                .absent
                .iter()
                .map(|key| key.parse().unwrap())
                .collect::<BTreeSet<_>>(),
            allowed: self
                .allow
                .iter()
                .map(|image| image.parse().unwrap())
                .collect(),
        }
    }
}
