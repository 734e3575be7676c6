//! Argo CD of an app that it carries out: the hub, the rights there, the Applications,
//! and the clusters that the node can look into.

use futures::future::join_all;

use super::Finding;
use crate::argocd::{Hub, examine, look, template};
use crate::cluster::rights;
use crate::plan::Plan;
use crate::plan::access::{Right, applications};
use crate::plan::fleet::{Fleet, TargetName};

/// All of it, in the order in which a deploy needs it.
pub(super) async fn examined(plan: &Plan, fleet: &Fleet) -> Vec<Finding> {
    let hub = match Hub::connect(plan, fleet).await {
        Ok(hub) => hub,
        Err(error) => return vec![Finding::failed("hub", &error)],
    };
    let mut found = vec![granted(&hub, fleet).await];
    if let Some(Err(error)) = fleet.template.as_deref().map(template) {
        found.push(Finding::failed("template", &error));
    }
    let looking = fleet
        .targets()
        .map(|target| application(&hub, fleet, target));
    found.extend(join_all(looking).await.into_iter().flatten());
    let looking =
        fleet
            .clusters
            .iter()
            .map(async |(target, access)| match look(plan, access).await {
                Ok(look) => Finding::ok(
                    "cluster",
                    format!("that of {target} answers: {}", look.capabilities.version),
                ),
                Err(error) => Finding::of_error("cluster", super::Severity::Warn, &error),
            });
    found.extend(join_all(looking).await);
    found
}

/// The rights in the hub.
async fn granted(hub: &Hub, fleet: &Fleet) -> Finding {
    let wanted = applications(fleet.template.is_some());
    let granted = match rights::granted(hub.client(), hub.namespace(), &wanted).await {
        Ok(granted) => granted,
        Err(error) => return Finding::failed("hub", &error),
    };
    let missing: Vec<&Right> = wanted
        .iter()
        .zip(granted)
        .filter_map(|(right, granted)| (!granted).then_some(right))
        .collect();
    let namespace = hub.namespace();
    if missing.is_empty() {
        return Finding::ok(
            "hub",
            format!("Argo CD's cluster answers, and Applications of {namespace} may be written"),
        );
    }
    let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
    Finding::fail(
        "hub",
        format!("missing rights in {namespace}: {}", missing.join(", ")),
    )
    .fix("grant them: the Role in docs/argocd.md")
}

async fn application(hub: &Hub, fleet: &Fleet, target: &TargetName) -> Vec<Finding> {
    let examined = match examine(hub, target, fleet.template.is_some()).await {
        Ok(examined) => examined,
        Err(error) => {
            let kind = error.kind();
            let error = error.into_problem().headed(target.as_str()).of_kind(kind);
            return vec![Finding::failed("application", &error)];
        }
    };
    let mut found = vec![Finding::ok(
        "application",
        format!("{target}: {}", examined.state),
    )];
    let warned = examined.warnings.into_iter();
    found.extend(
        warned.map(|(said, cure)| {
            Finding::warn("application", format!("{target}: {said}")).fix(cure)
        }),
    );
    found
}
