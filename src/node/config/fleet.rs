//! The keys `argocd`, `waves` and `clusters` of an app that Argo CD carries out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeValue;

use super::Namespace;
use super::names::{FilePath, SingleLine};
use super::reader::{Mistake, Table, named, read_list};
use crate::plan::fleet::{ClusterAccess, Fleet, TargetName};
use crate::text;
use crate::units::GoDuration;

/// What to do about waves and clusters without it.
const LACKS_ARGOCD: &str = "name the cluster of Argo CD: argocd = { kubeconfig = \"…\" }";

/// Where Argo CD's own manifests install it (`manifests/install.yaml`).
pub(super) const NAMESPACE: &str = "argocd";

/// Reads the three keys; `at` is where the app's name stands.
pub(super) fn read(
    table: &mut Table<'_>,
    at: usize,
    base: &Path,
    mistakes: &mut Vec<Mistake>,
) -> Option<Fleet> {
    let app = table
        .path_of("argocd")
        .trim_end_matches(".argocd")
        .to_owned();
    let before = mistakes.len();
    let argocd = table.table("argocd", mistakes);
    let hub = argocd.map(|argocd| hub(argocd, at, base, mistakes));
    let waves = waves(table, mistakes);
    let clusters = clusters(table, base, mistakes);
    let mut mistake = |at: usize, message: String, hint: &str| {
        mistakes.push(Mistake {
            at,
            message,
            hint: Some(hint.to_owned()),
        });
    };
    let Some(hub) = hub else {
        let alone = |key: &str| format!("{app}.{key} stands without {app}.argocd");
        // A wrong `argocd` was told already.
        if table.lacks("argocd") {
            if let Some((at, _)) = &waves {
                mistake(*at, alone("waves"), LACKS_ARGOCD);
            }
            for (at, name, _) in clusters.iter().take(1) {
                mistake(*at, alone(&format!("clusters.{name}")), LACKS_ARGOCD);
            }
        }
        return None;
    };
    let Some((_, waves)) = waves else {
        if table.lacks("waves") {
            let message = format!("{app}.argocd stands without {app}.waves");
            let hint = "name the Applications in their order: waves = [[\"…\"], [\"…\", \"…\"]]";
            mistake(at, message, hint);
        }
        return None;
    };
    let known: BTreeSet<&TargetName> = waves.iter().flatten().collect();
    for (at, name, _) in &clusters {
        if !known.contains(name) {
            let message = format!("{app}.clusters.{name} names no Application of {app}.waves");
            mistake(*at, message, "add it to a wave, or remove it");
        }
    }
    let hub = hub?;
    if mistakes.len() > before {
        return None;
    }
    let clusters = clusters.into_iter();
    let clusters: BTreeMap<_, _> = clusters
        .filter_map(|(_, name, access)| Some((name, access?)))
        .collect();
    Some(Fleet {
        hub: hub.access,
        namespace: hub.namespace,
        waves,
        clusters,
        bake: hub.bake,
        template: hub.template,
    })
}

/// What `argocd` says.
struct Hub {
    access: ClusterAccess,
    namespace: String,
    bake: Duration,
    template: Option<PathBuf>,
}

fn hub(mut table: Table<'_>, at: usize, base: &Path, mistakes: &mut Vec<Mistake>) -> Option<Hub> {
    let namespace = table.text::<Namespace>("namespace", Namespace::EXPECTED, mistakes);
    let template = table.text::<FilePath>("template", FilePath::EXPECTED, mistakes);
    let baking = table.text::<GoDuration>("bake", "a duration such as \"10m\"", mistakes);
    let access = access(table, at, base, mistakes)?;
    Some(Hub {
        access,
        namespace: namespace.map_or(NAMESPACE.to_owned(), |it| it.as_str().to_owned()),
        bake: baking.map(|bake| bake.0).unwrap_or_default(),
        template: template.map(|path| base.join(path.0)),
    })
}

/// `kubeconfig` and `context` of a table, which takes no key besides those that were
/// asked for before.
fn access(
    mut table: Table<'_>,
    at: usize,
    base: &Path,
    mistakes: &mut Vec<Mistake>,
) -> Option<ClusterAccess> {
    let path = table.path_of("kubeconfig");
    let kubeconfig = table.text::<FilePath>("kubeconfig", FilePath::EXPECTED, mistakes);
    let context = table
        .text::<SingleLine>("context", "the name of a context", mistakes)
        .map(|name| name.0);
    if table.lacks("kubeconfig") {
        mistakes.push(Mistake {
            at,
            message: format!("{path} is missing"),
            hint: Some("name the file that leads to the cluster".to_owned()),
        });
    }
    table.finish(mistakes);
    Some(ClusterAccess {
        kubeconfig: base.join(kubeconfig?.0),
        context,
    })
}

/// The waves, and where they stand.
fn waves(
    table: &mut Table<'_>,
    mistakes: &mut Vec<Mistake>,
) -> Option<(usize, Vec<Vec<TargetName>>)> {
    const EXPECTED: &str =
        "a list of waves, each a list of Applications: [[\"canary\"], [\"eu\", \"us\"]]";
    let path = table.path_of("waves");
    let value = table.take("waves")?;
    let at = value.span().start;
    let mut wrong = |at: usize, seen: &str| {
        mistakes.push(Mistake {
            at,
            message: format!("{path} is {seen}, expected {EXPECTED}"),
            hint: None,
        });
    };
    let DeValue::Array(items) = value.get_ref() else {
        wrong(at, &named(value.get_ref()));
        return None;
    };
    if items.is_empty() {
        wrong(at, "an empty list");
        return None;
    }
    let before = mistakes.len();
    let mut seen = BTreeSet::new();
    let mut waves = Vec::new();
    for item in items {
        let entry = format!("an entry of {path}");
        let Some(wave) = read_list::<TargetName>(&entry, item, TargetName::EXPECTED, mistakes)
        else {
            continue;
        };
        if wave.is_empty() {
            mistakes.push(Mistake {
                at: item.span().start,
                message: format!("a wave of {path} is empty"),
                hint: Some("name an Application in it, or remove it".to_owned()),
            });
        }
        for target in &wave {
            if !seen.insert(target.clone()) {
                mistakes.push(Mistake {
                    at: item.span().start,
                    message: format!("{path} names {target} twice"),
                    hint: Some("an Application is of one wave".to_owned()),
                });
            }
        }
        waves.push(wave);
    }
    (mistakes.len() == before).then_some((at, waves))
}

/// The clusters: where each stands, its Application, and how it is reached.
fn clusters(
    table: &mut Table<'_>,
    base: &Path,
    mistakes: &mut Vec<Mistake>,
) -> Vec<(usize, TargetName, Option<ClusterAccess>)> {
    let Some(mut clusters) = table.table("clusters", mistakes) else {
        return Vec::new();
    };
    let mut read = Vec::new();
    for (name, at, value) in clusters.drain() {
        let path = clusters.path_of(name);
        let Some(inner) = value.get_ref().as_table() else {
            let seen = named(value.get_ref());
            mistakes.push(Mistake {
                at: value.span().start,
                message: format!("{path} is {seen}, expected {{ kubeconfig = \"…\" }}"),
                hint: None,
            });
            continue;
        };
        let access = access(Table::new(path, inner), at, base, mistakes);
        match name.parse::<TargetName>() {
            Ok(target) => read.push((at, target, access)),
            Err(expected) => mistakes.push(Mistake {
                at,
                message: format!(
                    "{} is not an Application, expected {expected}",
                    text::quoted(name)
                ),
                hint: None,
            }),
        }
    }
    read
}
