//! What to tell where an image would not take effect: what was looked at, what
//! was rendered instead, and the line to put into deploy.toml.

use serde_json::Value;

use super::check::{Judgement, component, swapped};
use super::model::{Candidate, MangledPart, Need, ProbeResult, State, Want};
use super::reference::Reference;
use super::search::Search;
use super::suggestions::{image_like, line};
use crate::manifest::{ContainerImage, Object};
use crate::plan::{ImageRules, ValuePath};
use crate::signal::ImageKey;
use crate::{Error, Kind, Result, text};

/// The most places suggested.
const MAX_PLACES: usize = 6;

/// All that is known when the probe is over.
pub(super) struct Diagnosis<'a> {
    pub(super) values: &'a Value,
    pub(super) result: &'a ProbeResult,
    pub(super) wants: &'a [Want],
    pub(super) rules: &'a ImageRules,
}

/// Why a key would not take effect.
struct Problem {
    message: String,
    details: Vec<String>,
    hints: Vec<String>,
}

impl Diagnosis<'_> {
    /// Whether each key has exactly one place (or those that the node names);
    /// notes where one has none and need not. Fails with all problems at once.
    pub(super) fn settle(&self) -> Result<Vec<String>> {
        let mut notes = Vec::new();
        let mut problems = Vec::new();
        for want in self.wants {
            match self.key(want) {
                Ok(note) => notes.extend(note),
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() {
            problems.extend(self.swap());
        }
        let mut problems = problems.into_iter();
        let Some(first) = problems.next() else {
            return Ok(notes);
        };
        let mut error = Error::new(Kind::Chart, first.message).details(first.details);
        let mut hints = first.hints;
        for problem in problems {
            error = error.detail(problem.message).details(problem.details);
            hints.extend(problem.hints);
        }
        for hint in hints {
            error = error.hint(hint);
        }
        Err(error)
    }

    /// The error for what the real render showed.
    pub(super) fn refused(&self, judgement: Judgement) -> Error {
        let mut problems = judgement.problems.into_iter();
        let first = problems.next().unwrap_or_default();
        let mut error = Error::new(Kind::Chart, first).details(problems);
        if judgement.strays.is_empty() {
            error = error.hint("the templates took made-up references as they were given, but not these: look for a condition on the tag or the repository");
        }
        for (keys, stray) in &judgement.strays {
            // Values that hold the stray image now are the ones to name.
            let mut found = Vec::new();
            image_like(self.values, None, &mut found);
            found.retain(|(at, repository)| {
                !self.is_location(at)
                    && Reference::parse(repository).is_some_and(|of| of.name == stray.name)
            });
            for key in keys.iter().filter(|_| !found.is_empty()) {
                let places = self
                    .live(key)
                    .map(|candidate| candidate.location.at.to_string());
                let places: Vec<String> = places
                    .chain(found.iter().map(|(at, _)| at.to_string()))
                    .collect();
                error = error.hint(line(key, &places));
            }
            error = error.hint(format!(
                "or allow it, in deploy.toml under the app: allow_images = [\"{}\"]",
                text::line(&stray.to_string(), 300)
            ));
        }
        error
    }

    /// Whether a place belongs to a key by its name.
    fn is_location(&self, at: &ValuePath) -> bool {
        self.result
            .candidates
            .iter()
            .any(|candidate| candidate.location.at == *at)
    }

    fn of<'s>(&'s self, key: &'s ImageKey) -> impl Iterator<Item = &'s Candidate> {
        self.result
            .candidates
            .iter()
            .filter(move |candidate| candidate.location.key == *key)
    }

    fn live<'s>(&'s self, key: &'s ImageKey) -> impl Iterator<Item = &'s Candidate> {
        self.of(key)
            .filter(|candidate| candidate.state != State::Unread)
    }

    fn tried(&self, key: &ImageKey) -> Vec<String> {
        self.of(key)
            .map(|candidate| candidate.location.at.to_string())
            .collect()
    }

    fn key(&self, want: &Want) -> Result<Option<String>, Problem> {
        let key = &want.key;
        let live: Vec<&Candidate> = self.live(key).collect();
        let mangled: Vec<&Candidate> = live
            .iter()
            .copied()
            .filter(|candidate| candidate.state != State::Exact)
            .collect();
        if !mangled.is_empty() {
            return Err(self.mangled(key, &mangled));
        }
        let named = self.rules.layouts.contains_key(key);
        if live.len() > 1 && !named {
            let places: Vec<String> = live
                .iter()
                .map(|candidate| candidate.location.at.to_string())
                .collect();
            return Err(Problem {
                message: format!(
                    "{key}: {} places in the chart's values set its image: {}",
                    places.len(),
                    places.join(", ")
                ),
                details: self.slots_of(key),
                hints: vec![format!(
                    "{}, or the one of them that is meant",
                    line(key, &places)
                )],
            });
        }
        if named
            && let Some(unread) = self
                .of(key)
                .find(|candidate| candidate.state == State::Unread)
            && (want.need == Need::Must || !live.is_empty())
        {
            return Err(self.ignored(key, &[unread.location.at.to_string()]));
        }
        if !live.is_empty() {
            return Ok(None);
        }
        match want.need {
            Need::Must => Err(self.missing(key)),
            Need::Absent => Ok(Some(format!(
                "{key}: its image is not used; this node's values switch it off"
            ))),
            Need::IfRendered | Need::Follows => self.unreached(want),
        }
    }

    /// A worker without a place of its own: fine where none is rendered, or
    /// where it shares an image that is the requested one.
    fn unreached(&self, want: &Want) -> Result<Option<String>, Problem> {
        let rendered: Vec<(&Object, &ContainerImage)> = self.rendered(&want.key);
        if rendered.is_empty() {
            let note = || {
                format!(
                    "{}: the chart renders none; its image is not used",
                    want.key
                )
            };
            return Ok((want.need == Need::IfRendered).then(note));
        }
        let shares = |(object, container): &(&Object, &ContainerImage)| {
            self.result.slot(object, container).is_some_and(|slot| {
                let same = |other: &&Want| other.key == slot.key && other.image == want.image;
                self.wants.iter().any(|other| same(&other))
            })
        };
        if rendered.iter().any(shares) {
            return Ok(None);
        }
        let mut problem = self.missing(&want.key);
        problem.hints.push(format!(
            "or, where this worker is not meant: absent = [\"{}\"] in deploy.toml",
            want.key
        ));
        Err(problem)
    }

    /// The containers that are `key`'s by their names.
    fn rendered(&self, key: &ImageKey) -> Vec<(&Object, &ContainerImage)> {
        let keys: Vec<&ImageKey> = self.wants.iter().map(|want| &want.key).collect();
        let objects = self
            .result
            .objects
            .iter()
            .filter(|object| !object.is_test());
        objects
            .flat_map(|object| {
                object
                    .containers
                    .iter()
                    .map(move |container| (object, container))
            })
            .filter(|(object, container)| component(object, container, &keys) == Some(key))
            .collect()
    }

    /// It is read, but comes out wrong.
    fn mangled(&self, key: &ImageKey, candidates: &[&Candidate]) -> Problem {
        let mut lines: Vec<String> = Vec::new();
        let mut part = MangledPart::Image;
        for candidate in candidates {
            if let State::Mangled(mangled) = &candidate.state {
                part = mangled.part;
                lines.extend(mangled.lines.iter().cloned());
            }
        }
        lines.dedup();
        let at: Vec<String> = candidates
            .iter()
            .map(|candidate| candidate.location.at.to_string())
            .collect();
        let at = at.join(", ");
        let mut lines = lines.into_iter();
        let first = lines
            .next()
            .unwrap_or_else(|| format!("the chart reads {at}, but not as an image"));
        let hint = match part {
            MangledPart::Image => {
                self.hint(key, &format!("let the template render {at} as it is given"))
            }
            MangledPart::Name => format!(
                "cut it in the template (trunc 63), give {at} a digest field of its own, or request a tag that fits"
            ),
            MangledPart::Manifest => {
                format!("let the template and its schema take the requested form at {at}")
            }
        };
        Problem {
            message: format!("{key}: {first}"),
            details: lines.collect(),
            hints: vec![hint],
        }
    }

    /// No place works: the chart has none, or reads none of those it has.
    fn missing(&self, key: &ImageKey) -> Problem {
        let tried = self.tried(key);
        if !tried.is_empty() {
            return self.ignored(key, &tried);
        }
        Problem {
            message: format!(
                "{key}: the chart's values have no place for its image (looked for {})",
                Search::looked_at(key)
            ),
            details: self.instead(key),
            hints: vec![self.hint(key, "give the chart such a value")],
        }
    }

    fn ignored(&self, key: &ImageKey, at: &[String]) -> Problem {
        let at = at.join(", ");
        let instead = self.instead(key);
        let message = match instead.first() {
            Some(first) => format!("{key}: the chart ignores {at}: {first}"),
            None => {
                format!("{key}: the chart ignores {at}: no container takes its image from there")
            }
        };
        Problem {
            message,
            details: instead.into_iter().skip(1).collect(),
            hints: vec![self.hint(key, &format!("let the template take the image from {at}"))],
        }
    }

    /// What the containers that look like `key`'s carry instead.
    fn instead(&self, key: &ImageKey) -> Vec<String> {
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

    fn slots_of(&self, key: &ImageKey) -> Vec<String> {
        let slots = self.result.slots.iter().filter(|slot| slot.key == *key);
        slots
            .map(|slot| {
                let (object, container) = self.result.place(slot);
                format!("{object}, {container}")
            })
            .collect()
    }

    fn swap(&self) -> Option<Problem> {
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
            message: format!(
                "{first} and {second} are swapped in the chart: each carries the other's image"
            ),
            details,
            hints: vec![
                "fix the templates".to_owned(),
                format!(
                    "or, where it is meant: {} and {}",
                    line(&first, &place(&second)),
                    line(&second, &place(&first))
                ),
            ],
        })
    }

    /// The line for deploy.toml, or what to change in the chart where no other
    /// value looks like an image.
    fn hint(&self, key: &ImageKey, otherwise: &str) -> String {
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
    fn places(&self, carried: &[&str]) -> Vec<String> {
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
