//! The job that signs: its rights, and that it asks for a token for the very signal
//! that the node takes it for.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use serde_json::Value;

use super::jobs::rights;
use super::workflow::{jobs, read, steps};

const SIGNED: &str = ".github/workflows/deploy-signed.yml";

/// The signals that every side has to write in one way.
const VECTORS: &str = include_str!("../../data/signals.json");

/// What a stand-in for GitHub's issuer answers, after it noted what it was asked.
const CURL: &str = r#"#!/bin/sh
cat > "$SEEN/header"
for word; do
    case $word in audience=*) printf %s "${word#audience=}" > "$SEEN/audience" ;; esac
done
printf '{"value":"a.b.c"}'
"#;

/// Nothing of the caller's runs where the token is asked for, and the node's job may
/// do nothing with GitHub.
#[test]
fn only_the_job_that_signs_may_ask_for_a_token() {
    let workflow = read(SIGNED);
    let (sign, deploy) = (&jobs(&workflow)["sign"], &jobs(&workflow)["deploy"]);
    assert!(rights(&workflow["permissions"]).is_empty());
    assert!(rights(&deploy["permissions"]).is_empty());
    let expected = [("contents", "read"), ("id-token", "write")];
    let expected = expected.map(|(scope, right)| (scope.to_owned(), right.to_owned()));
    assert_eq!(rights(&sign["permissions"]), expected.into());
    assert_eq!(sign["runs-on"], "ubuntu-24.04");
    for step in steps(sign).iter().chain(steps(deploy)) {
        assert!(step["uses"].is_null(), "{step}");
        let run = step["run"].as_str().unwrap();
        assert!(
            !run.contains("${{"),
            "nothing is written into a script: {run}"
        );
    }
    let handed = &steps(deploy)[0]["env"]["DEPLOY_TOKEN"];
    assert_eq!(*handed, "${{ needs.sign.outputs.token }}");
}

/// The audience is that of `deploy audience`, for signals as build.yml puts them out.
#[test]
fn the_token_is_for_the_signal_that_is_sent() {
    let workflow = read(SIGNED);
    let step = steps(&jobs(&workflow)["sign"]).last().unwrap().clone();
    let script = step["run"].as_str().unwrap();
    let vectors: Vec<Value> = serde_json::from_str(VECTORS).unwrap();
    for vector in vectors {
        let words: Vec<&str> = vector["arguments"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let value = |flag: &str| {
            let at = words.iter().position(|word| *word == flag).unwrap();
            words[at + 1]
        };
        let scratch = tempfile::tempdir().unwrap();
        let curl = scratch.path().join("curl");
        fs::write(&curl, CURL).unwrap();
        fs::set_permissions(&curl, Permissions::from_mode(0o755)).unwrap();
        let output = scratch.path().join("output");
        let path = std::env::var("PATH").unwrap();
        let ran = Command::new("bash")
            .args(["--noprofile", "--norc", "-eo", "pipefail", "-c", script])
            .env("PATH", format!("{}:{path}", scratch.path().display()))
            .env("SEEN", scratch.path())
            .env("GITHUB_OUTPUT", &output)
            .env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "s3cret")
            .env(
                "ACTIONS_ID_TOKEN_REQUEST_URL",
                "https://issuer.test/token?x=1",
            )
            .env("APP", value("--app"))
            .env("CHART", value("--chart"))
            .env("CHART_VERSION", value("--chart-version"))
            .env("IMAGES", value("--images"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{said}");
        let seen = |name: &str| fs::read_to_string(scratch.path().join(name)).unwrap();
        assert_eq!(seen("audience"), vector["audience"].as_str().unwrap());
        assert_eq!(seen("header"), "Authorization: Bearer s3cret\n");
        assert_eq!(seen("output"), "token=a.b.c\n");
        assert!(!String::from_utf8_lossy(&ran.stdout).contains("a.b.c"));
    }
}
