//! Which equations are a key's, and what solves them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::fill::Shown;
use super::tell::Why;
use super::{Group, Site, Subject, words};
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
            (How::Words, by_words(subject, &want.key, shown, &taken))
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

/// The groups that speak of `key` by their words, of those not `taken`.
fn by_words(subject: &Subject<'_>, key: &ImageKey, shown: &Shown, taken: &[usize]) -> Vec<usize> {
    let keys: Vec<&ImageKey> = subject.wants.iter().map(|want| &want.key).collect();
    let common = Common::of(shown);
    let groups = shown.groups.iter().enumerate();
    let free = groups.filter(|(at, group)| {
        !group.is_foreign && !group.equation.places().is_empty() && !taken.contains(at)
    });
    let speaking: Vec<(usize, Speaks)> = free
        .filter_map(|(at, group)| Some((at, speaks_of(group, key, &keys, shown, &common)?)))
        .collect();
    // Beside an image that speaks of it by itself, one that only lies in its
    // workload, or deeper in its values, is a helper: an init container, a sidecar.
    let most = speaking.iter().map(|(_, how)| *how).max();
    let kept = speaking.into_iter().filter(|(_, how)| Some(*how) == most);
    kept.map(|(at, _)| at).collect()
}

/// By what an image speaks of a component: what counts more comes later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Speaks {
    /// The names of its containers and their workloads.
    Containers,
    /// Its fixed text, or what stands in its places.
    Text,
    /// A word in the path of its places, the nearest first: `backend.image`
    /// before `backend.initContainers.wait.image`.
    Path(Reverse<usize>),
}

/// Words that every workload, or every container, has: the release's name.
struct Common {
    workload: Vec<String>,
    container: Vec<String>,
}

impl Common {
    fn of(shown: &Shown) -> Self {
        let sites: Vec<&Site> = shown.groups.iter().flat_map(|group| &group.sites).collect();
        let common = |name: &dyn Fn(&Site) -> String| {
            let mut names: Vec<String> = sites.iter().map(|site| name(site)).collect();
            names.sort();
            names.dedup();
            let first = names
                .first()
                .map(|name| words::of(name))
                .unwrap_or_default();
            let all = |word: &String| names.iter().all(|name| words::of(name).contains(word));
            if names.len() < 2 {
                Vec::new()
            } else {
                first.into_iter().filter(all).collect()
            }
        };
        Self {
            workload: common(&|site| site.workload.clone()),
            container: common(&|site| site.container.clone()),
        }
    }
}

/// By what `group` is `key`'s, if it is: the places that are its own and its
/// fixed text decide, then its containers' names; never where these disagree.
fn speaks_of(
    group: &Group,
    key: &ImageKey,
    keys: &[&ImageKey],
    shown: &Shown,
    common: &Common,
) -> Option<Speaks> {
    let own: Vec<&ValuePath> = group
        .equation
        .places()
        .into_iter()
        .filter(|path| {
            let readers = shown
                .groups
                .iter()
                .filter(|other| other.equation.places().contains(path));
            readers.count() == 1
        })
        .collect();
    let by_path: Vec<(&ImageKey, usize)> =
        own.iter().filter_map(|path| of_path(path, keys)).collect();
    let places: BTreeSet<&ImageKey> = by_path.iter().map(|(key, _)| *key).collect();
    let nearest = by_path.iter().map(|(_, distance)| *distance).min();
    let mut says = match places.len() {
        0 => words::key(&words::of(&group.equation.fixed()), keys),
        1 => places.first().copied(),
        _ => None,
    };
    // Names of a component that stand in the values are words, too.
    if says.is_none() && places.is_empty() {
        let values: Vec<String> = own
            .iter()
            .filter_map(|path| shown.now.get(*path))
            .flat_map(|now| words::of(now))
            .collect();
        says = words::key(&values, keys);
    }
    let sites: Vec<Option<&ImageKey>> = group
        .sites
        .iter()
        .map(|site| of_site(site, keys, common))
        .collect();
    match says {
        Some(says) => {
            let others = || {
                sites
                    .iter()
                    .all(|site| site.is_some_and(|site| site != key))
            };
            let how = nearest.map_or(Speaks::Text, |at| Speaks::Path(Reverse(at)));
            (says == key && !others()).then_some(how)
        }
        None => sites.contains(&Some(key)).then_some(Speaks::Containers),
    }
}

/// The deepest key of a path whose words speak of one component, and how many
/// keys stand beneath it.
fn of_path<'k>(path: &ValuePath, keys: &[&'k ImageKey]) -> Option<(&'k ImageKey, usize)> {
    let mut names = path.keys().iter().rev().enumerate();
    names.find_map(|(at, name)| Some((words::key(&words::of(name), keys)?, at)))
}

fn of_site<'k>(site: &Site, keys: &[&'k ImageKey], common: &Common) -> Option<&'k ImageKey> {
    let without = |name: &str, common: &[String]| -> Vec<String> {
        words::of(name)
            .into_iter()
            .filter(|word| !common.contains(word))
            .collect()
    };
    let names = [
        words::of(&site.component),
        without(&site.workload, &common.workload),
        without(&site.container, &common.container),
    ];
    names.iter().find_map(|words| words::key(words, keys))
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
