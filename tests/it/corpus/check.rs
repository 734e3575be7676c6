//! Proves a case with a real helm and compares with what is expected of it.
//!
//! Nothing here prints or panics over a difference: each is one line.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Stdio;

use deploy::chart::{self, Chart, Proof, Render};
use deploy::helm::RenderMode;
use deploy::manifest::Object;
use deploy::plan::{Capabilities, ValuePath};
use deploy::{Error, Kind};
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;

use super::expect::{Case, Expect, package};

/// `helm template` on a chart's folder.
pub struct Helm<'a> {
    /// The program.
    pub program: &'a Path,
    /// The chart's folder.
    pub folder: &'a Path,
    /// The node's values.
    pub values: &'a str,
    /// The chart's expectations.
    pub expect: &'a Expect,
    /// The case.
    pub case: &'a Case,
}

impl Render for Helm<'_> {
    async fn render(&self, overrides: &Value) -> deploy::Result<String> {
        let failed =
            |error: std::io::Error| Error::new(Kind::Node, "helm does not run").with_source(error);
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

/// Proves one case and compares: what differs, one line each. With
/// `mutations`, each override is left out once, too.
pub async fn check(
    program: &Path,
    folder: &Path,
    expect: &Expect,
    case: &Case,
    form: &str,
    mutations: bool,
) -> Vec<String> {
    let chart = Chart::read(package(folder).unwrap().as_slice()).unwrap();
    let mut wrong = Vec::new();
    let way = way(&chart, expect);
    if (way == RenderMode::Server) != expect.server {
        wrong.push(format!("it is rendered by {way:?}"));
    }
    let helm = Helm {
        program,
        folder,
        values: &case.values,
        expect,
        case,
    };
    let node = [chart::values::parse("the node's values", &case.values).unwrap()];
    let images = case.images(form);
    let result = chart::prove(&chart, &node, &case.rules(), &images, &helm).await;
    match result {
        Ok(proof) if case.verdict == "ok" => {
            accepted(&mut wrong, case, &proof);
            untouched(&mut wrong, case, &proof, &helm).await;
            if mutations {
                mutate(&mut wrong, case, form, &proof, &helm).await;
            }
        }
        Ok(proof) => wrong.push(format!(
            "accepted: {:?} {:?}",
            proof.overrides.to_string(),
            proof.notes
        )),
        Err(error) => refused(&mut wrong, case, &error),
    }
    wrong
}

/// How `deploy` renders the chart on a server that has what the corpus says.
fn way(chart: &Chart, expect: &Expect) -> RenderMode {
    let capabilities = Capabilities {
        version: "v1.34.0".to_owned(),
        apis: expect.api_versions.clone(),
    };
    RenderMode::of(chart.templates.iter().map(String::as_str), &capabilities)
}

/// The error as people read it.
pub fn told(error: &Error) -> String {
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
            .placements
            .iter()
            .filter(|placed| placed.key.as_str() == key)
            .map(|placed| format!("{}, {}", placed.title, placed.container))
            .collect();
        let mut places = places.clone();
        places.sort();
        found.sort();
        if found != places {
            wrong.push(format!("{key} stands in {found:?}"));
        }
    }
    if let Some(notes) = &case.notes {
        let told: Vec<&String> = proof.notes.iter().chain(&proof.warnings).collect();
        let missing = notes
            .iter()
            .any(|piece| !told.iter().any(|note| note.contains(piece.as_str())));
        if missing || notes.len() != told.len() {
            wrong.push(format!("notes {told:?}"));
        }
    }
}

/// No override changes what is not the request's.
async fn untouched(wrong: &mut Vec<String>, case: &Case, proof: &Proof, helm: &Helm<'_>) {
    if case.unchanged.is_empty() {
        return;
    }
    let whole = helm.render(&proof.overrides).await.unwrap();
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
}

/// Each override path left out by itself: the proof sees it, or the path is
/// listed and changes no image.
async fn mutate(wrong: &mut Vec<String>, case: &Case, form: &str, proof: &Proof, helm: &Helm<'_>) {
    let whole = images(&proof.objects);
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
            (true, true) if images(&Object::parse(&text).unwrap()) == whole => {}
            (true, _) => wrong.push(format!("without {path} the proof sees nothing")),
            (false, true) => wrong.push(format!(
                "{path} is listed as redundant, but counts: {seen:?}"
            )),
            (false, false) => {}
        }
    }
}

/// Every image of a manifest.
fn images(objects: &[Object]) -> Vec<String> {
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
