//! Going back to a former run: which runs count, and what is believed of what they
//! have left.

use std::fs;

use serde_json::{Value, json};
use testbed::chart::Shop;

use super::github::{Github, former_run};
use super::made::Made;
use super::stage::Stage;
use crate::harness::{Ran, push_chart, push_image};

/// Somebody's hand, in a repository of which GitHub protects `main` and knows the run 7.
fn hand(stage: Stage) -> Stage {
    let runs = stage.path("runs");
    let github = Github::with_runs(stage.path("workspace/.git"), &["main"], runs);
    let commit = stage.head();
    stage
        .env("GITHUB_API_URL", &github.url)
        .env("GITHUB_EVENT_NAME", "workflow_dispatch")
        .env("RUN", "7")
        .env("WORKFLOW", ".github/workflows/deploy.yml")
        .env("BRANCHES", "")
        .env("RUN_COMMIT", &commit)
}

/// A run of a push to `main` that has deployed.
fn good(stage: &Stage) -> Value {
    json!({
        "path": ".github/workflows/deploy.yml@refs/heads/main",
        "event": "push",
        "conclusion": "success",
        "head_sha": stage.head(),
        "head_repository": { "full_name": format!("{}/Shop", stage.owner) },
        "run_attempt": 2,
    })
}

fn artifact(attempt: u32, expired: bool) -> Value {
    json!({ "name": format!("deploy-signal-shop-signal-{attempt}"), "expired": expired })
}

#[test]
fn only_a_run_that_deployed_what_was_reviewed_counts() {
    let stage = hand(Stage::new("former"));
    let runs = stage.path("runs");
    let good = good(&stage);
    stage.git(&["checkout", "--quiet", "-b", "topic"]);
    let foreign = stage.commit("not reviewed");
    let judged = |run: &Value, artifact: &Value| {
        former_run(&runs, "7", run, artifact);
        stage.run("former-run.sh")
    };
    // The second attempt was of the deploy job alone.
    judged(&good, &artifact(1, false)).exits(0);
    assert_eq!(stage.output("artifact"), "deploy-signal-shop-signal-1");
    assert_eq!(stage.output("head"), good["head_sha"].as_str().unwrap());

    for (key, value, said) in [
        ("event", json!("pull_request_target"), "never deploys"),
        (
            "head_repository",
            json!({ "full_name": "somebody/Shop" }),
            "the event push in somebody/Shop",
        ),
        (
            "path",
            json!(".github/workflows/else.yml"),
            "is of .github/workflows/else.yml, not of .github/workflows/deploy.yml",
        ),
        ("conclusion", json!("failure"), "ended as failure"),
        ("conclusion", Value::Null, "ended as nothing yet"),
        ("head_sha", json!(foreign), "on no protected branch"),
        ("head_sha", json!("main"), "on no protected branch"),
    ] {
        let mut run = good.clone();
        run[key] = value;
        judged(&run, &artifact(1, false)).exits(1).says(said);
        assert!(!stage.put_out("artifact"), "{said}");
    }
    for artifact in [artifact(1, true), artifact(3, false), json!({})] {
        judged(&good, &artifact)
            .exits(1)
            .says("GitHub keeps no signal of shop from the run 7");
    }
    for (variable, value, said) in [
        ("RUN", "8", "GitHub did not say what the run 8 was (404"),
        ("RUN", "7/../8", "run: 7/../8 is no run's id"),
        ("APP", "a?b", "app: a?b is no application's name"),
        ("GITHUB_EVENT_NAME", "push", "push goes back to no run"),
    ] {
        let variables = [(variable, value.to_owned())];
        stage
            .run_env("former-run.sh", &variables)
            .exits(1)
            .says(said);
    }
}

/// What the run has left is believed as far as the registry bears it out.
#[test]
fn a_former_signal_is_held_against_the_registry() {
    let mut made = Made::new("again").env("COMPONENTS", r#"["api", "web"]"#);
    let folder = made.stage.path("temp/signal");
    made = made.env("SIGNAL_FOLDER", &folder.display().to_string());
    made.build().push().exits(0);
    let pushes = made.pushes();
    made.signal().exits(0);
    assert_eq!(made.stage.output("artifact"), "deploy-signal-shop-signal-1");
    let expected = ["chart", "chart_version", "chart_digest", "images"]
        .map(|name| (name, made.stage.output(name)));

    let file = folder.join("signal.json");
    let kept: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    made = made
        .env("SIGNAL", &file.display().to_string())
        .env("SIGNAL_FOLDER", "");
    made.stage = hand(made.stage);
    made.stage.git(&["checkout", "--quiet", "-b", "topic"]);
    let foreign = made.stage.commit("not reviewed");
    let again = |signal: &Value| -> Ran {
        fs::write(&file, signal.to_string()).unwrap();
        made.stage.run("former-signal.sh")
    };
    again(&kept).exits(0);
    for (name, value) in &expected {
        assert_eq!(made.stage.output(name), *value, "{name}");
    }
    assert_eq!(made.pushes(), pushes);

    let owner = made.stage.lower();
    let planted = push_image(&format!("{owner}/shop/api"), "later").by_digest();
    let elsewhere = planted.replace(&owner, "somebody");
    let gone = format!("ghcr.io/{owner}/shop/api@sha256:{}", "0".repeat(64));
    let chart = format!("oci://ghcr.io/{owner}-else/charts/shop");
    for (at, value, said) in [
        (
            "/images/api",
            planted.as_str(),
            "is not of the run 7 and of",
        ),
        ("/images/api", &elsewhere, "does not have"),
        ("/images/api", &gone, "does not have"),
        ("/images/api", "latest", "does not have"),
        ("/chart", &chart, "is no chart of"),
        ("/commit", &foreign, "on no protected branch"),
        ("/commit", "main", "on no protected branch"),
        ("/app", "blog", "is no signal of shop"),
        ("/run", "8", "is no signal of shop"),
    ] {
        let mut signal = kept.clone();
        *signal.pointer_mut(at).unwrap() = json!(value);
        again(&signal).exits(1).says(said);
        assert!(!made.stage.put_out("images"), "{said}");
    }
    push_chart(
        &owner,
        &Shop::new("shop", kept["chart_version"].as_str().unwrap()).chart(),
    );
    again(&kept).exits(1).says("it was pushed as");
    assert!(!made.stage.put_out("images"));
}
