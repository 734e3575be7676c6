//! Which rights a deploy needs in its namespace, and how to grant those that
//! are missing. Pure: what the cluster allows is asked elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use crate::release::record::Driver;

/// One right.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Need {
    /// The resource's API group; empty for the core's.
    pub(super) group: String,
    /// Its plural, with a subresource behind a slash.
    pub(super) resource: String,
    /// The verb.
    pub(super) verb: &'static str,
    /// Whether a deploy fails without it; else it only sees less.
    pub(super) must: bool,
}

/// What helm does with the objects of a chart.
const OBJECTS: [&str; 4] = ["get", "create", "patch", "delete"];

/// What the watching of a rollout takes.
const SEEN: [(&str, &str, &[&str]); 7] = [
    ("apps", "deployments", &["get", "list", "watch"]),
    ("apps", "replicasets", &["list", "watch"]),
    ("batch", "jobs", &["get", "list", "watch"]),
    ("", "pods", &["list", "watch"]),
    ("", "pods/log", &["get"]),
    ("", "events", &["list"]),
    (
        "coordination.k8s.io",
        "leases",
        &["get", "create", "update"],
    ),
];

/// What a deploy needs: helm's records, the objects of the chart's last manifest
/// (group and plural), and what the watching takes.
pub(super) fn needs(driver: Driver, objects: &BTreeSet<(String, String)>) -> BTreeSet<Need> {
    let need = |group: &str, resource: &str, verb, must| Need {
        group: group.to_owned(),
        resource: resource.to_owned(),
        verb,
        must,
    };
    let records = match driver {
        Driver::Secrets => "secrets",
        Driver::ConfigMaps => "configmaps",
    };
    let mut needs: BTreeSet<Need> = ["get", "list", "create", "update", "delete"]
        .map(|verb| need("", records, verb, true))
        .into();
    for (group, resource) in objects {
        needs.extend(OBJECTS.map(|verb| need(group, resource, verb, true)));
    }
    for (group, resource, verbs) in SEEN {
        needs.extend(verbs.iter().map(|verb| need(group, resource, verb, false)));
    }
    needs
}

/// As kubectl names it: `deployments.apps`, `pods/log`.
pub(super) fn name(need: &Need) -> String {
    match (need.group.as_str(), need.resource.split_once('/')) {
        ("", _) => need.resource.clone(),
        (group, None) => format!("{}.{group}", need.resource),
        (group, Some((resource, sub))) => format!("{resource}.{group}/{sub}"),
    }
}

/// The commands that grant them, for a user as the cluster knows it. A Role for
/// each set of verbs: none grants more than was missing.
pub(super) fn grant(namespace: &str, user: &str, missing: &BTreeSet<Need>) -> String {
    let mut of_resource: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for need in missing {
        of_resource.entry(name(need)).or_default().insert(need.verb);
    }
    let mut roles: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (resource, verbs) in of_resource {
        let verbs: Vec<&str> = verbs.into_iter().collect();
        roles.entry(verbs.join(",")).or_default().push(resource);
    }
    let subject = match user
        .strip_prefix("system:serviceaccount:")
        .and_then(|account| account.split_once(':'))
    {
        Some((namespace, name)) => format!("--serviceaccount={namespace}:{name}"),
        None => format!("--user={user}"),
    };
    let commands = roles.iter().map(|(verbs, resources)| {
        let role = format!("deploy-{}", verbs.replace(',', "-"));
        let kubectl = format!("kubectl --namespace {namespace}");
        format!(
            "{kubectl} create role {role} --verb={verbs} --resource={} && {kubectl} create rolebinding {role} --role={role} {subject}",
            resources.join(",")
        )
    });
    commands.collect::<Vec<_>>().join(" && ")
}

#[cfg(test)]
mod tests {
    use super::{grant, needs};
    use crate::release::record::Driver;

    #[test]
    fn no_more_is_granted_than_was_missing() {
        let objects = [("apps".to_owned(), "deployments".to_owned())].into();
        let needs = needs(Driver::Secrets, &objects);
        let missing = needs
            .into_iter()
            .filter(|need| need.must && need.verb != "get")
            .collect();
        assert_eq!(
            grant("shop", "system:serviceaccount:shop:runner", &missing),
            "kubectl --namespace shop create role deploy-create-delete-list-update --verb=create,delete,list,update --resource=secrets && \
             kubectl --namespace shop create rolebinding deploy-create-delete-list-update --role=deploy-create-delete-list-update --serviceaccount=shop:runner && \
             kubectl --namespace shop create role deploy-create-delete-patch --verb=create,delete,patch --resource=deployments.apps && \
             kubectl --namespace shop create rolebinding deploy-create-delete-patch --role=deploy-create-delete-patch --serviceaccount=shop:runner"
        );
    }
}
