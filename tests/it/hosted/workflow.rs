//! What must hold of the workflows' text: `act` knows nothing of permissions,
//! protection, environments and concurrency, so those are read here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;

use crate::harness::root;
use crate::readme;

const SIGNAL: &str = ".github/workflows/deploy-signal.yml";
const EXAMPLE: &str = "examples/shop/.github/workflows/deploy.yml";

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

fn read(path: &str) -> Value {
    serde_saphyr::from_str(&text(path)).unwrap()
}

fn jobs(workflow: &Value) -> &serde_json::Map<String, Value> {
    workflow["jobs"].as_object().unwrap()
}

fn steps(job: &Value) -> &[Value] {
    job["steps"].as_array().map_or(&[], Vec::as_slice)
}

/// Every workflow of this repository, and the example's.
fn workflows() -> Vec<String> {
    let folder = root().join(".github/workflows");
    let own = fs::read_dir(folder).unwrap().map(|entry| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        format!(".github/workflows/{name}")
    });
    own.chain([EXAMPLE.to_owned()]).collect()
}

/// Rights by scope; `write` counts more than `read`.
fn rights(granted: &Value) -> BTreeMap<String, String> {
    let pairs = granted
        .as_object()
        .expect("permissions are listed one by one");
    pairs
        .iter()
        .map(|(scope, right)| (scope.clone(), right.as_str().unwrap().to_owned()))
        .collect()
}

fn needs(job: &Value) -> Vec<&str> {
    match &job["needs"] {
        Value::Null => Vec::new(),
        Value::String(one) => vec![one],
        many => many
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_str)
            .collect(),
    }
}

/// GitHub refuses to load a run whose caller grants less than all jobs
/// together name, whatever their conditions say.
#[test]
fn the_caller_grants_what_the_jobs_name_and_no_more() {
    let workflow = read(SIGNAL);
    let mut union = rights(&workflow["permissions"]);
    for (name, job) in jobs(&workflow) {
        assert!(
            job["permissions"].is_object(),
            "the job {name} narrows itself"
        );
        for (scope, right) in rights(&job["permissions"]) {
            if right == "write" || !union.contains_key(&scope) {
                union.insert(scope, right);
            }
        }
    }
    let example = read(EXAMPLE);
    let callers: Vec<_> = jobs(&example).values().collect();
    assert_eq!(callers.len(), 1);
    assert_eq!(rights(&callers[0]["permissions"]), union);
    assert_eq!(
        union,
        [("contents", "read"), ("packages", "write")]
            .map(|(scope, right)| (scope.to_owned(), right.to_owned()))
            .into()
    );
    assert_eq!(
        rights(&jobs(&workflow)["checks"]["permissions"]),
        [("contents".to_owned(), "read".to_owned())].into(),
        "what a pull request runs reads the tree and nothing else"
    );
}

#[test]
fn the_readmes_caller_is_the_examples() {
    assert_eq!(readme::block("caller"), text(EXAMPLE).trim_end());
}

/// The release that the example names is the one that these scripts are of.
#[test]
fn the_example_calls_this_version() {
    let version = concat!("v", env!("CARGO_PKG_VERSION"));
    let inputs = &read(SIGNAL)["on"]["workflow_call"]["inputs"];
    let (repository, reference) = (
        inputs["scripts-repository"]["default"].as_str().unwrap(),
        inputs["scripts-ref"]["default"].as_str().unwrap(),
    );
    assert_eq!(reference, version);
    let example = read(EXAMPLE);
    assert_eq!(
        jobs(&example)["shop"]["uses"],
        format!("{repository}/{SIGNAL}@{version}")
    );
}

/// An expression inside a script is text of a stranger's inside a script.
#[test]
fn no_script_holds_an_expression() {
    for path in workflows() {
        for (name, job) in jobs(&read(&path)) {
            for step in steps(job) {
                let run = step["run"].as_str().unwrap_or_default();
                assert!(!run.contains("${{"), "{path}, job {name}:\n{run}");
            }
        }
    }
}

#[test]
fn actions_are_pinned_by_commit() {
    for path in workflows().iter().filter(|path| *path != EXAMPLE) {
        for line in text(path).lines() {
            let Some((_, used)) = line.split_once("uses: ") else {
                continue;
            };
            let (action, version) = used
                .split_once(" # v")
                .unwrap_or_else(|| panic!("{path}: no version beside {used}"));
            let commit = action.split_once('@').map_or("", |(_, commit)| commit);
            let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            assert!(
                commit.len() == 40 && commit.bytes().all(hex),
                "{path}: {used}"
            );
            assert!(version.split('.').count() == 3, "{path}: {used}");
        }
    }
}

#[test]
fn no_checkout_leaves_a_token_behind() {
    for path in workflows() {
        for (name, job) in jobs(&read(&path)) {
            for step in steps(job) {
                if step["uses"]
                    .as_str()
                    .is_some_and(|uses| uses.starts_with("actions/checkout@"))
                {
                    assert_eq!(
                        step["with"]["persist-credentials"], false,
                        "{path}, job {name}"
                    );
                }
            }
        }
    }
}

/// Nothing of ours starts by itself on `pull_request_target`, which runs with
/// the repository's rights on a stranger's wish.
#[test]
fn pull_request_target_never() {
    for path in workflows() {
        let on = read(&path)["on"].clone();
        assert!(
            !on.to_string().contains("pull_request_target"),
            "{path}: {on}"
        );
    }
    let workflow = read(SIGNAL);
    assert_eq!(
        jobs(&workflow)["checks"]["if"],
        "github.event_name != 'pull_request_target'"
    );
}

/// Of a pull request only `checks` runs: every other job waits for the gate,
/// and the gate is closed. On anything else the checks gate the build.
#[test]
fn all_but_the_checks_wait_for_the_gate() {
    let workflow = read(SIGNAL);
    let all = jobs(&workflow);
    assert_eq!(
        all["gate"]["if"],
        "github.event_name != 'pull_request' && github.event_name != 'merge_group'"
    );
    let mut behind: BTreeSet<&str> = ["gate"].into();
    while behind.len() < all.len() - 1 {
        let next = all.iter().find(|(name, job)| {
            !behind.contains(name.as_str()) && needs(job).iter().any(|need| behind.contains(need))
        });
        let (name, job) = next.expect("every job but the checks waits for the gate");
        // A condition with a status function would run it in spite of a closed gate.
        let condition = job["if"].as_str().unwrap_or_default();
        assert!(!condition.contains('('), "{name}: {condition}");
        behind.insert(name);
    }
    assert!(!behind.contains("checks"));
    for pushing in ["images", "chart"] {
        assert!(needs(&all[pushing]).contains(&"checks"), "{pushing}");
    }
}

/// The job on the node runs nothing but the script.
#[test]
fn the_deploy_job_is_the_script_and_nothing_else() {
    let workflow = read(SIGNAL);
    let deploy = &jobs(&workflow)["deploy"];
    assert_eq!(deploy["permissions"], serde_json::json!({}));
    assert_eq!(deploy["concurrency"]["cancel-in-progress"], false);
    let group = deploy["concurrency"]["group"].as_str().unwrap();
    assert!(group.contains("github.repository") && group.contains("inputs.app"));
    assert_eq!(deploy["environment"], "${{ inputs.environment }}");
    let [step] = steps(deploy) else {
        panic!("one step")
    };
    assert!(step["uses"].is_null());
    assert_eq!(step["shell"], "bash");
    let variables: Vec<&String> = step["env"].as_object().unwrap().keys().collect();
    assert_eq!(variables, ["APP", "CHART", "CHART_VERSION", "IMAGES"]);
    assert_eq!(
        step["run"].as_str().unwrap().trim_end().lines().last(),
        Some(
            "exec /home/github-runner/deploy.sh --app \"$APP\" --chart \"$CHART\" --chart-version \"$CHART_VERSION\" --images \"$IMAGES\""
        )
    );
}

/// Longer than the node's own budgets one after the other: waiting for the
/// lock, deploying, rolling back.
#[test]
fn the_deploy_job_outlasts_the_nodes_own_timeouts() {
    let limit = &read(SIGNAL)["on"]["workflow_call"]["inputs"]["timeout-minutes"]["default"];
    assert!(limit.as_u64().unwrap() > 3 * 10, "{limit}");
}

/// Registries that are not trusted, names that lead elsewhere, and rights that
/// nobody needs: no step knows them. What the scripts write is traced elsewhere.
#[test]
fn no_setting_of_the_host_is_touched() {
    let scripts = fs::read_dir(root().join("hosted")).unwrap();
    let scripts: String = scripts
        .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    let all = text(SIGNAL) + &text(EXAMPLE) + &scripts;
    for never in [
        "sudo",
        "/etc/",
        "daemon.json",
        "insecure",
        "--privileged",
        "GITHUB_PATH",
        "GITHUB_ENV",
    ] {
        assert!(!all.contains(never), "{never}");
    }
}

/// What is published was whole before it could be seen.
#[test]
fn a_release_is_a_draft_until_all_of_it_is_there() {
    let text = text(".github/workflows/release.yml");
    let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("no {what}"));
    assert!(at("gh release create") < at("gh release upload"));
    assert!(at("gh release upload") < at("--draft=false"));
    let create = text
        .lines()
        .find(|line| line.contains("gh release create"))
        .unwrap();
    assert!(create.contains("--draft"), "{create}");
    let on = &read(".github/workflows/release.yml")["on"];
    assert_eq!(*on, serde_json::json!({ "push": { "tags": ["v*"] } }));
}
