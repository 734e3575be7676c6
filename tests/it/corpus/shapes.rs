//! Charts in the ways that people write them, each a few lines of
//! `shapes.toml`: what is read of them by tag and by digest, and that the
//! lines which any error suggests make the next run pass; where it suggests
//! none, it says that there is none.

use std::collections::BTreeMap;
use std::path::Path;

use deploy::chart::Proof;
use deploy::signal::{ImageKey, ImageRef};
use deploy::{Error, Kind};
use serde::Deserialize;

use super::proving::prove;
use super::templates::templates;

/// `shapes.toml`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Shapes {
    shape: Vec<Shape>,
}

/// A chart and what is expected of it.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// Its name.
    pub name: String,
    /// `values.yaml`; none: the chart has no such file.
    values: Option<String>,
    /// How many comments stand in front of them.
    #[serde(default)]
    comment_lines: usize,
    /// A container a line: `Deployment api/api = <template of the image>`; an
    /// `init:` before the container's name, a `hook:` before the kind.
    #[serde(default)]
    pods: Vec<String>,
    #[serde(default)]
    files: BTreeMap<String, String>,
    #[serde(default)]
    chart: String,
    /// Subcharts by the name of their folder.
    #[serde(default)]
    sub: BTreeMap<String, Sub>,
    /// Without tag and digest; `ghcr.io/acme/shop/<key>` by default.
    #[serde(default)]
    images: BTreeMap<String, String>,
    #[serde(default = "keys")]
    keys: Vec<String>,
    #[serde(default = "tag")]
    tag: String,
    #[serde(default)]
    node: String,
    /// Lines of deploy.toml, under the app.
    #[serde(default)]
    pub deploy: Vec<String>,
    /// What comes of a request by tag: the line of each key, or the pieces of
    /// an error.
    by_tag: Vec<String>,
    /// The same by digest; as by tag where it is not said.
    by_digest: Option<Vec<String>>,
    /// Whether it is refused by tag, by digest.
    #[serde(default)]
    pub refused: Vec<String>,
    /// Which container gets what the error says to change in the chart, where it
    /// says that no line helps: `api = "Deployment api/api"`.
    #[serde(default)]
    cured: BTreeMap<String, String>,
    /// Whether it can be deployed for real: every container is the request's.
    #[serde(default)]
    pub runs: bool,
    /// Pieces of the notes and warnings by tag, where it is accepted.
    #[serde(default)]
    notes: Vec<String>,
    /// How many renders an accepted one takes at most.
    #[serde(default = "renders")]
    renders: usize,
}

/// A subchart.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sub {
    values: Option<String>,
    pods: Vec<String>,
}

fn keys() -> Vec<String> {
    vec!["api".into(), "web".into()]
}

fn tag() -> String {
    "1a2b3c4d5e".into()
}

/// Where nothing is odd.
fn renders() -> usize {
    4
}

/// The most renders that a refusal takes, with the trials of its lines.
const MAX_REFUSED: usize = 40;

/// All of them.
pub fn load(path: &Path) -> Vec<Shape> {
    let text = std::fs::read_to_string(path).unwrap();
    toml::from_str::<Shapes>(&text).unwrap().shape
}

impl Shape {
    /// Writes the chart's folder.
    pub fn write(&self, folder: &Path) {
        let put = |path: &str, text: &str| {
            let path = folder.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        put(
            "Chart.yaml",
            &format!(
                "apiVersion: v2\nname: {}\nversion: 1.0.0\nappVersion: \"0.9.0\"\n{}",
                self.name, self.chart
            ),
        );
        if let Some(values) = &self.values {
            let comments = "# -- what a value is for\n".repeat(self.comment_lines);
            put("values.yaml", &(comments + values));
        }
        for (path, text) in templates(&self.pods).iter().chain(&self.files) {
            put(path, text);
        }
        for (name, sub) in &self.sub {
            let at = format!("charts/{name}");
            put(
                &format!("{at}/Chart.yaml"),
                &format!("apiVersion: v2\nname: {name}\nversion: 1.0.0\nappVersion: \"0.9.0\"\n"),
            );
            if let Some(values) = &sub.values {
                put(&format!("{at}/values.yaml"), values);
            }
            for (path, text) in templates(&sub.pods) {
                put(&format!("{at}/{path}"), &text);
            }
        }
    }

    /// The chart with what the error says to change in it: what is wrong then.
    fn still_refused(
        &self,
        program: &Path,
        told: &str,
        images: &BTreeMap<ImageKey, ImageRef>,
    ) -> Vec<String> {
        let mut cured = self.clone();
        let mut values = self.values.clone().unwrap_or_default();
        for (key, container) in &self.cured {
            let template = format!("{{{{ .Values.{key}.image | quote }}}}");
            let value = format!("{key}: {{image: \"\"}}");
            if !told.contains(&template) || !told.contains(&value) {
                return vec![format!("does not say {template} and {value}: {told}")];
            }
            values = format!("{values}\n{value}\n");
            for pod in &mut cured.pods {
                if pod.starts_with(&format!("{container} = ")) {
                    *pod = format!("{container} = {{{{ .Values.{key}.image }}}}");
                }
            }
        }
        if self.cured.is_empty() {
            return Vec::new();
        }
        cured.values = Some(values);
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join(&self.name);
        cured.write(&folder);
        match prove(program, &folder, &self.node, &self.deploy, images).0 {
            Ok(proof) => carried(&proof, images),
            Err(error) => vec![format!(
                "still refused as changed: {}",
                super::check::told(&error)
            )],
        }
    }

    /// The images of the request.
    pub fn requested(&self, form: &str) -> BTreeMap<ImageKey, ImageRef> {
        let image = |(at, key): (usize, &String)| {
            let name = self
                .images
                .get(key)
                .cloned()
                .unwrap_or_else(|| format!("ghcr.io/acme/shop/{key}"));
            let end = match form {
                "tag" => format!(":{}", self.tag),
                _ => format!("@sha256:{}", format!("{:02x}", 0xa0 + at).repeat(32)),
            };
            (
                key.parse().unwrap(),
                format!("{name}{end}").parse().unwrap(),
            )
        };
        self.keys.iter().enumerate().map(image).collect()
    }
}

/// What differs from what is expected, one line each.
pub fn check(program: &Path, shape: &Shape, form: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join(&shape.name);
    shape.write(&folder);
    let images = shape.requested(form);
    let (result, renders) = prove(program, &folder, &shape.node, &shape.deploy, &images);
    let by_digest = shape.by_digest.as_ref().unwrap_or(&shape.by_tag);
    let expected = if form == "tag" {
        &shape.by_tag
    } else {
        by_digest
    };
    let is_refused = shape.refused.iter().any(|one| one == form);
    let mut wrong = Vec::new();
    match result {
        Ok(proof) => {
            if is_refused {
                wrong.push(format!("accepted: {:?}", proof.found));
            } else if proof.found != *expected {
                wrong.push(format!("found {:?}", proof.found));
            }
            if renders > shape.renders {
                wrong.push(format!("{renders} renders"));
            }
            wrong.extend(carried(&proof, &images));
            let told: Vec<&String> = proof.notes.iter().chain(&proof.warnings).collect();
            let lacks = |piece: &&String| !told.iter().any(|note| note.contains(piece.as_str()));
            let notes = shape.notes.iter().filter(|_| form == "tag");
            wrong.extend(
                notes
                    .filter(lacks)
                    .map(|piece| format!("no note {piece:?}: {told:?}")),
            );
        }
        Err(error) => {
            let told = super::check::told(&error);
            if !is_refused || error.kind() != Kind::Chart {
                wrong.push(format!("refused: {told}"));
            }
            if renders > MAX_REFUSED {
                wrong.push(format!("{renders} renders until it was refused"));
            }
            let lacks = |piece: &&String| !told.contains(piece.as_str());
            wrong.extend(
                expected
                    .iter()
                    .filter(lacks)
                    .map(|piece| format!("lacks {piece:?}: {told}")),
            );
            let lines = pasted(&error, &shape.deploy);
            if lines.len() == shape.deploy.len() {
                if !told.contains("no line in deploy.toml can") {
                    wrong.push(format!("neither a line nor that there is none: {told}"));
                }
                wrong.extend(shape.still_refused(program, &told, &images));
            } else {
                let (again, _) = prove(program, &folder, &shape.node, &lines, &images);
                match again {
                    Ok(proof) => wrong.extend(carried(&proof, &images)),
                    Err(error) => wrong.push(format!(
                        "with {lines:?} still refused: {}",
                        super::check::told(&error)
                    )),
                }
            }
        }
    }
    wrong
        .into_iter()
        .map(|line| format!("{} by {form}: {line}", shape.name))
        .collect()
}

/// The lines of deploy.toml in an error's hints: for each key the first that
/// no other key has taken.
fn pasted(error: &Error, before: &[String]) -> Vec<String> {
    let mut lines: BTreeMap<String, String> = BTreeMap::new();
    for hint in error.hints() {
        let Some(at) = hint.find("images.") else {
            continue;
        };
        let line = &hint[at..];
        let end = line.rfind([']', '}']).map_or(line.len(), |end| end + 1);
        let Some((key, value)) = line[..end].split_once(" = ") else {
            continue;
        };
        if !lines.contains_key(key) && lines.values().all(|taken| taken != value) {
            lines.insert(key.to_owned(), value.to_owned());
        }
    }
    let lines = lines.into_iter();
    let lines = lines.map(|(key, value)| format!("{key} = {value}"));
    before.iter().cloned().chain(lines).collect()
}

/// Each requested image stands in a container, whole.
fn carried(proof: &Proof, images: &BTreeMap<ImageKey, ImageRef>) -> Vec<String> {
    let carries = |image: &ImageRef| {
        let containers = proof.objects.iter().flat_map(|object| &object.containers);
        containers
            .into_iter()
            .any(|container| container.image == image.to_string())
    };
    let lost = images.iter().filter(|(_, image)| !carries(image));
    lost.map(|(key, image)| format!("{key}: no container carries {image}"))
        .collect()
}
