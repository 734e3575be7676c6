//! Reads the corpus (a folder per chart, its verdicts in `expect.toml`) and
//! checks the proof against it with a real helm.
//!
//! Whoever includes this chooses the helm and reports; nothing here prints.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use deploy::chart::{self, Chart, Proof, Render};
use deploy::plan::{ImageRules, ValuePath};
use deploy::signal::{ImageKey, ImageRef};
use deploy::{Error, Kind};
use serde::Deserialize;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;

/// `expect.toml`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expect {
    /// Whether only the server renders it truly.
    #[serde(default)]
    pub(crate) uses_lookup: bool,
    /// What helm is told of a server it cannot ask.
    #[serde(default)]
    pub(crate) api_versions: Vec<String>,
    /// The same for its version.
    pub(crate) kube_version: Option<String>,
    /// The cases.
    #[serde(rename = "case")]
    pub(crate) cases: Vec<Case>,
}

/// One request against one node, and what must come of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// Its name.
    pub(crate) name: String,
    /// The keys of the request.
    #[serde(default = "keys")]
    pub(crate) keys: Vec<String>,
    /// The forms of the references: tag, digest, both.
    #[serde(default = "forms")]
    pub(crate) forms: Vec<String>,
    /// The owner, where the chart depends on it.
    pub(crate) owner: Option<String>,
    /// The images, where the forms' own do not do; then `forms` does not count.
    #[serde(default)]
    pub(crate) images: BTreeMap<String, String>,
    /// The node's values.
    #[serde(default)]
    pub(crate) values: String,
    /// `images.<key>` of deploy.toml.
    #[serde(default)]
    pub(crate) layouts: BTreeMap<String, Vec<String>>,
    /// `absent` of deploy.toml.
    #[serde(default)]
    pub(crate) absent: Vec<String>,
    /// `allow_images` of deploy.toml.
    #[serde(default)]
    pub(crate) allow: Vec<String>,
    /// What helm is told of the server's version, here only.
    pub(crate) kube_version: Option<String>,
    /// `ok`, `refused` (exit 6 by the proof) or `fails` (helm does not render it).
    #[serde(default = "ok")]
    pub(crate) verdict: String,
    /// Pieces of the error, its details or its hints.
    #[serde(default)]
    pub(crate) message: Vec<String>,
    /// The fields that set an image: those of one place by commas, places by semicolons.
    #[serde(default)]
    pub(crate) layout: BTreeMap<String, String>,
    /// All containers that carry an image.
    #[serde(default)]
    pub(crate) placed: BTreeMap<String, Vec<String>>,
    /// A piece of each note, in any order.
    pub(crate) notes: Option<Vec<String>>,
    /// By form: override paths that change nothing (`*` is any first key).
    #[serde(default)]
    pub(crate) redundant: BTreeMap<String, Vec<String>>,
    /// Names of objects that no override may change.
    #[serde(default)]
    pub(crate) unchanged: Vec<String>,
    /// Whether it can be deployed for real where the verdict is ok.
    #[serde(default = "yes")]
    pub(crate) deploy: bool,
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
pub(crate) fn load(corpus: &Path) -> Result<Vec<(PathBuf, Expect)>, String> {
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
pub(crate) fn package(folder: &Path) -> std::io::Result<Vec<u8>> {
    let name = folder.file_name().unwrap_or_default();
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    tar.append_dir_all(name, folder)?;
    tar.into_inner()?.finish()
}

impl Case {
    /// The images of the request in a form.
    pub(crate) fn images(&self, form: &str) -> BTreeMap<ImageKey, ImageRef> {
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
    pub(crate) fn forms(&self) -> &[String] {
        if self.images.is_empty() {
            &self.forms
        } else {
            &self.forms[..1]
        }
    }

    /// What deploy.toml says.
    pub(crate) fn rules(&self) -> ImageRules {
        let path = |path: &String| path.parse::<ValuePath>().unwrap();
        let layouts = self.layouts.iter();
        ImageRules {
            layouts: layouts
                .map(|(key, paths)| (key.parse().unwrap(), paths.iter().map(path).collect()))
                .collect(),
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

/// `helm template` on a chart's folder.
pub(crate) struct Helm<'a> {
    /// The program.
    pub(crate) program: &'a Path,
    /// The chart's folder.
    pub(crate) folder: &'a Path,
    /// The node's values.
    pub(crate) values: &'a str,
    /// The chart's expectations.
    pub(crate) expect: &'a Expect,
    /// The case.
    pub(crate) case: &'a Case,
    /// How often it was run.
    pub(crate) count: std::sync::atomic::AtomicUsize,
}

impl Render for Helm<'_> {
    async fn render(&self, overrides: &Value) -> deploy::Result<String> {
        let failed =
            |error: std::io::Error| Error::new(Kind::Node, "helm does not run").because(error);
        self.count
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let node = tempfile::NamedTempFile::new().map_err(failed)?;
        std::fs::write(node.path(), self.values).map_err(failed)?;
        let mut command = tokio::process::Command::new(self.program);
        command
            .args(["template", "shop"])
            .arg(self.folder)
            .args(["--namespace", "shop", "--skip-tests", "-f"])
            .arg(node.path())
            .args(["-f", "-"])
            .env_clear()
            .env("HOME", "/nonexistent")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for api in &self.expect.api_versions {
            command.args(["--api-versions", api]);
        }
        if let Some(version) = self
            .case
            .kube_version
            .as_ref()
            .or(self.expect.kube_version.as_ref())
        {
            command.args(["--kube-version", version]);
        }
        let mut child = command.spawn().map_err(failed)?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin
                .write_all(overrides.to_string().as_bytes())
                .await
                .map_err(failed)?;
        }
        let output = child.wait_with_output().await.map_err(failed)?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(Error::new(Kind::Chart, "the chart does not render")
                .details(deploy::text::tail(&said, 5)));
        }
        String::from_utf8(output.stdout).map_err(|error| Error::new(Kind::Chart, error.to_string()))
    }
}

/// Proves one case and compares: what differs, one line each, and how many
/// renders it took.
pub(crate) async fn check(
    program: &Path,
    folder: &Path,
    expect: &Expect,
    case: &Case,
    form: &str,
) -> (Vec<String>, usize) {
    let chart = Chart::read(package(folder).unwrap().as_slice()).unwrap();
    let mut wrong = Vec::new();
    if chart.uses_lookup != expect.uses_lookup {
        wrong.push(format!("uses_lookup is {}", chart.uses_lookup));
    }
    let helm = Helm {
        program,
        folder,
        values: &case.values,
        expect,
        case,
        count: 0.into(),
    };
    let node = [chart::values::parse("the node's values", &case.values).unwrap()];
    let images = case.images(form);
    let result = chart::prove(&chart, &node, &case.rules(), &images, &helm).await;
    let count = helm.count.load(std::sync::atomic::Ordering::Relaxed);
    match result {
        Ok(proof) if case.verdict == "ok" => {
            accepted(&mut wrong, case, &proof);
            mutate(&mut wrong, case, form, &proof, &helm).await;
        }
        Ok(proof) => wrong.push(format!(
            "accepted: {:?} {:?}",
            proof.overrides.to_string(),
            proof.notes
        )),
        Err(error) => refused(&mut wrong, case, &error),
    }
    (wrong, count)
}

/// The error as people read it.
pub(crate) fn told(error: &Error) -> String {
    let mut text = format!("{error}\n");
    for line in error.evidence() {
        let _ = writeln!(text, "    {line}");
    }
    for hint in error.hints() {
        let _ = writeln!(text, "    hint: {hint}");
    }
    text
}

fn refused(wrong: &mut Vec<String>, case: &Case, error: &Error) {
    let text = told(error);
    if case.verdict == "ok" || error.kind() != Kind::Chart {
        wrong.push(format!("refused: {text}"));
        return;
    }
    for piece in &case.message {
        if !text.contains(piece.as_str()) {
            wrong.push(format!("lacks {piece:?}: {text}"));
        }
    }
}

fn accepted(wrong: &mut Vec<String>, case: &Case, proof: &Proof) {
    for (key, layout) in &case.layout {
        let found: Vec<String> = proof
            .layouts
            .iter()
            .filter(|found| found.key.as_str() == key)
            .map(ToString::to_string)
            .collect();
        if found.join("; ") != *layout {
            wrong.push(format!("{key} is set by {found:?}"));
        }
    }
    for (key, places) in &case.placed {
        let mut found: Vec<String> = proof
            .placed
            .iter()
            .filter(|placed| placed.key.as_str() == key)
            .map(|placed| format!("{}, {}", placed.object, placed.container))
            .collect();
        let mut places = places.clone();
        places.sort();
        found.sort();
        if found != places {
            wrong.push(format!("{key} stands in {found:?}"));
        }
    }
    if let Some(notes) = &case.notes {
        let missing = notes
            .iter()
            .any(|piece| !proof.notes.iter().any(|note| note.contains(piece.as_str())));
        if missing || notes.len() != proof.notes.len() {
            wrong.push(format!("notes {:?}", proof.notes));
        }
    }
}

/// Each override path left out by itself: the proof sees it, or the path is
/// listed and changes no image.
async fn mutate(wrong: &mut Vec<String>, case: &Case, form: &str, proof: &Proof, helm: &Helm<'_>) {
    let whole = helm.render(&proof.overrides).await.unwrap();
    let seen = chart::verify_record(&whole, &[] as &[&str], proof).unwrap();
    if !seen.is_empty() {
        wrong.push(format!("its own render differs: {seen:?}"));
    }
    let bare = helm
        .render(&Value::Object(serde_json::Map::new()))
        .await
        .unwrap_or_default();
    for name in &case.unchanged {
        let of = |text: &str| {
            text.split("\n---")
                .find(|part| part.contains(name.as_str()))
                .map(str::to_owned)
        };
        if of(&bare) != of(&whole) {
            wrong.push(format!("{name} is changed"));
        }
    }
    let mut left: BTreeSet<String> = proof
        .layouts
        .iter()
        .flat_map(|layout| layout.paths())
        .map(ToString::to_string)
        .collect();
    let listed = case.redundant.get(form).cloned().unwrap_or_default();
    let listed = |path: &str| {
        listed
            .iter()
            .any(|one| one == path || one.strip_prefix('*').is_some_and(|end| path.ends_with(end)))
    };
    while let Some(path) = left.pop_first() {
        let mut broken = proof.overrides.clone();
        remove(&mut broken, &path.parse().unwrap());
        // A chart that does not even render without it has caught it, too.
        let Ok(text) = helm.render(&broken).await else {
            continue;
        };
        let seen = chart::verify_record(&text, &[] as &[&str], proof).unwrap();
        match (seen.is_empty(), listed(&path)) {
            (true, true) if images(&text) == images(&whole) => {}
            (true, _) => wrong.push(format!("without {path} the proof sees nothing")),
            (false, true) => wrong.push(format!(
                "{path} is listed as redundant, but counts: {seen:?}"
            )),
            (false, false) => {}
        }
    }
}

/// Every image of a manifest.
fn images(manifest: &str) -> Vec<String> {
    let objects = chart::Object::parse(manifest).unwrap();
    let containers = objects.iter().flat_map(|object| &object.containers);
    containers
        .map(|container| container.image.clone())
        .collect()
}

fn remove(values: &mut Value, path: &ValuePath) {
    let Some((last, above)) = path.keys().split_last() else {
        return;
    };
    let map = above
        .iter()
        .try_fold(values, |value, key| value.get_mut(key));
    if let Some(Value::Object(map)) = map {
        map.remove(last);
    }
}
