//! The resources of an Application and what is wrong with it, in words. Pure.

use super::application::Application;
use super::state::cluster;
use super::status::Resource;
use crate::error::Problem;
use crate::text;

/// How many resources are named.
pub(super) const NAMED: usize = 10;

/// What a person should know of what stays out of sync, or what is waited for.
pub(super) fn out_of_sync(
    resources: &[Resource],
    before: &[String],
) -> Result<Vec<String>, String> {
    let differ = resources
        .iter()
        .filter(|resource| resource.status == "OutOfSync");
    let (stay, differ): (Vec<&Resource>, Vec<&Resource>) =
        differ.partition(|resource| resource.requires_pruning);
    let named = |resources: &[&Resource]| {
        let names = resources.iter().take(NAMED).map(|resource| named(resource));
        names.collect::<Vec<_>>().join(", ")
    };
    let (drifted, differ): (Vec<&Resource>, Vec<&Resource>) = differ
        .into_iter()
        .partition(|resource| before.contains(&self::named(resource)));
    if !differ.is_empty() || (stay.is_empty() && drifted.is_empty()) {
        return Err(format!(
            "out of sync after the sync: {}; something else writes there",
            named(&differ)
        ));
    }
    let mut told = Vec::new();
    if !stay.is_empty() {
        told.push(format!(
            "no longer in the chart, and left: {}; the Application's sync policy does not prune",
            named(&stay)
        ));
    }
    if !drifted.is_empty() {
        told.push(format!("out of sync as it was before: {}", named(&drifted)));
    }
    Ok(told)
}

pub(super) fn degraded(application: &Application) -> Problem {
    let resources = &application.status.resources;
    let mut lines = resources
        .iter()
        .filter(|resource| resource.health.status == "Degraded")
        .map(|resource| {
            let why = text::line(&resource.health.message, text::LINE);
            format!("{} is degraded: {why}", named(resource))
        });
    let problem = match lines.next() {
        Some(first) => Problem::new(first).details(lines.take(NAMED)),
        None => Problem::new("the Application is degraded, and Argo CD does not write down which resource").hint(
            "let the node look into the cluster (clusters.<application> in deploy.toml), or have Argo CD write it down (controller.resource.health.persist)",
        ),
    };
    problem.details(conditions(application))
}

/// The resources of this health, where Argo CD writes it down.
pub(super) fn unhealthy(what: &str, resources: &[Resource], health: &str) -> String {
    let found = resources
        .iter()
        .filter(|resource| resource.health.status == health);
    let names: Vec<String> = found
        .take(3)
        .map(|resource| match text::line(&resource.health.message, 160) {
            message if message.is_empty() => named(resource),
            message => format!("{}: {message}", named(resource)),
        })
        .collect();
    if names.is_empty() {
        what.to_owned()
    } else {
        format!("{what}: {}", names.join("; "))
    }
}

/// A resource of Argo Rollouts.
pub(super) fn rollout(resources: &[Resource]) -> Option<String> {
    let found = resources.iter().find(|resource| {
        (resource.group.as_str(), resource.kind.as_str()) == ("argoproj.io", "Rollout")
    });
    found.map(named)
}

/// What is wrong with it in Argo CD's words: errors, no warnings.
pub(super) fn conditions(application: &Application) -> Vec<String> {
    let conditions = application.status.conditions.iter();
    conditions
        .filter(|condition| condition.kind.ends_with("Error"))
        .take(NAMED)
        .map(|condition| {
            format!(
                "{}: {}",
                text::line(&condition.kind, text::VALUE),
                text::line(&condition.message, text::LINE)
            )
        })
        .collect()
}

/// Whether Argo CD's words mean that the target's API server does not answer
/// (`controller/cache`, `GetVersionsInfo` and `GetManagedLiveObjs` of 3.2).
pub(super) fn is_unreachable(said: &str) -> bool {
    let is_said = |words: &[&str]| words.iter().any(|words| said.contains(words));
    // The registry, or a webhook inside the cluster, does not answer.
    if is_said(&[
        "webhook",
        "Failed to load target state",
        "generate manifest",
    ]) {
        return false;
    }
    is_said(&[
        "failed to get cluster info",
        "failed to discover server resources",
        "Failed to load live state",
        "error synchronizing cache state",
        "dial tcp",
        "Client.Timeout exceeded",
    ])
}

/// That Argo CD could not reach the cluster when it last looked, where that was so.
pub(super) fn was_unreachable(application: &Application) -> Option<String> {
    let told = conditions(application);
    told.iter().any(|line| is_unreachable(line)).then(|| {
        let cluster = text::quoted(&cluster(application));
        format!("Argo CD could not reach the cluster {cluster} when it last looked")
    })
}

/// Argo CD's words are the evidence: they name an address, and no cluster.
pub(super) fn unreachable(application: &Application, said: &str) -> Problem {
    let cluster = text::quoted(&cluster(application));
    Problem::new(format!(
        "Argo CD cannot reach the cluster {cluster}: nobody knows what it serves"
    ))
    .detail(format!("Argo CD: {}", text::line(said, text::LINE)))
    .hint("see that the cluster's API server answers Argo CD, then send the signal again")
}

/// Every resource that is out of sync now, in the words of [`name`].
pub(super) fn drifted(application: &Application) -> Vec<String> {
    let resources = application.status.resources.iter();
    let differ = resources.filter(|resource| resource.status == "OutOfSync");
    differ.map(named).collect()
}

pub(super) fn named(resource: &Resource) -> String {
    name(&resource.kind, &resource.namespace, &resource.name)
}

/// A resource as `kubectl` names it.
pub(super) fn name(kind: &str, namespace: &str, name: &str) -> String {
    let place = if namespace.is_empty() {
        name.to_owned()
    } else {
        format!("{namespace}/{name}")
    };
    format!(
        "{} {}",
        text::line(kind, text::VALUE),
        text::line(&place, text::VALUE)
    )
}
