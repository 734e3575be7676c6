//! Equations and lines for deploy.toml, for people.

use super::{Group, Reading, Subject};
use crate::chart::equation::{Equation, Part, Solution};
use crate::plan::ValuePath;
use crate::signal::{ImageKey, ImageRef};
use crate::text;

/// The most equations, and the most lines, that an error lists.
const MAX_TOLD: usize = 6;
/// The most solutions of a suggested line that are held against those of others.
const MAX_CHOICES: usize = 16;
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
    pub(in crate::chart) hints: Vec<String>,
    /// What each suggested line sets its values to, and what is said where
    /// there is no line.
    choices: Vec<Vec<Solution>>,
    pub(in crate::chart) otherwise: String,
}

/// Whether one line of each key can be pasted together: one place takes one value.
pub(in crate::chart) fn fit_together(told: &[Told]) -> bool {
    fn fit(told: &[&Told], so_far: &Solution) -> bool {
        let Some((first, rest)) = told.split_first() else {
            return true;
        };
        first.choices.iter().flatten().any(|solution| {
            let mut joined = so_far.clone();
            joined.extend(solution.clone());
            agrees(solution, so_far) && fit(rest, &joined)
        })
    }
    let with_lines: Vec<&Told> = told
        .iter()
        .filter(|told| !told.choices.is_empty())
        .collect();
    fit(&with_lines, &Solution::new())
}

fn agrees(solution: &Solution, other: &Solution) -> bool {
    let mut shared = solution.iter();
    shared.all(|(path, value)| other.get(path).is_none_or(|set| set == value))
}

/// What the places of the other keys, as far as they are found, are set to.
fn set_by_others(reading: &Reading, key: &ImageKey) -> Solution {
    let others = reading.found.iter().filter(|(other, _)| *other != key);
    let layouts = others
        .flat_map(|(_, (_, locations))| locations.iter().flat_map(|location| &location.layouts));
    let solved = layouts.filter_map(|layout| layout.solved.as_ref());
    solved
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
    likely.retain(|group| !is_of_another(reading, key, group));
    likely.sort_by_key(|group| group.is_foreign || is_bare(group));
    let set = set_by_others(reading, key);
    let wanted = want.image.to_string();
    let (lines, choices): (Vec<String>, Vec<Vec<Solution>>) = likely
        .iter()
        .filter_map(|group| {
            let solutions = group.equation.solve(&wanted, &|_| String::new());
            let solutions = solutions.into_iter().map(|(_, one)| one);
            let solutions: Vec<Solution> = solutions
                .filter(|one| agrees(one, &set))
                .take(MAX_CHOICES)
                .collect();
            let line = line(key, group, &want.image, &every)?;
            (!solutions.is_empty()).then_some((line, solutions))
        })
        .take(MAX_TOLD)
        .unzip();
    let otherwise = no_line(key, &want.image, matches!(why, Why::Unsolved(_)));
    let hints = if lines.is_empty() {
        vec![otherwise.clone()]
    } else if let [only] = lines.as_slice() {
        vec![match (why, likely.first()) {
            // Nothing says that it is the key's: not to be pasted unseen.
            (Why::Nothing, Some(group)) => format!(
                "in deploy.toml, under the app, if the image of {} is meant: {only}",
                sites(group)
            ),
            _ => format!("in deploy.toml, under the app: {only}"),
        }]
    } else {
        let mut hints =
            vec!["in deploy.toml, under the app, the one of these lines that is meant:".to_owned()];
        hints.extend(lines);
        hints
    };
    Told {
        headline,
        is_choice: matches!(why, Why::Several(_)),
        details,
        hints,
        choices,
        otherwise,
    }
}

/// Whether an image is known to be another key's.
fn is_of_another(reading: &Reading, key: &ImageKey, group: &Group) -> bool {
    let others = reading.found.iter().filter(|(other, _)| *other != key);
    let mut layouts = others
        .flat_map(|(_, (_, locations))| locations.iter().flat_map(|location| &location.layouts));
    layouts.any(|layout| {
        let solved = layout.solved.as_ref();
        solved.is_some_and(|solved| solved.equation == group.equation)
    })
}

fn no_line(key: &ImageKey, image: &ImageRef, by_digest: bool) -> String {
    let or = if by_digest && image.digest().is_some() {
        ", or request a tag where the template only takes one"
    } else {
        ""
    };
    format!(
        "no line in deploy.toml can set it; let the template read the whole reference{or}: image: {{{{ .Values.{key}.image | quote }}}}, and in values.yaml: {key}: {{image: \"\"}}"
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
fn line(key: &ImageKey, group: &Group, image: &ImageRef, every: &[&Group]) -> Option<String> {
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
        return Some(crate::chart::suggestions::line(key, &[at.to_string()]));
    }
    if let Some(at) = places.iter().find(|path| own(path)) {
        return Some(crate::chart::suggestions::line(key, &[at.to_string()]));
    }
    let alone = !others().any(|other| {
        other
            .equation
            .places()
            .iter()
            .all(|path| places.contains(path))
    });
    let parts = alone.then(|| parts(&group.equation)).flatten()?;
    let parts: Vec<String> = parts
        .iter()
        .map(|(name, path)| format!("{name} = {}", toml_text(&path.to_string())))
        .collect();
    Some(format!("images.{key} = {{ {} }}", parts.join(", ")))
}

fn toml_text(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
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
