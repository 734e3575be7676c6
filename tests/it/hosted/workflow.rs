//! What must hold of the workflows' text: `act` knows nothing of permissions,
//! protection, environments and concurrency, so those are read here.

use std::fs;

use serde_json::Value;

use super::jobs::{rights, union};
use crate::harness::root;
use crate::readme;

pub const SIGNAL: &str = ".github/workflows/deploy-signal.yml";
pub const BUILD: &str = ".github/workflows/build.yml";
const IMAGES: &str = ".github/workflows/images.yml";
pub const DEPLOY: &str = ".github/workflows/deploy.yml";
pub const DOCUMENT: &str = "docs/hosted-workflow.md";
pub const GO_BACK: &str = ".github/workflows/go-back.yml";
/// The files of the hosted half, and below each what it calls.
pub const HOSTED: [&str; 5] = [SIGNAL, BUILD, DEPLOY, IMAGES, GO_BACK];
pub const EXAMPLE: &str = "examples/shop/.github/workflows/deploy.yml";

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

pub fn read(path: &str) -> Value {
    serde_saphyr::from_str(&text(path)).unwrap()
}

pub fn jobs(workflow: &Value) -> &serde_json::Map<String, Value> {
    workflow["jobs"].as_object().unwrap()
}

pub fn steps(job: &Value) -> &[Value] {
    job["steps"].as_array().map_or(&[], Vec::as_slice)
}

/// Every workflow of this repository, and the example's.
pub fn workflows() -> Vec<String> {
    let folder = root().join(".github/workflows");
    let own = fs::read_dir(folder).unwrap().map(|entry| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        format!(".github/workflows/{name}")
    });
    own.chain([EXAMPLE.to_owned()]).collect()
}

/// The scripts of the workflow itself, as a step checks them out.
pub fn is_of_the_scripts(step: &Value) -> bool {
    step["with"]["path"] == ".deploy-signal"
}

/// The scripts come from where the workflow is from. A runner that does not say
/// so, and a caller that does not either, must not get the caller's own files.
#[test]
fn the_scripts_are_nobodys_by_default() {
    for path in HOSTED {
        let workflow = read(path);
        for (name, job) in jobs(&workflow) {
            for step in steps(job).iter().filter(|step| is_of_the_scripts(step)) {
                assert_eq!(
                    step["with"]["repository"],
                    "${{ job.workflow_repository || inputs.scripts-repository || '-/scripts-repository-is-not-set' }}",
                    "{path}: {name}"
                );
            }
        }
        let inputs = &workflow["on"]["workflow_call"]["inputs"];
        if inputs["scripts-repository"].is_object() {
            assert_eq!(inputs["scripts-repository"]["default"], "", "{path}");
        }
    }
}

/// An input has one description and one default wherever it stands, and each is
/// passed on.
#[test]
fn inputs_are_the_same_in_each_file() {
    let of = |path: &str| read(path)["on"]["workflow_call"]["inputs"].clone();
    let signal = of(SIGNAL);
    for path in [BUILD, DEPLOY, IMAGES, GO_BACK] {
        for (name, input) in of(path).as_object().unwrap() {
            // Those that the one workflow puts out and the other takes.
            let between = path == DEPLOY && ["chart", "chart-version", "images"].contains(&&**name);
            let inner = path == IMAGES && ["platform", "runner"].contains(&&**name);
            let former = path == GO_BACK && ["run", "workflow"].contains(&&**name);
            if !between && !inner && !former {
                assert_eq!(*input, signal[name], "{path}: {name}");
            }
        }
    }
    for path in HOSTED {
        for (name, job) in jobs(&read(path)) {
            let Some(called) = job["uses"].as_str() else {
                continue;
            };
            let wanted = of(called.strip_prefix("./").unwrap());
            let wanted: Vec<&String> = wanted.as_object().unwrap().keys().collect();
            let given: Vec<&String> = job["with"].as_object().unwrap().keys().collect();
            let sorted = |mut names: Vec<&String>| {
                names.sort();
                names.into_iter().cloned().collect::<Vec<_>>()
            };
            assert_eq!(sorted(given), sorted(wanted), "{path}: {name}");
        }
    }
}

#[test]
fn the_readmes_caller_is_the_examples() {
    assert_eq!(readme::block("caller"), text(EXAMPLE).trim_end());
}

/// The table of inputs says what the files say, and the callers grant what each
/// file needs.
#[test]
fn the_document_says_what_the_workflows_say() {
    let document = text(DOCUMENT);
    let inputs = |path: &str| read(path)["on"]["workflow_call"]["inputs"].clone();
    let (build, deploy) = (inputs(BUILD), inputs(DEPLOY));
    let cell = |input: &Value| match &input["default"] {
        Value::Null => "required".to_owned(),
        Value::String(empty) if empty.is_empty() => String::new(),
        Value::String(text) => format!("`{text}`"),
        other => format!("`{other}`"),
    };
    let signal = inputs(SIGNAL);
    let rows = signal.as_object().unwrap().iter().map(|(name, input)| {
        let files = [("build", &build), ("deploy", &deploy)];
        let files = files.iter().filter(|(_, inputs)| inputs[name].is_object());
        let files: Vec<&str> = files.map(|(file, _)| *file).collect();
        let meaning = input["description"].as_str().unwrap();
        let line = format!(
            "| `{name}` | {} | {} | {meaning} |",
            files.join(" "),
            cell(input)
        );
        (name.clone(), line)
    });
    let rows: std::collections::BTreeMap<String, String> = rows.collect();
    let start = document.split_once("<!-- made from the workflows: inputs -->\n");
    let table = start.unwrap().1.split_once("<!-- end -->").unwrap().0;
    let mut said: Vec<&str> = table.lines().skip(2).collect();
    said.sort_unstable();
    let mut expected: Vec<&str> = rows.values().map(String::as_str).collect();
    expected.sort_unstable();
    assert_eq!(said, expected);

    let secrets = read(SIGNAL)["on"]["workflow_call"]["secrets"].clone();
    for name in secrets.as_object().unwrap().keys() {
        assert!(document.contains(&format!("| `{name}` |")), "{name}");
    }
    for caller in ["one", "staging", "several", "back"] {
        let caller: Value = serde_saphyr::from_str(&readme::block_in(DOCUMENT, caller)).unwrap();
        for (name, job) in jobs(&caller) {
            let file = job["uses"].as_str().unwrap();
            let (path, version) = file.split_once('@').unwrap();
            assert_eq!(version, concat!("v", env!("CARGO_PKG_VERSION")), "{name}");
            let path = path.strip_prefix("ORG/deploy/").unwrap();
            assert_eq!(rights(&job["permissions"]), union(path), "{name}");
            let known = inputs(path);
            let given = job["with"].as_object().unwrap();
            for input in given.keys() {
                assert!(known[input].is_object(), "{name}: {input}");
            }
            for (input, of) in known.as_object().unwrap() {
                let needed = of["required"] == true;
                assert!(!needed || given.contains_key(input), "{name}: {input}");
            }
        }
    }
    // Each attack of the table is a test here.
    let tests = ["attacks", "back", "chart", "gate", "runs"]
        .map(|file| text(&format!("tests/it/hosted/{file}.rs")))
        .concat();
    let attacks = document.split_once("| attack |").unwrap().1;
    let attacks = attacks.split_once("\n\n").unwrap().0;
    let mut count = 0;
    for line in attacks.lines().skip(2) {
        let test = line
            .trim_end_matches([' ', '|'])
            .rsplit("| ")
            .next()
            .unwrap();
        let name = test.trim_matches('`');
        assert!(
            name == "the same" || tests.contains(&format!("fn {name}(")),
            "{line}"
        );
        count += 1;
    }
    assert!(count >= 13, "{count}");
}

#[test]
fn the_documents_first_caller_is_the_examples() {
    assert_eq!(readme::block_in(DOCUMENT, "one"), text(EXAMPLE).trim_end());
}

/// The release that the example names is the one that these scripts are of.
#[test]
fn the_example_calls_this_version() {
    let version = concat!("v", env!("CARGO_PKG_VERSION"));
    for path in [SIGNAL, BUILD, IMAGES, GO_BACK] {
        let inputs = &read(path)["on"]["workflow_call"]["inputs"];
        assert_eq!(inputs["scripts-ref"]["default"], version, "{path}");
    }
    let example = read(EXAMPLE);
    assert_eq!(
        jobs(&example)["shop"]["uses"],
        format!("ORG/deploy/{SIGNAL}@{version}")
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
            // Of the same repository at the same commit.
            if used.starts_with("./") {
                continue;
            }
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
    let workflow = read(BUILD);
    assert_eq!(
        jobs(&workflow)["checks"]["if"],
        "github.event_name != 'pull_request_target'"
    );
}

/// Registries that are not trusted, names that lead elsewhere, and rights that
/// nobody needs: no step knows them. What the scripts write is traced elsewhere.
#[test]
fn no_setting_of_the_host_is_touched() {
    let scripts = fs::read_dir(root().join("hosted")).unwrap();
    let scripts: String = scripts
        .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    let all = HOSTED.map(text).concat() + &text(EXAMPLE) + &scripts;
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

/// What is signed is what was packed: between the two nothing runs.
#[test]
fn a_release_is_packed_and_then_signed() {
    let release = read(".github/workflows/release.yml");
    let build = &jobs(&release)["build"];
    let at = |what: &str| {
        let is_it = |step: &Value| {
            let text = |key: &str| step[key].as_str().unwrap_or_default().to_owned();
            text("id") == what || text("uses").starts_with(what)
        };
        steps(build).iter().position(is_it).unwrap()
    };
    assert_eq!(at("actions/attest-build-provenance@"), at("pack") + 1);
    for (name, job) in jobs(&release) {
        let signs = job["permissions"]["id-token"] == "write";
        let installs = job.to_string().contains("cargo install");
        assert!(!(signs && installs), "{name}");
    }
}
