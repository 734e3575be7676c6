//! Who may deploy, what the chart's version is, and when a commit is too old.

use deploy::signal::ChartVersion;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::github::Github;
use super::stage::Stage;
use crate::harness::soak;

/// GitHub protects `main`.
fn gate(name: &str) -> Stage {
    let stage = Stage::new(name);
    let github = Github::of(stage.path("workspace/.git"), &["main"]);
    stage
        .env("GITHUB_API_URL", &github.url)
        .env("EVENTS", "push workflow_dispatch")
        .env("BRANCHES", "")
        .env("TAGS", "v*")
        .env("TAGS_ANYWHERE", "false")
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

/// A tag may be pushed by whoever may push any branch: its commit must be on one
/// that takes reviewed commits.
#[test]
fn a_tag_deploys_what_was_reviewed() {
    let tagged = |name: &str| {
        let stage = gate(name);
        stage.git(&["checkout", "--quiet", "-b", "topic"]);
        stage.commit("not reviewed");
        at(stage, "push", "tag", "v1.2.3")
    };
    tagged("tag")
        .run("gate.sh")
        .exits(1)
        .says("which is on no protected branch, so it was not reviewed")
        .says("tags-anywhere: true");
    let other = tagged("tag").env("BRANCHES", "release/*");
    other.run("gate.sh").exits(1);
    for (variable, value) in [("TAGS_ANYWHERE", "true"), ("BRANCHES", "main top*")] {
        tagged("tag").env(variable, value).run("gate.sh").exits(0);
    }
    // An older commit of the branch was reviewed too.
    let stage = at(gate("tag"), "push", "tag", "v1.2.3");
    let first = stage.head();
    stage.commit("second");
    stage.env("GITHUB_SHA", &first).run("gate.sh").exits(0);
    let mute = tagged("tag").env("GITHUB_API_URL", "http://127.0.0.1:1");
    mute.run("gate.sh")
        .exits(1)
        .says("GitHub did not say on which branches");
}

/// Only somebody's hand names a commit, and only a reviewed one.
#[test]
fn a_manual_run_goes_back_to_a_commit() {
    let back = |event: &str| {
        let stage = gate("back").env("REF_PROTECTED", "true");
        let first = stage.head();
        stage.commit("second");
        at(stage, event, "branch", "main").env("COMMIT", &first)
    };
    back("workflow_dispatch").run("gate.sh").exits(0);
    back("push")
        .run("gate.sh")
        .exits(1)
        .says("Only workflow_dispatch names a commit");
    let stage = back("workflow_dispatch");
    stage.git(&["checkout", "--quiet", "-b", "topic"]);
    let foreign = stage.commit("not reviewed");
    stage.git(&["checkout", "--quiet", "main"]);
    stage
        .env("COMMIT", &foreign)
        .run("gate.sh")
        .exits(1)
        .says(&format!("{foreign} is on no protected branch"));
    let short = back("workflow_dispatch").env("COMMIT", "main");
    short.run("gate.sh").exits(1).says("40 hexadecimal digits");
}

/// What would go wrong later is told at once.
#[test]
fn names_and_platforms_are_judged() {
    for (variable, value, said) in [
        ("APP", "Shop", "app: Shop is no application's name"),
        ("APP", "", "app:  is no application's name"),
        ("PLATFORMS", "linux/amd64", "parse"),
        ("PLATFORMS", "[]", "at least one platform"),
        (
            "PLATFORMS",
            r#"["linux/arm64", "linux/arm64"]"#,
            "one stands twice",
        ),
        (
            "PLATFORMS",
            r#"["linux/mips"]"#,
            "linux/mips is not known; there are linux/amd64, linux/arm64",
        ),
        ("IMAGE_PATH", "somebody/shop", "is no path of"),
    ] {
        let stage = gate("names")
            .env("REF_PROTECTED", "true")
            .env(variable, value);
        stage.run("gate.sh").exits(1).says(said);
    }
    let stage = gate("names").env("REF_PROTECTED", "true");
    let path = format!("{}/shop/back", stage.lower());
    stage.env("IMAGE_PATH", &path).run("gate.sh").exits(0);
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
    // Of several applications in one repository.
    assert_eq!(version(&tag("shop-v2.0.0"), "1.2.3"), "2.0.0");
    assert_eq!(version(&tag("apps/shop/v2.0.0-v1"), "1.2.3"), "2.0.0-v1");
    // A commit that a manual run names is not the tag's.
    assert_eq!(
        version(&tag("v2.0.0").env("COMMIT", sha), "1.2.3"),
        "1.2.3-g0123456789ab"
    );
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
    let cases = if soak::is_on() { 2_000 } else { 100 };
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
