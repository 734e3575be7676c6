//! Proves for every target, with its Application's own values, that the requested images
//! take effect: as Argo CD will render it, and before any target is touched.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use futures::stream::{self, StreamExt as _};
use serde_json::Value;
use tokio::time::Instant;

use super::preflight::FleetObservation;
use crate::argocd::{ArgoCd, HelmInput, Rendered, Values, input};
use crate::chart::{self, Chart, Proof, Render, values};
use crate::engine::Wanted;
use crate::error::{Error, Kind, Result};
use crate::event::Phase;
use crate::helm::{ForeignRender, Helm};
use crate::manifest::Object;
use crate::pipeline::context::Run;
use crate::plan::fleet::{Fleet, TargetName};
use crate::plan::{Capabilities, ReleaseId};
use crate::registry::artifacts::ArtifactReader;
use crate::signal::{ImageKey, ImageRef};
use crate::text;

/// How many targets are proven at once.
const AT_ONCE: usize = 4;

/// What every target is asked to serve. Fails before anything is touched where one of
/// them would not take the images ([`Kind::Chart`]), serves another application
/// ([`Kind::Policy`]), or where somebody else owns what the signal says.
pub(super) async fn targets(
    run: &mut Run<'_>,
    engine: &ArgoCd,
    fleet: &Fleet,
    found: &FleetObservation,
) -> Result<BTreeMap<TargetName, Wanted>> {
    run.begin(Phase::Prove);
    let shared: &Run<'_> = run;
    let proving = fleet.targets().map(async |target| {
        let proven = of_target(shared, engine, found, target).await;
        (target.clone(), proven)
    });
    let proven: Vec<_> = shared
        .unless_cancelled(async { Ok(stream::iter(proving).buffered(AT_ONCE).collect().await) })
        .await?;
    let mut wanted = BTreeMap::new();
    let mut failed: Option<Error> = None;
    let mut layouts = Vec::new();
    for (target, proven) in proven {
        match proven {
            Ok(proven) => {
                tell(run, &target, &proven);
                layouts.extend(
                    proven
                        .proof
                        .found
                        .iter()
                        .map(|line| format!("{target}: {line}")),
                );
                wanted.insert(target, proven.wanted);
            }
            Err(error) => {
                failed = Some(if let Some(first) = failed.take() {
                    first.detail(format!("{target}: {error}"))
                } else {
                    let kind = error.kind();
                    let problem = error.into_problem().headed(target.as_str());
                    problem.of_kind(kind)
                });
            }
        }
    }
    if let Some(error) = failed {
        return Err(error);
    }
    run.facts.layout = layouts;
    run.end();
    Ok(wanted)
}

/// Fails with [`Kind::Broken`] where the chart's version is not what was proven any more.
pub(super) async fn still_same_chart(run: &Run<'_>) -> Result<()> {
    let Some(proven) = &run.facts.chart_digest else {
        return Ok(());
    };
    let (chart, version) = (&run.plan.request.chart, &run.plan.request.version);
    let repository = chart.repository();
    let reader = ArtifactReader::new(&run.plan.environment, [repository.clone()]).await?;
    let now = reader.digest(&repository, &version.tag()).await?;
    let became = match &now {
        Some(now) if now == proven => return Ok(()),
        Some(now) => format!("is {now} now"),
        None => "is not in the registry any more".to_owned(),
    };
    Err(Error::new(
        Kind::Broken,
        format!("the chart was moved meanwhile: {chart} {version} was {proven} when it was proven, and {became}"),
    )
    .hint("push each chart under a version of its own, and send a signal for that one"))
}

/// What is proven of a target.
struct Proven {
    wanted: Wanted,
    proof: Proof,
    /// Whether its cluster's version and APIs are known.
    knows_cluster: bool,
    /// What it serves so far.
    before: String,
}

fn tell(run: &Run<'_>, target: &TargetName, proven: &Proven) {
    for note in &proven.proof.notes {
        run.events.note(format!("{target}: {note}"));
    }
    for warning in &proven.proof.warnings {
        run.events.warn(format!("{target}: {warning}"));
    }
    if !run.plan.dry_run {
        return;
    }
    let version = &proven.wanted.version;
    run.events
        .note(format!("{target}: {} → {version}", proven.before));
    for line in &proven.proof.found {
        run.events.note(format!("{target}: {line}"));
    }
    if !proven.knows_cluster {
        run.events.note(format!(
            "{target}: rendered for the versions that helm itself knows: its cluster cannot be asked from here (clusters.{target} in deploy.toml)"
        ));
    }
}

async fn of_target(
    run: &Run<'_>,
    engine: &ArgoCd,
    found: &FleetObservation,
    target: &TargetName,
) -> Result<Proven> {
    let (plan, request) = (run.plan, &run.plan.request);
    let held = found
        .targets
        .get(target)
        .and_then(|seen| seen.held.as_ref());
    if let Some(held) = held
        && held.chart.name() != request.chart.name()
        && !plan.chart_is_pinned
    {
        let message = format!(
            "the Application serves the chart {}, and the signal brings {}: another application",
            text::quoted(held.chart.name()),
            text::quoted(request.chart.name())
        );
        return Err(Error::new(Kind::Policy, message).hint(format!(
            "where that is meant, pin it: [apps.{}] chart = \"{}\"",
            request.app, request.chart
        )));
    }
    let base = engine.base(target).await?;
    let input = input(&base)?;
    let look = engine.look(target);
    let known = look.map(|look| look.capabilities.clone());
    let renderer = Renderer::new(run, found, target, input, known.clone().unwrap_or_default())?;
    let proving = chart::prove_preferring(
        &found.chart,
        &renderer.given,
        &plan.images,
        &run.images,
        &request.images,
        &renderer,
    );
    let (proof, why) = proving.await?;
    let images = match why {
        Some(_) => &request.images,
        None => &run.images,
    };
    let wanted = Wanted {
        chart: request.chart.clone(),
        version: request.version.clone(),
        digest: run.facts.chart_digest.clone(),
        values: proof.overrides.clone(),
    };
    engine.check(target, &wanted).await?;
    let seen = images
        .iter()
        .filter(|(key, _)| run.facts.digests.contains_key(*key));
    let expected = Rendered {
        objects: proof.objects.clone(),
        namespace: renderer.release.namespace.clone(),
        images: of_pods(&proof, images),
        seen: seen.map(|(_, image)| image.to_string()).collect(),
    };
    engine.expect(target, &wanted, expected);
    Ok(Proven {
        wanted,
        proof,
        knows_cluster: known.is_some(),
        before: held.map_or("nothing".to_owned(), |held| held.version.to_string()),
    })
}

/// The requested images of which pods run for as long as the release does.
fn of_pods(proof: &Proof, images: &BTreeMap<ImageKey, ImageRef>) -> BTreeSet<String> {
    let runs = |object: &&Object| {
        matches!(
            object.reference.kind.as_str(),
            "Deployment" | "StatefulSet" | "DaemonSet"
        ) && object.hooks.is_empty()
            && object.value.pointer("/spec/replicas") != Some(&Value::from(0))
    };
    let asked: BTreeSet<String> = images.values().map(ToString::to_string).collect();
    let running = proof
        .objects
        .iter()
        .filter(runs)
        .flat_map(|object| &object.containers);
    let running = running.map(|container| container.image.clone());
    running.filter(|image| asked.contains(image)).collect()
}

/// Helm, as Argo CD renders with it for one Application.
struct Renderer<'a> {
    helm: &'a Helm,
    archive: &'a Path,
    release: ReleaseId,
    /// The values files, in Argo CD's order.
    files: Vec<PathBuf>,
    /// The same as values.
    given: Vec<Value>,
    flags: Vec<(&'static str, OsString)>,
    capabilities: Capabilities,
    folder: PathBuf,
    deadline: Instant,
    count: AtomicU32,
}

impl<'a> Renderer<'a> {
    fn new(
        run: &Run<'_>,
        found: &'a FleetObservation,
        target: &TargetName,
        input: HelmInput,
        mut capabilities: Capabilities,
    ) -> Result<Self> {
        let folder = found.helm.private().join(format!("application-{target}"));
        fs::create_dir(&folder).map_err(unwritten)?;
        if let Some(version) = input.kube_version {
            capabilities.version = version;
        }
        if !input.api_versions.is_empty() {
            capabilities.apis = input.api_versions;
        }
        let mut renderer = Self {
            helm: &found.helm,
            archive: &found.archive,
            release: ReleaseId::new(&input.namespace, &input.release),
            files: Vec::new(),
            given: Vec::new(),
            flags: Vec::new(),
            capabilities,
            folder,
            deadline: run.deadline,
            count: AtomicU32::new(0),
        };
        for name in &input.files {
            match renderer.inside(name)? {
                Some(content) => renderer.give(name, &content)?,
                None if input.files_are_optional => {}
                None => return Err(missing(name)),
            }
        }
        match &input.values {
            Values::None => {}
            Values::Object(object) => renderer.give("valuesObject", &object.to_string())?,
            Values::Text(text) => renderer.give("values", text)?,
        }
        let sets = input.sets.into_iter();
        renderer.flags = sets.map(|(flag, set)| (flag, set.into())).collect();
        for (path, name) in &input.set_files {
            let content = renderer.inside(name)?.ok_or_else(|| missing(name))?;
            let file = renderer.write(&content)?;
            let mut set = OsString::from(format!("{path}="));
            set.push(file);
            renderer.flags.push(("--set-file", set));
        }
        if input.skips_schema {
            renderer
                .flags
                .push(("--skip-schema-validation", OsString::new()));
        }
        Ok(renderer)
    }

    /// A file of the chart.
    fn inside(&self, name: &str) -> Result<Option<String>> {
        let archive = File::open(self.archive).map_err(unwritten)?;
        let content = Chart::file(archive, name)?;
        Ok(content.map(|content| String::from_utf8_lossy(&content).into_owned()))
    }

    /// Gives a values file to helm.
    fn give(&mut self, name: &str, content: &str) -> Result<()> {
        let parsed = values::parse(name, content).map_err(|error| {
            // Whoever wrote it: it is the Application's, and not the node's.
            error.into_problem().of_kind(Kind::Chart)
        })?;
        let file = self.write(content)?;
        self.given.push(parsed);
        self.files.push(file);
        Ok(())
    }

    /// Writes a file for helm, for its owner alone: it goes with the private directory.
    fn write(&self, content: &str) -> Result<PathBuf> {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let path = self.folder.join(format!("{number}.yaml"));
        let write = || {
            let mut options = fs::OpenOptions::new();
            let mut file = options
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)?;
            file.write_all(content.as_bytes())
        };
        write().map_err(unwritten)?;
        Ok(path)
    }
}

impl Render for Renderer<'_> {
    async fn render(&self, overrides: &Value) -> Result<String> {
        let mut files = self.files.clone();
        files.push(self.write(&overrides.to_string())?);
        let render = ForeignRender {
            chart: self.archive,
            release: &self.release,
            values: &files,
            flags: &self.flags,
            capabilities: &self.capabilities,
        };
        self.helm.render_foreign(&render, self.deadline).await
    }
}

fn unwritten(error: std::io::Error) -> Error {
    Error::new(
        Kind::Node,
        "the Application's values cannot be written for helm",
    )
    .with_source(error)
    .hint("see that the directory for temporary files has room")
}

fn missing(name: &str) -> Error {
    Error::new(
        Kind::Chart,
        format!(
            "the Application's file {} is not in the chart",
            text::quoted(name)
        ),
    )
    .hint("correct spec.source.helm of the Application, or push a chart that has it")
}
