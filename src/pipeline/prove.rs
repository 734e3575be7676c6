//! Renders the chart as helm will, and proves that the images take effect.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;
use tokio::time::Instant;

use super::context::Run;
use super::observed::ReleaseObservation;
use super::{preconditions, tag_drift};
use crate::chart::{self, Proof, Render};
use crate::error::{Error, Kind, Result};
use crate::event::Phase;
use crate::helm::{self, RenderMode};
use crate::manifest::Object;
use crate::plan::Plan;

/// Proves that the requested images take effect, and fails before anything is
/// touched where they would not.
pub(super) async fn images(run: &mut Run<'_>, found: &ReleaseObservation) -> Result<Proof> {
    run.begin(Phase::Prove);
    let templates = found.chart.templates.iter().map(String::as_str);
    let renderer = Renderer {
        plan: run.plan,
        found,
        way: RenderMode::of(templates, &found.cluster.capabilities),
        deadline: run.deadline,
        count: AtomicU32::new(0),
    };
    let plan = run.plan;
    let (chart, values, rules) = (&found.chart, &found.values, &plan.images);
    let requested = &plan.request.images;
    let proving = chart::prove_preferring(chart, values, rules, &run.images, requested, &renderer);
    let (proof, why) = proving.await?;
    if let Some(error) = why {
        run.events.note(format!("the chart does not take the images by the digests that were proven, so their tags must still mean them at the end: {error}"));
        run.images.clone_from(requested);
    }
    preconditions::none(run, found, &proof).await?;
    for note in &proof.notes {
        run.events.note(note);
    }
    for warning in &proof.warnings {
        run.events.warn(warning);
    }
    run.facts.layout.clone_from(&proof.found);
    if plan.dry_run {
        for line in &proof.found {
            run.events.note(line);
        }
    }
    let before = found.serving().map(|record| record.manifest.as_str());
    let moved = tag_drift::warnings(
        &run.images,
        &run.facts.digests,
        &found.earlier,
        &proof.objects,
        &Object::parse(before.unwrap_or_default()).unwrap_or_default(),
    );
    for warning in moved {
        run.events.warn(warning);
    }
    run.end();
    Ok(proof)
}

/// Where each image stands, for people.
pub(super) fn placed(run: &Run<'_>, proof: &Proof) -> Vec<(String, String, Vec<String>)> {
    let mut places: BTreeMap<(String, String), Vec<String>> = run
        .images
        .iter()
        .map(|(key, image)| ((key.to_string(), image.to_string()), Vec::new()))
        .collect();
    for placed in &proof.placements {
        let key = (placed.key.to_string(), placed.image.to_string());
        let place = format!("{} {}", placed.title, placed.container);
        places.entry(key).or_default().push(place);
    }
    places
        .into_iter()
        .map(|((key, image), places)| (key, image, places))
        .collect()
}

/// Helm, as the proof renders with it.
struct Renderer<'a> {
    plan: &'a Plan,
    found: &'a ReleaseObservation,
    way: RenderMode,
    deadline: Instant,
    count: AtomicU32,
}

impl Render for Renderer<'_> {
    async fn render(&self, overrides: &Value) -> Result<String> {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let name = format!("render-{count}.json");
        let render = helm::RenderRequest {
            chart: &self.found.archive,
            values: &with_overrides(self.plan, self.found, &name, overrides)?,
            upgrade: self.found.is_upgrade(),
            capabilities: &self.found.cluster.capabilities,
        };
        self.found
            .helm
            .render(self.way, &render, self.deadline)
            .await
    }
}

/// The values files of the node, then one with the overrides: helm takes the
/// last. JSON is YAML; the file is for its owner alone and goes with the
/// private directory.
pub(super) fn with_overrides(
    plan: &Plan,
    found: &ReleaseObservation,
    name: &str,
    overrides: &Value,
) -> Result<Vec<PathBuf>> {
    let path = found.helm.private().join(name);
    let write = || {
        let mut file = fs::OpenOptions::new()
            .write(true)
            // One of an earlier helm lies there, where the way to the cluster was lost.
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)?;
        file.write_all(overrides.to_string().as_bytes())
    };
    write().map_err(|error: std::io::Error| {
        Error::new(Kind::Node, "the overrides cannot be written")
            .with_source(error)
            .hint("see that the directory for temporary files has room")
    })?;
    let mut files = plan.values.clone();
    files.push(path);
    Ok(files)
}
