//! Who may deploy, what the chart's version is, and when a commit is too old.

use deploy::signal::ChartVersion;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::stage::Stage;

fn gate(name: &str) -> Stage {
    Stage::new(name)
        .env("EVENTS", "push workflow_dispatch")
        .env("BRANCHES", "")
        .env("TAGS", "v*")
        .env("REF_PROTECTED", "false")
}

fn at(stage: Stage, event: &str, kind: &str, name: &str) -> Stage {
    let folder = if kind == "tag" { "tags" } else { "heads" };
    stage
        .env("GITHUB_EVENT_NAME", event)
        .env("GITHUB_REF_TYPE", kind)
        .env("GITHUB_REF_NAME", name)
        .env("GITHUB_REF", &format!("refs/{folder}/{name}"))
}

#[test]
fn protected_branches_tags_and_hands_may_deploy() {
    let protected = || gate("may").env("REF_PROTECTED", "true");
    at(protected(), "push", "branch", "main")
        .run("gate.sh")
        .exits(0);
    at(protected(), "workflow_dispatch", "branch", "main")
        .run("gate.sh")
        .exits(0);
    at(gate("may"), "push", "tag", "v1.2.3")
        .run("gate.sh")
        .exits(0);
    at(
        gate("may").env("BRANCHES", "main release/*"),
        "push",
        "branch",
        "release/1",
    )
    .run("gate.sh")
    .exits(0)
    .says("api web worker");
    at(
        protected().env("EVENTS", "push\nrelease"),
        "release",
        "tag",
        "v1.2.3",
    )
    .run("gate.sh")
    .exits(0);
}

/// Neither an open gate nor a closed one writes anything but the runner's files.
#[test]
fn a_gate_changes_nothing_of_the_host() {
    for (protected, code) in [("true", 0), ("false", 1)] {
        let stage = gate("traced-gate").env("REF_PROTECTED", protected);
        let stage = at(stage, "push", "branch", "main");
        let (ran, written) = stage.traced("gate.sh");
        ran.exits(code);
        stage.wrote_only(&written);
    }
}

#[test]
fn a_closed_gate_says_what_to_do() {
    at(gate("closed"), "push", "branch", "topic")
        .run("gate.sh")
        .exits(1)
        .says("::error title=deploy-signal::the branch topic is not protected")
        .says("name it in `branches:`");
    at(gate("closed"), "push", "tag", "nightly")
        .run("gate.sh")
        .exits(1)
        .says("the tag nightly does not deploy here; these do: v*");
    at(
        gate("closed").env("REF_PROTECTED", "true"),
        "schedule",
        "branch",
        "main",
    )
    .run("gate.sh")
    .exits(1)
    .says("schedule does not deploy here; these do: push workflow_dispatch");
    at(
        gate("closed"),
        "push",
        "branch",
        "x%0A::error::y\n::error::z",
    )
    .run("gate.sh")
    .exits(1)
    .says("x%250A::error::y%0A::error::z is not protected");
}

/// Not even where the caller lists them.
#[test]
fn pull_requests_never_deploy() {
    for event in [
        "pull_request",
        "pull_request_target",
        "pull_request_review",
        "merge_group",
        "workflow_run",
        "issue_comment",
    ] {
        let stage = gate("pr")
            .env("EVENTS", "* pull_request pull_request_target")
            .env("REF_PROTECTED", "true");
        at(stage, event, "branch", "main")
            .run("gate.sh")
            .exits(1)
            .says("never deploys");
    }
    gate("pr")
        .env("REF_PROTECTED", "true")
        .env("GITHUB_REF", "refs/pull/1/merge")
        .run("gate.sh")
        .exits(1)
        .says("refs/pull/1/merge is neither a branch nor a tag");
}

#[test]
fn components_are_judged() {
    for (components, said) in [
        ("api, web", "parse"),
        ("[]", "at least one component"),
        (r#"["api"]"#, "api and web are needed"),
        (r#"["api", "web", "api"]"#, "a name stands twice"),
        (
            r#"["api", "Web"]"#,
            "the name Web is no part of an image name",
        ),
        (
            r#"["api", {"name": "web", "contxt": "web"}]"#,
            "contxt: unknown; there are name, context, dockerfile, target",
        ),
        (
            r#"["api", {"name": "web", "context": "../web"}]"#,
            "paths lie inside the repository",
        ),
        (
            r#"["api", {"name": "web", "dockerfile": "--push"}]"#,
            "paths lie inside the repository",
        ),
        (
            r#"["api", {"name": "web", "target": 1}]"#,
            "all fields are texts",
        ),
        (r#"["api", 7]"#, "7 is neither a name nor an object"),
    ] {
        let stage = gate("components")
            .env("REF_PROTECTED", "true")
            .env("COMPONENTS", components);
        stage
            .run("gate.sh")
            .exits(1)
            .says(said)
            .says("::error title=deploy-signal::");
    }
}

fn version(stage: &Stage, of: &str) -> String {
    stage
        .run_with("version.sh", &[of])
        .exits(0)
        .stdout
        .trim_end()
        .to_owned()
}

#[test]
fn versions() {
    let sha = "0123456789abcdef0123456789abcdef01234567";
    let branch = || Stage::new("version").env("GITHUB_SHA", sha);
    assert_eq!(version(&branch(), "1.2.3"), "1.2.3-g0123456789ab");
    assert_eq!(version(&branch(), "1.2.3+build.7"), "1.2.3-g0123456789ab");
    assert_eq!(
        version(&branch(), "1.2.3-rc.1+x"),
        "1.2.3-rc.1.g0123456789ab"
    );
    let tag = |name: &str| at(Stage::new("version"), "push", "tag", name);
    assert_eq!(version(&tag("v2.0.0"), "1.2.3"), "2.0.0");
    assert_eq!(version(&tag("v2.0.0-rc.1+b"), "1.2.3"), "2.0.0-rc.1");
    for bad in ["v2", "2.0.0", "v02.0.0", "v1.2.3-01", "v1.2.3-", "v1.2.3 "] {
        tag(bad)
            .run_with("version.sh", &["1.2.3"])
            .exits(1)
            .says("names no version");
    }
    branch()
        .run_with("version.sh", &["1.2"])
        .exits(1)
        .says("the chart's version 1.2 is not SemVer");
}

/// Whatever commit it is, `deploy` takes the version: ids of digits alone, with
/// zeros first, are the ones that go wrong.
#[test]
fn every_commit_gives_a_version_that_deploy_takes() {
    let id = prop_oneof![
        "[0-9a-f]{40}",
        "[0-9]{40}",
        "0[0-9]{39}",
        "0{12}[0-9a-f]{28}",
        "[0-9]{11}e[0-9]{28}"
    ];
    let chart = prop_oneof![
        "(0|[1-9][0-9]{0,3})\\.(0|[1-9][0-9]{0,3})\\.(0|[1-9][0-9]{0,3})",
        "[1-9]\\.0\\.[1-9]-(rc|alpha|0|x-y)(\\.[1-9]){0,2}(\\+[0-9a-z]{1,8})?",
    ];
    let stage = Stage::new("property");
    let cases = if std::env::var_os("DEPLOY_SOAK").is_some() {
        2_000
    } else {
        100
    };
    TestRunner::new(Config {
        failure_persistence: None,
        ..Config::with_cases(cases)
    })
    .run(&(id, chart), |(id, chart)| {
        let ran = stage.with_commit(&id, "version.sh", &[&chart]);
        let said = ran.exits(0).stdout.trim_end();
        let taken: Result<ChartVersion, _> = said.parse();
        prop_assert!(taken.is_ok(), "{said} of {id} and {chart}");
        let commit = format!("g{}", &id[..12]);
        prop_assert!(said.contains(&commit), "{said} of {id}");
        Ok(())
    })
    .unwrap();
}

/// What the jobs before have put out.
fn signal(name: &str) -> Stage {
    Stage::new(name)
        .env("CHART", "oci://ghcr.io/acme/charts/shop")
        .env("CHART_VERSION", "0.1.0")
        .env("CHART_DIGEST", "sha256:0")
        .env("IMAGES", r#"{"api":"a","web":"b","worker":"c"}"#)
}

/// And, as before it, nothing is written but the runner's own files.
#[test]
fn the_signal_is_joined() {
    let stage = signal("join");
    let (ran, written) = stage.traced("signal.sh");
    ran.exits(0);
    stage.wrote_only(&written);
    assert_eq!(stage.output("chart"), "oci://ghcr.io/acme/charts/shop");
    assert_eq!(stage.output("chart_version"), "0.1.0");
    assert_eq!(
        stage.output("images"),
        r#"{"api":"a","web":"b","worker":"c"}"#
    );
    assert_eq!(stage.output("superseded"), "false");
}

/// GitHub empties an output that holds a secret, and fails nothing.
#[test]
fn an_output_that_was_emptied_is_told() {
    for (variable, value, said) in [
        ("CHART", "", "the output chart came empty"),
        ("CHART_VERSION", "", "the output chart_version came empty"),
        ("IMAGES", "", "the output images came empty"),
        (
            "IMAGES",
            r#"{"api":"a","web":"b"}"#,
            "the output images came without worker",
        ),
        (
            "IMAGES",
            r#"{"api":"a","web":"","worker":"c"}"#,
            "the output images came without web",
        ),
        ("IMAGES", "***", "the output images came without api"),
    ] {
        let stage = signal("masked").env(variable, value);
        stage
            .run("signal.sh")
            .exits(1)
            .says(said)
            .says("masked by a secret?");
    }
}

#[test]
fn a_commit_that_is_no_longer_the_head_is_superseded() {
    let old = |name: &str| {
        let stage = signal(name);
        let first = stage.head();
        stage.commit("second");
        stage.env("GITHUB_SHA", &first)
    };
    let stage = old("old");
    stage
        .run("signal.sh")
        .exits(0)
        .says("::notice title=deploy-signal::superseded: main is at");
    assert_eq!(stage.output("superseded"), "true");
    let summary = std::fs::read_to_string(stage.path("temp/summary")).unwrap();
    assert!(summary.contains("### Superseded"), "{summary}");

    // Somebody's will may go back.
    let again = old("again").env("GITHUB_RUN_ATTEMPT", "2");
    let tag = at(old("tag"), "push", "tag", "v1.0.0");
    let hand = at(old("hand"), "workflow_dispatch", "branch", "main");
    for stage in [again, tag, hand] {
        stage.run("signal.sh").exits(0);
        assert_eq!(stage.output("superseded"), "false");
    }
    let gone = signal("gone").env("GITHUB_SERVER_URL", "file:///nowhere");
    gone.run("signal.sh")
        .exits(1)
        .says("the head of main cannot be asked for");
}
