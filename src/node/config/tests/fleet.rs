//! Apps that Argo CD carries out.

use super::*;
use crate::plan::fleet::{ClusterAccess, Fleet};

const SHOP: &str = r#"
[apps.shop]
argocd = { kubeconfig = "hub.kubeconfig", context = "hub", namespace = "cd", template = "application.yaml", bake = "5m" }
waves = [["canary"], ["eu", "us.1"]]
clusters.canary = { kubeconfig = "/k/canary" }
clusters."us.1" = { kubeconfig = "us", context = "one" }
"#;

#[test]
fn a_fleet_is_read() {
    let config = parse(SHOP).unwrap();
    let fleet = config.apps[&"shop".parse().unwrap()].fleet.clone().unwrap();
    let access = |path: &str, context: Option<&str>| ClusterAccess {
        kubeconfig: path.into(),
        context: context.map(str::to_owned),
    };
    let target = |name: &str| name.parse().unwrap();
    assert_eq!(
        fleet,
        Fleet {
            hub: access("/etc/deploy/hub.kubeconfig", Some("hub")),
            namespace: "cd".to_owned(),
            waves: vec![vec![target("canary")], vec![target("eu"), target("us.1")]],
            clusters: [
                (target("canary"), access("/k/canary", None)),
                (target("us.1"), access("/etc/deploy/us", Some("one"))),
            ]
            .into(),
            bake: Duration::from_secs(300),
            template: Some("/etc/deploy/application.yaml".into()),
        }
    );
    let least = "[apps.shop]\nargocd = { kubeconfig = \"/k\" }\nwaves = [[\"a\"]]\n";
    let fleet = parse(least).unwrap().apps[&"shop".parse().unwrap()]
        .fleet
        .clone()
        .unwrap();
    assert_eq!(
        (fleet.namespace.as_str(), fleet.bake),
        ("argocd", Duration::ZERO)
    );
}

#[test]
fn mistakes_of_a_fleet_are_told() {
    const ARGOCD: &str = "argocd = { kubeconfig = \"/k\" }";
    for (keys, line) in [
        (
            "waves = [[\"a\"]]".to_owned(),
            "2:9: apps.shop.waves stands without apps.shop.argocd",
        ),
        (
            "clusters.a = { kubeconfig = \"/k\" }".to_owned(),
            "2:10: apps.shop.clusters.a stands without apps.shop.argocd",
        ),
        (
            ARGOCD.to_owned(),
            "1:7: apps.shop.argocd stands without apps.shop.waves",
        ),
        (
            "argocd = {}\nwaves = [[\"a\"]]".to_owned(),
            "1:7: apps.shop.argocd.kubeconfig is missing",
        ),
        (
            "argocd = { kubeconfg = \"/k\" }\nwaves = [[\"a\"]]".to_owned(),
            "2:12: unknown key 'kubeconfg' in [apps.shop.argocd]; did you mean kubeconfig?",
        ),
        (
            "argocd = \"/k\"\nwaves = [[\"a\"]]".to_owned(),
            "2:10: apps.shop.argocd is a text, expected a table",
        ),
        (
            format!("{ARGOCD}\nwaves = []"),
            "3:9: apps.shop.waves is an empty list, expected a list of waves",
        ),
        (
            format!("{ARGOCD}\nwaves = [\"a\"]"),
            "3:10: an entry of apps.shop.waves is a text, expected a list",
        ),
        (
            format!("{ARGOCD}\nwaves = [[\"a\"], []]"),
            "3:17: a wave of apps.shop.waves is empty",
        ),
        (
            format!("{ARGOCD}\nwaves = [[\"a\"], [\"b\", \"a\"]]"),
            "3:17: apps.shop.waves names a twice",
        ),
        (
            format!("{ARGOCD}\nwaves = [[\"A\"]]"),
            "3:11: an entry of an entry of apps.shop.waves is 'A', expected the name of an Application",
        ),
        (
            format!("{ARGOCD}\nwaves = [[\"a\"]]\nclusters.b = {{ kubeconfig = \"/k\" }}"),
            "4:10: apps.shop.clusters.b names no Application of apps.shop.waves",
        ),
        (
            format!("{ARGOCD}\nwaves = [[\"a\"]]\nclusters.a = {{}}"),
            "4:10: apps.shop.clusters.a.kubeconfig is missing",
        ),
        (
            format!("{ARGOCD}\nwaves = [[\"a\"]]\nclusters.a = \"/k\""),
            "4:14: apps.shop.clusters.a is a text, expected { kubeconfig = \"…\" }",
        ),
        (
            format!("{ARGOCD}\nwaves = [[\"a\"]]\nvalues = [\"a.yaml\"]"),
            "4:1: apps.shop.values stands beside apps.shop.argocd; each Application says it",
        ),
        (
            format!("{ARGOCD}\nwaves = [[\"a\"]]\nforward = \"helm\""),
            "4:1: apps.shop.forward stands beside apps.shop.argocd; a signal goes to Argo CD",
        ),
        (
            format!("{ARGOCD}\nwaves = [[\"a\"]]\n[apps.more]\n{ARGOCD}\nwaves = [[\"a\"]]"),
            "3:1: the apps more and shop have one Application, a",
        ),
    ] {
        let lines = told(&format!("[apps.shop]\n{keys}\n"));
        assert!(
            lines.iter().any(|told| told.starts_with(line)),
            "{keys}: {lines:#?}"
        );
    }
}

/// A hub of its own has Applications of its own, and the name of an app is no
/// release there.
#[test]
fn what_is_not_shared_is_no_mistake() {
    let document = "[apps.shop]\nargocd = { kubeconfig = \"/k\" }\nwaves = [[\"a\"]]\n\
                    [apps.more]\nargocd = { kubeconfig = \"/other\" }\nwaves = [[\"a\"]]\n\
                    [apps.here]\nnamespace = \"argocd\"\nrelease = \"shop\"\n";
    parse(document).unwrap();
}
