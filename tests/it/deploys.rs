//! Good deploys: what was asked for is what runs.

use testbed::chart::{Hook, Shop};

use crate::harness::{Node, on_both_helms, push_chart, push_image};
use crate::readme;

/// The image of the migration that ran last.
fn migrated(node: &Node) -> String {
    let image = "jsonpath={.items[*].spec.template.spec.containers[*].image}";
    node.kubectl(&["get", "jobs", "-o", image])
}

on_both_helms! {
    /// A first install, then an upgrade by tag, then one by digest.
    fn first_install_and_upgrades(node) {
        node.shop("0.1.0");
        let (api, web) = (node.image("api", "t1"), node.image("web", "t1"));
        node.signal("0.1.0").image("api", api.by_tag()).image("web", web.by_tag()).run()
            .exits(0).says("revision 1");
        node.runs(&[api.by_tag(), web.by_tag()]);

        let next = node.image("api", "t2");
        node.signal("0.1.0").image("api", next.by_tag()).image("web", web.by_tag()).run()
            .exits(0).says("revision 2");
        node.runs(&[next.by_tag(), web.by_tag()]);

        node.signal("0.1.0").image("api", next.by_digest()).image("web", web.by_digest()).run()
            .exits(0).says("revision 3");
        node.runs(&[next.by_digest(), web.by_digest()]);
    }
}

on_both_helms! {
    /// A worker without an image of its own runs the api's, and so does the
    /// hook before each install and upgrade.
    fn worker_and_migration(node) {
        node.push(&Shop::new("shop", "0.1.0").worker().hook(Hook::default()).chart());
        let (api, web) = (node.image("api", "t1"), node.image("web", "t1"));
        node.signal("0.1.0").image("api", api.by_tag()).image("web", web.by_tag()).run()
            .exits(0).says("-worker container worker").says("(pre-install,pre-upgrade hook) container migrate")
            .never_says("to start again");
        node.runs(&[api.by_tag(), web.by_tag()]);
        let worker = node.kubectl(&[
            "get", "deployment", &format!("{}-worker", node.name),
            "-o", "jsonpath={.spec.template.spec.containers[*].image}",
        ]);
        assert_eq!(worker, api.by_tag());
        assert_eq!(migrated(&node), api.by_tag());

        let (next, worker) = (node.image("api", "t2"), node.image("worker", "t2"));
        node.signal("0.1.0")
            .image("api", next.by_digest()).image("web", web.by_tag()).image("worker", worker.by_tag())
            .run().exits(0);
        node.runs(&[next.by_digest(), web.by_tag(), worker.by_tag()]);
        assert_eq!(migrated(&node), next.by_digest());
    }
}

on_both_helms! {
    /// The README's example as it stands there: its owner in upper case is
    /// another spelling of the same one.
    fn the_readmes_signal(node) {
        push_chart("org", &Shop::new("pytoya", "1.4.2").chart());
        for component in ["api", "web"] {
            push_image(&format!("org/pytoya/{component}"), "8f3c2d1");
        }
        // Two scenarios share the example's names; the node says where it goes.
        let toml = format!("[apps.pytoya]\nnamespace = \"{}\"\n", node.name);
        node.home.write_etc("deploy/deploy.toml", &toml, 0o644);
        let ran = node.shell(&readme::block("signal"));
        ran.exits(0)
            .says("note: names in a registry are lower case, so these were lower-cased: --chart oci://ghcr.io/ORG/");
        node.runs(&["ghcr.io/org/pytoya/api:8f3c2d1", "ghcr.io/org/pytoya/web:8f3c2d1"]);
    }
}
