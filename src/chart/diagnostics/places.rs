//! Which containers and places a problem is about, and the lines that help.

use super::super::check::swapped;
use super::super::model::Want;
use super::super::suggestions::{image_like, line};
use super::{Diagnosis, Problem};
use crate::manifest::{ContainerImage, Object};
use crate::signal::ImageKey;
use crate::text;

/// The most places suggested.
const MAX_PLACES: usize = 6;

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
            hints: vec![self.hint(
                key,
                &format!("let its template take the image from {}", places.join(", ")),
            )],
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

    pub(super) fn swap(&self) -> Option<Problem> {
        let free = |key: &&ImageKey| !self.rules.layouts.contains_key(*key);
        let keys: Vec<&ImageKey> = self
            .wants
            .iter()
            .map(|want| &want.key)
            .filter(free)
            .collect();
        let (first, second, details) = swapped(self.result, &keys)?;
        let place = |key: &ImageKey| {
            self.live(key)
                .map(|candidate| candidate.location.at.to_string())
                .collect::<Vec<_>>()
        };
        Some(Problem {
            may_be_read: false,
            message: format!(
                "{first} and {second} are swapped in the chart: each carries the other's image"
            ),
            details,
            hints: vec![
                "fix the templates; or, where it is meant, in deploy.toml under the app:"
                    .to_owned(),
                line(&first, &place(&second)),
                line(&second, &place(&first)),
            ],
        })
    }

    /// The line for deploy.toml, or what to change in the chart where no other
    /// value looks like an image.
    pub(super) fn hint(&self, key: &ImageKey, otherwise: &str) -> String {
        let images: Vec<&str> = self
            .rendered(key)
            .iter()
            .map(|(_, container)| container.image.as_str())
            .collect();
        let places = self.places(&images);
        if places.is_empty() {
            return format!(
                "{otherwise}, or name the place in deploy.toml, under the app: images.{key} = [\"<path>\"]"
            );
        }
        if places.len() == 1 {
            return format!("in deploy.toml, under the app: {}", line(key, &places));
        }
        format!(
            "in deploy.toml, under the app, the one that is meant of {}: {}",
            places.join(", "),
            line(key, &places[..1])
        )
    }

    /// Values that look like an image: those first that a container carries
    /// now. Places that were looked at do not count.
    pub(super) fn places(&self, carried: &[&str]) -> Vec<String> {
        let mut found = Vec::new();
        image_like(self.values, None, &mut found);
        found.retain(|(at, _)| !self.is_location(at));
        found.sort_by_key(|(_, repository)| {
            !carried
                .iter()
                .any(|image| !repository.is_empty() && image.contains(repository.as_str()))
        });
        found
            .iter()
            .take(MAX_PLACES)
            .map(|(at, _)| text::line(&at.to_string(), 120).into_owned())
            .collect()
    }
}
