//! What the steps of the proof hand to each other.
//!
//! [`super::search`] gives locations, [`super::probe`] tries candidates and
//! gives what was rendered, [`super::check`] and [`super::diagnostics`] judge
//! it. Data, and what follows from it alone.

use super::layout::Layout;
use crate::manifest::{ContainerImage, Object, ObjectRef};
use crate::plan::ValuePath;
use crate::signal::{ImageKey, ImageRef};

/// A container that carries a requested image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Whose image.
    pub key: ImageKey,
    /// Which image.
    pub image: ImageRef,
    /// The object that has the container.
    pub object: ObjectRef,
    /// `Deployment shop-api`, for people; a hook with its events.
    pub title: String,
    /// `container api`, for people.
    pub container: String,
    /// The template that the object came from.
    pub source: String,
    /// Where in the object the container stands.
    pub path: String,
    /// The values that set the image, for people.
    pub values: String,
}

/// What is wanted of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// It must take effect.
    Must,
    /// It must where the chart renders such a component: `worker`.
    IfRendered,
    /// It need not be there: the node's values switch it off.
    Absent,
    /// Not requested: the api's image, where the chart has a worker.
    Follows,
}

#[derive(Clone)]
pub(super) struct Want {
    pub(super) key: ImageKey,
    pub(super) image: ImageRef,
    pub(super) need: Need,
}

/// A place in the values, and the layouts that a template may read there,
/// likeliest first.
#[derive(Clone, Debug)]
pub(super) struct ImageLocation {
    pub(super) key: ImageKey,
    pub(super) at: ValuePath,
    pub(super) layouts: Vec<Layout>,
    /// Whether a render showed it: then each such place of a key is meant.
    pub(super) is_read: bool,
}

/// The fields of a place before it is known how they are read.
pub(super) struct Shape {
    pub(super) at: ValuePath,
    pub(super) registry: Option<ValuePath>,
    /// In order of likelihood; none: fixed by the templates.
    pub(super) repositories: Vec<Option<ValuePath>>,
    /// In order of likelihood; none: at the repository's end.
    pub(super) tags: Vec<Option<ValuePath>>,
    pub(super) digest: Option<ValuePath>,
}

/// A location with the image that it is to carry.
pub(super) struct Candidate {
    pub(super) location: ImageLocation,
    pub(super) image: ImageRef,
    current: usize,
    tried: Vec<usize>,
    /// What the likeliest layout gave, where it was not right.
    first: Option<Mangled>,
    pub(super) state: State,
}

/// What a render showed of a location.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum State {
    Untried,
    /// No image reads it.
    Unread,
    /// A container carries its sentinel, whole.
    Exact,
    /// It is read, but in none of the layouts known.
    Mangled(Mangled),
}

/// How a location came out wrong.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Mangled {
    pub(super) part: MangledPart,
    /// What was rendered, a line each.
    pub(super) lines: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MangledPart {
    Image,
    /// A label or a name that has the tag in it.
    Name,
    /// All of it: the chart does not render with the image.
    Manifest,
}

/// A container that carries a candidate's image.
#[derive(Clone, Debug)]
pub(super) struct ContainerSlot {
    pub(super) key: ImageKey,
    object: usize,
    container: usize,
}

impl ContainerSlot {
    /// The container `container` of the object `object`, by their positions.
    pub(super) fn new(key: &ImageKey, object: usize, container: usize) -> Self {
        Self {
            key: key.clone(),
            object,
            container,
        }
    }
}

/// What the probe found out.
#[derive(Default)]
pub(super) struct ProbeResult {
    pub(super) candidates: Vec<Candidate>,
    pub(super) slots: Vec<ContainerSlot>,
    /// The objects of the last render, sentinels in them.
    pub(super) objects: Vec<Object>,
    pub(super) notes: Vec<String>,
}

impl ProbeResult {
    pub(super) fn place(&self, slot: &ContainerSlot) -> (&Object, &ContainerImage) {
        let object = &self.objects[slot.object];
        (object, &object.containers[slot.container])
    }

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
    pub(super) fn new(location: ImageLocation, image: ImageRef) -> Self {
        Self {
            location,
            image,
            current: 0,
            tried: Vec::new(),
            first: None,
            state: State::Untried,
        }
    }

    /// The layout by which it is read, as far as known.
    pub(super) fn layout(&self) -> &Layout {
        &self.location.layouts[self.current]
    }

    pub(super) fn is_active(&self) -> bool {
        matches!(self.state, State::Untried | State::Exact)
    }

    /// Whether a layout was given up: it was read, but came out wrong.
    pub(super) fn has_mangled(&self) -> bool {
        self.first.is_some()
    }

    /// It came out wrong: goes on to a layout not tried yet, first to one that
    /// keeps what was right, the name or the tag and digest. Whether there is one.
    pub(super) fn try_next_layout(&mut self, mangled: Mangled, name: bool, end: bool) -> bool {
        let first = self.first.get_or_insert(mangled).clone();
        self.tried.push(self.current);
        let now = self.layout();
        let left = || (0..self.location.layouts.len()).filter(|at| !self.tried.contains(at));
        let keeps = |at: &usize| {
            let other = &self.location.layouts[*at];
            let same_name = other.prefix == now.prefix && other.repository == now.repository;
            let same_end =
                (&other.tag, &other.digest, other.style) == (&now.tag, &now.digest, now.style);
            (!name || same_name) && (!end || same_end)
        };
        let next = left().find(keeps).or_else(|| left().next());
        match next {
            Some(at) => {
                self.current = at;
                self.state = State::Untried;
            }
            None => self.state = State::Mangled(first),
        }
        next.is_some()
    }
}
