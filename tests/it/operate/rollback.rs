//! Going back by hand.

use serde_json::json;

use crate::harness::{Helm, Node, RUNNER, Ran, Signal, on_both_helms};

fn signal<'a>(node: &'a Node, version: &str, tag: &str) -> Signal<'a> {
    let (api, web) = (node.image("api", tag), node.image("web", "t1"));
    node.signal(version)
        .image("api", api.by_tag())
        .image("web", web.by_tag())
}

fn back(node: &Node, args: &[&str]) -> Ran {
    node.by_hand(RUNNER, &[&["rollback", &node.name], args].concat())
        .wait()
}

fn api(node: &Node) -> String {
    let of = format!("deployment/{}-api", node.name);
    node.kubectl(&[
        "get",
        &of,
        "--output=jsonpath={.spec.template.spec.containers[0].image}",
    ])
}

on_both_helms! {
    /// With the registry gone and the app frozen; refused before anything is touched
    /// where there is nothing to go back to.
    fn back_by_hand(node) {
        back(&node, &[]).exits(2).says("was never deployed");
        node.shop("0.1.0");
        signal(&node, "0.1.0", "t1").run().exits(0);
        back(&node, &[]).exits(2).says("no good revision before the present one");
        signal(&node, "0.1.0", "t2").run().exits(0);
        let first = node.journal()[0]["run"].as_str().unwrap().to_owned();
        for (goal, why) in [
            ("2", "revision 2 is the present one"),
            ("7", "has no revision 7"),
            ("0", "expected a revision"),
            ("20260101T000000Z-000000", "is known on this node"),
        ] {
            back(&node, &[goal]).exits(2).says(why);
        }
        assert_eq!(node.records().len(), 2);

        // The registry is gone, and the app is frozen.
        let mut node = node;
        node.env.insert("HTTPS_PROXY".to_owned(), "http://127.0.0.1:1".to_owned());
        node.subcommand(&["freeze", &node.name, "--reason", "an incident"]).exits(0);
        back(&node, &["--dry-run"]).exits(0).says("what would change")
            .says("restarts the pods of Deployment").says("shop/api:t1");
        let ran = back(&node, &[&first]);
        ran.exits(0)
            .says("an incident").says("a rollback by hand goes through")
            .says("what would change").says("stays as it is")
            .says("revision 3, a copy of revision 1,");
        assert!(api(&node).ends_with("shop/api:t1"), "{}", api(&node));
        let left = [(1, "superseded"), (2, "superseded"), (3, "deployed")];
        assert_eq!(node.records(), left.map(|(revision, status)| (revision, status.to_owned())));
        assert!(node.description().starts_with("deploy: good"), "{}", node.description());
        let journal = node.journal();
        let line = journal.last().unwrap();
        let told = (&line["operation"], &line["exit"], &line["before"], &line["revision"]);
        assert_eq!(told, (&json!("rollback"), &json!(0), &json!(2), &json!(3)));
        assert_eq!(line["request"], journal[0]["request"]);
        node.subcommand(&["history"]).exits(0).says("rollback").says("freeze");

        // There and back again, as JSON.
        let ran = back(&node, &["2", "--json"]);
        let result = ran.exits(0).json("result").remove(0);
        assert_eq!((&result["revision"], &result["restored"]), (&json!(4), &json!(2)));
    }
}

/// What cannot start any more is answered as a deploy that fails: what served serves.
#[test]
fn a_rollback_by_hand_that_fails_goes_back() {
    let node = Node::new("back-fails", Helm::V4);
    node.shop("0.1.0");
    signal(&node, "0.1.0", "t1").run().exits(0);
    signal(&node, "0.1.0", "t2").run().exits(0);
    let quota = "requests.cpu=0,pods=1";
    node.kubectl(&["create", "quota", "none", "--hard", quota]);
    let ran = back(&node, &["1"]);
    ran.exits(7)
        .says("rolled back: revision 4 serves, a copy of revision 2");
    assert!(api(&node).ends_with("shop/api:t2"), "{}", api(&node));
    assert_eq!(node.journal().last().unwrap()["exit"], 7);
    back(&node, &["3"]).exits(2).says("revision 3 failed");
}
