//! Which containers and places a problem is about, and the lines that help.

use super::super::check::{Swapped, swapped};
use super::super::foreign::is_of_another_owner;
use super::super::model::{Candidate, Want};
use super::super::suggestions::{Advice, Choice, Line, cure, image_like};
use super::{Diagnosis, Problem};
use crate::manifest::{ContainerImage, Object};
use crate::plan::ValuePath;
use crate::signal::ImageKey;
use crate::text;

/// The most places suggested.
const MAX_PLACES: usize = 6;

/// All of these places, or one of them.
pub(super) fn one_of(key: &ImageKey, live: &[&Candidate]) -> Advice {
    let places: Vec<ValuePath> = live.iter().map(|one| one.location.at.clone()).collect();
    let all = Line::Places(key.clone(), places.clone());
    let each = places.iter().map(|at| Line::at(key, at));
    Advice {
        choices: std::iter::once(all)
            .chain(each)
            .map(Choice::plain)
            .collect(),
        otherwise: format!(
            "no line in deploy.toml can set it; let the templates read one place: {}",
            cure(key)
        ),
    }
}

impl Diagnosis<'_> {
    /// Its image goes to others only, while the containers that are its own by
    /// their names take another.
    pub(super) fn astray(&self, want: &Want, named: bool) -> Option<Problem> {
        let key = &want.key;
        let own = self.rendered(key);
        let carries = |(object, container): &(&Object, &ContainerImage)| {
            self.result.slot(object, container).is_some()
        };
        if named || own.is_empty() || own.iter().any(carries) {
            return None;
        }
        let places: Vec<String> = self
            .live(key)
            .map(|candidate| candidate.location.at.to_string())
            .collect();
        let mut details = self.instead(key);
        details.extend(
            self.slots_of(key)
                .into_iter()
                .map(|slot| format!("{slot}: takes the image of {key}")),
        );
        Some(Problem {
            may_be_read: false,
            message: format!(
                "{key}: {} does not reach the container that is {key} by its names",
                places.join(", ")
            ),
            details,
            advice: self.advice(
                key,
                &format!("let its template take the image from {}", places.join(", ")),
            ),
        })
    }

    /// What the containers that look like `key`'s carry instead.
    pub(super) fn instead(&self, key: &ImageKey) -> Vec<String> {
        let wanted = self.wants.iter().find(|want| want.key == *key);
        let expected = wanted
            .map(|want| text::quoted(&want.image.to_string()))
            .unwrap_or_default();
        self.rendered(key)
            .into_iter()
            .map(|(object, container)| {
                let slot = self.result.slot(object, container);
                let rendered = match slot {
                    Some(slot) => format!("takes the image of {}", slot.key),
                    None => format!("rendered {}", text::quoted(&container.image)),
                };
                format!("{object}, {container}: {rendered}, expected {expected}")
            })
            .collect()
    }

    pub(super) fn slots_of(&self, key: &ImageKey) -> Vec<String> {
        let slots = self.result.slots.iter().filter(|slot| slot.key == *key);
        slots
            .map(|slot| {
                let (object, container) = self.result.place(slot);
                format!("{object}, {container}")
            })
            .collect()
    }

    /// Components that carry each other's images, and which.
    pub(super) fn swap(&self) -> Option<(Problem, Vec<ImageKey>)> {
        let free = |key: &&ImageKey| !self.rules.layouts.contains_key(*key);
        let keys: Vec<&ImageKey> = self
            .wants
            .iter()
            .map(|want| &want.key)
            .filter(free)
            .collect();
        let Swapped { pairs, details } = swapped(self.result, &keys)?;
        // The image of each goes where another's is now.
        let lines = pairs.iter().map(|(key, carries)| {
            let places = self.live(carries).map(|one| one.location.at.clone());
            Line::Places(key.clone(), places.collect())
        });
        let keys: Vec<&str> = pairs.iter().map(|(key, _)| key.as_str()).collect();
        let message = match keys.as_slice() {
            [first, second] => format!(
                "{first} and {second} are swapped in the chart: each carries the other's image"
            ),
            keys => format!(
                "{} are swapped in the chart: each carries another's image",
                keys.join(", ")
            ),
        };
        let choice = Choice::behind(
            "fix the templates; or, where it is meant, in deploy.toml under the app",
            lines.collect(),
        );
        let problem = Problem {
            may_be_read: false,
            message,
            details,
            advice: Advice {
                choices: vec![choice],
                otherwise:
                    "no line in deploy.toml can set it: let each template take its own image"
                        .to_owned(),
            },
        };
        Some((problem, pairs.into_iter().map(|(key, _)| key).collect()))
    }

    /// Lines that name the place, or what to change in the chart where no other
    /// value looks like an image.
    pub(super) fn advice(&self, key: &ImageKey, otherwise: &str) -> Advice {
        let images: Vec<&str> = self
            .rendered(key)
            .iter()
            .map(|(_, container)| container.image.as_str())
            .collect();
        let places = self.places(&images);
        let choices = places.iter().map(|at| Choice::plain(Line::at(key, at)));
        Advice {
            choices: choices.collect(),
            otherwise: format!(
                "no line in deploy.toml can set it: {otherwise}; or read the whole reference in it: {}",
                cure(key)
            ),
        }
    }

    /// Values that look like an image: those first that a container carries
    /// now. Places that were looked at do not count.
    pub(super) fn places(&self, carried: &[&str]) -> Vec<ValuePath> {
        let mut found = Vec::new();
        image_like(self.values, None, &mut found);
        found.retain(|(at, image)| {
            let images = self.wants.iter().map(|want| &want.image);
            let is_inside = |path: &ValuePath| at.keys().starts_with(path.keys());
            let is_foreign = self.foreign.iter().any(is_inside);
            let is_anothers = is_foreign && is_of_another_owner(image, images);
            !self.is_location(at) && !is_anothers
        });
        found.sort_by_key(|(_, repository)| {
            !carried
                .iter()
                .any(|image| !repository.is_empty() && image.contains(repository.as_str()))
        });
        let found = found.into_iter().take(MAX_PLACES);
        found.map(|(at, _)| at).collect()
    }
}
