//! Each input and each secret of the hosted half is tried by a test, or the document
//! says why it cannot be.

use std::collections::BTreeSet;
use std::fs;

use super::workflow::{BUILD, DOCUMENT, jobs, read, steps, workflows};
use crate::harness::root;

/// What tries which.
const TRIED: [(&str, &str); 28] = [
    ("app", "names_and_platforms_are_judged"),
    ("branches", "protected_branches_tags_and_hands_may_deploy"),
    ("build-args", "arguments_and_secrets_of_a_build"),
    ("build-secrets", "arguments_and_secrets_of_a_build"),
    ("cache", "a_new_runner_finds_the_layers_of_the_run_before"),
    ("chart", "no_chart_is_told"),
    ("chart-digest", "all_that_was_pushed_is_attested_once"),
    ("chart-version", "staging_then_production"),
    ("commit", "a_manual_run_goes_back_to_a_commit"),
    ("components", "components_are_judged"),
    ("events", "protected_branches_tags_and_hands_may_deploy"),
    ("image-path", "two_platforms_are_one_index"),
    ("images", "staging_then_production"),
    ("lint", "checks_are_run_alike"),
    ("platform", "two_platforms_are_one_index"),
    ("platforms", "staging_then_production"),
    ("prepare", "staging_then_production"),
    ("references", "images_are_built_then_pushed_by_digest"),
    ("registries", "a_private_base_image"),
    ("run", "a_push_a_tag_and_a_hand_deploy_what_was_built"),
    ("scripts-ref", "the_example_calls_this_version"),
    ("scripts-repository", "the_scripts_are_nobodys_by_default"),
    ("signing-key", "what_was_pushed_is_signed"),
    ("tags", "a_closed_gate_says_what_to_do"),
    ("tags-anywhere", "a_tag_deploys_what_was_reviewed"),
    ("test", "what_fails_before_the_build_pushes_nothing"),
    ("typecheck", "checks_are_run_alike"),
    (
        "workflow",
        "only_a_run_that_deployed_what_was_reviewed_counts",
    ),
];

#[test]
fn each_is_tried_or_said_not_to_be() {
    let folder = fs::read_dir(root().join("tests/it/hosted")).unwrap();
    let tests: String = folder
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "rs"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    for (name, test) in TRIED {
        assert!(tests.contains(&format!("\nfn {test}(")), "{name}: {test}");
    }
    let document = fs::read_to_string(root().join(DOCUMENT)).unwrap();
    let section = document
        .split_once("\n## What is not run here\n")
        .unwrap()
        .1;
    let section = section.split_once("\n## ").unwrap().0;
    let mut named = BTreeSet::new();
    for path in workflows() {
        let call = &read(&path)["on"]["workflow_call"];
        let inputs = call["inputs"].as_object().into_iter().flatten();
        let secrets = call["secrets"].as_object().into_iter().flatten();
        for (name, _) in inputs.chain(secrets) {
            let tried = TRIED.iter().any(|(of, _)| of == name);
            let said = section.contains(&format!("`{name}`"));
            assert!(tried || said, "{path}: {name}");
            named.insert(name.clone());
        }
    }
    for (name, _) in TRIED {
        assert!(named.contains(name), "{name} is no input any more");
    }
}

/// `act` runs the example's lint and test; a type check is one more of them.
#[test]
fn checks_are_run_alike() {
    let workflow = read(BUILD);
    let all = steps(&jobs(&workflow)["checks"]);
    for name in ["lint", "typecheck", "test"] {
        let step = all.iter().find(|step| step["name"] == name).unwrap();
        assert_eq!(step["env"]["COMMAND"], format!("${{{{ inputs.{name} }}}}"));
        assert_eq!(step["run"], "bash -euo pipefail -c \"$COMMAND\"");
        if name != "test" {
            assert_eq!(step["if"], format!("inputs.{name} != ''"));
        }
    }
}
