//! How the signal is joined, and when a commit is too old for one.

use testbed::chart::Shop;
use testbed::ghcr;

use super::stage::Stage;
use crate::harness::push_chart;

/// What the pushing job put out, of a chart that is there.
fn signal(name: &str) -> Stage {
    let stage = Stage::new(name);
    let owner = stage.lower();
    push_chart(&owner, &Shop::new("shop", "0.1.0").chart());
    let body = stage.registry(&format!("{owner}/charts/shop"), "0.1.0");
    let digest = ghcr::digest(body.as_bytes());
    let images = images(&owner, &["api", "web", "worker"]);
    stage
        .env("CHART", &format!("oci://ghcr.io/{owner}/charts/shop"))
        .env("CHART_VERSION", "0.1.0")
        .env("CHART_DIGEST", &digest)
        .env("IMAGES", &images)
}

fn images(owner: &str, components: &[&str]) -> String {
    let digest = "0".repeat(64);
    let all = components.iter().map(|component| {
        let image = format!("ghcr.io/{owner}/shop/{component}@sha256:{digest}");
        ((*component).to_owned(), image.into())
    });
    serde_json::Value::Object(all.collect()).to_string()
}

/// And, as before it, nothing is written but the runner's own files.
#[test]
fn the_signal_is_joined() {
    let stage = signal("join");
    let (ran, written) = stage.traced("signal.sh");
    ran.exits(0);
    stage.wrote_only(&written);
    let owner = stage.lower();
    assert_eq!(
        stage.output("chart"),
        format!("oci://ghcr.io/{owner}/charts/shop")
    );
    assert_eq!(stage.output("chart_version"), "0.1.0");
    assert_eq!(
        stage.output("images"),
        images(&owner, &["api", "web", "worker"])
    );
    assert_eq!(stage.output("superseded"), "false");
}

/// GitHub empties an output that holds a secret, and fails nothing.
#[test]
fn an_output_that_was_emptied_is_told() {
    let stage = signal("masked");
    let owner = stage.lower();
    let two = images(&owner, &["api", "web"]);
    let empty = images(&owner, &["api", "web", "worker"]).replacen("ghcr.io", "", 1);
    let empty = format!("{{\"api\":\"\",{}", &empty[empty.find("\"web").unwrap()..]);
    let foreign = images("somebody", &["api", "web", "worker"]);
    let bare = images(&owner, &["api", "web", "worker"]).replace("@sha256", ":sha256");
    for (variable, value, said) in [
        ("CHART", "", "the output chart came empty"),
        ("CHART_VERSION", "", "the output chart_version came empty"),
        ("IMAGES", "", "the output images came empty"),
        ("IMAGES", &two, "the output images came without worker"),
        ("IMAGES", &empty, "the output images came without api"),
        ("IMAGES", "***", "the output images came without api"),
        ("IMAGES", &foreign, "without a digest or not of"),
        ("IMAGES", &bare, "without a digest or not of"),
    ] {
        let variables = [(variable, value.to_owned())];
        stage.run_env("signal.sh", &variables).exits(1).says(said);
        assert!(!stage.put_out("chart"), "{said}");
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
    let tag = old("tag")
        .env("GITHUB_REF_TYPE", "tag")
        .env("GITHUB_REF_NAME", "v1.0.0")
        .env("GITHUB_REF", "refs/tags/v1.0.0");
    let hand = old("hand").env("GITHUB_EVENT_NAME", "workflow_dispatch");
    for stage in [again, tag, hand] {
        stage.run("signal.sh").exits(0);
        assert_eq!(stage.output("superseded"), "false");
    }
    let gone = signal("gone").env("GITHUB_SERVER_URL", "file:///nowhere");
    gone.run("signal.sh")
        .exits(1)
        .says("the head of main cannot be asked for");
}
