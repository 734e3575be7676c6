//! What people change beside helm is drift, and nothing else is.
//!
//! `DEPLOY_SOAK` tries 60 drifts with each Helm; `DEPLOY_SOAK_SEED` repeats a run.

#![expect(clippy::print_stdout, reason = "the figures of a soak")]

use super::objects::{self, SECRET, title};
use crate::harness::soak::{self, Dice};
use crate::harness::{Node, on_both_helms};

/// A change by hand: kubectl's arguments, what `deploy status` then tells, and how
/// it is undone. Nothing is told of what a controller does.
const DRIFTS: [(&str, &[&str], &str); 17] = [
    (
        "scale deployment/front --replicas=1",
        &["Deployment front: spec.replicas"],
        "scale deployment/front --replicas=0",
    ),
    (
        "set image deployment/front main=ghcr.io/none/z:9",
        &["Deployment front: spec.template.spec.containers[main].image"],
        "set image deployment/front main=ghcr.io/none/x:1",
    ),
    (
        "set env statefulset/store X=1",
        &["StatefulSet store: spec.template.spec.containers[main].env[X]"],
        "set env statefulset/store X-",
    ),
    (
        "set env statefulset/store A=9",
        &["StatefulSet store: spec.template.spec.containers[main].env[A].value"],
        "set env statefulset/store A=1",
    ),
    (
        "label deployment/front team=a",
        &["Deployment front: metadata.labels.team"],
        "label deployment/front team-",
    ),
    (
        "annotate configmap/settings x=y",
        &["ConfigMap settings: metadata.annotations.x"],
        "annotate configmap/settings x-",
    ),
    (
        "patch configmap/settings --patch={\"data\":{\"a\":\"9\"}}",
        &["ConfigMap settings: data.a"],
        "patch configmap/settings --patch={\"data\":{\"a\":\"1\"}}",
    ),
    (
        "patch configmap/settings --patch={\"data\":{\"b\":\"9\"}}",
        &["ConfigMap settings: data.b"],
        "patch configmap/settings --patch={\"data\":{\"b\":null}}",
    ),
    (
        "patch configmap/settings --patch={\"data\":{\"a\":null}}",
        &["ConfigMap settings: data.a"],
        "patch configmap/settings --patch={\"data\":{\"a\":\"1\"}}",
    ),
    (
        "patch service/front --type=json --patch=[{\"op\":\"replace\",\"path\":\"/spec/ports/0/targetPort\",\"value\":9}]",
        &["Service front: spec.ports[80].targetPort"],
        "patch service/front --type=json --patch=[{\"op\":\"replace\",\"path\":\"/spec/ports/0/targetPort\",\"value\":8080}]",
    ),
    (
        "patch widget/gear --type=merge --patch={\"spec\":{\"size\":9}}",
        &["Widget gear: spec.size"],
        "patch widget/gear --type=merge --patch={\"spec\":{\"size\":1}}",
    ),
    (
        "patch secret/key --patch={\"stringData\":{\"password\":\"theirs\"}}",
        &["Secret key: data.password"],
        "",
    ),
    (
        "patch cronjob/night --patch={\"spec\":{\"schedule\":\"9_9_*_*_*\"}}",
        &["CronJob night: spec.schedule"],
        "patch cronjob/night --patch={\"spec\":{\"schedule\":\"0_3_*_*_*\"}}",
    ),
    ("delete service/front", &["Service front: missing"], ""),
    (
        "delete configmap/settings",
        &["ConfigMap settings: missing"],
        "",
    ),
    // By the name of another manager, and by that of a controller.
    (
        "patch deployment/front --field-manager=oncall --patch={\"spec\":{\"minReadySeconds\":9,\"replicas\":1}}",
        &["Deployment front: spec.replicas"],
        "patch deployment/front --field-manager=oncall --patch={\"spec\":{\"minReadySeconds\":null,\"replicas\":0}}",
    ),
    (
        "patch deployment/front --field-manager=kube-controller-manager --patch={\"spec\":{\"replicas\":1}}",
        &[],
        "patch deployment/front --field-manager=kube-controller-manager --patch={\"spec\":{\"replicas\":0}}",
    ),
];

fn kubectl(node: &Node, line: &str) {
    let words: Vec<String> = line.split(' ').map(|word| word.replace('_', " ")).collect();
    node.kubectl(&words.iter().map(String::as_str).collect::<Vec<_>>());
}

/// What `deploy status` tells, as object and field.
fn told(node: &Node) -> Vec<String> {
    let ran = node.subcommand(&["status", &node.name, "--json"]);
    assert!(
        [Some(0), Some(7)].contains(&ran.status.code()),
        "{}",
        ran.told()
    );
    ran.never_says(SECRET).never_says("theirs");
    let status = ran.json("status").remove(0);
    let mut found = Vec::new();
    for object in status["drift"].as_array().unwrap() {
        let name = title(object);
        match object["fields"].as_array() {
            Some(fields) => found.extend(
                fields
                    .iter()
                    .map(|field| format!("{name}: {}", field["path"].as_str().unwrap())),
            ),
            None => found.push(format!("{name}: {}", object["drift"].as_str().unwrap())),
        }
    }
    found.sort();
    found
}

on_both_helms! {
    /// 60 drifts in a soak, a tenth of them always: none missed, none too many.
    fn what_people_change_is_told(node) {
        objects::define(&node);
        objects::prepare(&node, &objects::some());
        node.subcommand(&["status", &node.name]).exits(2).says("was never deployed");
        objects::signal(&node).run().exits(0);
        assert_eq!(told(&node), Vec::<String>::new());
        node.subcommand(&["status"]).exits(0).says("Ready").says("none");
        let seed = soak::seed_or(3);
        let mut dice = Dice::of_seed(seed);
        let count = if soak::is_on() { 60 } else { 6 };
        let (mut expected, mut wrong) = (0, Vec::new());
        for step in 0..count {
            // Each of them in a soak, whatever the dice say.
            let at = if step < DRIFTS.len() && count == 60 { step } else { dice.index(DRIFTS.len()) };
            let (change, meant, undo) = DRIFTS[at];
            kubectl(&node, change);
            let said = told(&node);
            expected += meant.len();
            if said != meant {
                wrong.push(format!("{change}\n  said {said:?}\n  meant {meant:?}"));
            }
            if undo.is_empty() {
                objects::signal(&node).run().exits(0);
            } else {
                kubectl(&node, undo);
            }
        }
        println!("{:?}: {count} drifts with {expected} fields, {} told wrong", node.helm, wrong.len());
        assert!(wrong.is_empty(), "DEPLOY_SOAK_SEED={seed}\n{}", wrong.join("\n"));
    }
}

/// The whole screen, and the ends of a status that is not well.
#[test]
fn a_status_tells_how_it_is() {
    let node = Node::new("status", crate::harness::Helm::V4);
    node.shop("0.1.0");
    let (api, web) = (node.image("api", "t1"), node.image("web", "t1"));
    let signal = || {
        node.signal("0.1.0")
            .image("api", api.by_tag())
            .image("web", web.by_tag())
    };
    signal()
        .in_step()
        .env("GITHUB_ACTOR", "octocat")
        .env("GITHUB_SHA", "0123abc")
        .run()
        .exits(0);
    let name = node.name.as_str();
    node.subcommand(&["status", name])
        .exits(0)
        .says(&format!("{name}: Ready"))
        .says("revision 1")
        .says("octocat")
        .says("0123abc")
        .says(&api.by_tag())
        .says(&api.digest)
        .says("-api 1/1 ready")
        .says("none: it is what the release says");
    node.kubectl(&["scale", &format!("deployment/{name}-api"), "--replicas=2"]);
    node.subcommand(&["status", name])
        .says("spec.replicas: 1 in the release, 2 now")
        .says("by kubectl (scale)\n");
    node.kubectl(&[
        "set",
        "image",
        &format!("deployment/{name}-web"),
        "web=ghcr.io/none/none:1",
    ]);
    node.kubectl(&[
        "patch",
        &format!("deployment/{name}-web"),
        "--patch",
        r#"{"spec":{"strategy":{"type":"Recreate","rollingUpdate":null}}}"#,
    ]);
    crate::harness::until("it is not Ready", || {
        node.subcommand(&["status", name]).status.code() == Some(7)
    });
    node.subcommand(&["status", "Shop"]).exits(2);
    node.home.write(".kube/config", "{}", 0o600);
    node.subcommand(&["status", name]).exits(3);
}
