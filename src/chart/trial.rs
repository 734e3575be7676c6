//! Which places in the values the templates read, and how: every candidate is
//! set to its own sentinel at once, so that one render tells for all of them.
//!
//! Only a place that is read another way than thought costs a further render.

use serde_json::Value;

use super::Render;
use super::layout::Layout;
use super::manifest::{Container, Object};
use super::reference::Reference;
use super::search::Spot;
use super::sentinel::{Sentinel, Sentinels};
use super::values;
use crate::signal::{ImageKey, ImageRef};
use crate::{Result, text};

/// The most renders spent on finding out.
const MAX_ROUNDS: usize = 24;

/// A place with the image that it shall carry.
pub(super) struct Candidate {
    pub(super) spot: Spot,
    pub(super) image: ImageRef,
    way: usize,
    tried: Vec<usize>,
    pub(super) state: State,
}

/// What a render showed of a place.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum State {
    Untried,
    /// No image reads it.
    Dead,
    /// A container carries its sentinel, whole.
    Exact,
    /// It is read, but in none of the ways known; with what its likeliest way gave.
    Bent(Vec<String>),
}

/// A container that carries a candidate's image.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) key: ImageKey,
    pub(super) object: Object,
    pub(super) container: Container,
}

/// What the trial found out.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) candidates: Vec<Candidate>,
    pub(super) slots: Vec<Slot>,
    /// The objects of the last render, sentinels in them.
    pub(super) objects: Vec<Object>,
    pub(super) notes: Vec<String>,
}

impl Candidate {
    pub(super) fn new(spot: Spot, image: ImageRef) -> Self {
        Self {
            spot,
            image,
            way: 0,
            tried: Vec::new(),
            state: State::Untried,
        }
    }

    /// The way it is read, as far as known.
    pub(super) fn layout(&self) -> &Layout {
        &self.spot.ways[self.way]
    }

    /// Goes on to a way not tried yet, first to one that keeps what came out
    /// right: the name, or the tag and digest. Whether there is one.
    fn turn(&mut self, name: bool, end: bool) -> bool {
        self.tried.push(self.way);
        let now = self.layout();
        let left = || (0..self.spot.ways.len()).filter(|way| !self.tried.contains(way));
        let keeps = |way: &usize| {
            let other = &self.spot.ways[*way];
            let same_name = other.prefix == now.prefix && other.repository == now.repository;
            let same_end = (&other.tag, &other.digest, other.spelling)
                == (&now.tag, &now.digest, now.spelling);
            (!name || same_name) && (!end || same_end)
        };
        let next = left().find(keeps).or_else(|| left().next());
        self.way = next.unwrap_or(self.way);
        next.is_some()
    }
}

/// Renders until every candidate is judged.
pub(super) async fn run<R: Render>(mut candidates: Vec<Candidate>, render: &R) -> Result<Outcome> {
    let mut sentinels = Sentinels::default();
    let mut first: Vec<Option<Vec<String>>> = vec![None; candidates.len()];
    candidates.retain(|candidate| !candidate.spot.ways.is_empty());
    for _ in 0..MAX_ROUNDS {
        let active = active(&candidates);
        let mut made: Vec<(usize, Sentinel)> = Vec::new();
        let mut overrides = Value::Object(serde_json::Map::new());
        for at in active {
            let candidate = &candidates[at];
            let sentinel = sentinels.make(candidate.layout(), &candidate.image)?;
            for (path, text) in candidate.layout().assignments(&sentinel.image) {
                values::set(&mut overrides, &path, Value::String(text));
            }
            made.push((at, sentinel));
        }
        let objects = Object::parse(&render.render(&overrides).await?)?;
        let mut slots = Vec::new();
        let mut notes = Vec::new();
        let mut again = false;
        for (index, (at, sentinel)) in made.iter().enumerate() {
            let others = made.iter().enumerate().filter(|(other, _)| *other != index);
            let shared: Vec<&str> = others
                .flat_map(|(_, (_, other))| &other.marks)
                .map(|(_, mark)| mark.as_str())
                .collect();
            let seen = look(&objects, &candidates[*at], sentinel, &shared);
            notes.extend(seen.notes);
            let candidate = &mut candidates[*at];
            let labels = broken_labels(&objects, &sentinel.image, &candidate.image, sentinel);
            if !seen.slots.is_empty() && labels.is_empty() {
                candidate.state = State::Exact;
                slots.extend(seen.slots);
                continue;
            }
            if seen.slots.is_empty() && seen.bent.is_empty() {
                // A way that reaches nothing after one that did is a wrong way, not a dead place.
                candidate.state = State::Dead;
                if first[*at].is_none() {
                    continue;
                }
            }
            let told = if labels.is_empty() { seen.bent } else { labels };
            let told = first[*at].get_or_insert(told).clone();
            candidate.state = State::Bent(told);
            if candidate.turn(seen.name, seen.end) {
                candidate.state = State::Untried;
                again = true;
            }
        }
        if !again {
            return Ok(Outcome {
                candidates,
                slots,
                objects,
                notes,
            });
        }
    }
    Err(crate::Error::new(
        crate::Kind::Chart,
        format!("how the chart reads its images did not show in {MAX_ROUNDS} renders"),
    )
    .hint("name their places in deploy.toml: images.<key> = [\"…\"]"))
}

fn active(candidates: &[Candidate]) -> Vec<usize> {
    let live = |candidate: &Candidate| matches!(candidate.state, State::Untried | State::Exact);
    (0..candidates.len())
        .filter(|at| live(&candidates[*at]))
        .collect()
}

#[derive(Default)]
struct Seen {
    slots: Vec<Slot>,
    /// Images that carry a part of the sentinel, as people read them.
    bent: Vec<String>,
    notes: Vec<String>,
    /// Whether one of them has the whole name right.
    name: bool,
    /// Whether one of them has tag and digest right.
    end: bool,
}

fn look(objects: &[Object], candidate: &Candidate, sentinel: &Sentinel, shared: &[&str]) -> Seen {
    let mut seen = Seen::default();
    let layout = candidate.layout();
    let own = |mark: &str| !shared.contains(&mark);
    for object in objects.iter().filter(|object| !object.is_test()) {
        for container in &object.containers {
            let found = Reference::parse(&container.image);
            if found
                .as_ref()
                .is_some_and(|found| found.is(&sentinel.image))
            {
                seen.slots.push(Slot {
                    key: candidate.spot.key.clone(),
                    object: object.clone(),
                    container: container.clone(),
                });
                continue;
            }
            let carries = |(_, mark): &&(_, String)| own(mark) && carries(&container.image, mark);
            if sentinel.marks.iter().any(|mark| carries(&mark)) {
                let name = sentinel.image.name();
                let end = &sentinel.image.to_string()[name.len()..];
                seen.name |= found.is_some_and(|found| found.name == name);
                seen.end |= container.image.ends_with(end);
                let shown = sentinel.unmask(&container.image, &candidate.image);
                seen.bent.push(format!(
                    "{object}, {container}: rendered {}, expected {} from {layout}",
                    text::quoted(&shown),
                    text::quoted(&candidate.image.to_string()),
                ));
            }
        }
    }
    if !seen.slots.is_empty() {
        let key = &candidate.spot.key;
        seen.notes = seen
            .bent
            .iter()
            .map(|bent| format!("a part of {key}'s image stands in another one: {bent}"))
            .collect();
    }
    seen
}

/// Whether `image` has `mark` in it; a name counts without its registry, too.
fn carries(image: &str, mark: &str) -> bool {
    let bare = mark.strip_prefix("ghcr.io/").unwrap_or(mark);
    image.contains(bare)
}

/// Labels that no apiserver would take because of the image's tag or digest
/// (`apimachinery`, `IsValidLabelValue`). `helm template` lets them pass.
fn broken_labels(
    objects: &[Object],
    fake: &ImageRef,
    image: &ImageRef,
    sentinel: &Sentinel,
) -> Vec<String> {
    let mut parts: Vec<&str> = Vec::new();
    parts.extend(fake.tag().map(|tag| tag.as_str()));
    parts.extend(fake.digest().map(|digest| digest.hex()));
    let mut told = Vec::new();
    for object in objects {
        each_label(&object.value, &mut |name, value| {
            let ours = parts.iter().any(|part| value.contains(part));
            if ours && !is_label_value(value) && told.len() < 8 {
                let shown = sentinel.unmask(value, image);
                told.push(format!(
                    "{object}: the label {} would be {} ({} characters; a label takes 63 letters, digits, '-', '_' and '.')",
                    text::line(name, 100),
                    text::quoted(&shown),
                    shown.chars().count(),
                ));
            }
        });
    }
    told
}

fn each_label(value: &Value, tell: &mut impl FnMut(&str, &str)) {
    match value {
        Value::Object(map) => {
            for (key, below) in map {
                if matches!(key.as_str(), "labels" | "matchLabels")
                    && let Value::Object(labels) = below
                {
                    for (name, value) in labels {
                        tell(name, value.as_str().unwrap_or_default());
                    }
                }
                each_label(below, tell);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| each_label(item, tell)),
        _ => {}
    }
}

fn is_label_value(text: &str) -> bool {
    let ends = |byte: Option<u8>| byte.is_none_or(|byte| byte.is_ascii_alphanumeric());
    text.len() <= 63
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        && ends(text.bytes().next())
        && ends(text.bytes().last())
}
