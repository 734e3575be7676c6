//! What to tell where an image would not take effect: what was looked at, what
//! was rendered instead, and the line to put into deploy.toml.

use std::collections::BTreeSet;

use serde_json::Value;

use super::check::{Judgement, component};
use super::model::{Candidate, MangledPart, Need, ProbeResult, State, Want};
use super::reference::Reference;
use super::search::Search;
use super::suggestions::{Advice, Choice, Line, Refusal, image_like};
use crate::manifest::{ContainerImage, Object};
use crate::plan::{ImageRules, ValuePath};
use crate::signal::{ImageKey, ImageRef};
use crate::{Error, Kind, Result};

mod places;

/// All that is known when the probe is over.
pub(super) struct Diagnosis<'a> {
    pub(super) values: &'a Value,
    pub(super) result: &'a ProbeResult,
    pub(super) wants: &'a [Want],
    pub(super) rules: &'a ImageRules,
    /// Where the values of somebody else's subcharts lie.
    pub(super) foreign: &'a [ValuePath],
}

/// Why not every key has its places.
pub(super) struct Unsettled {
    pub(super) refusal: Refusal,
    /// Whose images they are.
    pub(super) keys: Vec<ImageKey>,
    /// Whether a render with made-up values can show more.
    pub(super) may_be_read: bool,
}

/// Why a key would not take effect.
struct Problem {
    /// Whether a render with made-up values can show more.
    may_be_read: bool,
    message: String,
    details: Vec<String>,
    advice: Advice,
}

impl Diagnosis<'_> {
    /// Whether each key has exactly one place (or those that the node names);
    /// notes where one has none and need not. Fails with all problems at once.
    pub(super) fn settle(
        &self,
        only: Option<&BTreeSet<ImageKey>>,
    ) -> std::result::Result<Vec<String>, Box<Unsettled>> {
        let mut notes = Vec::new();
        let mut problems = Vec::new();
        let mut keys = Vec::new();
        let judged = |want: &&Want| only.is_none_or(|only| only.contains(&want.key));
        for want in self.wants.iter().filter(judged) {
            match self.key(want) {
                Ok(note) => notes.extend(note),
                Err(problem) => {
                    keys.push(want.key.clone());
                    problems.push(problem);
                }
            }
        }
        if problems.is_empty()
            && let Some((problem, swapped)) = self.swap()
        {
            problems.push(problem);
            keys.extend(swapped);
        }
        let may_be_read = problems.iter().all(|problem| problem.may_be_read);
        let mut problems = problems.into_iter();
        let Some(first) = problems.next() else {
            return Ok(notes);
        };
        let mut error = Error::new(Kind::Chart, first.message).details(first.details);
        let mut advice = vec![first.advice];
        for problem in problems {
            error = error.detail(problem.message).details(problem.details);
            advice.push(problem.advice);
        }
        Err(Box::new(Unsettled {
            refusal: Refusal { error, advice },
            keys,
            may_be_read,
        }))
    }

    /// The error for what the real render showed.
    pub(super) fn refused(&self, judgement: Judgement) -> Refusal {
        let mut problems = judgement.problems.into_iter();
        let first = problems.next().unwrap_or_default();
        let error = Error::new(Kind::Chart, first).details(problems);
        let advice = if judgement.strays.is_empty() {
            Advice::none(
                "the templates took made-up references as they were given, but not these: no line in deploy.toml can change a condition on the tag or the repository; look for it in the template, or request what it takes",
            )
        } else {
            self.of_strays(&judgement.strays)
        };
        Refusal {
            error,
            advice: vec![advice],
        }
    }

    /// The values that hold stray images now are the ones to name; else these
    /// images can only be allowed.
    fn of_strays(&self, strays: &[(Vec<ImageKey>, Reference)]) -> Advice {
        let mut lines = Vec::new();
        for want in self.wants {
            let names: Vec<&str> = strays
                .iter()
                .filter(|(keys, _)| keys.contains(&want.key))
                .map(|(_, stray)| stray.name.as_str())
                .collect();
            let mut found = Vec::new();
            image_like(self.values, None, &mut found);
            found.retain(|(at, repository)| {
                let of = Reference::parse(repository);
                !self.is_location(at) && of.is_some_and(|of| names.contains(&of.name.as_str()))
            });
            if !found.is_empty() {
                let places = self.live(&want.key).map(|one| one.location.at.clone());
                let places = places.chain(found.into_iter().map(|(at, _)| at));
                lines.push(Line::Places(want.key.clone(), places.collect()));
            }
        }
        let allowed: Option<Vec<ImageRef>> = strays
            .iter()
            .map(|(_, stray)| stray.to_string().parse().ok())
            .collect();
        let mut choices = Vec::new();
        if !lines.is_empty() {
            choices.push(Choice::behind("in deploy.toml, under the app", lines));
        }
        if let Some(mut allowed) = allowed {
            allowed.sort();
            allowed.dedup();
            let words = if choices.is_empty() {
                "no value that was found holds it: let its template take the image from one, or allow it, in deploy.toml under the app"
            } else {
                "or allow it, in deploy.toml under the app"
            };
            choices.push(Choice::behind(words, vec![Line::Allow(allowed)]));
        }
        Advice {
            choices,
            otherwise: "no line in deploy.toml can set it; let its template read the whole reference from a value of its own".to_owned(),
        }
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
        let are_read = live.iter().all(|candidate| candidate.location.is_read);
        if live.len() > 1 && !named && !are_read {
            let places: Vec<String> = live
                .iter()
                .map(|candidate| candidate.location.at.to_string())
                .collect();
            return Err(Problem {
                may_be_read: false,
                message: format!(
                    "{key}: {} places in the chart's values set its image: {}",
                    places.len(),
                    places.join(", ")
                ),
                details: self.slots_of(key),
                advice: places::one_of(key, &live),
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
            return match self.astray(want, named) {
                Some(problem) => Err(problem),
                None => Ok(None),
            };
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
        problem.advice.choices.push(Choice::behind(
            "or, where this worker is not meant, in deploy.toml under the app",
            vec![Line::Absent(want.key.clone())],
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
            .filter(|(object, _)| !self.is_foreign(object))
            .filter(|(object, container)| component(object, container, &keys) == Some(key))
            .collect()
    }

    /// Whether an object comes from somebody else's subchart: its template is
    /// `shop/charts/grafana/templates/…`.
    fn is_foreign(&self, object: &Object) -> bool {
        let below = object.source.split_once('/').map_or("", |(_, rest)| rest);
        self.foreign.iter().any(|path| {
            let mut rest = Some(below);
            for key in path.keys() {
                let inside = rest.and_then(|rest| rest.strip_prefix("charts/"));
                rest = inside.and_then(|rest| rest.strip_prefix(key.as_str())?.strip_prefix('/'));
            }
            rest.is_some()
        })
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
        let advice = match part {
            MangledPart::Image => {
                self.advice(key, &format!("let the template render {at} as it is given"))
            }
            MangledPart::Name => Advice::none(format!(
                "no line in deploy.toml can set it: cut it in the template (trunc 63), give {at} a digest field of its own, or request a tag that fits"
            )),
            MangledPart::Manifest => Advice::none(format!(
                "no line in deploy.toml can set it: let the template and its schema take the requested form at {at}, or request a form that they take"
            )),
        };
        Problem {
            may_be_read: part == MangledPart::Image,
            message: format!("{key}: {first}"),
            details: lines.collect(),
            advice,
        }
    }

    /// No place works: the chart has none, or reads none of those it has.
    fn missing(&self, key: &ImageKey) -> Problem {
        let tried = self.tried(key);
        if !tried.is_empty() {
            return self.ignored(key, &tried);
        }
        Problem {
            may_be_read: true,
            message: format!(
                "{key}: the chart's values have no place for its image (looked for {})",
                Search::looked_at(key)
            ),
            details: self.instead(key),
            advice: self.advice(key, "give the chart such a value"),
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
            may_be_read: true,
            message,
            details: instead.into_iter().skip(1).collect(),
            advice: self.advice(key, &format!("let the template take the image from {at}")),
        }
    }
}
