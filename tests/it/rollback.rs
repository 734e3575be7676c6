//! Rollbacks that do not go well: what is left is told, and nothing stays
//! pending.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use testbed::chart::{Chart, Shop};
use testbed::image::Spec;

use crate::harness::{Node, Signal as Sent, on_both_helms, until};

/// A shop whose api has no old pod beside the new one, and needs this Secret.
fn chart(version: &str, secret: &str) -> Chart {
    let shop = Shop::new("shop", version).chart();
    let folder = tempfile::tempdir().unwrap();
    let path = "templates/api.yaml";
    let written = shop.write(folder.path()).unwrap();
    let text = std::fs::read_to_string(written.join(path)).unwrap();
    let needs =
        format!("        - name: api\n          envFrom: [{{secretRef: {{name: {secret}}}}}]\n");
    let text = text
        .replace(
            "spec:\n  replicas:",
            "spec:\n  strategy: {type: Recreate}\n  replicas:",
        )
        .replace("        - name: api\n", &needs);
    shop.with(path, &text)
}

fn signal<'a>(node: &'a Node, version: &str, tag: &str) -> Sent<'a> {
    let (api, web) = (node.image("api", tag), node.image("web", "t1"));
    node.signal(version)
        .image("api", api.by_tag())
        .image("web", web.by_tag())
}

/// A first release that serves, of an api that starts like this; a second
/// version that cannot start.
fn serving(node: &Node, behaviour: &str) {
    node.push(&chart("0.1.0", "mail"));
    node.push(&chart("0.2.0", "missing"));
    node.kubectl(&["create", "namespace", &node.name]);
    node.kubectl(&["create", "secret", "generic", "mail"]);
    let api = node.image_with("api", "t1", Spec::behaving(behaviour));
    let web = node.image("web", "t1");
    node.signal("0.1.0")
        .image("api", api.by_tag())
        .image("web", web.by_tag())
        .run()
        .exits(0);
}

on_both_helms! {
    /// Case A2: the revision to go back to cannot start any more either, so nothing
    /// is said to serve.
    fn a_rollback_that_fails_needs_hands(node) {
        serving(&node, "");
        node.kubectl(&["delete", "secret", "mail"]);
        let ran = signal(&node, "0.2.0", "t2").run();
        ran.exits(8)
            .says("needs Secret missing, which does not exist")
            .says("the rollback to revision 1 failed: ")
            .says("needs Secret mail, which does not exist")
            .says("nothing was deleted");
        // Neither the failed revision nor the rollback counts as good.
        let left = [(1, "deployed"), (2, "failed"), (3, "failed")];
        assert_eq!(node.records(), left.map(|(revision, status)| (revision, status.to_owned())));
        assert_eq!(node.journal().last().unwrap()["exit"], 8);

        node.kubectl(&["create", "secret", "generic", "mail"]);
        signal(&node, "0.1.0", "t3").run().exits(0);
    }
}

on_both_helms! {
    /// What the rollback brought back is not judged yet: it does not count as good.
    fn a_rollback_that_is_cancelled_is_settled(node) {
        serving(&node, "slow-start 8s");
        let running = signal(&node, "0.2.0", "t2").start();
        running.until_says("going back to revision 1");
        until("helm has gone back", || node.records().last() == Some(&(3, "deployed".to_owned())));
        let sent = Instant::now();
        running.signal(Signal::INT);
        running.wait().exits(130)
            .says("it was going back to revision 1")
            .says("is settled");
        assert!(sent.elapsed() < Duration::from_secs(7), "{:?}", sent.elapsed());
        let left = [(1, "deployed"), (2, "failed"), (3, "failed")];
        assert_eq!(node.records(), left.map(|(revision, status)| (revision, status.to_owned())));
        let journal = node.journal();
        let last = journal.last().unwrap();
        assert_eq!((&last["exit"], &last["outcome"]), (&130.into(), &"cancelled".into()));

        // Its api asks for no Secret `missing` any more, whichever helm applies it.
        let ran = signal(&node, "0.1.0", "t3").run();
        ran.exits(0);
        assert_eq!(node.status(), "deployed");
    }
}
