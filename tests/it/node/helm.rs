//! Which helm is run, and what bends it.

use std::time::Duration;

use super::Shop;
use crate::harness::{Helm, on_both_helms};

/// A program called helm that comes first in the node's PATH.
fn fake(shop: &mut Shop, script: &str) {
    shop.node.home.write("bin/helm", script, 0o755);
    let path = "/home/github-runner/bin:/usr/bin:/bin".to_owned();
    shop.node.env.insert("PATH".to_owned(), path);
}

#[test]
fn a_helm_that_is_no_good() {
    let mut shop = Shop::new("no-helm", Helm::V4);
    let path = "/usr/bin:/bin".to_owned();
    shop.node.env.insert("PATH".to_owned(), path);
    shop.signal()
        .run()
        .exits(3)
        .says("helm is not in PATH")
        .says("3.14");
    shop.settings("[defaults]\nhelm = \"/opt/none/helm\"\n");
    shop.signal().run().exits(3).says("/opt/none/helm");
    shop.settings("[defaults]\nhelm = \"/usr/local/bin/helm\"\n");
    shop.dry().run().exits(0);

    shop.settings("");
    for (script, said) in [
        ("#!/bin/sh\necho v3.10.0\n", "3.14.0 or newer"),
        ("#!/bin/sh\necho v5.0.0\n", "every Helm 4"),
        ("#!/bin/sh\necho hello\n", "hello"),
        ("#!/bin/sh\necho out of order >&2\nexit 1\n", "out of order"),
        ("no program at all", "helm"),
    ] {
        fake(&mut shop, script);
        shop.signal().run().exits(3).says(said);
    }
}

/// A helm that never tells its version is given up on.
#[test]
fn a_helm_that_hangs() {
    let mut shop = Shop::new("helm-hangs", Helm::V4);
    fake(&mut shop, "#!/bin/sh\nexec sleep 600\n");
    let ran = shop.signal().run();
    ran.exits(3).says("did not print its version");
    assert!(ran.took < Duration::from_secs(40), "{:?}", ran.took);
}

on_both_helms! {
    /// Where helm keeps its records, by hand; inside Actions nothing of it counts.
    fn where_records_are_kept(node) {
        let shop = Shop::new("driver", node.helm);
        for driver in ["memory", "sql", "nonsense"] {
            shop.dry().env("HELM_DRIVER", driver).run().exits(3).says("HELM_DRIVER").says(driver);
        }
        for revision in ["revision 1", "revision 2"] {
            shop.signal().env("HELM_DRIVER", "configmap").run().exits(0).says(revision);
        }
        let kept = shop.node.kubectl(&["get", "configmaps", "--selector=owner=helm", "--output=name"]);
        assert_eq!(kept.lines().count(), 2, "{kept}");

        shop.node.home.write("event.json", "{}", 0o600);
        shop.dry()
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_EVENT_NAME", "push")
            .env("GITHUB_EVENT_PATH", "/home/github-runner/event.json")
            .env("HELM_DRIVER", "sql")
            .env("HELM_NAMESPACE", "kube-system")
            .env("HELM_KUBEAPISERVER", "https://127.0.0.1:1")
            .env("HELM_PLUGINS", "/home/github-runner")
            .env("HELM_DEBUG", "true")
            .run().exits(0)
            .says("ignored from the workflow's environment").says("HELM_DRIVER").says("HELM_NAMESPACE");
    }
}
