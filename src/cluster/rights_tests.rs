//! `docs/rights.md` and the Role of `docs/argocd.md`, held equal to what the table of
//! rights renders. With `SNAPSHOTS=overwrite` in the environment they are written anew.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;

use super::review;
use crate::plan::access::{
    Access, Need, Purpose, REQUIRED_ACCESS, Right, Scope, applications, rights_for,
};

/// The order in which a Role names verbs.
const VERBS: [&str; 7] = [
    "get", "list", "watch", "create", "update", "patch", "delete",
];

/// Verbs by group and resource, each once.
type Rules = BTreeMap<(String, String), Vec<&'static str>>;

fn rules(rows: impl Iterator<Item = Access>) -> Rules {
    of_rights(rows.flat_map(|row| row.rights().collect::<Vec<_>>()))
}

fn of_rights(rights: impl Iterator<Item = Right>) -> Rules {
    let mut rules = Rules::new();
    for right in rights {
        let verbs = rules.entry((right.group, right.resource)).or_default();
        verbs.push(right.verb);
    }
    for verbs in rules.values_mut() {
        verbs.sort_by_key(|verb| VERBS.iter().position(|known| known == verb));
        verbs.dedup();
    }
    rules
}

/// A Role or `ClusterRole`; resources of a group with the same verbs share a rule.
fn manifest(kind: &str, metadata: &str, rules: &Rules, name: Option<&str>) -> String {
    let mut shared: BTreeMap<(&str, &[&str]), Vec<&str>> = BTreeMap::new();
    for ((group, resource), verbs) in rules {
        shared.entry((group, verbs)).or_default().push(resource);
    }
    let mut text = format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: {kind}\nmetadata:\n{metadata}rules:\n"
    );
    let only = name.map_or_else(String::new, |name| format!("    resourceNames: [{name}]\n"));
    for ((group, verbs), resources) in shared {
        let group = if group.is_empty() { "\"\"" } else { group };
        let (resources, verbs) = (resources.join(", "), verbs.join(", "));
        text.extend([
            format!("  - apiGroups: [{group}]\n    resources: [{resources}]\n"),
            only.clone(),
            format!("    verbs: [{verbs}]\n"),
        ]);
    }
    text
}

fn role(need: Need) -> String {
    let name = match need {
        Need::Needed => "deploy-minimal",
        Need::Helpful => "deploy-helpful",
    };
    let rows = REQUIRED_ACCESS
        .into_iter()
        .filter(|row| row.purpose.need() == need && row.scope == Scope::Release);
    manifest("Role", &format!("  name: {name}\n"), &rules(rows), None)
}

/// The rights outside of the release's namespace, all of them helpful.
fn outside() -> String {
    let of = |scope: Scope| {
        let rows = REQUIRED_ACCESS
            .into_iter()
            .filter(move |row| row.scope == scope);
        rules(rows)
    };
    let metadata = "  name: deploy-helpful\n";
    let mut text = manifest("ClusterRole", metadata, &of(Scope::Cluster), None);
    for row in REQUIRED_ACCESS {
        if let Scope::Object { namespace, name } = row.scope {
            let metadata = format!("{metadata}  namespace: {namespace}\n");
            text.push_str("---\n");
            text.push_str(&manifest("Role", &metadata, &of(row.scope), Some(name)));
        }
    }
    text
}

/// `list, watch pods`, a line for each set of verbs and scope.
fn rights(purpose: Purpose) -> String {
    let mut shared: Vec<(String, Vec<String>)> = Vec::new();
    for row in REQUIRED_ACCESS.iter().filter(|row| row.purpose == purpose) {
        let verbs = row.verbs.join(", ");
        let mut names = row.rights().map(|right| right.to_string());
        let name = names.next().unwrap_or_default();
        let resource = name.split_once(' ').map(|(_, resource)| resource);
        let resource = format!("`{}`", resource.unwrap_or_default());
        match shared.iter_mut().find(|(known, _)| *known == verbs) {
            Some((_, resources)) => resources.push(resource),
            None => shared.push((verbs, vec![resource])),
        }
    }
    let lines = shared
        .into_iter()
        .map(|(verbs, resources)| format!("{verbs}: {}", resources.join(", ")));
    lines.collect::<Vec<_>>().join("; ")
}

/// What a deploy through Argo CD uses in the hub.
fn hub() -> String {
    let rights = applications(true)
        .into_iter()
        .chain(rights_for(Purpose::Lease));
    let metadata = "  name: deploy\n  namespace: argocd\n";
    manifest("Role", metadata, &of_rights(rights), None)
}

fn table() -> String {
    let row = |purpose: &Purpose| {
        format!(
            "| {} | {} | {} |\n",
            purpose.text(),
            rights(*purpose),
            purpose.loss()
        )
    };
    let rows: String = Purpose::ALL.iter().map(row).collect();
    format!("| used for | rights | without them |\n|---|---|---|\n{rows}")
}

/// The page with what lies between `start` and `end` replaced.
fn replaced(page: &str, start: &str, end: &str, text: &str) -> String {
    let (before, rest) = page.split_once(start).unwrap();
    let (_, after) = rest.split_once(end).unwrap();
    format!("{before}{start}{text}{end}{after}")
}

/// The page with the block of this name replaced.
fn with_block(page: &str, name: &str, text: &str) -> String {
    let start = format!("<!-- test: {name} -->\n```yaml\n");
    replaced(page, &start, "```", text)
}

/// A page is what `render` makes of it.
fn is_rendered(page: &str, render: impl Fn(&str) -> String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    let page = std::fs::read_to_string(&path).unwrap();
    let rendered = render(&page);
    if std::env::var_os("SNAPSHOTS").is_some_and(|value| value == "overwrite") {
        std::fs::write(&path, &rendered).unwrap();
        return;
    }
    let mut lines = rendered.lines().zip(page.lines());
    let other = lines.find(|(expected, found)| expected != found);
    assert_eq!(other, None, "SNAPSHOTS=overwrite writes the page anew");
    assert_eq!(page.len(), rendered.len());
}

#[test]
fn the_page_about_rights_is_the_table() {
    is_rendered("docs/rights.md", |page| {
        let page = replaced(page, "<!-- table -->\n", "<!-- end -->", &table());
        let page = with_block(&page, "minimal", &role(Need::Needed));
        let page = with_block(&page, "helpful", &role(Need::Helpful));
        with_block(&page, "outside", &outside())
    });
}

#[test]
fn the_role_in_the_hub_is_the_table() {
    is_rendered("docs/argocd.md", |page| with_block(page, "hub", &hub()));
}

#[test]
fn a_review_asks_where_the_right_counts() {
    let asked = |scope, resource: &str| {
        let right = Right {
            group: String::new(),
            resource: resource.to_owned(),
            verb: "get",
            scope,
        };
        let asked = review(&right, "shop").spec.resource_attributes.unwrap();
        let parts = [
            asked.namespace,
            asked.name,
            asked.resource,
            asked.subresource,
        ];
        parts.map(Option::unwrap_or_default).join(" ")
    };
    let object = Scope::Object {
        namespace: "kube-system",
        name: "status",
    };
    for (scope, resource, expected) in [
        (Scope::Release, "pods/log", "shop  pods log"),
        (Scope::Release, "namespaces", "shop shop namespaces "),
        (Scope::Cluster, "nodes", "  nodes "),
        (object, "configmaps", "kube-system status configmaps "),
    ] {
        assert_eq!(asked(scope, resource), expected);
    }
}
