//! Argo CD of an app that it carries out: the hub, the rights there, the Applications,
//! and the clusters that the node can look into.

use futures::future::join_all;

use super::Finding;
use crate::argocd::{Hub, examine, look, template};
use crate::cluster::rights;
use crate::plan::Plan;
use crate::plan::access::{Purpose, Right, applications, rights_for};
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
    let mut wanted = applications(fleet.template.is_some());
    let needed = wanted.len();
    wanted.extend(rights_for(Purpose::Lease));
    match rights::granted(hub.client(), hub.namespace(), &wanted).await {
        Ok(granted) => of_rights(hub.namespace(), &wanted, needed, &granted),
        Err(error) => Finding::failed("hub", &error),
    }
}

/// What is said of the rights, of which the first `needed` decide.
fn of_rights(namespace: &str, wanted: &[Right], needed: usize, granted: &[bool]) -> Finding {
    let missing = |from: usize, to: usize| {
        let pairs = wanted.iter().zip(granted).take(to).skip(from);
        let missing = pairs.filter(|(_, granted)| !**granted);
        let named: Vec<String> = missing.map(|(right, _)| right.to_string()).collect();
        named.join(", ")
    };
    let cure = "grant them: the Role in docs/argocd.md";
    let (fatal, helpful) = (missing(0, needed), missing(needed, wanted.len()));
    if !fatal.is_empty() {
        return Finding::fail("hub", format!("missing rights in {namespace}: {fatal}")).fix(cure);
    }
    if !helpful.is_empty() {
        let said = format!(
            "the kubeconfig's user has no right in {namespace} to {helpful}: {}",
            Purpose::Lease.loss()
        );
        return Finding::warn("hub", said).fix(cure);
    }
    Finding::ok(
        "hub",
        format!("Argo CD's cluster answers, and Applications of {namespace} can be written"),
    )
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

#[cfg(test)]
mod tests {
    use super::of_rights;
    use crate::doctor::Severity;
    use crate::plan::access::{Purpose, applications, rights_for};

    #[test]
    fn what_is_missing_in_the_hub_is_named() {
        for (makes, lacks, level, said) in [
            (
                true,
                &[][..],
                Severity::Ok,
                "Argo CD's cluster answers, and Applications of argocd can be written",
            ),
            (
                false,
                &["patch applications.argoproj.io"],
                Severity::Fail,
                "missing rights in argocd: patch applications.argoproj.io",
            ),
            // Without a template nothing is made.
            (
                false,
                &["create applications.argoproj.io"],
                Severity::Ok,
                "Argo CD's cluster answers, and Applications of argocd can be written",
            ),
            (
                true,
                &[
                    "create applications.argoproj.io",
                    "get leases.coordination.k8s.io",
                ],
                Severity::Fail,
                "missing rights in argocd: create applications.argoproj.io",
            ),
            (
                true,
                &["update leases.coordination.k8s.io"],
                Severity::Warn,
                "the kubeconfig's user has no right in argocd to update leases.coordination.k8s.io: deploys from two nodes are not kept apart",
            ),
        ] {
            let mut wanted = applications(makes);
            let needed = wanted.len();
            wanted.extend(rights_for(Purpose::Lease));
            let granted: Vec<bool> = wanted
                .iter()
                .map(|right| !lacks.contains(&right.to_string().as_str()))
                .collect();
            let finding = of_rights("argocd", &wanted, needed, &granted);
            assert_eq!((finding.level, finding.found.as_str()), (level, said));
            assert_eq!(finding.fix.is_some(), level != Severity::Ok);
        }
    }
}
