//! The chart's way to the registry: a version is never overwritten, and only a
//! definite "not there" leads to a push.

use testbed::ghcr::{Access, Fault, Kind, PUSH_PASSWORD, Policy};

use super::stage::Stage;
use crate::harness::{Helm, asked_of, policy_of};

/// How often something was pushed.
fn pushes(stage: &Stage) -> usize {
    asked_of(&stage.lower())
        .iter()
        .filter(|asked| asked.kind == Kind::Push)
        .count()
}

fn pushed_and_taken_again(stage: &Stage) {
    let sha = stage.head();
    stage
        .run("chart.sh")
        .exits(0)
        .says("is new. GitHub makes a new package private");
    let version = format!("0.1.0-g{}", &sha[..12]);
    assert_eq!(stage.output("chart_version"), version);
    assert_eq!(
        stage.output("chart"),
        format!("oci://ghcr.io/{}/charts/shop", stage.lower())
    );
    let (digest, count) = (stage.output("chart_digest"), pushes(stage));
    assert!(count > 0);

    stage
        .run("chart.sh")
        .exits(0)
        .says("is there, of the same source")
        .never_says("is new");
    assert_eq!(stage.output("chart_digest"), digest);
    assert_eq!(pushes(stage), count, "nothing was pushed again");
}

#[test]
fn a_chart_is_pushed_once_by_helm3() {
    pushed_and_taken_again(&Stage::new("helm3").helm(Helm::V3));
}

/// Helm 4 makes the same package of the same commit, too.
#[test]
fn a_chart_is_pushed_once_by_helm4() {
    pushed_and_taken_again(&Stage::new("helm4"));
}

#[test]
fn another_source_of_the_same_version_is_refused() {
    let tag = |name: &str| {
        Stage::new(name)
            .env("GITHUB_REF_TYPE", "tag")
            .env("GITHUB_REF", "refs/tags/v1.0.0")
            .env("GITHUB_REF_NAME", "v1.0.0")
    };
    let stage = tag("conflict");
    stage.run("chart.sh").exits(0);
    assert_eq!(stage.output("chart_version"), "1.0.0");
    let first = stage.git(&["rev-parse", "HEAD:chart"]);

    stage.edit("chart/values.yaml", "replicas: 2", "replicas: 3");
    stage.commit("more pods");
    let second = stage.git(&["rev-parse", "HEAD:chart"]);
    let count = pushes(&stage);
    stage
        .run("chart.sh")
        .exits(1)
        .says(&first)
        .says(&second)
        .says("A version is never overwritten");
    assert_eq!(pushes(&stage), count);

    // A commit that leaves the chart alone is of the same source.
    stage.git(&["revert", "--no-edit", "HEAD"]);
    stage.run("chart.sh").exits(0).says("of the same source");
}

/// An address and annotations that a chart has of its own stay.
#[test]
fn what_a_chart_says_of_itself_stays() {
    let stage = Stage::new("own");
    stage.edit(
        "chart/Chart.yaml",
        "type: application",
        "type: application\nsources: [\"https://example.invalid/shop\"]\nannotations:\n  team: shop",
    );
    stage.commit("more of itself");
    stage.run("chart.sh").exits(0);
    let shown = stage.helm_shows(&stage.output("chart"), &stage.output("chart_version"));
    assert!(shown.contains("  team: shop\n"), "{shown}");
    let ours = format!(
        "sources:\n- https://github.com/{}/Shop\n- https://example.invalid/shop\n",
        stage.owner
    );
    assert!(shown.contains(&ours), "{shown}");
}

#[test]
fn a_registry_that_does_not_say_leads_to_no_push() {
    for (status, said) in [
        (500, "did not say whether"),
        (429, "did not say whether"),
        (403, "does not let this job read"),
    ] {
        let stage = Stage::new("fault");
        policy_of(
            &stage.lower(),
            &Policy::public().fault(Fault::status(Kind::Manifest, status)),
        );
        stage
            .run("chart.sh")
            .exits(1)
            .says(said)
            .says(&status.to_string());
        assert_eq!(pushes(&stage), 0, "{status}");
    }
    let stage = Stage::new("cut");
    policy_of(
        &stage.lower(),
        &Policy::public().fault(Fault::cut_off(Kind::Manifest, 0)),
    );
    stage.run("chart.sh").exits(1).says("did not say whether");
    assert_eq!(pushes(&stage), 0);
}

/// A package that another repository pushed first.
#[test]
fn a_package_that_may_not_be_written_gets_its_hint() {
    let stage = Stage::new("write").env("GITHUB_ACTOR", "reader");
    policy_of(
        &stage.lower(),
        &Policy::public().user("reader", PUSH_PASSWORD, Access::Read),
    );
    stage
        .run("chart.sh")
        .exits(1)
        .says("this repository may not write the package")
        .says(&format!(
            "Manage Actions access, add {}/Shop with the role Write",
            stage.owner
        ));
}

#[test]
fn no_chart_is_told() {
    let stage = Stage::new("none").env("CHART", "charts/shop");
    stage
        .run("chart.sh")
        .exits(1)
        .says("charts/shop is no chart")
        .says("names the folder with Chart.yaml");
}

/// Nothing outside the workspace and the runner's own temp is written.
#[test]
fn nothing_is_written_elsewhere() {
    let stage = Stage::new("traced");
    let (ran, written) = stage.traced("chart.sh");
    ran.exits(0);
    stage.wrote_only(&written);
    assert_eq!(
        std::fs::read_dir(stage.path("temp")).unwrap().count(),
        1,
        "only the output is left"
    );
}
