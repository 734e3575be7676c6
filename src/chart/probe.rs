//! Which places in the values the templates read, and how: every candidate is
//! set to its own sentinel at once, so that one render tells for all of them.
//!
//! Only a place that is read another way than thought costs a further render.

use serde_json::Value;

use super::layout::Layout;
use super::search::ImageLocation;
use super::sentinel::{Sentinel, Sentinels};
use super::{Render, label_rules, sentinel_scan, values};
use crate::manifest::{ContainerImage, Object};
use crate::signal::{ImageKey, ImageRef};
use crate::{Error, Kind, Result, text};

/// The most renders spent on finding out.
const MAX_ROUNDS: usize = 24;

/// A place with the image that it shall carry.
pub(super) struct Candidate {
    pub(super) spot: ImageLocation,
    pub(super) image: ImageRef,
    way: usize,
    tried: Vec<usize>,
    /// What the likeliest way gave, where it was not right.
    first: Option<Mangled>,
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
    /// It is read, but in none of the ways known.
    Mangled(Mangled),
}

/// How a place came out wrong.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Mangled {
    pub(super) why: Why,
    pub(super) told: Vec<String>,
}

/// What was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// The image.
    Image,
    /// A label or a name that has the tag in it.
    Name,
    /// The chart does not render with it.
    Render,
}

/// A container that carries a candidate's image.
#[derive(Clone, Debug)]
pub(super) struct ContainerSlot {
    pub(super) key: ImageKey,
    object: usize,
    container: usize,
}

impl ContainerSlot {
    pub(super) fn new(key: &ImageKey, object: usize, container: usize) -> Self {
        Self {
            key: key.clone(),
            object,
            container,
        }
    }
}

/// What the trial found out.
#[derive(Default)]
pub(super) struct ProbeResult {
    pub(super) candidates: Vec<Candidate>,
    pub(super) slots: Vec<ContainerSlot>,
    /// The objects of the last render, sentinels in them.
    pub(super) objects: Vec<Object>,
    pub(super) notes: Vec<String>,
}

impl ProbeResult {
    /// Where a slot is.
    pub(super) fn place(&self, slot: &ContainerSlot) -> (&Object, &ContainerImage) {
        let object = &self.objects[slot.object];
        (object, &object.containers[slot.container])
    }

    /// The slot of a container.
    pub(super) fn slot(
        &self,
        object: &Object,
        container: &ContainerImage,
    ) -> Option<&ContainerSlot> {
        self.slots.iter().find(|slot| {
            let (other, place) = self.place(slot);
            std::ptr::eq(other, object) && std::ptr::eq(place, container)
        })
    }
}

impl Candidate {
    pub(super) fn new(spot: ImageLocation, image: ImageRef) -> Self {
        Self {
            spot,
            image,
            way: 0,
            tried: Vec::new(),
            first: None,
            state: State::Untried,
        }
    }

    /// The way it is read, as far as known.
    pub(super) fn layout(&self) -> &Layout {
        &self.spot.ways[self.way]
    }

    fn active(&self) -> bool {
        matches!(self.state, State::Untried | State::Exact)
    }

    /// It came out wrong: goes on to a way not tried yet, first to one that
    /// keeps what was right, the name or the tag and digest. Whether there is one.
    fn try_next_layout(&mut self, bent: Mangled, name: bool, end: bool) -> bool {
        let bent = self.first.get_or_insert(bent).clone();
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
        match next {
            Some(way) => {
                self.way = way;
                self.state = State::Untried;
            }
            None => self.state = State::Mangled(bent),
        }
        next.is_some()
    }
}

/// Renders until every candidate is judged.
pub(super) async fn run<R: Render>(
    mut candidates: Vec<Candidate>,
    render: &R,
) -> Result<ProbeResult> {
    let mut sentinels = Sentinels::default();
    candidates.retain(|candidate| !candidate.spot.ways.is_empty());
    for _ in 0..MAX_ROUNDS {
        let mut made: Vec<(usize, Sentinel)> = Vec::new();
        for (at, candidate) in candidates.iter().enumerate() {
            if candidate.active() {
                made.push((at, sentinels.make(candidate.layout(), &candidate.image)?));
            }
        }
        let manifest = match render.render(&overrides(&candidates, &made)).await {
            Ok(manifest) => manifest,
            Err(error) if error.kind() == Kind::Chart => {
                without_culprits(error, &mut candidates, &made, render).await?;
                continue;
            }
            Err(error) => return Err(error),
        };
        let objects = Object::parse(&manifest)?;
        let mut outcome = ProbeResult::default();
        let mut again = false;
        for (at, sentinel) in &made {
            let shared = marks_of_others(&made, *at);
            let candidate = &mut candidates[*at];
            again |= judge(candidate, sentinel, &shared, &objects, &mut outcome);
        }
        if !again {
            outcome.candidates = candidates;
            outcome.objects = objects;
            return Ok(outcome);
        }
    }
    Err(Error::new(
        Kind::Chart,
        format!("how the chart reads its images did not show in {MAX_ROUNDS} renders"),
    )
    .hint("name their places in deploy.toml, under the app: images.<key> = [\"…\"]"))
}

fn overrides(candidates: &[Candidate], made: &[(usize, Sentinel)]) -> Value {
    let mut overrides = Value::Object(serde_json::Map::new());
    for (at, sentinel) in made {
        for (path, text) in candidates[*at].layout().assignments(&sentinel.image) {
            values::set(&mut overrides, &path, Value::String(text));
        }
    }
    overrides
}

fn marks_of_others(made: &[(usize, Sentinel)], at: usize) -> Vec<String> {
    let others = made.iter().filter(|(other, _)| *other != at);
    let marks = others.flat_map(|(_, other)| other.marks.iter());
    marks.map(|(_, mark)| mark.clone()).collect()
}

/// What a render shows of one candidate; whether another round must follow.
fn judge(
    candidate: &mut Candidate,
    sentinel: &Sentinel,
    shared: &[String],
    objects: &[Object],
    outcome: &mut ProbeResult,
) -> bool {
    let seen = sentinel_scan::look(objects, candidate, sentinel, shared);
    let names = label_rules::refused(objects, sentinel, &candidate.image);
    if !seen.slots.is_empty() && names.is_empty() {
        candidate.state = State::Exact;
        let key = &candidate.spot.key;
        outcome.notes.extend(
            seen.bent
                .iter()
                .map(|bent| format!("a part of {key}'s image stands in another one: {bent}")),
        );
        outcome.slots.extend(seen.slots);
        return false;
    }
    // A way that reaches nothing after one that did is a wrong way, not a dead place.
    if seen.slots.is_empty() && seen.bent.is_empty() && candidate.first.is_none() {
        candidate.state = State::Dead;
        return false;
    }
    let bent = if seen.slots.is_empty() {
        Mangled {
            why: Why::Image,
            told: seen.bent,
        }
    } else {
        Mangled {
            why: Why::Name,
            told: names,
        }
    };
    candidate.try_next_layout(bent, seen.name, seen.end)
}

/// The chart does not render with these sentinels. Where it renders without
/// them, each candidate is tried by itself, and the one that it does not take
/// (a schema that knows no such field, a template that wants a tag or a digest
/// but not both) goes on to its next way. Fails where that cannot help.
async fn without_culprits<R: Render>(
    error: Error,
    candidates: &mut [Candidate],
    made: &[(usize, Sentinel)],
    render: &R,
) -> Result<()> {
    // Its own error is the simpler one: no made-up references in it.
    render
        .render(&Value::Object(serde_json::Map::new()))
        .await?;
    let mut again = false;
    for one in made {
        let alone = std::slice::from_ref(one);
        let Err(cause) = render.render(&overrides(candidates, alone)).await else {
            continue;
        };
        let candidate = &mut candidates[one.0];
        let said = std::iter::once(cause.to_string()).chain(cause.evidence());
        let told = said.map(|line| {
            text::line(&one.1.unmask(&line, &candidate.image), text::LINE).into_owned()
        });
        let bent = Mangled {
            why: Why::Render,
            told: told.filter(|line| !line.trim().is_empty()).collect(),
        };
        candidate.try_next_layout(bent, false, false);
        again = true;
    }
    if again {
        return Ok(());
    }
    Err(error.detail("the chart renders with its own images, but not with others in their places"))
}
