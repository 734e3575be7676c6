//! `deploy doctor`: everything that a deploy will need, tried as a deploy would
//! use it and as the same user.
//!
//! The node, the cluster and the registry are asked by the modules that a deploy
//! uses; here their answers become findings, each with its cure. Nothing is
//! changed: no lock is kept, no record and no workload is touched.

mod cluster;
mod controller;
mod credentials;
mod files;
mod finding;
mod fleet;
mod holders;
mod registry;
mod rights;
mod signed;

use std::ffi::OsStr;

use crate::error::{Error, Kind, Result};
use crate::helm;
use crate::host::{Environment, working_directory};
use crate::node::{self, Node};
use crate::plan::Plan;
use crate::process::Cancel;
use crate::signal::App;

pub use finding::{Finding, Severity};

/// What is looked at.
#[derive(Clone, Debug)]
pub struct Options<'a> {
    /// What the program was invoked as.
    pub invoked_as: &'a OsStr,
    /// Only this app; else each that deploy.toml lists.
    pub app: Option<&'a App>,
}

/// Looks at all of it, in the order in which a deploy would need it.
pub async fn examine(asked: &Options<'_>, environment: &Environment) -> Result<Vec<Finding>> {
    let cwd = working_directory()?;
    let mut found = vec![files::script(asked.invoked_as)];
    let node = match node::load_operated(asked.invoked_as, environment, &cwd) {
        Ok(node) => node,
        Err(error) => {
            found.push(Finding::failed("deploy.toml", &error));
            found.push(Finding::warn(
                "apps",
                "nothing further was looked at: deploy.toml says where and how",
            ));
            return Ok(found);
        }
    };
    found.push(files::configuration(&node));
    let apps: Vec<App> = match asked.app {
        Some(app) => vec![app.clone()],
        None => node.config.apps.keys().cloned().collect(),
    };
    found.extend(asked.app.and_then(|app| not_listed(app, &node)));
    // What belongs to the node is looked at with the first app's settings, or
    // those that every app has.
    let common = apps.first().cloned().map_or_else(stand_in, Ok)?;
    let Some(plan) = plan_unchecked(&common, &node, environment, &mut found)? else {
        return Ok(found);
    };
    found.push(files::state(&node, environment, &plan));
    found.push(files::freeze(&plan, node.uid));
    if node.config.receive.is_some() {
        found.extend(credentials::look());
    }
    let mut client = None;
    if plan.fleet.is_some() {
        found.push(helm_itself(&plan).await.1);
    } else if plan.forward.is_none() {
        client = Some(tools(&plan, &mut found).await);
    }
    if apps.is_empty() {
        found.push(registry::look(&plan, &[]).await);
        found.push(
            Finding::warn(
                "apps",
                "values, rights and release belong to an app, and deploy.toml lists none",
            )
            .fix("name one: deploy doctor <app>"),
        );
    }
    for app in &apps {
        let plan = if *app == common {
            Some(plan.clone())
        } else {
            plan_unchecked(app, &node, environment, &mut found)?
        };
        let Some(plan) = plan else { continue };
        let at_work = plan.forward.is_none() && plan.fleet.is_none();
        if at_work && client.is_none() {
            client = Some(tools(&plan, &mut found).await);
        }
        let of_app = of_app(&plan, client.as_ref().and_then(Option::as_ref)).await;
        found.extend(of_app.into_iter().map(|finding| finding.of(app)));
    }
    Ok(found)
}

/// An app that deploy.toml does not list, where it lists any.
fn not_listed(app: &App, node: &Node) -> Option<Finding> {
    let apps = &node.config.apps;
    if apps.is_empty() || apps.contains_key(app) {
        return None;
    }
    let why = format!("{app} is not listed in deploy.toml, so it is not allowed to deploy");
    Some(Finding::fail("app", why).fix(format!("list it: [apps.{app}]")))
}

/// What belongs to one app. `client` reaches its cluster, where that answers.
async fn of_app(plan: &Plan, client: Option<&kube::Client>) -> Vec<Finding> {
    let mut found = Vec::from_iter(signed::callers(plan));
    if let Some(forward) = &plan.forward {
        found.push(controller::look(plan, forward).await);
        found.extend(signed::left(plan));
        return found;
    }
    if let Some(fleet) = &plan.fleet {
        found.extend(fleet::examined(plan, fleet).await);
        found.push(registry::look(plan, &[]).await);
        return found;
    }
    let mut images = Vec::new();
    if let Some(client) = client {
        let release = cluster::release(client, plan).await;
        found.extend(release.findings);
        images = release.images;
    }
    found.push(registry::look(plan, &images).await);
    found.extend(files::layout(plan));
    found
}

/// What a deploy of the app would do here; none where that is not known. Its
/// values files are checked on the way: a bad one does not hide the rest.
fn plan_unchecked(
    app: &App,
    node: &Node,
    environment: &Environment,
    found: &mut Vec<Finding>,
) -> Result<Option<Plan>> {
    let request = node::stand_in(app, node)?;
    let warnings = |plan: Plan, warnings: Vec<String>, found: &mut Vec<Finding>| {
        // The state directory has a finding of its own.
        let own = |warning: &&String| !warning.starts_with(crate::state::SYSTEM);
        found.extend(
            warnings
                .iter()
                .filter(own)
                .map(|warning| Finding::warn("settings", warning.as_str()).of(app)),
        );
        Some(plan)
    };
    match node::plan_unchecked(request.clone(), node, environment) {
        Ok((plan, warned)) => {
            if plan.fleet.is_none() {
                found.push(files::values(&plan, node).of(app));
            }
            if plan.forward.is_none() {
                found.push(files::verify(&plan, node).of(app));
                found.extend(files::trusted_root(&plan).map(|finding| finding.of(app)));
            }
            Ok(warnings(plan, warned, found))
        }
        Err(error) => {
            let mut bare = node.clone();
            bare.config.apps.entry(app.clone()).or_default().values = Some(Vec::new());
            let rest = node::plan_unchecked(request, &bare, environment);
            let check = if rest.is_ok() { "values" } else { "settings" };
            found.push(Finding::failed(check, &error).of(app));
            Ok(rest
                .ok()
                .and_then(|(plan, warned)| warnings(plan, warned, found)))
        }
    }
}

/// An app for what no app has by itself.
fn stand_in() -> Result<App> {
    "doctor"
        .parse()
        .map_err(|_| Error::new(Kind::Internal, "the stand-in's name is no app's"))
}

/// Helm and the cluster, which the apps share that are not forwarded; the
/// client, where the cluster answers.
async fn tools(plan: &Plan, found: &mut Vec<Finding>) -> Option<kube::Client> {
    let (helm, finding) = helm_itself(plan).await;
    found.push(finding);
    let (client, of_cluster) = cluster::reach(plan, helm.as_ref()).await;
    found.extend(of_cluster);
    client
}

/// Helm's version, and how it was found.
async fn helm_itself(plan: &Plan) -> (Option<semver::Version>, Finding) {
    let (cancel, _trigger) = Cancel::manual();
    match helm::found(plan, &cancel).await {
        Ok((path, version)) => {
            let found = Finding::ok("helm", format!("{version} at {}", path.display()));
            (Some(version), found)
        }
        Err(error) => (None, Finding::failed("helm", &error)),
    }
}
