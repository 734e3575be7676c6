//! The workflow that attests: its rights, and that it names what was pushed, all of it
//! and nothing else.

use std::fs;
use std::process::{Command, Output};

use serde_json::{Value, json};

use super::jobs::{rights, union};
use super::workflow::{DOCUMENT, jobs, read, steps};
use crate::readme;

const ATTEST: &str = ".github/workflows/attest.yml";

/// What may write runs one action, and none of the caller's code.
#[test]
fn what_attests_runs_nothing_of_the_callers() {
    let workflow = read(ATTEST);
    let (subjects, attest) = (&jobs(&workflow)["subjects"], &jobs(&workflow)["attest"]);
    assert_eq!(jobs(&workflow).len(), 2);
    assert!(rights(&subjects["permissions"]).is_empty());
    assert_eq!(attest["runs-on"], "ubuntu-24.04");
    let [sign_in, action] = steps(attest) else {
        panic!("two steps: {attest}");
    };
    assert!(sign_in["run"].as_str().unwrap().starts_with("printf %s "));
    let used = action["uses"].as_str().unwrap();
    assert!(used.starts_with("actions/attest@"), "{used}");
    let with = json!({
        "subject-name": "${{ matrix.name }}",
        "subject-digest": "${{ matrix.digest }}",
        "push-to-registry": true,
        "create-storage-record": false,
    });
    assert_eq!(
        action["with"], with,
        "and no predicate: then it is of the build"
    );

    // The document's caller passes on what build.yml puts out, and grants what is needed.
    let caller: Value = serde_saphyr::from_str(&readme::block_in(DOCUMENT, "attested")).unwrap();
    let job = &jobs(&caller)["attest"];
    assert_eq!(rights(&job["permissions"]), union(ATTEST));
    let given = job["with"].as_object().unwrap();
    let known = &workflow["on"]["workflow_call"]["inputs"];
    assert!(given.keys().eq(known.as_object().unwrap().keys()));
    for (input, output) in [
        ("chart", "chart"),
        ("chart-digest", "chart_digest"),
        ("images", "images"),
    ] {
        assert_eq!(
            given[input],
            format!("${{{{ needs.build.outputs.{output} }}}}")
        );
    }
    let after = &jobs(&caller)["deploy"]["needs"];
    assert_eq!(*after, json!(["build", "attest"]));
}

fn list(chart: &str, digest: &str, images: &str) -> (Output, String) {
    let workflow = read(ATTEST);
    let step = &steps(&jobs(&workflow)["subjects"])[0];
    let scratch = tempfile::tempdir().unwrap();
    let output = scratch.path().join("output");
    let ran = Command::new("bash")
        .args(["--noprofile", "--norc", "-eo", "pipefail", "-c"])
        .arg(step["run"].as_str().unwrap())
        .env("GITHUB_OUTPUT", &output)
        .env("CHART", chart)
        .env("CHART_DIGEST", digest)
        .env("IMAGES", images)
        .output()
        .unwrap();
    (ran, fs::read_to_string(output).unwrap_or_default())
}

#[test]
fn all_that_was_pushed_is_attested_once() {
    let digest = |of: char| format!("sha256:{}", of.to_string().repeat(64));
    let chart = "oci://ghcr.io/Acme/charts/shop";
    let images = json!({
        "api": format!("ghcr.io/Acme/shop/api@{}", digest('a')),
        "web": format!("ghcr.io/acme/shop/web:1.0@{}", digest('b')),
        "worker": format!("ghcr.io/acme/shop/api@{}", digest('a')),
    });
    let (ran, output) = list(chart, &digest('c'), &images.to_string());
    assert!(ran.status.success(), "{ran:?}");
    let subjects = output.strip_prefix("subjects=").unwrap();
    let subjects: Value = serde_json::from_str(subjects).unwrap();
    let expected = [("shop/api", 'a'), ("shop/web", 'b'), ("charts/shop", 'c')];
    let expected = expected
        .map(|(path, of)| json!({ "name": format!("ghcr.io/acme/{path}"), "digest": digest(of) }));
    assert_eq!(subjects, json!(expected));

    let by_tag = json!({ "api": "ghcr.io/acme/shop/api:1.0" }).to_string();
    for (digest, images) in [
        (digest('c'), by_tag.as_str()),
        (String::new(), &images.to_string()),
        (digest('c'), ""),
        ("sha256:c".to_owned(), "{}"),
    ] {
        let (ran, output) = list(chart, &digest, images);
        assert!(!ran.status.success(), "{images}");
        assert_eq!(output, "");
        assert!(String::from_utf8_lossy(&ran.stdout).contains("has no digest"));
    }
}
