//! Which images speak of a component by the usual words: in the value's path,
//! in fixed text, or in the names of workload and container.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::fill::Shown;
use super::{Group, Site, Subject, words};
use crate::chart::reference;
use crate::plan::ValuePath;
use crate::signal::ImageKey;

/// The groups that speak of `key` by their words, of those not `taken`.
pub(super) fn by_words(
    subject: &Subject<'_>,
    key: &ImageKey,
    shown: &Shown,
    taken: &[usize],
) -> Vec<usize> {
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
    let in_text = |words: &[String]| {
        if is_strange(group, keys, shown) {
            words::strong_key(words, keys)
        } else {
            words::key(words, keys)
        }
    };
    let mut says = match places.len() {
        0 => in_text(&words::of(&group.equation.fixed())),
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
        says = in_text(&values);
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

/// Whether the components' own images are another owner's: beside an app's
/// images, `clickhouse/clickhouse-server` says nothing of an api.
fn is_strange(group: &Group, keys: &[&ImageKey], shown: &Shown) -> bool {
    let Some(owner) = group.repository.as_deref().map(reference::owner) else {
        return false;
    };
    let speaks = |group: &&Group| {
        let places = group.equation.places();
        let mut names = places.iter().flat_map(|path| path.keys());
        names.any(|name| words::strong_key(&words::of(name), keys).is_some())
    };
    let others = shown.groups.iter();
    let others = others.filter(|other| other.equation != group.equation && !other.is_foreign);
    let mut owners = others
        .filter(speaks)
        .filter_map(|other| Some(reference::owner(other.repository.as_deref()?)))
        .peekable();
    owners.peek().is_some() && owners.all(|other| other != owner)
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
