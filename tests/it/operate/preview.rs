//! What a dry run says would change is what changes.
//!
//! `DEPLOY_SOAK=200` tries so many random changes of chart and cluster, half with
//! each Helm; `DEPLOY_SOAK_SEED` repeats a run.

#![expect(clippy::print_stdout, reason = "the figures of a soak")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::objects::{self, SECRET};
use crate::harness::soak::{self, Dice};
use crate::harness::{Node, Ran, on_both_helms};

/// The preview of a dry run, which holds nothing secret.
fn preview(node: &Node) -> Value {
    let ran = objects::signal(node).arg("--dry-run").arg("--json").run();
    ran.exits(0);
    no_secret(&ran);
    ran.json("result")[0]["preview"].clone()
}

fn no_secret(ran: &Ran) {
    // The first characters alone: what follows shifts the rest.
    let coded = STANDARD.encode(&SECRET[..6]);
    ran.never_says(SECRET).never_says(&coded);
}

/// What somebody does beside helm.
fn meddle(dice: &mut Dice, node: &Node) {
    let patch = |kind: &str, patch: &str| {
        node.kubectl(&["patch", kind, "front", "--type=strategic", "--patch", patch]);
    };
    match dice.below(6) {
        0 => patch(
            "deployment",
            r#"{"spec":{"template":{"spec":{"containers":[{"name":"main","image":"ghcr.io/none/other:1"}]}}}}"#,
        ),
        1 => patch(
            "deployment",
            r#"{"spec":{"template":{"spec":{"containers":[{"name":"main","env":[{"name":"THEIRS","value":"1"}]}]}}}}"#,
        ),
        2 => patch("deployment", r#"{"metadata":{"labels":{"team":"a"}}}"#),
        3 => patch("service", r#"{"spec":{"sessionAffinity":"ClientIP"}}"#),
        4 => drop(node.kubectl(&[
            "annotate",
            "--overwrite",
            "configmap",
            "settings",
            "by=hand",
        ])),
        _ => drop(node.kubectl(&[
            "patch",
            "widget",
            "gear",
            "--type=merge",
            "--patch",
            r#"{"spec":{"size":99}}"#,
        ])),
    }
}

on_both_helms! {
    /// 200 random changes in a soak, a tenth of them always: no miss, and no extra.
    fn a_preview_tells_what_changes(node) {
        let seed = soak::seed_or(16);
        let steps = usize::try_from(soak::rounds().unwrap_or(20) / 2).unwrap();
        let mut dice = Dice::of_seed(seed ^ node.helm as u64);
        objects::define(&node);
        let mut wanted = objects::some();
        objects::prepare(&node, &wanted);
        let first = preview(&node);
        assert!(first["objects"].as_array().unwrap().iter().all(|object| object["change"] == "not-predicted"), "{first}");
        objects::signal(&node).run().exits(0);
        assert_eq!(objects::predicted(&preview(&node)), Vec::<String>::new());
        let (mut fields, mut refused, mut wrong) = (0, 0, Vec::new());
        for step in 0..steps {
            let earlier = wanted.clone();
            for _ in 0..=dice.below(3) {
                objects::change(&mut dice, &mut wanted, step);
            }
            if dice.below(3) == 0 {
                meddle(&mut dice, &node);
            }
            objects::write(&node, &wanted);
            let said = objects::predicted(&preview(&node));
            if said.iter().any(|line| line.contains("\"refused\"")) {
                // So it is, and the good revision is put back.
                objects::signal(&node).run().exits(7).says("the cluster refuses");
                refused += 1;
                wanted = earlier;
                continue;
            }
            let before = objects::live(&node);
            objects::signal(&node).run().exits(0);
            let done = objects::changes(&before, &objects::live(&node));
            fields += done.len();
            if said != done {
                wrong.push(format!("step {step}:\nsaid {said:#?}\ndone {done:#?}"));
            }
        }
        println!("{:?}: {steps} deploys ({refused} refused), {fields} changes, {} deploys told wrong", node.helm, wrong.len());
        assert!(wrong.is_empty(), "DEPLOY_SOAK_SEED={seed}\n{}", wrong.join("\n"));
    }
}
