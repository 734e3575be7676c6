//! The proof that the requested images take effect, before anything is touched.
//!
//! Sentinels show which container takes which value ([`super::probe`]); the
//! render with the real overrides must then carry exactly the requested
//! references ([`super::check`]). A value that the chart ignores is the
//! classic silent failure of a deploy; here it is an error that names the
//! container and the line for deploy.toml.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::archive::Chart;
use super::check::{self, Expectation, Judgement};
use super::diagnostics::Diagnosis;
use super::layout::{self, Layout};
use super::lists::{self, WithLists};
use super::locate::{Located, locate};
use super::model::{ContainerSlot, Need, Placement, ProbeResult, State, Want};
use super::reading::{self, Subject};
use super::render::Render;
use super::sentinel::Ends;
use super::suggestions::Refusal;
use super::{beside, foreign, label_rules, mentions, values};
use crate::manifest::{Object, ObjectRef};
use crate::plan::{ImageRules, ValuePath};
use crate::signal::{ImageKey, ImageRef};
use crate::{Error, Kind, Result, text};

/// The images will take effect; where, and by which values.
#[derive(Clone, Debug)]
pub struct Proof {
    /// How the chart spells each image.
    pub layouts: Vec<Layout>,
    /// The values file that sets them, the last one that helm is given.
    pub overrides: Value,
    /// Every container that carries a requested image.
    pub placements: Vec<Placement>,
    /// Worth knowing, nothing to do.
    pub notes: Vec<String>,
    /// What stays on another image, though it looks like one of those requested.
    pub warnings: Vec<String>,
    /// Where each key's image was found, a line each:
    /// `api ← backend.image.{repository,tag} (by repository)`.
    pub found: Vec<String>,
    /// What is going to be applied.
    pub objects: Vec<Object>,
    /// Requested images in containers that no value was seen to set.
    pub(super) unassigned: Vec<String>,
    allowed: BTreeSet<ImageRef>,
    images: BTreeMap<ImageKey, ImageRef>,
}

/// A layout that is going to be set, and the image that it then spells.
type Chosen<'a> = (&'a Layout, &'a ImageRef);

/// One proof. `ends` says whether tags are made up where containers are searched.
pub(super) async fn proven<R: Render + Sync>(
    chart: &Chart,
    node_values: &[Value],
    rules: &ImageRules,
    images: &BTreeMap<ImageKey, ImageRef>,
    ends: Ends,
    render: &R,
) -> std::result::Result<Proof, Refusal> {
    let coalesced = values::coalesce(chart, node_values);
    let render = &WithLists {
        render,
        values: &coalesced,
    };
    let subcharts = values::subcharts(chart, node_values);
    let wants = wants(rules, images)?;
    let subject = Subject {
        values: &coalesced,
        subcharts: &subcharts,
        foreign: &foreign::paths(chart, node_values, images),
        templates: &chart.templates,
        wants: &wants,
        rules,
        ends,
    };
    let located = locate(&subject, render).await.map_err(advised)?;
    let Located {
        result,
        mut notes,
        how,
        untouched: before,
        likeliest,
    } = located;
    let chosen: Vec<Chosen<'_>> = result
        .candidates
        .iter()
        .filter(|candidate| candidate.state == State::Exact)
        .map(|candidate| (candidate.layout(), &candidate.image))
        .collect();
    let overrides = layout::joined(chosen.iter().copied()).map_err(|clash| clash.refused())?;
    let manifest = match likeliest.and_then(|likeliest| likeliest.of(&overrides)) {
        Some(manifest) => manifest,
        None => render.render(&overrides).await?,
    };
    let objects = Object::parse(&manifest)?;
    let shown: BTreeMap<&ImageKey, String> = wants
        .iter()
        .map(|want| (&want.key, spelt(&chosen, &want.key)))
        .collect();
    let expected = expected(&result, &wants, &shown);
    let judgement = check::judge(&objects, &expected, images, &rules.allowed);
    untouched(&chosen, &overrides, &objects, &judgement, render).await?;
    if !judgement.problems.is_empty() {
        let diagnosis = Diagnosis {
            values: &coalesced,
            result: &result,
            wants: &wants,
            rules,
            foreign: subject.foreign,
        };
        return Err(diagnosis.refused(judgement));
    }
    unquoted(label_rules::unquoted(&objects))?;
    notes.extend(judgement.unassigned.iter().cloned());
    let mut warnings = mentions::told(&objects, images, &rules.allowed);
    if let Some(before) = &before {
        lists_stay(&chosen, &coalesced, before, render).await?;
        let is_read = chosen.iter().any(|(layout, _)| layout.solved.is_some());
        let told = beside::told(before, &objects, &judgement.placements, images, is_read)?;
        warnings.extend(told.stay);
        notes.extend(told.move_along);
    }
    let found = wants
        .iter()
        .filter_map(|want| found(&chosen, &want.key, how.get(&want.key)))
        .collect();
    Ok(Proof {
        layouts: chosen.iter().map(|(layout, _)| (*layout).clone()).collect(),
        overrides: lists::whole(&overrides, &coalesced),
        placements: judgement.placements,
        notes,
        warnings,
        found,
        objects,
        unassigned: judgement.unassigned,
        allowed: rules.allowed.clone(),
        images: images.clone(),
    })
}

/// Compares the stored record of a release (its manifest, and the manifest of
/// each hook) with the proof: what differs, one line each; nothing where the
/// requested images are what the cluster was given. Fails with [`Kind::Chart`]
/// where the record is no manifest.
pub fn verify_record<S: AsRef<str>>(
    manifest: &str,
    hooks: &[S],
    proof: &Proof,
) -> Result<Vec<String>> {
    let mut objects = Object::parse(manifest)?;
    for hook in hooks {
        objects.extend(Object::parse(hook.as_ref())?);
    }
    let expected: Vec<Expectation<'_>> = proof
        .placements
        .iter()
        .map(|placement| Expectation {
            key: &placement.key,
            image: &placement.image,
            object: &placement.object,
            source: &placement.source,
            path: &placement.path,
            shown: format!("{}, {}", placement.title, placement.container),
            values: &placement.values,
        })
        .collect();
    Ok(check::judge(&objects, &expected, &proof.images, &proof.allowed).problems)
}

/// `api ← backend.image.{repository,tag} (by repository)`
fn found(chosen: &[Chosen<'_>], key: &ImageKey, how: Option<&String>) -> Option<String> {
    let places: Vec<String> = chosen
        .iter()
        .filter(|(layout, _)| layout.key == *key)
        .map(|(layout, _)| reading::tell::fields(&layout.paths()))
        .collect();
    let how = how.map_or("by its name", String::as_str);
    (!places.is_empty()).then(|| format!("{key} ← {} ({how})", places.join(" and ")))
}

/// The keys, and what is wanted of each. A worker that was not requested takes
/// the api's image (the contract: `worker` is optional).
fn wants(rules: &ImageRules, images: &BTreeMap<ImageKey, ImageRef>) -> Result<Vec<Want>> {
    let key = |name: &str| {
        name.parse::<ImageKey>().map_err(|cause| {
            Error::new(
                Kind::Internal,
                format!("'{name}' is not an image key: {cause}"),
            )
        })
    };
    let (worker, api) = (key("worker")?, key("api")?);
    let mut wants: Vec<Want> = images
        .iter()
        .map(|(key, image)| Want {
            key: key.clone(),
            image: image.clone(),
            need: match key {
                key if rules.absent.contains(key) => Need::Absent,
                key if *key == worker => Need::IfRendered,
                _ => Need::Must,
            },
        })
        .collect();
    let requested = images.contains_key(&worker) || rules.absent.contains(&worker);
    if let Some(image) = images.get(&api).filter(|_| !requested) {
        wants.push(Want {
            key: worker,
            image: image.clone(),
            need: Need::Follows,
        });
    }
    Ok(wants)
}

/// What to do about a chart that renders neither as it is nor with the request.
fn advised(mut refusal: Refusal) -> Refusal {
    let is_said = !refusal.advice.is_empty() || !refusal.error.hints().is_empty();
    if refusal.error.kind() != Kind::Chart || is_said {
        return refusal;
    }
    refusal.error = refusal.error.hint("set what it asks for in this node's values; where it checks the form of an image, no line in deploy.toml can set another: request a form that it takes, or let the chart take this one");
    refusal
}

/// A tag of digits only becomes a number where a template does not quote it.
fn unquoted(problems: Vec<String>) -> Result<()> {
    let mut problems = problems.into_iter();
    let Some(first) = problems.next() else {
        return Ok(());
    };
    Err(Error::new(Kind::Chart, first)
        .details(problems)
        .hint("quote it in the template: {{ … | quote }}"))
}

fn spelt(chosen: &[Chosen<'_>], key: &ImageKey) -> String {
    let layouts: Vec<String> = chosen
        .iter()
        .filter(|(layout, _)| layout.key == *key)
        .map(|(layout, _)| layout.to_string())
        .collect();
    layouts.join(", ")
}

fn expected<'a>(
    result: &'a ProbeResult,
    wants: &'a [Want],
    shown: &'a BTreeMap<&ImageKey, String>,
) -> Vec<Expectation<'a>> {
    let wanted = |slot: &ContainerSlot| wants.iter().find(|want| want.key == slot.key);
    result
        .slots
        .iter()
        .filter_map(|slot| {
            let want = wanted(slot)?;
            let (object, container) = result.place(slot);
            Some(Expectation {
                key: &want.key,
                image: &want.image,
                object: &object.reference,
                source: &object.source,
                path: &container.path,
                shown: format!("{object}, {container}"),
                values: shown.get(&want.key).map_or("", String::as_str),
            })
        })
        .collect()
}

/// Helm takes a list as a whole: what else stands in those that are set stays as it is.
/// `before` is the render without any image.
async fn lists_stay<R: Render>(
    chosen: &[Chosen<'_>],
    coalesced: &Value,
    before: &[Object],
    render: &R,
) -> Result<()> {
    let lists: BTreeMap<ValuePath, &Value> = chosen
        .iter()
        .flat_map(|(layout, _)| layout.paths())
        .filter_map(|path| lists::list_of(coalesced, path))
        .collect();
    if lists.is_empty() {
        return Ok(());
    }
    lists::copied(&lists, before, render).await
}

/// Where a field that others read too is set, nothing but the requested images may
/// change with it.
async fn untouched<R: Render>(
    chosen: &[Chosen<'_>],
    overrides: &Value,
    objects: &[Object],
    judgement: &Judgement,
    render: &R,
) -> Result<()> {
    let shared: BTreeSet<&ValuePath> = chosen
        .iter()
        .filter_map(|(layout, _)| layout.shared())
        .collect();
    if shared.is_empty() {
        return Ok(());
    }
    let others = |objects: &[Object]| -> BTreeMap<(ObjectRef, String), (String, String)> {
        let every = objects.iter().flat_map(|object| {
            let containers = object.containers.iter();
            containers.map(move |container| (object, container))
        });
        every
            .filter(|(object, container)| {
                judgement.placements.iter().all(|placement| {
                    placement.path != container.path || !placement.object.is_same(&object.reference)
                })
            })
            .map(|(object, container)| {
                let place = (object.reference.clone(), container.to_string());
                (place, (object.to_string(), container.image.clone()))
            })
            .collect()
    };
    let after = others(objects);
    if after.is_empty() {
        return Ok(());
    }
    let mut without = overrides.clone();
    for path in &shared {
        values::remove(&mut without, path);
    }
    let before = Object::parse(&render.render(&without).await?)?;
    let before = others(&before);
    let changed: Vec<String> = before
        .iter()
        .filter_map(|(place, (object, old))| {
            let (_, new) = after.get(place)?;
            let container = &place.1;
            (old != new).then(|| {
                format!(
                    "{object}, {container}: {} would become {}",
                    text::quoted(old),
                    text::quoted(new)
                )
            })
        })
        .collect();
    if changed.is_empty() {
        return Ok(());
    }
    let paths: Vec<String> = shared.iter().map(ToString::to_string).collect();
    let path = paths.join(" and ");
    Err(Error::new(
        Kind::Chart,
        format!("the images need {path} = \"{}\", which would change other images too", ImageRef::REGISTRY),
    )
    .details(changed)
    .hint(format!("no line in deploy.toml can set one without the other: give the requested images a registry of their own in the chart, or leave {path} empty on this node")))
}
