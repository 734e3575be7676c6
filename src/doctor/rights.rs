//! Which rights a deploy uses, and how to grant those that are missing. Pure:
//! what is granted is asked elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use crate::manifest::{ObjectRef, is_kubernetes_group};
use crate::plan::ReleaseId;
use crate::plan::access::{Access, Need, OBJECT_VERBS, Purpose, REQUIRED_ACCESS, Right, Scope};
use crate::release::record::Driver;

/// What a deploy does with a release.
pub(super) struct Usage<'a> {
    /// Where helm keeps its records.
    pub(super) driver: Driver,
    /// The objects of the last revision; none before the first.
    pub(super) objects: &'a [ObjectRef],
    /// Group and plural of what helm itself applies in the release's namespace.
    pub(super) resources: &'a BTreeSet<(String, String)>,
    /// Whether the release's namespace has to be created.
    pub(super) creates_namespace: bool,
}

/// The rights that it takes: for each its purposes, none where helm needs it for
/// the chart's own objects.
pub(super) fn used(usage: &Usage<'_>) -> BTreeMap<Right, BTreeSet<Purpose>> {
    let mut used: BTreeMap<Right, BTreeSet<Purpose>> = BTreeMap::new();
    for (group, resource) in usage.resources {
        for verb in OBJECT_VERBS {
            let right = Right {
                group: group.clone(),
                resource: resource.clone(),
                verb,
                scope: Scope::Release,
            };
            used.entry(right).or_default();
        }
    }
    for access in REQUIRED_ACCESS.iter().filter(|row| is_used(row, usage)) {
        for mut right in access.rights() {
            if access.purpose == Purpose::Records && usage.driver == Driver::ConfigMaps {
                "configmaps".clone_into(&mut right.resource);
            }
            match used.get_mut(&right) {
                // Helm needs it, whatever else it is good for.
                Some(purposes) if purposes.is_empty() => {}
                Some(purposes) => {
                    purposes.insert(access.purpose);
                }
                None => {
                    used.insert(right, [access.purpose].into());
                }
            }
        }
    }
    used
}

fn is_used(access: &Access, usage: &Usage<'_>) -> bool {
    if access.purpose == Purpose::Namespace && access.scope == Scope::Cluster {
        return usage.creates_namespace;
    }
    let is_usual = is_kubernetes_group(access.group);
    let mut objects = usage.objects.iter().filter(|object| {
        is_usual && is_kubernetes_group(object.group()) || object.group() == access.group
    });
    let is_first = usage.objects.is_empty() && access.purpose.need() == Need::Helpful && is_usual;
    access.kinds.is_empty() || is_first || objects.any(|object| access.is_for(&object.kind))
}

/// Whether a deploy fails without a right of these purposes.
pub(super) fn is_needed(purposes: &BTreeSet<Purpose>) -> bool {
    purposes.is_empty()
        || purposes
            .iter()
            .any(|purpose| purpose.need() == Need::Needed)
}

/// The rights in words: `get, list pods; patch services`.
pub(super) fn listed<'a>(rights: impl IntoIterator<Item = &'a Right>) -> String {
    let mut verbs: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for right in rights {
        let text = right.to_string();
        let resource = text.split_once(' ').map(|(_, resource)| resource);
        let verbs = verbs.entry(resource.unwrap_or_default().to_owned());
        verbs.or_default().push(right.verb);
    }
    let words = verbs
        .iter()
        .map(|(resource, verbs)| format!("{} {resource}", verbs.join(", ")));
    words.collect::<Vec<_>>().join("; ")
}

/// The commands that grant them, for a user as the cluster knows it. A Role for
/// each set of verbs: none grants more than was missing.
pub(super) fn grant<'a>(
    release: &ReleaseId,
    user: &str,
    missing: impl IntoIterator<Item = &'a Right>,
) -> String {
    let mut verbs: BTreeMap<(Scope, String), BTreeSet<&str>> = BTreeMap::new();
    for right in missing {
        let resource = (right.scope, right.resource_name());
        verbs.entry(resource).or_default().insert(right.verb);
    }
    let mut roles: BTreeMap<(Scope, String), Vec<String>> = BTreeMap::new();
    for ((scope, resource), verbs) in verbs {
        let verbs: Vec<&str> = verbs.into_iter().collect();
        roles
            .entry((scope, verbs.join(",")))
            .or_default()
            .push(resource);
    }
    let subject = match user
        .strip_prefix("system:serviceaccount:")
        .and_then(|account| account.split_once(':'))
    {
        Some((namespace, name)) => format!("--serviceaccount={namespace}:{name}"),
        None => format!("--user={user}"),
    };
    let commands = roles.iter().map(|((scope, verbs), resources)| {
        role(*scope, verbs, &resources.join(","), release, &subject)
    });
    commands.collect::<Vec<_>>().join(" && ")
}

/// A role and its binding. Outside of the release's namespace its name carries
/// that namespace: others have theirs there.
fn role(scope: Scope, verbs: &str, resources: &str, release: &ReleaseId, subject: &str) -> String {
    let own = &release.namespace;
    let suffix = verbs.replace(',', "-");
    let (kubectl, kind, name, only) = match scope {
        Scope::Release => (
            format!("kubectl --namespace {own}"),
            "role",
            format!("deploy-{suffix}"),
            String::new(),
        ),
        Scope::Cluster => (
            "kubectl".to_owned(),
            "clusterrole",
            format!("deploy-{own}-{suffix}"),
            String::new(),
        ),
        Scope::Object { namespace, name } => (
            format!("kubectl --namespace {namespace}"),
            "role",
            format!("deploy-{own}-{suffix}"),
            format!(" --resource-name={name}"),
        ),
    };
    format!(
        "{kubectl} create {kind} {name} --verb={verbs} --resource={resources}{only} && \
         {kubectl} create {kind}binding {name} --{kind}={name} {subject}"
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Usage, grant, is_needed, listed, used};
    use crate::manifest::ObjectRef;
    use crate::plan::ReleaseId;
    use crate::plan::access::{Right, Scope};
    use crate::release::record::Driver;

    fn object(api_version: &str, kind: &str) -> ObjectRef {
        ObjectRef {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            namespace: None,
            name: "it".to_owned(),
        }
    }

    /// What fails a deploy where it is missing, in words, and what does not.
    fn split(driver: Driver, objects: &[ObjectRef]) -> (String, String) {
        let resources = match objects {
            [] => BTreeSet::new(),
            _ => [("apps".to_owned(), "deployments".to_owned())].into(),
        };
        let used = used(&Usage {
            driver,
            objects,
            resources: &resources,
            creates_namespace: false,
        });
        let of = |needed| {
            let rights = used
                .iter()
                .filter(move |(_, purposes)| is_needed(purposes) == needed);
            listed(rights.map(|(right, _)| right))
        };
        (of(true), of(false))
    }

    #[test]
    fn a_release_uses_the_rights_of_its_own_kinds() {
        let (needed, helpful) = split(Driver::Secrets, &[object("apps/v1", "Deployment")]);
        assert_eq!(
            needed,
            "create, delete, get, patch deployments.apps; list replicasets.apps; \
             create, delete, get, list, update secrets"
        );
        assert!(helpful.contains("list, watch pods;"), "{helpful}");
        assert!(helpful.contains("list nodes;"), "{helpful}");
        assert!(
            helpful.contains("kube-system/cluster-autoscaler-status"),
            "{helpful}"
        );
        for other in ["jobs.batch", "statefulsets", "create namespaces"] {
            assert!(!helpful.contains(other), "{other} in {helpful}");
        }
        // Another group's Job is none, and what is not there yet can be anything.
        let (_, helpful) = split(Driver::Secrets, &[object("batch.volcano.sh/v1", "Job")]);
        assert!(!helpful.contains("jobs.batch"), "{helpful}");
        let (needed, helpful) = split(Driver::ConfigMaps, &[]);
        assert_eq!(needed, "create, delete, get, list, update configmaps");
        assert!(
            helpful.contains("delete, get, list, watch jobs.batch"),
            "{helpful}"
        );
    }

    #[test]
    fn no_more_is_granted_than_was_missing() {
        let right = |group: &str, resource: &str, verb, scope| Right {
            group: group.to_owned(),
            resource: resource.to_owned(),
            verb,
            scope,
        };
        let object = Scope::Object {
            namespace: "kube-system",
            name: "status",
        };
        let missing = [
            right("", "secrets", "list", Scope::Release),
            right("", "secrets", "update", Scope::Release),
            right("apps", "deployments", "patch", Scope::Release),
            right("", "nodes", "list", Scope::Cluster),
            right("", "configmaps", "get", object),
        ];
        let account = "--serviceaccount=shop:runner";
        let expected = [
            "--namespace shop create role deploy-list-update --verb=list,update --resource=secrets",
            "--namespace shop create rolebinding deploy-list-update --role=deploy-list-update {}",
            "--namespace shop create role deploy-patch --verb=patch --resource=deployments.apps",
            "--namespace shop create rolebinding deploy-patch --role=deploy-patch {}",
            "create clusterrole deploy-shop-list --verb=list --resource=nodes",
            "create clusterrolebinding deploy-shop-list --clusterrole=deploy-shop-list {}",
            "--namespace kube-system create role deploy-shop-get --verb=get --resource=configmaps --resource-name=status",
            "--namespace kube-system create rolebinding deploy-shop-get --role=deploy-shop-get {}",
        ]
        .map(|command| format!("kubectl {}", command.replace("{}", account)));
        let release = ReleaseId::new("shop", "shop");
        assert_eq!(
            grant(&release, "system:serviceaccount:shop:runner", &missing),
            expected.join(" && ")
        );
    }
}
