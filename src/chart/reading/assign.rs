//! Which equations are a key's, and what solves them.

use std::collections::{BTreeMap, BTreeSet};

use super::fill::Shown;
use super::tell::Why;
use super::{Group, Subject, speaks};
use crate::chart::equation::Solution;
use crate::chart::layout::{DigestStyle, Layout, Prefix, Solved};
use crate::chart::model::{ImageLocation, Need};
use crate::plan::ValuePath;
use crate::signal::{ImageKey, ImageRef};

/// The most solutions of one equation that are held against those of others.
const MAX_JOINED: usize = 16;

/// What decided which containers are a key's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// A line of deploy.toml.
    Node,
    /// The repository that stands there now is the requested one.
    Repository,
    /// The usual words for it.
    Words,
}

impl std::fmt::Display for How {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Node => "by deploy.toml",
            Self::Repository => "by repository",
            Self::Words => "by its words",
        })
    }
}

pub(super) enum Answer {
    Found(How, Vec<ImageLocation>),
    Missing(Why),
}

/// The groups of each key and what solves them all together.
pub(super) fn assign(
    subject: &Subject<'_>,
    keys: &BTreeSet<ImageKey>,
    shown: &Shown,
) -> BTreeMap<ImageKey, Answer> {
    let mut answers = BTreeMap::new();
    let mut chosen: Vec<(&ImageKey, &ImageRef, How, Vec<usize>)> = Vec::new();
    let by_repository = by_repository(subject, shown);
    for want in subject.wants.iter().filter(|want| keys.contains(&want.key)) {
        let solves = |at: &usize| !solutions(&shown.groups[*at], &want.image, shown).is_empty();
        let (how, fitting) = if let Some(mapped) = mapped(subject, &want.key, shown) {
            (How::Node, mapped)
        } else if let Some(found) = by_repository.get(&want.key) {
            (How::Repository, found.clone())
        } else {
            let taken: Vec<usize> = by_repository.values().flatten().copied().collect();
            (
                How::Words,
                speaks::by_words(subject, &want.key, shown, &taken),
            )
        };
        let good: Vec<usize> = fitting.iter().copied().filter(solves).collect();
        let answer = match (how, good.len()) {
            (_, 0) if fitting.is_empty() => Some(Why::Nothing),
            (_, 0) => Some(Why::Unsolved(equations(shown, &fitting))),
            (How::Words, 2..) => Some(Why::Several(equations(shown, &good))),
            (How::Repository, _) if good.len() < fitting.len() => {
                Some(Why::Unsolved(equations(shown, &fitting)))
            }
            _ => None,
        };
        match answer {
            Some(why) => {
                answers.insert(want.key.clone(), Answer::Missing(why));
            }
            None => chosen.push((&want.key, &want.image, how, good)),
        }
    }
    solve(shown, &chosen, &mut answers);
    answers
}

fn equations(shown: &Shown, at: &[usize]) -> Vec<Group> {
    at.iter().map(|at| shown.groups[*at].clone()).collect()
}

fn solutions(group: &Group, image: &ImageRef, shown: &Shown) -> Vec<(usize, Solution)> {
    let now = |path: &ValuePath| shown.now.get(path).cloned().unwrap_or_default();
    if group.equation.places().is_empty() {
        return Vec::new();
    }
    group.equation.solve(&image.to_string(), &now)
}

/// The groups that deploy.toml names for `key`; none where it names none.
fn mapped(subject: &Subject<'_>, key: &ImageKey, shown: &Shown) -> Option<Vec<usize>> {
    let parts = subject
        .rules
        .parts
        .get(key)
        .map(crate::plan::ImageParts::paths);
    let places = subject.rules.layouts.get(key);
    if parts.is_none() && places.is_none() {
        return None;
    }
    let fits = |group: &Group| {
        let of = group.equation.places();
        if let Some(parts) = &parts {
            return !of.is_empty() && of.iter().all(|path| parts.contains(path));
        }
        let named = |path: &&ValuePath| {
            places
                .into_iter()
                .flatten()
                .any(|at| path.keys().starts_with(at.keys()))
        };
        of.iter().any(named)
    };
    Some(positions(shown, fits))
}

fn positions(shown: &Shown, fits: impl Fn(&Group) -> bool) -> Vec<usize> {
    let groups = shown.groups.iter().enumerate();
    groups
        .filter(|(_, group)| fits(group))
        .map(|(at, _)| at)
        .collect()
}

/// The groups whose repository is now that of exactly one key.
fn by_repository(subject: &Subject<'_>, shown: &Shown) -> BTreeMap<ImageKey, Vec<usize>> {
    let mut found = BTreeMap::new();
    for want in subject.wants {
        let name = want.image.name();
        if want.need == Need::Follows {
            continue;
        }
        let alone = subject.wants.iter().all(|other| {
            other.key == want.key || other.need == Need::Follows || other.image.name() != name
        });
        let of = positions(shown, |group| {
            group.repository.as_deref() == Some(name.as_str())
                && !group.equation.places().is_empty()
        });
        if alone && !of.is_empty() {
            found.insert(want.key.clone(), of);
        }
    }
    found
}

/// Solves the groups of all keys together: what they share must agree.
fn solve(
    shown: &Shown,
    chosen: &[(&ImageKey, &ImageRef, How, Vec<usize>)],
    answers: &mut BTreeMap<ImageKey, Answer>,
) {
    let lines: Vec<(usize, Vec<Solution>)> = chosen
        .iter()
        .enumerate()
        .flat_map(|(of, (_, image, _, groups))| {
            groups.iter().map(move |at| {
                let all = solutions(&shown.groups[*at], image, shown)
                    .into_iter()
                    .take(MAX_JOINED);
                (of, all.map(|(_, solution)| solution).collect())
            })
        })
        .collect();
    let mut picked = Vec::new();
    let agreed = agree(&lines, &Solution::new(), &mut picked);
    let mut next = picked.into_iter();
    for (key, image, how, groups) in chosen {
        let mut locations = Vec::new();
        for at in groups {
            let group = &shown.groups[*at];
            // Where they cannot agree each gets its own, and the clash is told.
            let solution = if agreed { next.next() } else { None }.or_else(|| {
                solutions(group, image, shown)
                    .into_iter()
                    .next()
                    .map(|(_, one)| one)
            });
            locations.extend(solution.and_then(|solution| location(key, group, &solution, shown)));
        }
        answers.insert((*key).clone(), Answer::Found(*how, locations));
    }
}

/// One solution of each line, so that no place gets two values.
fn agree(lines: &[(usize, Vec<Solution>)], so_far: &Solution, picked: &mut Vec<Solution>) -> bool {
    let Some(((_, solutions), rest)) = lines.split_first() else {
        return true;
    };
    for solution in solutions {
        let clash = solution
            .iter()
            .any(|(path, value)| so_far.get(path).is_some_and(|other| other != value));
        if clash {
            continue;
        }
        let mut joined = so_far.clone();
        joined.extend(solution.clone());
        picked.push(solution.clone());
        if agree(rest, &joined, picked) {
            return true;
        }
        picked.pop();
    }
    false
}

fn location(
    key: &ImageKey,
    group: &Group,
    solution: &Solution,
    shown: &Shown,
) -> Option<ImageLocation> {
    let places = group.equation.places();
    let beside = |path: &&ValuePath| {
        places.iter().any(|place| above(place) == above(path)) && !solution.contains_key(*path)
    };
    let at = super::tell::common(&places).or_else(|| places.first().map(|path| (*path).clone()))?;
    let solved = Solved {
        equation: group.equation.clone(),
        values: solution
            .iter()
            .map(|(path, value)| (path.clone(), value.clone()))
            .collect(),
        cleared: shown.cleared.iter().filter(beside).cloned().collect(),
    };
    let layout = Layout {
        key: key.clone(),
        at: at.clone(),
        prefix: Prefix::Inside,
        repository: None,
        tag: None,
        digest: None,
        style: DigestStyle::Own,
        solved: Some(solved),
    };
    Some(ImageLocation {
        key: key.clone(),
        at,
        layouts: vec![layout],
        is_read: true,
    })
}

fn above(path: &ValuePath) -> &[String] {
    path.keys().split_last().map_or(&[], |(_, above)| above)
}
