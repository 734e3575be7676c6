//! One render with made-up values, and what it shows of each container.

use std::collections::BTreeMap;

use serde_json::Value;

use super::places::{Fill, Place, TagFill};
use super::roles::Role;
use super::{Group, Site, Subject, words};
use crate::chart::equation::Equation;
use crate::chart::reference::Reference;
use crate::chart::render::Render;
use crate::chart::sentinel::Ends;
use crate::chart::values;
use crate::manifest::{ContainerImage, Object};
use crate::plan::ValuePath;
use crate::signal::{ImageKey, ImageRef};
use crate::{Error, Kind, Result};

/// The most renders spent on finding the places that a chart checks.
const MAX_TRIES: usize = 20;

/// What a render with made-up values showed.
pub(super) struct Shown {
    pub(super) groups: Vec<Group>,
    /// What stands at each place in the values now.
    pub(super) now: BTreeMap<ValuePath, String>,
    /// Places that were emptied for it.
    pub(super) cleared: Vec<ValuePath>,
}

/// What is put into one place.
#[derive(Clone)]
struct Put {
    path: ValuePath,
    now: String,
    text: String,
    is_unsaid: bool,
    /// Whether its name is that of a part of an image.
    is_named: bool,
}

/// Renders with `places` filled; with fewer where the chart does not render so.
pub(super) async fn render<R: Render>(
    subject: &Subject<'_>,
    places: &[Place],
    fill: Fill,
    renders_untouched: bool,
    render: &R,
) -> Result<Shown> {
    let Some(image) = subject.wants.first().map(|want| &want.image) else {
        return Err(Error::new(Kind::Internal, "no image is wanted"));
    };
    let puts = puts(subject, places, fill, image);
    let (kept, manifest) = match try_with(&puts, render).await {
        Ok(manifest) => (puts.clone(), manifest),
        Err(error) if error.kind() == Kind::Chart => {
            fewer(puts.clone(), error, renders_untouched, render).await?
        }
        Err(error) => return Err(error),
    };
    let objects = Object::parse(&manifest)?;
    Ok(shown(subject, places, &kept, &objects))
}

fn puts(subject: &Subject<'_>, places: &[Place], fill: Fill, image: &ImageRef) -> Vec<Put> {
    let filled = places.iter().enumerate().filter_map(|(id, place)| {
        let text = match requested_tag(subject, place, fill) {
            Some(tag) => tag,
            None => place.made_up(id + 1, fill, image)?,
        };
        Some(Put {
            path: place.path.clone(),
            now: place.now.clone(),
            text,
            is_unsaid: place.unsaid,
            is_named: place.is_named(),
        })
    });
    filled.collect()
}

/// The tag that is requested for a place, where it must not be made up: that of
/// the key whose words its path has.
fn requested_tag(subject: &Subject<'_>, place: &Place, fill: Fill) -> Option<String> {
    if subject.ends == Ends::MadeUp || place.role != Role::Tag || fill.tag != TagFill::Shape {
        return None;
    }
    let keys: Vec<&ImageKey> = subject.wants.iter().map(|want| &want.key).collect();
    let mut names = place.path.keys().iter().rev();
    let key = names.find_map(|name| words::key(&words::of(name), &keys));
    let mut wants = subject.wants.iter();
    let want = wants.find(|want| key.is_none_or(|key| want.key == *key))?;
    Some(want.image.tag()?.as_str().to_owned())
}

async fn try_with<R: Render>(puts: &[Put], render: &R) -> Result<String> {
    let mut overrides = Value::Object(serde_json::Map::new());
    for put in puts {
        values::set(&mut overrides, &put.path, Value::String(put.text.clone()));
    }
    render.render(&overrides).await
}

/// The most of `puts` that the chart renders with: it may check some of them.
async fn fewer<R: Render>(
    puts: Vec<Put>,
    error: Error,
    renders_untouched: bool,
    render: &R,
) -> Result<(Vec<Put>, String)> {
    // A word that stands in an image by chance decides other things, too
    // (`type: mysql`); a schema may know no field that the values leave out.
    let filters: [fn(&Put) -> bool; 2] = [|put| put.is_named, |put| !put.is_unsaid];
    for filter in filters {
        let part: Vec<Put> = puts.iter().filter(|put| filter(put)).cloned().collect();
        if part.len() < puts.len()
            && let Ok(manifest) = try_with(&part, render).await
        {
            return Ok((part, manifest));
        }
    }
    if !renders_untouched {
        return Err(error);
    }
    // Halves that render are kept, the others cut again.
    let (mut good, mut manifest) = (Vec::new(), None);
    let mut left = vec![puts];
    for _ in 0..MAX_TRIES {
        let Some(part) = left.pop() else { break };
        let both: Vec<Put> = good.iter().chain(&part).cloned().collect();
        if let Ok(text) = try_with(&both, render).await {
            (good, manifest) = (both, Some(text));
        } else if part.len() > 1 {
            let (one, two) = part.split_at(part.len() / 2);
            left.push(two.to_vec());
            left.push(one.to_vec());
        }
    }
    manifest.map(|manifest| (good, manifest)).ok_or(error)
}

fn shown(subject: &Subject<'_>, places: &[Place], kept: &[Put], objects: &[Object]) -> Shown {
    let mut tokens: Vec<(ValuePath, String)> = kept
        .iter()
        .filter(|put| !put.text.is_empty())
        .map(|put| (put.path.clone(), put.text.clone()))
        .collect();
    // What a chart checks stays as it is, and is known by that.
    let same = |text: &str| places.iter().filter(|place| place.now == text).count() == 1;
    for place in places
        .iter()
        .filter(|place| place.seen && place.now.len() > 2)
    {
        if kept.iter().all(|put| put.path != place.path) && same(&place.now) {
            tokens.push((place.path.clone(), place.now.clone()));
        }
    }
    let now: BTreeMap<ValuePath, String> = places
        .iter()
        .map(|place| (place.path.clone(), place.now.clone()))
        .collect();
    let mut groups: Vec<Group> = Vec::new();
    for object in objects.iter().filter(|object| !object.is_test()) {
        for container in object
            .containers
            .iter()
            .filter(|container| !container.image.is_empty())
        {
            let equation = Equation::read(&container.image, &tokens);
            let site = site(object, container, kept);
            match groups.iter_mut().find(|group| group.equation == equation) {
                Some(group) => group.sites.push(site),
                None => groups.push(group(subject, equation, site, &now)),
            }
        }
    }
    let cleared = kept.iter().filter(|put| put.text.is_empty());
    Shown {
        groups,
        cleared: cleared.map(|put| put.path.clone()).collect(),
        now,
    }
}

fn group(
    subject: &Subject<'_>,
    equation: Equation,
    site: Site,
    now: &BTreeMap<ValuePath, String>,
) -> Group {
    let untouched = equation.with(|path| now.get(path).map(String::as_str));
    let is_foreign = equation.places().iter().any(|path| {
        subject
            .foreign
            .iter()
            .any(|foreign| path.keys().starts_with(foreign.keys()))
    });
    Group {
        repository: repository(&untouched),
        equation,
        sites: vec![site],
        is_foreign,
    }
}

/// Registry and path of an image whose tag may be missing for now.
fn repository(image: &str) -> Option<String> {
    let image = image.split('@').next().unwrap_or_default();
    let last = image.rfind('/').map_or(0, |at| at + 1);
    let end = image[last..].find(':').map_or(image.len(), |at| last + at);
    Reference::parse(&image[..end]).map(|reference| reference.name)
}

/// A container by the names that it has without the made-up values.
fn site(object: &Object, container: &ContainerImage, kept: &[Put]) -> Site {
    let unmask = |text: &str| {
        let mut text = text.to_owned();
        for put in kept.iter().filter(|put| !put.text.is_empty()) {
            text = text.replace(&put.text, &put.now);
        }
        text
    };
    let component = [
        "/spec/template/metadata/labels",
        "/spec/jobTemplate/spec/template/metadata/labels",
        "/metadata/labels",
    ];
    let component = component.iter().find_map(|at| {
        object
            .value
            .pointer(at)?
            .get("app.kubernetes.io/component")?
            .as_str()
    });
    Site {
        title: unmask(&format!("{object}, {container}")),
        component: unmask(component.unwrap_or_default()),
        workload: unmask(&object.reference.name),
        container: unmask(&container.name),
    }
}
