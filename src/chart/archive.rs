//! A chart as `helm pull` leaves it: a gzipped tar archive.
//!
//! Read in memory and bounded as Helm bounds it; nothing is ever unpacked to
//! disk, so that a path in the archive can do no harm.

use std::collections::BTreeMap;
use std::io::Read;

use serde::Deserialize;
use serde_json::Value;

use crate::manifest::{Object, yaml};
use crate::signal::{ChartRef, ChartVersion};
use crate::{Error, Kind, Result, text};

/// Helm's own bound for an unpacked chart (`loader.MaxDecompressedChartSize`), in bytes.
const MAX_TOTAL: u64 = 100 << 20;
/// Helm's own bound for one file (`loader.MaxDecompressedFileSize`), in bytes.
const MAX_FILE: u64 = 5 << 20;
/// The most files of one archive.
const MAX_FILES: usize = 10_000;
/// How deep charts are read in charts.
const MAX_DEPTH: usize = 8;

/// What a deploy needs to know of a chart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chart {
    /// The name in `Chart.yaml`.
    pub name: String,
    /// The version in `Chart.yaml`.
    pub version: String,
    /// Its `values.yaml`: a map, empty where there is none.
    pub values: Value,
    /// What `Chart.yaml` (or `requirements.yaml`) says of its subcharts.
    pub dependencies: Vec<Dependency>,
    /// The charts in `charts/`, by the name of their file or folder.
    pub subcharts: Vec<Chart>,
    /// Group and kind of each definition in `crds/`, here and in subcharts.
    pub crds: Vec<(String, String)>,
    /// The text of every template, here and in subcharts.
    pub templates: Vec<String>,
}

/// One entry of `dependencies`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Dependency {
    /// The subchart's name.
    pub name: String,
    /// Where it comes from: empty or `file://` where it is the chart's own.
    pub repository: String,
    /// Another name for it; values lie under this one.
    pub alias: Option<String>,
    /// Value paths, split by commas; the first boolean among them decides.
    pub condition: Option<String>,
    /// Tags that switch it.
    pub tags: Vec<String>,
    /// Values of it that the chart takes over.
    pub import_values: Vec<Value>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata {
    name: String,
    version: Value,
    dependencies: Vec<Dependency>,
}

type Files = BTreeMap<String, Vec<u8>>;

impl Chart {
    /// Reads a pulled `.tgz`. Fails with [`Kind::Chart`] where it is not a chart
    /// or larger than Helm itself would take.
    pub fn read(archive: impl Read) -> Result<Self> {
        let mut left = MAX_TOTAL;
        unpack(archive, &mut left)
            .and_then(|files| load(files, &mut left, 0))
            .map_err(|cause| {
                Error::new(
                    Kind::Chart,
                    format!("the pulled archive is not a chart: {cause}"),
                )
                .hint("package it with 'helm package' and push it again")
            })
    }

    /// One file of a pulled `.tgz`, by its path from the chart's folder; none where it
    /// is not there. Fails as [`Self::read`] does.
    pub fn file(archive: impl Read, path: &str) -> Result<Option<Vec<u8>>> {
        let mut left = MAX_TOTAL;
        match unpack(archive, &mut left) {
            Ok(mut files) => Ok(files.remove(path)),
            Err(cause) => Err(Error::new(
                Kind::Chart,
                format!("the pulled archive is not a chart: {cause}"),
            )),
        }
    }

    /// Whether its `crds/` define that kind.
    pub fn has_crd(&self, group: &str, kind: &str) -> bool {
        self.crds
            .iter()
            .any(|(own_group, own_kind)| own_group == group && own_kind == kind)
    }

    /// Fails with [`Kind::Chart`] where `Chart.yaml` names another chart or
    /// version than was asked for: helm would install it without an error.
    pub fn verify(&self, chart: &ChartRef, version: &ChartVersion) -> Result<()> {
        let wanted = version.to_string();
        if self.name == chart.name() && self.version == wanted {
            return Ok(());
        }
        let found = format!("{} {}", self.name, self.version);
        Err(Error::new(
            Kind::Chart,
            format!(
                "{chart} at {version} holds the chart {}, expected '{} {wanted}'",
                text::quoted(&found),
                chart.name(),
            ),
        )
        .hint("push the chart under the name and version that its Chart.yaml has"))
    }
}

/// The files below the archive's one folder. What Helm would refuse (absolute
/// paths, `..`) is left out: nothing is read from there.
fn unpack(archive: impl Read, left: &mut u64) -> Result<Files, String> {
    let unpacked = flate2::read::MultiGzDecoder::new(archive).take(*left + (8 << 20));
    let mut files = Files::new();
    let mut tar = tar::Archive::new(unpacked);
    for entry in tar.entries().map_err(|error| error.to_string())? {
        let mut entry = entry.map_err(|error| error.to_string())?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let Some(path) = inner(&entry.path_bytes()) else {
            continue;
        };
        if files.len() >= MAX_FILES {
            return Err(format!("more than {MAX_FILES} files"));
        }
        let size = entry.size();
        if size > MAX_FILE {
            let name = text::quoted(&path);
            return Err(format!("{name} is larger than {} MiB", MAX_FILE >> 20));
        }
        *left = left
            .checked_sub(size)
            .ok_or_else(|| format!("more than {} MiB unpacked", MAX_TOTAL >> 20))?;
        let mut data = Vec::new();
        entry
            .read_to_end(&mut data)
            .map_err(|error| error.to_string())?;
        files.insert(path, data);
    }
    Ok(files)
}

/// The path below the first folder, without `.`; none where it leads out.
fn inner(path: &[u8]) -> Option<String> {
    let path = std::str::from_utf8(path).ok()?.replace('\\', "/");
    let mut parts = path.split('/');
    parts.next()?;
    let parts: Vec<&str> = parts.filter(|part| !matches!(*part, "" | ".")).collect();
    (!parts.is_empty() && !parts.contains(&"..")).then(|| parts.join("/"))
}

fn load(mut files: Files, left: &mut u64, depth: usize) -> Result<Chart, String> {
    if depth > MAX_DEPTH {
        return Err(format!("subcharts are nested more than {MAX_DEPTH} deep"));
    }
    let metadata: Metadata = read_as(&files, "Chart.yaml")?.ok_or("Chart.yaml is missing")?;
    if metadata.name.is_empty() {
        return Err("Chart.yaml has no name".into());
    }
    let old: Option<Metadata> = read_as(&files, "requirements.yaml")?;
    let mut dependencies = metadata.dependencies;
    dependencies.extend(old.into_iter().flat_map(|old| old.dependencies));
    let values = match read(&files, "values.yaml")? {
        None | Some(Value::Null) => Value::Object(serde_json::Map::new()),
        Some(map @ Value::Object(_)) => map,
        Some(_) => return Err("values.yaml is not a map".into()),
    };
    let subcharts = subcharts(&mut files, left, depth)?;
    let mut crds = definitions(&files);
    crds.extend(
        subcharts
            .iter()
            .flat_map(|chart| chart.crds.iter().cloned()),
    );
    let mut templates: Vec<String> = files
        .iter()
        .filter(|(path, _)| path.starts_with("templates/"))
        .map(|(_, data)| String::from_utf8_lossy(data).into_owned())
        .collect();
    templates.extend(
        subcharts
            .iter()
            .flat_map(|chart| chart.templates.iter().cloned()),
    );
    Ok(Chart {
        name: metadata.name,
        version: match metadata.version {
            Value::String(version) => version,
            other => other.to_string(),
        },
        values,
        dependencies,
        crds,
        templates,
        subcharts,
    })
}

/// The charts in `charts/`, as folders or archives; names that start with `_`
/// or `.` are not charts (Helm's loader).
fn subcharts(files: &mut Files, left: &mut u64, depth: usize) -> Result<Vec<Chart>, String> {
    let mut folders: BTreeMap<String, Files> = BTreeMap::new();
    let mut charts = Vec::new();
    for (path, data) in std::mem::take(files) {
        let Some(below) = path.strip_prefix("charts/") else {
            files.insert(path, data);
            continue;
        };
        if below.starts_with(['_', '.']) {
            continue;
        }
        match below.split_once('/') {
            Some((folder, file)) => {
                let folder = folders.entry(folder.to_owned()).or_default();
                folder.insert(file.to_owned(), data);
            }
            None if std::path::Path::new(below)
                .extension()
                .is_some_and(|end| end == "tgz") =>
            {
                let nested = unpack(data.as_slice(), left)
                    .and_then(|files| load(files, left, depth + 1))
                    .map_err(|cause| format!("charts/{}: {cause}", text::line(below, 80)))?;
                charts.push(nested);
            }
            None => {}
        }
    }
    for (folder, files) in folders {
        let nested = load(files, left, depth + 1)
            .map_err(|cause| format!("charts/{}: {cause}", text::line(&folder, 80)))?;
        charts.push(nested);
    }
    Ok(charts)
}

fn read(files: &Files, path: &str) -> Result<Option<Value>, String> {
    let Some(data) = files.get(path) else {
        return Ok(None);
    };
    let text = std::str::from_utf8(data).map_err(|_| format!("{path} is not UTF-8"))?;
    yaml::parse(text)
        .map(Some)
        .map_err(|cause| format!("{path}: {cause}"))
}

fn read_as<T: serde::de::DeserializeOwned>(files: &Files, path: &str) -> Result<Option<T>, String> {
    read(files, path)?
        .map(serde_json::from_value)
        .transpose()
        .map_err(|error| format!("{path}: {}", text::line(&error.to_string(), 200)))
}

/// What `crds/` defines. A file that is not a manifest defines nothing: helm
/// fails with it when it installs.
fn definitions(files: &Files) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (_, data) in files.iter().filter(|(path, _)| path.starts_with("crds/")) {
        let objects = Object::parse(&String::from_utf8_lossy(data)).unwrap_or_default();
        for object in objects {
            let word = |pointer: &str| object.value.pointer(pointer)?.as_str().map(str::to_owned);
            found.extend(word("/spec/group").zip(word("/spec/names/kind")));
        }
    }
    found
}

#[cfg(test)]
#[path = "archive_tests.rs"]
mod tests;
