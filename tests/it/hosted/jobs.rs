//! What must hold of the jobs: their rights, the order in which they wait for each
//! other, and what the one on the node runs.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::github::Github;
use super::stage::Stage;
use super::workflow::{
    BUILD, DEPLOY, EXAMPLE, GO_BACK, HOSTED, SIGNAL, is_of_the_scripts, jobs, read, steps,
    workflows,
};

/// Rights by scope; `write` counts more than `read`.
pub fn rights(granted: &Value) -> BTreeMap<String, String> {
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

/// All rights that the jobs of a workflow name, and of those that it calls.
pub fn union(path: &str) -> BTreeMap<String, String> {
    let workflow = read(path);
    let mut union = rights(&workflow["permissions"]);
    for (name, job) in jobs(&workflow) {
        assert!(
            job["permissions"].is_object(),
            "{path}: the job {name} narrows itself"
        );
        let granted = rights(&job["permissions"]);
        if let Some(called) = job["uses"].as_str() {
            let called = called.strip_prefix("./").unwrap();
            assert_eq!(granted, self::union(called), "{path}: the job {name}");
        }
        for (scope, right) in granted {
            if right == "write" || !union.contains_key(&scope) {
                union.insert(scope, right);
            }
        }
    }
    union
}

fn listed(rights: &[(&str, &str)]) -> BTreeMap<String, String> {
    let rights = rights.iter();
    rights
        .map(|(scope, right)| ((*scope).to_owned(), (*right).to_owned()))
        .collect()
}

/// GitHub refuses to load a run whose caller grants less than all jobs
/// together name, whatever their conditions say.
#[test]
fn the_caller_grants_what_the_jobs_name_and_no_more() {
    let all = listed(&[("contents", "read"), ("packages", "write")]);
    let asks = listed(&[
        ("actions", "read"),
        ("contents", "read"),
        ("packages", "read"),
    ]);
    for (path, expected) in [
        (SIGNAL, &all),
        (BUILD, &all),
        (DEPLOY, &listed(&[("contents", "read")])),
        (GO_BACK, &asks),
    ] {
        assert_eq!(union(path), *expected, "{path}");
    }
    let example = read(EXAMPLE);
    let callers: Vec<_> = jobs(&example).values().collect();
    assert_eq!(callers.len(), 1);
    assert_eq!(rights(&callers[0]["permissions"]), all);
    assert_eq!(
        rights(&jobs(&read(BUILD))["checks"]["permissions"]),
        listed(&[("contents", "read")]),
        "what a pull request runs reads the tree and nothing else"
    );
}

/// Where a job checks the caller's files out, or runs the caller's command, it
/// may write nothing; and only one job may write.
#[test]
fn the_callers_code_shares_no_job_with_a_right_to_write() {
    let mut pushing = Vec::new();
    let mut with_code = Vec::new();
    for path in HOSTED {
        for (name, job) in jobs(&read(path)) {
            let uses_code = steps(job).iter().any(|step| {
                let action = step["uses"].as_str().unwrap_or_default();
                let checks_out =
                    action.starts_with("actions/checkout@") && !is_of_the_scripts(step);
                checks_out || step["env"]["COMMAND"].is_string()
            });
            let writes = rights(&job["permissions"])
                .values()
                .any(|right| right == "write");
            assert!(!(writes && uses_code), "{path}: {name}");
            if uses_code {
                with_code.push(name.clone());
            }
            if writes && job["uses"].is_null() {
                pushing.push(name.clone());
            }
        }
    }
    assert_eq!(pushing, ["push"]);
    assert_eq!(with_code, ["checks", "package", "images"]);
}

/// GitHub takes `single` and `max`; actionlint 1.7.12 knows neither, so its word
/// for the key is left out.
#[test]
fn a_queue_is_single_or_max() {
    for path in workflows() {
        for (name, job) in jobs(&read(&path)) {
            let queue = &job["concurrency"]["queue"];
            assert!(
                queue.is_null() || queue == "single" || queue == "max",
                "{path}: {name}: {queue}"
            );
        }
    }
    let deploy = read(DEPLOY);
    assert_eq!(jobs(&deploy)["deploy"]["concurrency"]["queue"], "max");
}

/// Of a pull request only `checks` runs: every other job waits for the gate,
/// and the gate is closed. On anything else the checks gate the build.
#[test]
fn all_but_the_checks_wait_for_the_gate() {
    let workflow = read(BUILD);
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
        // A condition with a status function would run it in spite of a closed
        // gate: it says itself which jobs must have ended well.
        let condition = job["if"].as_str().unwrap_or_default();
        assert!(!condition.contains("always()") && !condition.contains("failure()"));
        if condition.contains("cancelled()") {
            let must: &[&str] = match name.as_str() {
                "push" => &["gate", "package"],
                "signal" => &["push"],
                other => panic!("{other}: {condition}"),
            };
            for need in must {
                let judged = format!("needs.{need}.result == 'success'");
                assert!(condition.contains(&judged), "{name}: {condition}");
            }
        }
        behind.insert(name);
    }
    assert!(!behind.contains("checks"));
    for building in ["amd64", "arm64", "package"] {
        assert_eq!(needs(&all[building]), ["gate", "checks"], "{building}");
    }
    let push = all["push"]["if"].as_str().unwrap();
    for result in ["failure", "cancelled"] {
        assert!(push.contains(&format!("!contains(needs.*.result, '{result}')")));
    }
    // And without a signal there is no deploy.
    let signal = read(SIGNAL);
    let deploy = &jobs(&signal)["deploy"];
    assert_eq!(needs(deploy), ["build"]);
    assert_eq!(deploy["if"], "needs.build.outputs.superseded == 'false'");
}

/// The job on the node runs no action and no file of a checkout: it asks whether
/// it is still its turn, and becomes the script.
#[test]
fn the_deploy_job_is_the_script_and_nothing_else() {
    let workflow = read(DEPLOY);
    let deploy = &jobs(&workflow)["deploy"];
    assert_eq!(
        rights(&deploy["permissions"]),
        listed(&[("contents", "read")])
    );
    assert_eq!(deploy["concurrency"]["cancel-in-progress"], false);
    let group = deploy["concurrency"]["group"].as_str().unwrap();
    for part in ["github.repository", "inputs.app", "inputs.environment"] {
        assert!(group.contains(part), "{group}");
    }
    assert_eq!(deploy["environment"], "${{ inputs.environment }}");
    let [turn, step] = steps(deploy) else {
        panic!("two steps")
    };
    for step in [turn, step] {
        assert!(step["uses"].is_null());
        assert_eq!(step["shell"], "bash");
    }
    // Somebody's will may go back.
    assert_eq!(
        turn["if"],
        "github.event_name == 'push' && github.ref_type == 'branch' && github.run_attempt == '1'"
    );
    assert_eq!(step["if"], "steps.turn.outputs.superseded != 'true'");
    let variables: Vec<&String> = step["env"].as_object().unwrap().keys().collect();
    assert_eq!(variables, ["APP", "CHART", "CHART_VERSION", "IMAGES"]);
    assert_eq!(
        step["run"].as_str().unwrap().trim_end(),
        "exec /home/github-runner/deploy.sh --app \"$APP\" --chart \"$CHART\" --chart-version \"$CHART_VERSION\" --images \"$IMAGES\""
    );
}

/// The turn's own script, against branches that are elsewhere by now.
#[test]
fn the_deploy_job_asks_for_the_branchs_head_when_its_turn_has_come() {
    let workflow = read(DEPLOY);
    let script = steps(&jobs(&workflow)["deploy"])[0]["run"]
        .as_str()
        .unwrap();
    let stage = Stage::new("turn");
    let github = Github::of(stage.path("workspace/.git"), &[]);
    let asked = |branch: &str, sha: &str, url: &str| {
        let variables = [
            ("GITHUB_API_URL", url.to_owned()),
            ("GITHUB_REF_NAME", branch.to_owned()),
            ("GITHUB_SHA", sha.to_owned()),
        ];
        stage.shell(script, &variables)
    };
    let first = stage.head();
    asked("main", &first, &github.url).exits(0);
    assert!(!stage.put_out("superseded"));
    // Not this branch, though it ends so.
    let second = stage.commit("second");
    stage.git(&["branch", "a/refs/heads/main", &first]);
    for (branch, head) in [("main", second.as_str()), ("gone", "no commit")] {
        asked(branch, &first, &github.url)
            .exits(0)
            .says(&format!("superseded: the branch is at {head} now"));
        assert_eq!(stage.output("superseded"), "true");
    }
    asked("main", &first, "http://127.0.0.1:1")
        .exits(1)
        .says("GitHub did not say whether this is still the branch's head (000)");
}

/// Longer than the node's own budgets one after the other: waiting for the
/// lock, deploying, rolling back.
#[test]
fn the_deploy_job_outlasts_the_nodes_own_timeouts() {
    let limit = &read(SIGNAL)["on"]["workflow_call"]["inputs"]["timeout-minutes"]["default"];
    assert!(limit.as_u64().unwrap() > 3 * 10, "{limit}");
}
