//! Equations and lines for deploy.toml, for people.

use super::{Group, Reading, Subject};
use crate::chart::equation::{Equation, Part, Solution};
use crate::chart::layout::Solved;
use crate::chart::suggestions::{Advice, Choice, Line, cure};
use crate::chart::{foreign, reference};
use crate::plan::{ImageParts, ValuePath};
use crate::signal::{ImageKey, ImageRef};
use crate::text;

/// The most equations, and the most lines, that an error lists.
const MAX_TOLD: usize = 6;
/// The most containers named for one equation.
const MAX_SITES: usize = 3;

/// What is in the way of a key.
pub(in crate::chart) enum Why {
    /// No container is the key's by its repository or its words.
    Nothing,
    /// These are, but no value gives them the requested reference.
    Unsolved(Vec<Group>),
    /// More than one is.
    Several(Vec<Group>),
}

/// What an error says of it.
#[derive(Default)]
pub(in crate::chart) struct Told {
    pub(in crate::chart) headline: Option<String>,
    /// Whether it is only to be said which of several is meant.
    pub(in crate::chart) is_choice: bool,
    pub(in crate::chart) details: Vec<String>,
    pub(in crate::chart) advice: Advice,
}

fn agrees(solution: &Solution, other: &Solution) -> bool {
    let mut shared = solution.iter();
    shared.all(|(path, value)| other.get(path).is_none_or(|set| set == value))
}

/// What was read of the other keys, as far as it was.
fn solved_by_others<'r>(reading: &'r Reading, key: &ImageKey) -> impl Iterator<Item = &'r Solved> {
    let others = reading.found.iter().filter(move |(other, _)| *other != key);
    let layouts = others
        .flat_map(|(_, (_, locations))| locations.iter().flat_map(|location| &location.layouts));
    layouts.filter_map(|layout| layout.solved.as_ref())
}

/// What the places of the other keys are set to.
fn set_by_others(reading: &Reading, key: &ImageKey) -> Solution {
    solved_by_others(reading, key)
        .flat_map(|solved| solved.values.iter().cloned())
        .collect()
}

/// What is known of `key`'s image, and what to do.
pub(super) fn told(reading: &Reading, key: &ImageKey, subject: &Subject<'_>) -> Told {
    let Some(why) = reading.missing.get(key) else {
        return Told::default();
    };
    let Some(want) = subject.wants.iter().find(|want| want.key == *key) else {
        return Told::default();
    };
    let every: Vec<&Group> = reading.groups.iter().collect();
    let (headline, groups): (_, Vec<&Group>) = match why {
        Why::Nothing => (None, every.clone()),
        Why::Unsolved(groups) => (
            Some(format!(
                "{key}: no values give {} in {}",
                text::quoted(&want.image.to_string()),
                groups.first().map(sites).unwrap_or_default()
            )),
            groups.iter().collect(),
        ),
        Why::Several(groups) => (
            Some(format!(
                "{key}: {} images can be its own: {}",
                groups.len(),
                groups.iter().map(sites).collect::<Vec<_>>().join("; ")
            )),
            groups.iter().collect(),
        ),
    };
    let mut details: Vec<String> = groups
        .iter()
        .take(MAX_TOLD)
        .map(|group| shown(group))
        .collect();
    if groups.len() > MAX_TOLD {
        details.push(format!("and {} more", groups.len() - MAX_TOLD));
    }
    // A bare name (`postgres`) is nobody's own image: the least likely to be meant.
    let is_bare = |group: &Group| {
        let name = group.repository.as_deref().unwrap_or_default();
        name.starts_with("docker.io/library/")
    };
    let mut likely = groups.clone();
    likely.retain(|group| !is_of_another(reading, key, group, subject));
    likely.sort_by_key(|group| group.is_foreign || is_bare(group));
    let set = set_by_others(reading, key);
    let wanted = want.image.to_string();
    let choices = likely
        .iter()
        .filter_map(|group| {
            let mut solutions = group
                .equation
                .solve(&wanted, &|_| String::new())
                .into_iter();
            solutions.find(|(_, one)| agrees(one, &set))?;
            let line = line(key, group, &want.image, &every)?;
            Some(match why {
                // Nothing says that it is the key's: not to be pasted unseen.
                Why::Nothing => Choice::if_meant(line, sites(group)),
                _ => Choice::plain(line),
            })
        })
        .take(MAX_TOLD);
    Told {
        headline,
        is_choice: matches!(why, Why::Several(_)),
        details,
        advice: Advice {
            choices: choices.collect(),
            otherwise: no_line(key, &want.image, matches!(why, Why::Unsolved(_))),
        },
    }
}

/// Whether an image is known to be another key's that is requested otherwise, or
/// somebody else's: not of the owner that the others are of.
fn is_of_another(reading: &Reading, key: &ImageKey, group: &Group, subject: &Subject<'_>) -> bool {
    let wanted = |key: &ImageKey| {
        let mut wants = subject.wants.iter();
        wants.find(|want| want.key == *key).map(|want| &want.image)
    };
    let taken = reading.found.iter().any(|(other, (_, locations))| {
        let mut layouts = locations.iter().flat_map(|location| &location.layouts);
        wanted(other) != wanted(key)
            && layouts.any(|layout| {
                let solved = layout.solved.as_ref();
                solved.is_some_and(|solved| solved.equation == group.equation)
            })
    });
    if taken {
        return true;
    }
    let Some(name) = group.repository.as_deref() else {
        return false;
    };
    let owners: Vec<&str> = solved_by_others(reading, key)
        .filter_map(|solved| {
            let mut groups = reading.groups.iter();
            let of = groups.find(|group| group.equation == solved.equation)?;
            Some(reference::owner(of.repository.as_deref()?))
        })
        .collect();
    let images = subject.wants.iter().map(|want| &want.image);
    let is_strange =
        group.is_foreign || (!owners.is_empty() && !owners.contains(&reference::owner(name)));
    is_strange && foreign::is_of_another_owner(name, images)
}

fn no_line(key: &ImageKey, image: &ImageRef, by_digest: bool) -> String {
    let or = if by_digest && image.digest().is_some() {
        ", or request a tag where the template only takes one"
    } else {
        ""
    };
    format!(
        "no line in deploy.toml can set it; let the template read the whole reference{or}: {}",
        cure(key)
    )
}

/// `image of Deployment web, container web = image.repository + "-web:" + image.tag`
fn shown(group: &Group) -> String {
    format!("image of {} = {}", sites(group), group.equation)
}

fn sites(group: &Group) -> String {
    let mut names: Vec<&str> = group.sites.iter().map(|site| site.title.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let more = names.len().saturating_sub(MAX_SITES);
    names.truncate(MAX_SITES);
    let told = names.join(" and ");
    if more > 0 {
        format!("{told} and {more} more")
    } else {
        told
    }
}

/// The line that makes `group` the image of `key`; none where no line can.
fn line(key: &ImageKey, group: &Group, image: &ImageRef, every: &[&Group]) -> Option<Line> {
    let wanted = image.to_string();
    let solves = |equation: &Equation| {
        !equation.places().is_empty() && !equation.solve(&wanted, &|_| String::new()).is_empty()
    };
    if !solves(&group.equation) {
        return None;
    }
    let others = || {
        every
            .iter()
            .filter(|other| other.equation != group.equation && solves(&other.equation))
    };
    let places = group.equation.places();
    let own = |at: &ValuePath| {
        !others().any(|other| {
            other
                .equation
                .places()
                .iter()
                .any(|path| path.keys().starts_with(at.keys()))
        })
    };
    if let Some(at) = common(&places).filter(own) {
        return Some(Line::at(key, &at));
    }
    if let Some(at) = places.iter().find(|path| own(path)) {
        return Some(Line::at(key, at));
    }
    let alone = !others().any(|other| {
        other
            .equation
            .places()
            .iter()
            .all(|path| places.contains(path))
    });
    let parts = alone.then(|| parts(&group.equation)).flatten()?;
    let of = |wanted: &str| {
        let mut parts = parts.iter();
        let (_, path) = parts.find(|(name, _)| *name == wanted)?;
        Some((*path).clone())
    };
    let parts = ImageParts {
        registry: of("registry"),
        repository: of("repository"),
        tag: of("tag"),
        digest: of("digest"),
    };
    Some(Line::Parts(key.clone(), parts))
}

/// The parts of a reference that the places of an equation are; none where two
/// are the same part.
fn parts(equation: &Equation) -> Option<Vec<(&'static str, &ValuePath)>> {
    let mut parts: Vec<(&'static str, &ValuePath)> = Vec::new();
    let mut before = String::new();
    let pieces = equation.parts();
    for (at, piece) in pieces.iter().enumerate() {
        match piece {
            Part::Text(text) => before.push_str(text),
            Part::Place(path) => {
                let is_host = at == 0
                    && matches!(pieces.get(1), Some(Part::Text(text)) if text.starts_with('/'));
                let in_tag = before.rsplit('/').next().unwrap_or_default();
                let name = match () {
                    () if in_tag.contains('@') => "digest",
                    () if in_tag.contains(':') => "tag",
                    () if is_host => "registry",
                    () => "repository",
                };
                if parts
                    .iter()
                    .any(|(other, at)| *other == name && *at != path)
                {
                    return None;
                }
                if parts.iter().all(|(_, at)| *at != path) {
                    parts.push((name, path));
                }
                before.push('x');
            }
        }
    }
    Some(parts)
}

/// The map that all of `places` stand in; the place itself where it is one.
pub(in crate::chart) fn common(places: &[&ValuePath]) -> Option<ValuePath> {
    let first = places.first()?;
    if places.len() == 1 {
        return Some((*first).clone());
    }
    let above = first.keys().split_last()?.1;
    let same = |path: &&ValuePath| path.keys().split_last().is_some_and(|(_, at)| at == above);
    if above.is_empty() || !places.iter().all(same) {
        return None;
    }
    let mut path: Option<ValuePath> = None;
    for key in above {
        path = match path {
            Some(path) => Some(path.child(key)),
            None => Some(key.replace('\\', "\\\\").replace('.', "\\.").parse().ok()?),
        };
    }
    path
}

/// `backend.image.{repository,tag}`
pub(in crate::chart) fn fields(paths: &[&ValuePath]) -> String {
    let all: Vec<String> = paths.iter().map(ToString::to_string).collect();
    let shown = match common(paths) {
        Some(above) if paths.len() > 1 => {
            let last = |path: &&ValuePath| path.keys().last().cloned().unwrap_or_default();
            let names: Vec<String> = paths.iter().map(last).collect();
            format!("{above}.{{{}}}", names.join(","))
        }
        _ => all.join(", "),
    };
    text::line(&shown, 300).into_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::fields;
    use crate::plan::ValuePath;

    #[test]
    fn fields_of_one_map_are_told_together() {
        let of = |paths: &[&str]| {
            let paths: Vec<ValuePath> = paths.iter().map(|path| path.parse().unwrap()).collect();
            fields(&paths.iter().collect::<Vec<_>>())
        };
        assert_eq!(
            of(&["a.image.repository", "a.image.tag"]),
            "a.image.{repository,tag}"
        );
        assert_eq!(of(&["a.image"]), "a.image");
        assert_eq!(
            of(&["image.repository", "version"]),
            "image.repository, version"
        );
    }
}
