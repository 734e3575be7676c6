//! What must hold between the keys of a deploy.toml, where each alone is right.

use std::collections::BTreeMap;
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::reader::Mistake;
use super::{Application, Config, Forwarding, Settings};
use crate::node::limits::{TIMEOUT, least_stale_after};
use crate::plan::fleet::Fleet;
use crate::units;

/// The mistakes of a configuration whose keys were read from `root`.
pub(super) fn check(config: &Config, root: &DeTable<'_>, mistakes: &mut Vec<Mistake>) {
    shared_releases(config, root, mistakes);
    shared_applications(config, root, mistakes);
    beside_argocd(config, root, mistakes);
    stale_after(config, root, mistakes);
}

/// Two apps of one release would replace each other's application.
fn shared_releases(config: &Config, root: &DeTable<'_>, mistakes: &mut Vec<Mistake>) {
    let mut seen = BTreeMap::new();
    for (app, say) in &config.apps {
        if say.fleet.is_some() {
            continue;
        }
        let forward = say.settings.forward.as_ref();
        if let Some(Forwarding::To(..)) = forward.or(config.defaults.forward.as_ref()) {
            continue;
        }
        let name = app.as_str();
        let namespace = say.namespace.as_ref().map_or(name, |it| it.as_str());
        let release = say.release.as_ref().map_or(name, |it| it.as_str());
        if let Some(first) = seen.insert((namespace, release), name) {
            mistakes.push(Mistake {
                at: place(root, &["apps", name]),
                message: format!(
                    "the apps {first} and {name} have one release, {release} in the namespace {namespace}"
                ),
                hint: Some("give each a release or a namespace of its own".to_owned()),
            });
        }
    }
}

/// Two apps of one Application would replace each other's.
fn shared_applications(config: &Config, root: &DeTable<'_>, mistakes: &mut Vec<Mistake>) {
    let mut seen = BTreeMap::new();
    for (app, say) in &config.apps {
        for target in say.fleet.iter().flat_map(Fleet::targets) {
            let fleet = say
                .fleet
                .as_ref()
                .map(|fleet| (&fleet.hub, &fleet.namespace));
            if let Some(first) = seen.insert((fleet, target), app.as_str()) {
                mistakes.push(Mistake {
                    at: place(root, &["apps", app.as_str(), "waves"]),
                    message: format!("the apps {first} and {app} have one Application, {target}"),
                    hint: Some("name it in the waves of one of them".to_owned()),
                });
            }
        }
    }
}

/// What an Application says by itself is not said here too.
fn beside_argocd(config: &Config, root: &DeTable<'_>, mistakes: &mut Vec<Mistake>) {
    for (app, say) in &config.apps {
        if say.fleet.is_none() {
            continue;
        }
        let settings = &say.settings;
        let theirs = "each Application says it: remove it";
        let keys = [
            ("namespace", say.namespace.is_some(), theirs),
            ("release", say.release.is_some(), theirs),
            ("values", say.values.is_some(), theirs),
            (
                "forward",
                settings.forward.is_some(),
                "a signal goes to Argo CD or to a controller: remove one of them",
            ),
            (
                "kubeconfig",
                settings.kubeconfig.is_some(),
                "argocd.kubeconfig and clusters name the clusters: remove it",
            ),
            (
                "kube_context",
                settings.kube_context.is_some(),
                "argocd.context and clusters name the contexts: remove it",
            ),
        ];
        for (key, _, hint) in keys.into_iter().filter(|(_, is_there, _)| *is_there) {
            mistakes.push(Mistake {
                at: place(root, &["apps", app.as_str(), key]),
                message: format!("apps.{app}.{key} stands beside apps.{app}.argocd"),
                hint: Some(hint.to_owned()),
            });
        }
    }
}

/// A deploy that still runs must not count as dead.
fn stale_after(config: &Config, root: &DeTable<'_>, mistakes: &mut Vec<Mistake>) {
    let defaults = &config.defaults;
    if let Some(written) = defaults.stale_after {
        let least = least(&Settings::default(), defaults);
        let path = &["defaults", "stale_after"];
        mistakes.extend(too_small(written, least, root, path, None));
    }
    for (app, Application { settings, .. }) in &config.apps {
        let (name, least) = (app.as_str(), least(settings, defaults));
        let found = match (settings.stale_after, defaults.stale_after) {
            (Some(written), _) => {
                too_small(written, least, root, &["apps", name, "stale_after"], None)
            }
            // Where it is wrong for all, it is told once.
            (None, Some(written)) if settings.timeout.or(settings.rollback_timeout).is_some() => {
                too_small(
                    written,
                    least,
                    root,
                    &["defaults", "stale_after"],
                    Some(name),
                )
            }
            (None, _) => None,
        };
        mistakes.extend(found);
    }
}

fn least(settings: &Settings, defaults: &Settings) -> Duration {
    let timeout = settings.timeout.or(defaults.timeout).unwrap_or(TIMEOUT);
    let rollback = settings.rollback_timeout.or(defaults.rollback_timeout);
    least_stale_after(timeout, rollback.unwrap_or(timeout))
}

fn too_small(
    written: Duration,
    least: Duration,
    root: &DeTable<'_>,
    path: &[&str],
    app: Option<&str>,
) -> Option<Mistake> {
    (written < least).then(|| Mistake {
        at: place(root, path),
        message: format!(
            "{} is {}, but a deploy{} can take longer: expected at least {}, its timeout, its \
             rollback_timeout and two minutes",
            path.join("."),
            units::show(written),
            app.map(|app| format!(" of {app}")).unwrap_or_default(),
            units::show(least),
        ),
        hint: Some("remove it, or shorten the timeouts".to_owned()),
    })
}

/// Where a key stands.
fn place(root: &DeTable<'_>, path: &[&str]) -> usize {
    let Some((first, rest)) = path.split_first() else {
        return 0;
    };
    let found = root
        .iter()
        .find(|(key, _)| key.get_ref().as_ref() == *first);
    match found.map(|(key, value)| (key, value.get_ref())) {
        Some((_, DeValue::Table(table))) if !rest.is_empty() => place(table, rest),
        Some((key, _)) => key.span().start,
        None => 0,
    }
}
